"""Tasks that an engine is at, seen by who asked: :class:`Generation`."""

import logging
import queue
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from lorelm.corpus.vocabulary import Vocabulary
from lorelm.errors import AbandonedError, DeadlineError, FailedRequestError, LoreLMError
from lorelm.generation.continuation import Piece
from lorelm.generation.draft import Draft
from lorelm.generation.engine.request import EngineRequest
from lorelm.generation.engine.thread import EngineThread
from lorelm.generation.language_model import LanguageModel
from lorelm.generation.reply import Token
from lorelm.generation.task import Task
from lorelm.generation.wording import Wording

_log: Final = logging.getLogger(__name__)

_SECONDS_BETWEEN_LOOKS: Final = 0.1
"""At whether anybody still waits, while no token comes."""


@dataclass(frozen=True, kw_only=True)
class StreamedToken:
    """One more token of a sample.

    Attributes:
        place: the number of the sample among those of all tasks, from 0.
    """

    place: int
    token: Token


@dataclass(frozen=True, kw_only=True)
class StreamedEnd:
    """A sample is finished.

    Attributes:
        place: the number of the sample among those of all tasks, from 0.
    """

    place: int


Update = StreamedToken | StreamedEnd


class Generation:
    """Tasks from their submission to their end.

    Args:
        is_streamed: tokens are wanted one by one.
        is_abandoned: tells whether nobody waits any more; it is asked while no token comes.
        on_close: told once, when all is over or given up.

    Raises:
        OverloadedError: too many are waiting for the engine.
        ShuttingDownError: the engine is about to stop.
    """

    def __init__(
        self,
        model: LanguageModel,
        engine: EngineThread,
        tasks: Sequence[Task],
        *,
        is_streamed: bool = False,
        is_abandoned: Callable[[], bool] = lambda: False,
        on_close: Callable[["Generation"], None] = lambda generation: None,
    ) -> None:
        self.tasks = tasks
        self._on_close = on_close
        self._model = model
        self._engine = engine
        self._is_abandoned = is_abandoned
        self._events: queue.SimpleQueue[tuple[Draft, bool]] = queue.SimpleQueue()
        self._num_unfinished = sum(len(task.drafts) for task in tasks)
        self._is_closed = False
        on_token = self._note_token if is_streamed else None
        self.request = EngineRequest(
            groups=[task.drafts for task in tasks], on_end=self._note_end, on_token=on_token
        )
        engine.submit(self.request)

    def wait(self) -> None:
        """Returns when all drafts are finished.

        Raises:
            AbandonedError: nobody waits any more.
            DeadlineError: the time was over before anything was written.
            FailedRequestError: something went wrong with these tasks.
            ShuttingDownError: the engine stopped before they were finished.
        """
        try:
            while self._num_unfinished:
                self._next_event()
        finally:
            self.close()

    def stream(self) -> Iterator[list[Update]]:
        """The tokens as they come and each sample at its end, with what came at the same time.

        Raises:
            those of :meth:`wait`.
        """
        drafts = [(task, draft) for task in self.tasks for draft in task.drafts]
        samples = {
            draft: _StreamedSample(place, task, self._model.vocabulary, self._model.wording)
            for place, (task, draft) in enumerate(drafts)
        }
        try:
            while self._num_unfinished:
                draft, is_end = self._next_event()
                updates = samples[draft].updates(draft, is_end=is_end)
                while not self._events.empty():
                    draft, is_end = self._next_event()
                    updates += samples[draft].updates(draft, is_end=is_end)
                yield updates
        finally:
            self.close()

    def close(self) -> None:
        """Gives up what is not finished."""
        if self._num_unfinished:
            self._engine.cancel(self.request)
        if not self._is_closed:
            self._is_closed = True
            self._on_close(self)

    def _check_time(self) -> None:
        """Refuses what ended by its deadline before there was anything to show.

        Raises:
            DeadlineError: nothing was written, or a prompt that was to be scored was not read.
        """
        drafts = [draft for task in self.tasks for draft in task.drafts]
        late = [draft for draft in drafts if draft.finish_reason == "timeout"]
        if any(draft.lacks_scores for draft in late):
            raise DeadlineError("the time was over before the prompt was read: try again later")
        if late and not any(draft.ids for draft in drafts):
            raise DeadlineError("the time was over before anything was written: try again later")

    def _note_token(self, draft: Draft) -> None:
        self._events.put((draft, False))

    def _note_end(self, draft: Draft) -> None:
        self._events.put((draft, True))

    def _next_event(self) -> tuple[Draft, bool]:
        """A draft that has grown, and whether it is finished."""
        while True:
            try:
                draft, is_end = self._events.get(timeout=_SECONDS_BETWEEN_LOOKS)
                break
            except queue.Empty:
                if self._is_abandoned():
                    raise AbandonedError("nobody waits for the text any more") from None
        self._num_unfinished -= is_end
        if draft.finish_reason == "timeout" and is_end:
            self._check_time()
        if self._is_abandoned():  # where all text is held back, no write would tell
            raise AbandonedError("nobody waits for the text any more")
        if draft.error is not None:
            raise _error_to_show(draft.error) from draft.error
        return draft, is_end


class _StreamedSample:
    """How much of a draft has been passed on."""

    def __init__(self, place: int, task: Task, vocabulary: Vocabulary, wording: Wording) -> None:
        self._place = place
        self._task = task
        self._words = vocabulary.words
        self._wording = wording
        self._continuation = wording.continuation(task.prompt, task.settings.stop)
        self._num_passed = 0

    def updates(self, draft: Draft, *, is_end: bool) -> list[Update]:
        """What is new."""
        num_tokens = len(draft.ids)  # the engine goes on meanwhile
        pieces = [
            piece
            for id_ in draft.ids[self._num_passed : num_tokens]
            for piece in self._continuation.add(self._words[id_])
        ]
        self._num_passed = num_tokens
        if not is_end:
            return [self._token(draft, piece) for piece in pieces]
        pieces += self._continuation.rest()
        return [*(self._token(draft, piece) for piece in pieces), StreamedEnd(place=self._place)]

    def _token(self, draft: Draft, piece: Piece) -> StreamedToken:
        return StreamedToken(place=self._place, token=self._wording.token(self._task, draft, piece))


def _error_to_show(error: Exception) -> LoreLMError:
    if isinstance(error, LoreLMError):
        return error
    _log.error("a request failed", exc_info=error)
    return FailedRequestError("something went wrong while the text was written; the log says what")
