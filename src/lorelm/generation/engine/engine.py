"""Many sequences written together: :class:`Engine`.

Every step advances all running sequences by one id with one call of the runtime. Sequences join and
leave between steps, and prompts are read in the same batch as samples are written, so no client
waits for the long text of another one. What a sequence becomes does not depend on the others: the
runtime computes each row by itself, and so does sampling. :mod:`lorelm.generation.generator` is the
reference.
"""

import time
from collections import abc, defaultdict, deque
from collections.abc import Callable
from typing import Final

import numpy as np

from lorelm.generation.engine.prefix_cache import PrefixCache
from lorelm.generation.engine.queue import RequestQueue
from lorelm.generation.handle import RequestHandle
from lorelm.generation.logits import (
    LogitsProcessor,
    SpeakerRules,
    TokenScore,
    ban_special_tokens,
    score_tokens,
)
from lorelm.generation.sequence import Sequence, Status
from lorelm.runtime.base import Runtime
from lorelm.sampling import Sampler
from lorelm.typing import Floats, Floats32, Ids

NUM_SLOTS: Final = 64
MAX_WAITING: Final = 256
PREFIX_CACHE_BYTES: Final = 16_000_000
_NUM_UNIFORMS: Final = 32  # that a slot draws ahead

_SECONDS_BETWEEN_EXPIRIES: Final = 0.05
"""A scan for deadlines takes 20 µs for 256 requests."""


