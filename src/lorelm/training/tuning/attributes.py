"""What LoreLM writes into a trial of Optuna, and reads from one: :func:`trial_report`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from optuna.trial import FrozenTrial, TrialState

from lorelm.training.recipe import Recipe
from lorelm.training.tuning.space import changed_recipe
from lorelm.training.tuning.trials import OUT_OF_TIME, STOPPED, State, TrialReport

SEED: Final = "seed"
EPOCHS: Final = "epochs"
PROBLEM: Final = "problem"
PLACE: Final = "place"

_STATES: Final[Mapping[TrialState, State]] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def trial_report(trial: FrozenTrial, recipe: Recipe) -> TrialReport:
    """Return what a trial of a study is.

    Args:
        recipe: that is tuned.
    """
    parameters = trial.params or trial.system_attrs.get("fixed_params", {})
    attributes = trial.user_attrs
    seen = trial.intermediate_values.values()
    lowest = trial.value if trial.state == TrialState.COMPLETE else min(seen, default=None)
    duration = trial.duration
    is_failed = trial.state == TrialState.FAIL
    seed = attributes.get(SEED, recipe.seed)
    return TrialReport(
        number=trial.number,
        recipe=replace(changed_recipe(recipe, parameters), seed=seed),
        is_repetition=seed != recipe.seed,
        valid_perplexity=lowest,
        state=_state(trial),
        epochs=attributes.get(EPOCHS, 0),
        seconds=duration.total_seconds() if duration else 0.0,
        problem=attributes.get(PROBLEM, STOPPED if is_failed else ""),
        place=attributes.get(PLACE, ""),
    )


def _state(trial: FrozenTrial) -> State:
    has_failed = trial.user_attrs.get(PROBLEM, OUT_OF_TIME) != OUT_OF_TIME
    return "failed" if has_failed else _STATES[trial.state]
