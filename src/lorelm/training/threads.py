"""How many threads train: measured on real updates, and again when the machine's load changes."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Final

import psutil
import torch

from lorelm.machine.cores import available_cores, own_cores

_MEASURED_UPDATES: Final = 3
"""With each number of threads, after one update that is not counted: it may start threads."""

_MIN_GAIN: Final = 0.05
"""More threads must be this much faster; otherwise the processors are left to other programs."""

_HOPELESS: Final = 1.2
"""So much slower than with fewer threads: still more threads are not tried."""

_CHANGED_SPEED: Final = 1.5
_CHANGED_LOAD: Final = 0.5
"""Processors that other programs use, more or fewer than when the number was chosen."""

_SECONDS_BETWEEN_LOOKS: Final = 0.5
_MIN_PAUSE: Final = 1.0
_MAX_PAUSE: Final = 60.0
"""Between two measurements. The pause doubles while they all choose the same number."""


class ThreadTuner:
    """Keeps PyTorch's number of threads at the one that trains fastest.

    Two threads on two idle cores are faster than one. Beside a busy process they are far slower,
    because each waits for the other after every matrix product. The tuner times some updates with
    each number, keeps the fastest, and measures again when updates take half as long again, when
    other programs use half a processor more or less than before, and while half a processor has
    nothing to do: a moment of other work may have decided.

    The number of threads does not change the weights (``tests/training/test_threads.py``).

    Args:
        counts: the numbers to choose from, ascending; a single one is used without measuring.
        clock: seconds, increasing.
        other_load: the processors that other programs used since the last call.
    """

    def __init__(
        self,
        counts: Sequence[int],
        *,
        clock: Callable[[], float] = time.perf_counter,
        other_load: Callable[[], float] | None = None,
    ) -> None:
        self.counts: Final = counts
        self._clock: Final = clock
        self._other_load: Final = other_load or OtherLoad()
        self._count = counts[-1]
        self._pause = _MIN_PAUSE
        self._trial: list[tuple[int, list[float]]] = []
        if len(counts) > 1:
            self._begin()
        else:
            torch.set_num_threads(self._count)

    @property
    def count(self) -> int:
        """The number of threads of the next update."""
        return self._trial[-1][0] if self._trial else self._count

    @property
    def is_measuring(self) -> bool:
        return bool(self._trial)

    def record(self, *, num_tokens: int, seconds: float) -> None:
        """Take the time of an update, and set the number of threads of the next one."""
        if len(self.counts) == 1:
            return
        pace = seconds / num_tokens
        if self._trial:
            self._record_trial(pace)
        elif self._has_changed(pace):
            self._begin()

    def _begin(self) -> None:
        """Begin to measure: the trial holds the times of each number so far."""
        self._began = self._clock()
        self._other_load()
        self._trial = [(self.counts[0], [])]
        torch.set_num_threads(self.counts[0])

    def _record_trial(self, pace: float) -> None:
        count, paces = self._trial[-1]
        paces.append(pace)
        if len(paces) <= _MEASURED_UPDATES:
            return
        typical = [median(paces[1:]) for _, paces in self._trial]
        num_tried = len(typical)
        if num_tried < len(self.counts) and typical[-1] < _HOPELESS * min(typical):
            count = self.counts[num_tried]
            self._trial.append((count, []))
        else:
            count = self._choose(typical)
        torch.set_num_threads(count)

    def _choose(self, typical: Sequence[float]) -> int:
        """End the trial; return the number of threads by the typical seconds a token of each."""
        best = 0
        for i, pace in enumerate(typical):
            if pace < (1 - _MIN_GAIN) * typical[best]:
                best = i
        is_same = self.counts[best] == self._count
        self._count, self._pace = self.counts[best], typical[best]
        self._load = self._other_load()
        self._recent: list[float] = []
        now = self._clock()
        # Measuring costs at most a few percent of the time.
        least = max(_MIN_PAUSE, 4 * (now - self._began))
        self._pause = min(_MAX_PAUSE, max(least, 2 * self._pause)) if is_same else least
        self._next_look, self._next_trial = now, now + self._pause
        self._trial = []
        return self._count

    def _has_changed(self, pace: float) -> bool:
        """Whether speed or load has changed since the number was chosen, or a core has no work."""
        self._recent.append(pace)
        now = self._clock()
        if now < self._next_look + _SECONDS_BETWEEN_LOOKS:
            return False
        recent, self._recent = median(self._recent), []
        load, self._next_look = self._other_load(), now
        is_other_speed = not 1 / _CHANGED_SPEED < recent / self._pace < _CHANGED_SPEED
        is_other_load = abs(load - self._load) > _CHANGED_LOAD
        idle = self.counts[-1] - self._count - load
        is_changed = is_other_speed or is_other_load or idle > _CHANGED_LOAD
        return is_changed and now >= self._next_trial


class OtherLoad:
    """The number of processors that other programs use, of those that this one may use."""

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None
        self()

    def __call__(self) -> float:
        """Return the mean since the last call."""
        now, own = time.perf_counter(), time.process_time()
        percent = psutil.cpu_percent(percpu=True)  # since its last call
        used = sum(percent[core] for core in own_cores() if core < len(percent)) / 100
        before, self._last = self._last, (now, own)
        if before is None or now == before[0]:
            return 0.0
        return max(0.0, used - (own - before[1]) / (now - before[0]))


def thread_counts(most: int) -> list[int]:
    """Return the numbers of threads to try: powers of two, and all processors but one or a few."""
    counts = {most, most - 1, most - most // 4}
    counts |= {2**i for i in range(most.bit_length())}
    return sorted(count for count in counts if 1 <= count <= most)


def make_tuner(threads: int | None, device: torch.device) -> ThreadTuner | None:
    """Return the tuner of a process that trains on a device; None for one that is not the CPU.

    Args:
        threads: the number to use; None chooses among those that the machine has room for.
    """
    if device.type != "cpu":
        return None
    return ThreadTuner([threads] if threads is not None else thread_counts(_max_threads()))


def _max_threads() -> int:
    """Return the cores of this process, or OMP_NUM_THREADS where the user has set it lower."""
    cores = available_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    limit = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    # torchrun sets it to 1 for its processes.
    if limit.isdecimal() and "TORCHELASTIC_RUN_ID" not in os.environ:
        cores = min(cores, int(limit))
    return max(1, cores)


def num_threads() -> int:
    """Return with how many threads the calling thread computes now."""
    return torch.get_num_threads()


@contextmanager
def thread_count_kept() -> Iterator[None]:
    """Restore PyTorch's number of threads at the end, for the rest of a user's program."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
