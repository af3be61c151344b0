"""Many samples written together: :class:`Engine`.

Every step advances all live samples by one id with one call of the runtime. Samples join and leave
between steps, and prompts are read in the same batch as samples are written, so nobody waits for
somebody else's long text. What a sample becomes does not depend on the others: the runtime computes
each row by itself, and so does sampling. :mod:`lorelm.generation.generator` is the reference.
"""

import contextlib
import time
from collections.abc import Callable
from typing import Final

from lorelm.generation.draft import Draft, FinishReason
from lorelm.generation.engine.queue import RequestQueue
from lorelm.generation.engine.request import EngineRequest, Row
from lorelm.generation.engine.slots import Slots
from lorelm.generation.engine.state_cache import StateCache
from lorelm.generation.token_scores import TokenScore, score_tokens
from lorelm.runtime.base import Runtime, State
from lorelm.sampling import sample
from lorelm.typing import Floats32, Ids

NUM_SLOTS: Final = 64
MAX_WAITING: Final = 256
STATE_CACHE_BYTES: Final = 16_000_000

_SECONDS_BETWEEN_LOOKS: Final = 0.05
"""At the deadlines of what waits; each look takes 20 µs for 256 requests."""


class Engine:
    """Schedules drafts over the rows of a batch.

    One thread steps; :meth:`submit` and :meth:`cancel` may be called from any.

    Args:
        num_slots: how many drafts are advanced together.
        max_waiting: how many requests may wait for a slot; they take turns.
        state_cache_bytes: for the states after texts that may be read again.
        on_step: told the seconds that a step took, and its number of rows.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        num_slots: int = NUM_SLOTS,
        max_waiting: int = MAX_WAITING,
        state_cache_bytes: int = STATE_CACHE_BYTES,
        on_step: Callable[[float, int], None] | None = None,
    ) -> None:
        self._initial_state = State.zeros(runtime.config, 1)
        self._slots = Slots(num_slots, runtime)
        self._state_cache = StateCache(state_cache_bytes)
        self._on_step = on_step
        self._queue = RequestQueue(max_waiting)
        self._over: set[int] = set()
        self._is_anybody_cancelled = False
        self._looks_at_queue_at = 0.0

    @property
    def num_slots(self) -> int:
        return self._slots.num_slots

    @property
    def num_live(self) -> int:
        """How many slots are in use."""
        return len(self._slots.rows)

    @property
    def num_waiting(self) -> int:
        """How many requests wait for a slot."""
        return len(self._queue)

    @property
    def is_idle(self) -> bool:
        return not self._slots.rows and not len(self._queue)

    def submit(self, request: EngineRequest) -> None:
        """Puts a request in the queue.

        Raises:
            OverloadedError: the queue is full.
        """
        self._queue.add(request, request.rows())

    def cancel(self, request: EngineRequest) -> None:
        """Ends the drafts of a request with the next step."""
        request.is_cancelled = True
        self._is_anybody_cancelled = True

    def step(self) -> None:
        """Advances every live draft by one id."""
        started = time.monotonic()
        try:
            self._schedule(started)
            if self._slots.rows:
                logits_BV = self._run()
                self._postprocess(logits_BV)
        except Exception as error:  # nobody knows how far each row is: all of them end
            self._fail_live(error)
            raise
        if self._on_step is not None and self._slots.rows:
            self._on_step(time.monotonic() - started, self.num_live)

    def end_all(self, error: Exception) -> None:
        """Ends every draft, live or waiting, with an error."""
        self._fail_live(error)
        while (row := self._queue.pop()) is not None:
            self._end(row, error=error)

    def _schedule(self, now: float) -> None:
        """Lets go what is over and lets in what waits."""
        self._look_for_the_end(now)
        slots = self._slots
        for place in sorted(self._over, reverse=True):  # so that those before stay in their place
            row = self._next_row()
            self._over.remove(place)
            if row is None:
                slots.leave(place)
            else:
                self._place(place, row)
        while slots.num_free and (row := self._next_row()) is not None:
            self._place(self.num_live, row)

    def _run(self) -> Floats32:
        """The logits of what comes next in each row."""
        return self._slots.batch.step(self._slots.next_ids)

    def _postprocess(self, logits_BV: Floats32) -> None:
        """Samples the next id of each row that has read its prompt, and tells who asked."""
        slots = self._slots
        at_end_of_reading = slots.at_end_of_reading
        for place in at_end_of_reading:
            self._read(place, logits_BV[place])
        for place in slots.with_rules:
            self._adjust(place, logits_BV[place])
        to_score = slots.to_score
        model_logits_RV = logits_BV[to_score]
        slots.apply_bans(logits_BV)
        settings = [row.draft.settings for row in slots.rows]
        ids_B = sample(logits_BV, settings, uniforms_B=slots.uniforms)
        scores = self._scores(to_score, model_logits_RV, ids_B)
        at_end_of_writing = slots.go_on(ids_B)
        for place in at_end_of_writing:
            self._take(place, scores.get(place))
        for place in (*at_end_of_reading, *at_end_of_writing):
            if place not in self._over:
                slots.prepare(place)

    def _look_for_the_end(self, now: float) -> None:
        """Ends the rows, live or waiting, whose time is over or for which nobody waits."""
        for place in self._slots.past_deadline(now):
            if place not in self._over:
                self._slots.hand_over(place)
                self._end_place(place, reason="timeout")
        is_anybody_cancelled = self._is_anybody_cancelled
        if is_anybody_cancelled:
            self._is_anybody_cancelled = False  # before the look: who comes in it has the next one
        if is_anybody_cancelled or now >= self._looks_at_queue_at:
            self._looks_at_queue_at = now + _SECONDS_BETWEEN_LOOKS
            for row in self._queue.remove(lambda row: _reason_to_end(row, now) is not None):
                self._end(row, reason=_reason_to_end(row, now))
        if is_anybody_cancelled:
            for place, row in enumerate(self._slots.rows):
                if row.request.is_cancelled:
                    self._end_place(place, reason="cancelled")

    def _next_row(self) -> Row | None:
        """The next row that waits, and for which somebody waits."""
        while (row := self._queue.pop()) is not None:
            if not row.request.is_cancelled:
                return row
            self._end(row, reason="cancelled")
        return None

    def _place(self, place: int, row: Row) -> None:
        """A row that waited takes a place, which is free or the next one."""
        slots = self._slots
        slots.take(place, row)  # before anything that may fail, so that it is told of it
        slots.batch.put(place, self._known_state(row.draft))
        slots.prepare(place)
        self._release_followers(row)

    def _known_state(self, draft: Draft) -> State:
        """The state after the longest known beginning of a prompt, which is skipped."""
        known = None if draft.scores_prompt else self._state_cache.longest(draft.known_ids[:-1])
        if known is None:
            return self._initial_state
        num_ids, state = known
        draft.skip(num_ids)
        return state

    def _read(self, place: int, logits_V: Floats32) -> None:
        """A row has read a block of its prompt."""
        row = self._slots.rows[place]
        try:
            row.draft.read(logits_V, self._slots.num_read(place))
        except Exception as error:  # a rule of this draft is at fault: the others go on
            self._end_place(place, error=error)
            return
        if row.draft.is_over:
            self._end_place(place)
        elif not row.draft.is_reading:
            self._remember(place)
            self._release_followers(row)

    def _adjust(self, place: int, logits_V: Floats32) -> None:
        """Applies the rules of a row's draft to its logits, in place."""
        try:
            logits_V[:] = self._slots.rows[place].draft.adjusted(logits_V)
        except Exception as error:  # a rule of this draft is at fault: the others go on
            self._end_place(place, error=error)

    def _scores(self, places: list[int], logits_RV: Floats32, ids_B: Ids) -> dict[int, TokenScore]:
        """The scores of the tokens of some rows."""
        if not places:
            return {}
        nums = [self._slots.rows[place].draft.num_alternatives or 0 for place in places]
        return dict(zip(places, score_tokens(logits_RV, ids_B[places], nums), strict=True))

    def _take(self, place: int, score: TokenScore | None) -> None:
        """Tells a row's draft, and who asked, what was written."""
        if place in self._over:
            return
        row = self._slots.rows[place]
        try:
            self._slots.hand_over(place, score)
            row.request.note_token(row.draft)
        except Exception as error:  # who asked is at fault: the others go on
            self._end_place(place, error=error)
            return
        if row.draft.is_over:
            self._remember(place)
            self._end_place(place)

    def _remember(self, place: int) -> None:
        """Keeps the state after what a row has read."""
        draft = self._slots.rows[place].draft
        self._state_cache.put(draft.read_ids, self._slots.batch.state(place))

    def _release_followers(self, row: Row) -> None:
        """Lets a row's followers into the queue once its prompt is known, or never will be."""
        if not row.followers or (row.draft.is_reading and not row.draft.is_over):
            return
        followers, row.followers = row.followers, ()
        if row.request.is_cancelled:
            for follower in followers:
                self._end(follower, reason="cancelled")
        else:
            self._queue.add_more(row.request, followers)

    def _fail_live(self, error: Exception) -> None:
        """Ends all live rows, which leave at once."""
        for place in range(self.num_live):
            self._end_place(place, error=error)
        self._slots.rows.clear()
        self._over.clear()

    def _end_place(
        self, place: int, *, reason: FinishReason | None = None, error: Exception | None = None
    ) -> None:
        """Ends a live row; it leaves before the next step."""
        if place not in self._over:
            self._over.add(place)
            self._end(self._slots.rows[place], reason=reason, error=error)

    def _end(
        self, row: Row, *, reason: FinishReason | None = None, error: Exception | None = None
    ) -> None:
        """Tells who asked that a draft is over."""
        row.draft.finish_reason = row.draft.finish_reason or reason
        row.draft.error = error
        self._release_followers(row)
        with contextlib.suppress(Exception):  # who asked is at fault: the others go on
            row.request.on_end(row.draft)


def _reason_to_end(row: Row, now: float) -> FinishReason | None:
    """Why a row that waits need not wait any more."""
    if row.request.is_cancelled:
        return "cancelled"
    return "timeout" if row.draft.deadline <= now else None
