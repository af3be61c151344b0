"""``lorelm train``: a model of the user's own text."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lorelm.bundle import Bundle
from lorelm.cli.evaluating import evaluate_bundle
from lorelm.cli.figures_display import show_figures
from lorelm.cli.options import echo_notes, reading_options, take_reading_options
from lorelm.corpus.readers import read_documents
from lorelm.errors import CorpusError, MissingExtraError
from lorelm.training.recipe import BUILT_IN_RECIPES, Recipe

if TYPE_CHECKING:
    from lorelm.training.train import TrainingResult

_RECIPE_OPTIONS: dict[str, tuple[type, str]] = {
    "tokenizer": (str, "Style of the tokenizer: words or classic."),
    "min_frequency": (int, "Words seen less often in the training part become <unk>."),
    "embedding_size": (int, "Width of a word's vector."),
    "hidden_size": (int, "Width of the hidden state."),
    "num_layers": (int, "How many LSTM layers."),
    "dropout": (float, "Share of the activations dropped in training."),
    "learning_rate": (float, "Learning rate at the start."),
    "learning_rate_decay": (float, "Factor on it after an epoch without progress."),
    "max_gradient_norm": (float, "Where the gradient's norm is clipped."),
    "batch_size": (int, "Columns of the corpus read side by side."),
    "bptt": (int, "Length of the truncated BPTT window, in tokens."),
    "epochs": (int, "How often the training part is read."),
    "seed": (int, "Of the weights and of dropout."),
    "split_seed": (int, "Of the split into training, validation and test."),
}


def _recipe_options(command: Any) -> Any:
    for name, (kind, explanation) in reversed(_RECIPE_OPTIONS.items()):
        flag = "--" + name.replace("_", "-")
        command = click.option(flag, type=kind, help=explanation)(command)
    return command


@click.command()
@click.argument("path")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the bundle.")
@click.option(
    "--recipe",
    default="default",
    show_default=True,
    metavar="NAME|FILE.toml",
    help=f"All settings at once: {', '.join(BUILT_IN_RECIPES)}, or a TOML file.",
)
@click.option("--valid", metavar="FILE", help="Validation part, instead of splitting PATH.")
@click.option("--test", metavar="FILE", help="Test part, instead of splitting PATH.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
@click.option("--serving-only", is_flag=True, help="Write only what serving needs.")
@click.option(
    "--ngram",
    is_flag=True,
    help="Put the n-gram model into the bundle too, for generate, score and serve --mixture.",
)
@_recipe_options
@reading_options
def train(
    *,
    path: str,
    out: Path,
    recipe: str,
    valid: str | None,
    test: str | None,
    device: str,
    serving_only: bool,
    ngram: bool,
    **flags: Any,
) -> None:
    """Trains a model on PATH and saves it as a bundle.

    PATH is a CSV, TSV, JSONL, Parquet or plain text file, or the word shakespeare. The settings
    below come from the recipe unless they are given here.
    """
    reading = take_reading_options(flags)
    settings = Recipe.load(recipe, **flags)
    documents = read_documents(path, reading)
    echo_notes(documents.notes)
    try:
        from lorelm.cli.training_display import TrainingDisplay, show_next_steps, show_result
        from lorelm.training.train import train as run
    except ImportError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError("training a model", "train") from error
    with TrainingDisplay() as display:
        result = run(
            documents,
            settings,
            out=out,
            valid=read_documents(valid, reading) if valid else None,
            test=read_documents(test, reading) if test else None,
            device=device,
            serving_only=serving_only,
            with_ngram=ngram,
            listener=display,
        )
    show_result(result)
    _judge(result)
    show_next_steps(result)
    if isinstance(result.interruption, KeyboardInterrupt):
        raise SystemExit(130)


def _judge(result: "TrainingResult") -> None:
    """Says what the model is worth, and writes it into the bundle."""
    click.echo("Judging it on the test part ...", err=True)
    bundle = Bundle.load(result.path)
    try:
        figures = evaluate_bundle(bundle, corpus=result.corpus).figures
    except CorpusError as error:
        click.echo(f"It cannot be judged: {error}", err=True)
        return
    bundle.record_figures(figures)
    show_figures(figures, partial(click.echo, err=True))
