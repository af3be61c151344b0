"""How far a run is and how long it will take: :class:`RunProgress`."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from lorelm.training.callbacks import TRAINING, EpochReport, Progress, TimeRange, TrainingCallback
from lorelm.training.time_budget import TimeBudget
from lorelm.training.trainer import Trainer

_INTERVAL: Final = 0.5
"""Seconds between two events in training."""

_MIN_SECONDS: Final = 1.0
"""Of training, before its speed tells how long the rest takes."""

_RECENT: Final = 30
"""Intervals that show how fast training is now."""


class RunProgress(TrainingCallback):
    """Observes a run and notifies another observer of its progress, from the start to the end.

    What is left is what training has still to do, at its speed so far and at its speed now, and
    what the evaluation is expected to take. Where the clock ends the run, it is what is left of the
    time budget.

    Args:
        started: when the command began, by `time.perf_counter`.
    """

    def __init__(self, user: TrainingCallback, *, started: float) -> None:
        self._user: Final = user
        self._started: Final = started
        self._budget: TimeBudget | None = None
        self._is_timed = False
        self._trainer: Trainer | None = None
        self._expected: dict[str, TimeRange] = {}
        self._stage = ""
        self._share = self._earlier = 0.0
        self._seen: tuple[float, int] = 0.0, 0

    def begin(self, stage: str) -> None:
        """Go to the next stage, before or after training."""
        self._expected.pop(self._stage, None)
        self._stage, self._stage_began = stage, time.perf_counter()
        self._notify()

    def begin_training(
        self, trainer: Trainer, evaluation: Mapping[str, TimeRange], *, is_timed: bool
    ) -> None:
        """Go to training.

        Args:
            evaluation: what the stages after training are expected to take.
            is_timed: whether the time budget, not the number of epochs, ends the run.
        """
        self._trainer, self._is_timed = trainer, is_timed
        self._expected = dict(evaluation)
        self._points = deque([(time.perf_counter(), 0.0)], maxlen=_RECENT)
        self._first = self._points[0]
        self.begin(TRAINING)

    def set_budget(self, budget: TimeBudget) -> None:
        self._budget, self._is_timed = budget, True

    def on_restore(self, epochs: Sequence[EpochReport], *, epoch_tokens: int) -> None:
        assert self._trainer is not None
        now = time.perf_counter()
        self._earlier = self._trainer.seconds - (now - self._stage_began)
        self._first = now, self._trainer.progress
        self._points.clear()
        self._notify()

    def on_step(self, *, num_tokens: int) -> None:
        assert self._trainer is not None
        now = time.perf_counter()
        if not self._points or now - self._points[-1][0] >= _INTERVAL:
            self._points.append((now, self._trainer.progress))
            self._notify()

    def _notify(self) -> None:
        left = self._left()
        if left is not None:
            elapsed = self._earlier + time.perf_counter() - self._started
            self._share = max(self._share, elapsed / (elapsed + left.middle))
        self._user.on_progress(
            Progress(stage=self._stage, share=self._share, left=left, loss=self._recent_loss())
        )

    def _recent_loss(self) -> float | None:
        """Return the loss of the updates since the last call, as far as they are of one epoch."""
        if self._stage != TRAINING or self._trainer is None:
            return None
        nats, num_tokens = self._trainer.epoch_nats.item(), self._trainer.epoch_tokens
        before, self._seen = self._seen, (nats, num_tokens)
        if num_tokens == 0:  # an epoch has just ended
            return self._trainer.epochs[-1].train_loss if self._trainer.epochs else None
        if num_tokens <= before[1]:
            before = 0.0, 0
        return (nats - before[0]) / (num_tokens - before[1])

    def _left(self) -> TimeRange | None:
        budget_left = None if self._budget is None else max(self._budget.left_here, 0.5)
        if budget_left is not None and self._is_timed:
            return TimeRange(budget_left, budget_left)
        stage = self._left_of_stage()
        if stage is None:
            return None
        others = (each for name, each in self._expected.items() if name != self._stage)
        left = sum(others, start=stage)
        return left if budget_left is None else left.at_most(budget_left)

    def _left_of_stage(self) -> TimeRange | None:
        """Return what the stage still takes; None if that is not known yet."""
        if self._stage == TRAINING:
            return self._left_of_training()
        if self._trainer is None:
            return None
        nothing = TimeRange(0.0, 0.0)
        began = time.perf_counter() - self._stage_began
        return self._expected.get(self._stage, nothing).after(began)

    def _left_of_training(self) -> TimeRange | None:
        """Return what is left at the mean speed so far, and at the speed of the last moments."""
        if len(self._points) < 2 or self._points[-1][0] - self._first[0] < _MIN_SECONDS:
            return None
        now, progress = self._points[-1]
        rates = []
        for began, before in (self._first, self._points[0]):
            if progress == before:
                return None
            rates.append((now - began) / (progress - before))
        return TimeRange(min(rates), max(rates)) * (1 - progress)
