"""The options of a training run beside its recipe: :class:`TrainingOptions`."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Self

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
            "Start from the weights, and the sizes, of a trained model, or from none. By default: "
            "from english, which LoreLM comes with, if that knows most words of the text.",
            metavar="BUNDLE|none",
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
    early_stopping: Annotated[
        int,
        Parameter(
            "End training after this many epochs in a row without a better one; 0: never.", min=0
        ),
    ] = 0
    device: Annotated[str, Parameter("Where to train: auto, cpu, cuda or mps.")] = "auto"
    threads: Annotated[
        int | None,
        Parameter(
            "Threads to train with on the CPU; without it, as many as train fastest, measured "
            "again when the machine's load changes. The weights are the same.",
            min=1,
            max=1_000,
        ),
    ] = None
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
            "Write settings, metrics and samples to this folder, for TensorBoard.", metavar="DIR"
        ),
    ] = None
    tracker: Annotated[
        str | None,
        Parameter(
            "Write settings, metrics and samples to Weights & Biases or MLflow.",
            choices=("wandb", "mlflow"),
        ),
    ] = None

    def __post_init__(self) -> None:
        problems = problems_of(TrainingOptions, asdict(self))
        if problems:
            raise RecipeError.of(problems, code="recipe.options")

    @classmethod
    def of_run(cls, run: Mapping[str, Any]) -> Self:
        """Return the options of a run that a checkpoint describes."""
        options = dict(run["options"])
        if options["tensorboard"] and run["folder"]:
            options["tensorboard"] = found_again(options["tensorboard"], run["folder"], Path.is_dir)
        return cls(**options)


def found_again(path: str, folder: str, exists: Callable[[Path], bool]) -> str:
    """Resolve a path relative to a folder, or to the current one if everything has moved."""
    there = Path(folder, path)
    return str(there) if exists(there) else path
