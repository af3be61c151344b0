"""The options of a training run beside its recipe: :class:`TrainingOptions`."""

from dataclasses import asdict, dataclass
from typing import Annotated

from lorelm.errors import RecipeError
from lorelm.parameters import Parameter, problems_of


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """The options of a training run beside its recipe; a checkpoint holds them.

    Attributes:
        time_budget_seconds: from the start of the command to the saved bundle; None lets the recipe
            decide how long the run takes.

    Raises:
        RecipeError: values are out of range; it names them all.
    """

    init: Annotated[
        str | None,
        Parameter(
            "Start from the weights, and the sizes, of a trained model; shakespeare is the "
            "embedded one, unless a folder of that name holds a model.",
            metavar="BUNDLE|shakespeare",
        ),
    ] = None
    time_budget_seconds: Annotated[
        float | None,
        Parameter(
            "Finish in this time, evaluation included: the width of the model, the epochs and the "
            "learning rate are fitted to it.",
            above=0,
            flag=None,
        ),
    ] = None
    device: Annotated[str, Parameter("Where to train: auto, cpu or cuda.")] = "auto"
    serving_only: Annotated[bool, Parameter("Write only what serving needs.")] = False
    compact: Annotated[
        bool,
        Parameter("Write the weights in float16 and only the int8 graph: for serving and --init."),
    ] = False
    with_ngram: Annotated[
        bool,
        Parameter(
            "Put the n-gram model into the bundle too, for generate, score and serve --mixture.",
            flag="ngram",
        ),
    ] = False
    checkpoint_seconds: Annotated[float, Parameter("Seconds between two checkpoints.", min=0)] = (
        30.0
    )
    checkpoint_steps: Annotated[
        int | None, Parameter("Steps between two checkpoints, instead of seconds.", min=1)
    ] = None
    tensorboard: Annotated[
        str | None,
        Parameter(
            "Write the metrics of each epoch to this folder, for TensorBoard.", metavar="DIR"
        ),
    ] = None

    def __post_init__(self) -> None:
        problems = problems_of(TrainingOptions, asdict(self))
        if problems:
            raise RecipeError.of(problems, code="recipe.options")
