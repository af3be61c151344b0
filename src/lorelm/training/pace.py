"""How far a training run is, from 0 to 1: by counting its updates, or by the clock."""

from typing import Any, Final, Protocol


class Pace(Protocol):
    """How far a run is.

    Attributes:
        progress: from 0 to 1.
        state: what is needed to go on after an interruption.
    """

    @property
    def progress(self) -> float: ...

    @property
    def is_over(self) -> bool: ...

    def advance(self, *, seconds: float) -> None:
        """One more update is made, so many seconds after the start of the run."""
        ...

    @property
    def state(self) -> dict[str, Any]: ...

    def restore(self, state: dict[str, Any]) -> None: ...


class CountedPace:
    """A run of a known number of updates."""

    def __init__(self, num_updates: int) -> None:
        self._num_updates: Final = num_updates
        self._done = 0

    @property
    def progress(self) -> float:
        return self._done / self._num_updates

    @property
    def is_over(self) -> bool:
        return self._done >= self._num_updates

    def advance(self, *, seconds: float) -> None:
        self._done += 1

    @property
    def state(self) -> dict[str, Any]:
        return {"done": self._done}

    def restore(self, state: dict[str, Any]) -> None:
        self._done = state["done"]


class TimedPace:
    """A run of a known number of seconds.

    It goes at the pace that fills what is left of the time, measured anew every few updates: a
    machine that becomes slower makes fewer updates, each a larger part of the run, so that the
    learning rate has come down when the time is over.
    """

    _UPDATES_BETWEEN_LOOKS: Final = 10

    def __init__(self, budget_seconds: float) -> None:
        self._budget_seconds: Final = budget_seconds
        self._done = 0
        self._progress = 0.0
        self._per_update = 0.0

    @property
    def progress(self) -> float:
        return min(self._progress, 1.0)

    @property
    def is_over(self) -> bool:
        return self._progress >= 1

    def advance(self, *, seconds: float) -> None:
        self._done += 1
        self._progress += self._per_update
        if self._done % self._UPDATES_BETWEEN_LOOKS == 0:
            seconds_per_update = seconds / self._done
            updates_left = (self._budget_seconds - seconds) / seconds_per_update
            self._per_update = (1 - self._progress) / max(updates_left, 1)
        if seconds >= self._budget_seconds:  # a few updates may take longer than all of the time
            self._progress = 1.0

    @property
    def state(self) -> dict[str, Any]:
        return {"done": self._done, "progress": self._progress, "per_update": self._per_update}

    def restore(self, state: dict[str, Any]) -> None:
        self._done = state["done"]
        self._progress = state["progress"]
        self._per_update = state["per_update"]
