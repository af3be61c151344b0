"""The options of a tuning beside its recipe: :class:`TuningOptions`."""

from dataclasses import asdict, dataclass
from typing import Annotated, Final

from lorelm.errors import Problem, RecipeError
from lorelm.parameters import Parameter, problems_of

TRAINING_OPTIONS: Final = ("init", "device", "threads", "serving_only", "compact")
"""The options of a training run that a tuning takes too."""


@dataclass(frozen=True, kw_only=True)
class TuningOptions:
    """The options of a tuning beside its recipe and the options of training.

    Attributes:
        time_budget_seconds: from the start of the command to the saved bundle of the best trial.

    Raises:
        RecipeError: values are out of range, or nothing says when to end.
    """

    time_budget_seconds: Annotated[
        float | None,
        Parameter(
            "Finish in this time, the evaluation of the best model included.", above=0, flag=None
        ),
    ] = None
    trials: Annotated[
        int | None,
        Parameter(
            "Number of settings to try, those of earlier and other runs of this tuning included.",
            min=1,
        ),
    ] = None
    storage: Annotated[
        str | None,
        Parameter(
            "Where trials are recorded: sqlite:///PATH, or postgresql://USER@HOST/DATABASE to "
            "share them between machines.  [default: study.db in the folder of --out]",
            metavar="URL",
        ),
    ] = None

    def __post_init__(self) -> None:
        problems = problems_of(TuningOptions, asdict(self))
        if not problems and self.time_budget_seconds is None and self.trials is None:
            problems = [
                Problem(
                    "time_budget_seconds",
                    "say when to end: by time_budget_seconds (--time-budget 1h), or by trials "
                    "(--trials 50), or both",
                )
            ]
        if problems:
            raise RecipeError.of(problems, code="recipe.options")
