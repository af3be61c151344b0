"""Keeps a run within its time budget while the machine becomes slower or faster: :class:`Pacer`."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from lorelm.errors import RecipeError
from lorelm.training.plan import Plan
from lorelm.training.speed import Machine
from lorelm.training.time_budget import TimeBudget
from lorelm.training.trainer import Trainer

_LOOKS: Final = (0.04, 0.12)
"""Shares of training after which its speed is compared with the expected one."""

_MAX_DIFFERENCE: Final = 2.0
"""A speed that differs by more than this factor is a reason to look for a better width. The next
width is 1.3 to 1.8 times as much work."""

_LAST_LOOK: Final = 0.7
"""When this share of the time reserved for the evaluation is left to train, it is measured again:
as late as possible, but early enough for an evaluation that has become 1.7 times as slow."""


class ReplannedError(Exception):
    """Another width is better for the time that is left: training begins again by this plan."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan: Final = plan


class Pacer:
    """Compares a run with its plan, and moves its end or has it begin again.

    1. In the beginning: if training is much slower or faster than expected, it begins again with
       another width, once.
    2. Near the end: the evaluation is measured again, so that training ends in time for it, and
       not too early.

    All processes call :meth:`after_step` together. What it does depends on the clock of the main
    process alone.

    Args:
        budget: None: the end of the run is not moved.
        replan: make a plan for the time that is left; None: the width cannot be changed.
        run: the settings of the run, which a checkpoint holds; kept up to date.
    """

    def __init__(
        self,
        plan: Plan,
        budget: TimeBudget | None,
        machine: Machine,
        *,
        replan: Callable[[], Plan] | None,
        run: dict[str, Any],
    ) -> None:
        self._plan: Final = plan
        self._budget: Final = budget
        self._machine: Final = machine
        self._replan: Final = replan
        self._run: Final = run
        self._looks: tuple[float, ...] = _LOOKS if replan is not None else ()
        self._seen: tuple[float, int] | None = None
        self._is_last_done = budget is None

    def after_step(self, trainer: Trainer) -> None:
        """Look whether the run will end in time.

        Raises:
            ReplannedError: it should begin again with another width.
        """
        if self._seen is None:  # the first update is slower than the others
            self._seen = trainer.clock, trainer.num_updates
        if self._looks and trainer.progress >= self._looks[0]:
            self._looks = self._looks[1:]
            self._compare_speed(trainer)
        if not self._is_last_done and self._is_last_look(trainer):
            self._is_last_done = True
            self._measure_evaluation(trainer)

    def _compare_speed(self, trainer: Trainer) -> None:
        assert self._seen is not None
        assert self._plan.speed is not None
        assert self._replan is not None
        (began, num_before), self._seen = self._seen, (trainer.clock, trainer.num_updates)
        taken = (trainer.clock - began) / max(trainer.num_updates - num_before, 1)
        epoch = self._plan.speed.epoch_seconds(len(trainer.corpus.valid.stream))
        difference = taken * self._plan.speed.updates_per_epoch / epoch
        if 1 / _MAX_DIFFERENCE <= difference <= _MAX_DIFFERENCE:
            return
        with suppress(RecipeError):  # too little time is left to begin again
            plan = self._replan()
            if plan.recipe.hidden_size != trainer.recipe.hidden_size:
                change = "slower" if difference > 1 else "faster"
                note = f"Training begins again: the machine is {change} than expected."
                raise ReplannedError(replace(plan, notes=[note, *plan.notes]))
        self._looks = ()

    def _is_last_look(self, trainer: Trainer) -> bool:
        evaluation, end = self._plan.evaluation, trainer.horizon.seconds
        if evaluation is None or end is None:
            return False
        return end - trainer.clock <= _LAST_LOOK * evaluation.seconds(trainer.corpus)

    def _measure_evaluation(self, trainer: Trainer) -> None:
        assert self._budget is not None
        assert self._plan.speed is not None
        validation = len(trainer.corpus.valid.stream) * self._plan.speed.seconds_per_valid_token
        speed = self._machine.evaluation_speed(trainer.corpus, trainer.recipe)
        reserve = speed.seconds(trainer.corpus) + validation + self._plan.speed.seconds_per_update
        end = trainer.clock + max(self._budget.left - reserve, 0.0)
        trainer.horizon = trainer.horizon.moved(end, now=trainer.clock)
        self._run.update(replace(self._plan, horizon=trainer.horizon).metadata)