class Engine:
    """Schedule sequences over the slots of a batch.

    One thread calls :meth:`step`; :meth:`submit` and :meth:`cancel` may be called from any.

    Args:
        num_slots: how many sequences run together.
        max_waiting: how many clients may wait for a slot; they take turns.
        prefix_cache_bytes: for the LSTM states after prefixes that may be read again.
        on_step: called with the seconds that a step took, and its number of sequences.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        num_slots: int = NUM_SLOTS,
        max_waiting: int = MAX_WAITING,
        prefix_cache_bytes: int = PREFIX_CACHE_BYTES,
        on_step: Callable[[float, int], None] | None = None,
    ) -> None:
        self.num_slots = num_slots
        self._initial_state = runtime.initial_state(1)
        self._vocabulary_size = runtime.config.vocabulary_size
        self._batch = runtime.batch(num_slots)
        self._running: list[Sequence] = []  # by slot; the finished ones until the next step
        self._sampler: Sampler | None = None  # of the running ones, until one starts or leaves
        self._uniforms_SN = np.zeros((num_slots, _NUM_UNIFORMS))  # by slot and step
        self._column = 0  # of the next step
        self._queue = RequestQueue(max_waiting)
        self._cancelled: deque[RequestHandle] = deque()  # by clients, until the next step
        self._prefix_cache = PrefixCache(prefix_cache_bytes)
        self._on_step = on_step
        self._next_expiry = 0.0

    @property
    def num_running(self) -> int:
        """How many slots are in use."""
        return len(self._running)

    @property
    def num_waiting(self) -> int:
        """How many clients wait for a slot."""
        return len(self._queue)

    @property
    def is_idle(self) -> bool:
        return not (self._running or len(self._queue) or self._cancelled)

    def submit(self, handle: RequestHandle) -> None:
        """Queue the requests of a client.

        Raises:
            OverloadedError: the queue is full.
        """
        self._queue.add(handle)

    def cancel(self, handle: RequestHandle) -> None:
        """End the sequences of a client with the next step."""
        self._cancelled.append(handle)

    def step(self) -> None:
        """Advance every running sequence by one id."""
        started = time.monotonic()
        try:
            self._schedule(started)
            if self._running:
                logits_BV = self._run()
                self._postprocess(logits_BV)
        except Exception as error:  # How far each sequence got is unknown, so all of them end.
            self._fail_running(error)
            raise
        if self._on_step is not None and self._running:
            self._on_step(time.monotonic() - started, self.num_running)

    def abort(self, error: Exception) -> None:
        """End every sequence, running or waiting, with an error."""
        self._fail_running(error)
        while (sequence := self._queue.pop()) is not None:
            self._end(sequence, "error", error)

    def _schedule(self, now: float) -> None:
        """End what is cancelled or late, and fill free slots with what waits."""
        self._finish_cancelled()
        if now >= self._next_expiry:
            self._next_expiry = now + _SECONDS_BETWEEN_EXPIRIES
            self._expire_sequences(now)
        running = self._running
        finished = [slot for slot, each in enumerate(running) if each.status != "running"]
        for slot in reversed(finished):  # from the end, so that those before keep their slots
            sequence = self._queue.pop()
            if sequence is None:
                self._free(slot)
            else:
                self._start(slot, sequence)
        while len(running) < self.num_slots and (sequence := self._queue.pop()) is not None:
            self._start(len(running), sequence)

    def _run(self) -> Floats32:
        """Return the logits of what comes next in each slot."""
        return self._batch.step(np.array([each.token_ids[each.num_read] for each in self._running]))

    def _postprocess(self, logits_BV: Floats32) -> None:
        """Append a sampled id to each sequence that has read its prompt; the others read on."""
        running = self._running
        uniforms_B = self._next_uniforms()
        writing: list[int] = []
        for slot, sequence in enumerate(running):
            if sequence.is_reading:
                self._read(slot, logits_BV[slot])
            else:
                writing.append(slot)
        scored = [slot for slot in writing if running[slot].settings.num_alternatives is not None]
        model_logits_RV = self._process(logits_BV, writing, scored)
        if self._sampler is None:
            self._sampler = Sampler([each.settings for each in running])
        # A row that reads is sampled too, to no end: leaving it out would copy the logits.
        ids_B = self._sampler(logits_BV[:, : self._vocabulary_size], uniforms_B)
        scores = self._score(scored, model_logits_RV, ids_B)
        ids = ids_B.tolist()
        for slot in writing:
            self._append(slot, ids[slot], scores.get(slot))

    def _process(self, logits_BV: Floats32, writing: list[int], scored: list[int]) -> Floats32:
        """Change the logits of the sequences that write to those that ids are sampled by, in place.

        Returns:
            The model's own logits `[R, V]` of the scored slots.
        """
        running = self._running
        ruled: defaultdict[SpeakerRules, list[int]] = defaultdict(list)
        early: list[int] = []
        for slot in writing:
            sequence = running[slot]
            if sequence.mixture is not None:
                self._apply([sequence.mixture], slot, logits_BV[slot])
            if sequence.speaker_rules is not None:
                ruled[sequence.speaker_rules].append(slot)
            if sequence.is_early:
                early.append(slot)
        logits_BV = logits_BV[:, : self._vocabulary_size]  # those of a blend were of two models
        model_logits_RV: Floats32 = logits_BV[scored]
        for rules, slots in ruled.items():
            rules(logits_BV, slots, [running[slot] for slot in slots])
        for slot in writing:
            if running[slot].processors:
                self._apply(running[slot].processors, slot, logits_BV[slot])
        ban_special_tokens(logits_BV, early)
        return model_logits_RV

    def _finish_cancelled(self) -> None:
        while self._cancelled:
            for sequence in self._cancelled.popleft().sequences:
                self._end(sequence, "cancelled")
            self._queue.remove_finished()

    def _expire_sequences(self, now: float) -> None:
        """End the sequences whose deadline has passed."""
        unfinished = (*self._running, *self._queue.all())
        late = {each.request for each in unfinished if each.request.deadline <= now}
        for request in late:
            for sequence in request.sequences:  # also those that may not start yet
                self._end(sequence, "timeout")
        if late:
            self._queue.remove_finished()

    def _start(self, slot: int, sequence: Sequence) -> None:
        """Give a sequence that waited a slot, either of a finished one or the next free one."""
        # The slot first, so that a failure below ends this sequence too.
        self._running[slot : slot + 1] = [sequence]
        self._sampler = None
        sequence.status = "running"
        sequence.request.handle.notify_start()
        known = None
        if not sequence.request.score_prompt:
            known = self._prefix_cache.longest_prefix(sequence.token_ids[:-1])
        sequence.num_read, state = known or (0, self._initial_state)
        self._batch.put(slot, state)
        self._draw_uniforms(slot)
        if not sequence.is_reading:
            self._queue.add_siblings(sequence.request)

    def _next_uniforms(self) -> Floats:
        """Return the numbers that pick the next ids; a generator per sequence took 39 µs a step."""
        if self._column == _NUM_UNIFORMS:
            self._column = 0
            for slot in range(len(self._running)):
                self._draw_uniforms(slot)
        self._column += 1
        return self._uniforms_SN[: len(self._running), self._column - 1]

    def _draw_uniforms(self, slot: int) -> None:
        """Draw the numbers of a slot for the coming steps, unless it still reads its prompt."""
        if not self._running[slot].is_reading:
            self._running[slot].random.random(out=self._uniforms_SN[slot, self._column :])

    def _free(self, slot: int) -> None:
        """Take a finished sequence out; the last running one moves into its slot."""
        last = self._running.pop()
        self._sampler = None
        if slot < len(self._running):
            self._running[slot] = last
            self._uniforms_SN[slot] = self._uniforms_SN[len(self._running)]
            self._batch.move(len(self._running), slot)

    def _read(self, slot: int, logits_V: Floats32) -> None:
        """Go on to the next id of a prompt."""
        sequence = self._running[slot]
        try:
            sequence.read(logits_V)
        except Exception as error:  # a processor of this sequence alone
            self._end(sequence, "error", error)
            return
        if sequence.is_finished:
            self._queue.add_siblings(sequence.request)
            sequence.request.handle.notify(sequence)
        elif not sequence.is_reading:
            self._cache_state(slot)
            self._draw_uniforms(slot)
            self._queue.add_siblings(sequence.request)

    def _apply(
        self, processors: abc.Sequence[LogitsProcessor], slot: int, logits_V: Floats32
    ) -> None:
        """Apply processors of a sequence to its logits, in place."""
        sequence = self._running[slot]
        try:
            for processor in processors:
                processed_V = processor(logits_V, sequence)
                logits_V[: len(processed_V)] = processed_V
        except Exception as error:  # a processor of this sequence alone
            self._end(sequence, "error", error)

    def _score(self, slots: list[int], logits_RV: Floats32, ids_B: Ids) -> dict[int, TokenScore]:
        """Score the tokens of some slots."""
        if not slots:
            return {}
        nums = [self._running[slot].settings.num_alternatives or 0 for slot in slots]
        return dict(zip(slots, score_tokens(logits_RV, ids_B[slots], nums), strict=True))

    def _append(self, slot: int, id_: int, score: TokenScore | None) -> None:
        """Append an id to a sequence and tell its client."""
        sequence = self._running[slot]
        if sequence.error is not None:  # a processor has failed
            return
        try:
            sequence.append(id_, score)
        except Exception as error:  # The fault of one sequence must not end the others.
            self._end(sequence, "error", error)
            return
        if sequence.status != "running":
            self._cache_state(slot)
        if sequence.wants_tokens or sequence.status != "running":
            sequence.request.handle.notify(sequence)

    def _cache_state(self, slot: int) -> None:
        """Keep the state after what a sequence has read."""
        sequence = self._running[slot]
        self._prefix_cache.put(sequence.token_ids[: sequence.num_read], self._batch.state(slot))

    def _fail_running(self, error: Exception) -> None:
        """End all running sequences, which leave their slots at once."""
        for sequence in self._running:
            self._end(sequence, "error", error)
        self._running.clear()

    def _end(self, sequence: Sequence, status: Status, error: Exception | None = None) -> None:
        """End a sequence, unless it has ended, and tell its client."""
        if not sequence.is_finished:
            sequence.finish(status, error)
            self._queue.add_siblings(sequence.request)
            sequence.request.handle.notify(sequence)
