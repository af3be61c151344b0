"""Client-side handle of requests that were submitted to the engine: :class:`RequestHandle`."""

import queue
import time
from collections import abc
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from lorelm.errors import ClientDisconnectedError, DeadlineError, FailedRequestError, LoreLMError
from lorelm.generation.reply import Token, token_at
from lorelm.generation.sequence import GenerationRequest, Sequence

_SECONDS_BETWEEN_CHECKS: Final = 0.1
"""How often a client is checked for a disconnect while no token arrives."""


class StreamUpdate(NamedTuple):
    """The next tokens of a sample, or its end.

    Attributes:
        sample: its number among those of all requests, from 0.
        tokens: none: the sample is finished.
    """

    sample: int
    tokens: list[Token]


class RequestHandle:
    """The requests of one client, which waits for them or streams them.

    The engine's thread calls :meth:`notify_start` and :meth:`notify`, the client's thread the other
    methods. They share a queue and the sequences, whose state is held in :attr:`Sequence.status`
    alone.

    Args:
        requests: one per prompt; they count as one where clients take turns.
        cancel: of the engine; called with this handle.
        is_streamed: the client takes the tokens as they come.
        stream_interval: seconds; the client of a stream is woken no sooner than this after the last
            time, unless a sample ends. Tokens that come faster are taken together.
        is_disconnected: tells whether the client has disconnected; called while no token arrives.
        on_close: called once, when all is finished or given up.

    Attributes:
        created_at: on the clock `time.monotonic`.
        seconds_to_start: from then until the first sequence got a slot; None before.
        seconds_to_first_token: until there was a token; None before.
        seconds_to_end: until the last sequence that has ended did; None before one has.
    """

    def __init__(
        self,
        requests: abc.Sequence[GenerationRequest],
        *,
        cancel: Callable[["RequestHandle"], None],
        is_streamed: bool = False,
        stream_interval: float = 0.0,
        is_disconnected: Callable[[], bool] = lambda: False,
        on_close: Callable[["RequestHandle"], None] = lambda handle: None,
    ) -> None:
        self.requests = requests
        self.sequences = [sequence for request in requests for sequence in request.sequences]
        self.created_at = time.monotonic()
        self.seconds_to_start: float | None = None
        self.seconds_to_first_token: float | None = None
        self.seconds_to_end: float | None = None
        self._is_streamed = is_streamed
        self._stream_interval = stream_interval
        self._next_update = 0.0
        self._wake: Callable[[], None] | None = None
        self._cancel = cancel
        self._is_disconnected = is_disconnected
        self._on_close = on_close
        self._is_closed = False
        self._changed: queue.SimpleQueue[Sequence] = queue.SimpleQueue()

    def notify_start(self) -> None:
        """Note that a sequence has got a slot."""
        if self.seconds_to_start is None:
            self.seconds_to_start = time.monotonic() - self.created_at

    def notify(self, sequence: Sequence) -> None:
        """Tell the client that a sequence has one more token, or has finished."""
        now = time.monotonic()
        if self.seconds_to_first_token is None and sequence.num_tokens:
            self.seconds_to_first_token = now - self.created_at
        if sequence.is_finished:
            self.seconds_to_end = now - self.created_at
        sequence.wants_tokens = self._is_streamed
        if sequence.is_finished or (self._is_streamed and now >= self._next_update):
            self._next_update = now + self._stream_interval
            self._changed.put(sequence)
            if self._wake is not None:
                self._wake()

    def follow(self, wake: Callable[[], None]) -> None:
        """Call a function from the engine's thread whenever a sequence has changed.

        :meth:`stream` then yields nothing instead of waiting.
        """
        self._wake = wake

    def wait(self) -> None:
        """Return when all sequences are finished.

        Raises:
            ClientDisconnectedError: the client has disconnected.
            DeadlineError: the deadline passed before anything was written.
            FailedRequestError: something went wrong with these requests.
            ShuttingDownError: the engine stopped before they were finished.
        """
        try:
            unfinished = set(self.sequences)
            while unfinished:
                sequence, is_finished = self._next_changed()
                if is_finished:
                    unfinished.discard(sequence)
        finally:
            self.close()

    def stream(self) -> Iterator[list[StreamUpdate]]:
        """Yield what is new in all samples whenever one of them has changed: tokens, and ends.

        Raises:
            LoreLMError: see :meth:`wait`.
        """
        num_sent = dict.fromkeys(self.sequences, 0)  # of those that are not finished
        try:
            while num_sent:
                finished = self._next_finished()
                updates: list[StreamUpdate] = []
                for index, sequence in enumerate(self.sequences):
                    if sequence not in num_sent:
                        continue
                    num_chunks = sequence.detokenize()
                    if num_chunks > num_sent[sequence]:
                        places = range(num_sent[sequence], num_chunks)
                        updates.append(StreamUpdate(index, [token_at(sequence, p) for p in places]))
                        num_sent[sequence] = num_chunks
                    if sequence in finished:
                        del num_sent[sequence]
                        updates.append(StreamUpdate(index, []))
                if updates or self._wake is not None:
                    yield updates
        finally:
            self.close()

    def _next_finished(self) -> set[Sequence]:
        """Wait for changes, unless they are followed; return the sequences that have finished."""
        changed = [] if self._wake is not None else [self._next_changed()]
        while not self._changed.empty():
            changed.append(self._next_changed())
        return {sequence for sequence, is_finished in changed if is_finished}

    def close(self) -> None:
        """Cancel what is not finished."""
        if not all(sequence.is_finished for sequence in self.sequences):
            self._cancel(self)
        if not self._is_closed:
            self._is_closed = True
            self._on_close(self)

    def release(self) -> None:
        """Drop all references to the sequences, once nobody needs them, if they are finished.

        Request, sequences and handle refer to each other. If the garbage collector had to find
        this out, it would stop 64 streams for 0.15 s now and then.
        """
        if not all(sequence.is_finished for sequence in self.sequences):
            return  # the engine needs them
        for request in self.requests:
            request.sequences = []
        self.requests, self.sequences = (), []
        self._changed = queue.SimpleQueue()
        self._is_disconnected = lambda: False
        self._on_close = lambda handle: None

    def _next_changed(self) -> tuple[Sequence, bool]:
        """Wait for a sequence that has a new token or is finished; return whether it is, too."""
        while True:
            try:
                sequence = self._changed.get(timeout=_SECONDS_BETWEEN_CHECKS)
                break
            except queue.Empty:
                self._check_connection()
        # Before the error, which is set first: what is finished without one then ended well.
        is_finished = sequence.is_finished
        if sequence.status == "timeout":
            self._check_timeout()
        self._check_connection()  # If a stop text holds back all chunks, no write would fail.
        if sequence.error is not None:
            raise _public_error(sequence.error) from sequence.error
        return sequence, is_finished

    def _check_connection(self) -> None:
        if self._is_disconnected():
            raise ClientDisconnectedError("client disconnected")

    def _check_timeout(self) -> None:
        """Refuse what ended by its deadline before there was anything to show.

        Raises:
            DeadlineError: nothing was written, or a prompt that was to be scored was not read.
        """
        late = [sequence for sequence in self.sequences if sequence.status == "timeout"]
        if any(sequence.lacks_prompt_scores for sequence in late):
            raise DeadlineError("the time was over before the prompt was read: try again later")
        if not any(sequence.num_tokens for sequence in self.sequences):
            raise DeadlineError("the time was over before anything was written: try again later")


def _public_error(error: Exception) -> LoreLMError:
    if isinstance(error, LoreLMError):
        return error
    return FailedRequestError("something went wrong while the text was written; the log says what")
