"""``lorelm evaluate``: what a model is worth."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from lorelm.bundle import Bundle
from lorelm.cli.evaluating import DEFAULTS, EvaluationSettings, evaluate_bundle
from lorelm.cli.figures_display import show_figures
from lorelm.cli.options import echo_notes, precision_option, reading_options, take_reading_options
from lorelm.corpus.readers import read_documents


@click.command()
@click.argument("bundle", type=click.Path())
@click.argument("file", type=click.Path(), required=False)
@click.option("--report", type=click.Path(path_type=Path), help="Write a page (HTML) there.")
@click.option("--plots", type=click.Path(path_type=Path), help="Write the plots (PNG) there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--interpolate/--no-interpolate",
    default=None,
    help="Compare with the n-gram model and the mixture of both.  [default: where possible]",
)
@click.option(
    "--samples",
    type=click.IntRange(min=0),
    default=DEFAULTS.num_samples,
    show_default=True,
    help="Texts to generate and look up in the training text; 0: none.",
)
@precision_option
@reading_options
def evaluate(
    *,
    bundle: str,
    file: str | None,
    report: Path | None,
    plots: Path | None,
    as_json: bool,
    interpolate: bool | None,
    samples: int,
    precision: Any,
    **flags: Any,
) -> None:
    """Measures the model in BUNDLE on FILE: against counting, and for copies.

    Without FILE, and where FILE is the corpus of the model, the text is the test part of that
    corpus. Events are every token and the end of every document, in order.
    """
    if report is not None or plots is not None:
        # Matplotlib is not in a serving install, and takes 0.3 s to load. Before the work, so that
        # who lacks it does not wait in vain.
        from lorelm.evaluation.report.page import write_report
        from lorelm.evaluation.report.plots import write_plots
    loaded = Bundle.load(bundle)
    documents = None if file is None else read_documents(file, take_reading_options(flags))
    if documents is not None:
        echo_notes(documents.notes)
    result = evaluate_bundle(
        loaded,
        EvaluationSettings(interpolate=interpolate, num_samples=samples, precision=precision),
        documents=documents,
    )
    if report is not None:
        write_report(report, loaded, result)
    if plots is not None:
        write_plots(plots, loaded, result)
    if as_json:
        click.echo(result.figures.model_dump_json(indent=2))
    else:
        show_figures(result.figures, Console(highlight=False))
