"""``lorelm evaluate``: what a model is worth."""

from pathlib import Path
from typing import Any

import click

from lorelm.bundle import Bundle
from lorelm.cli.figures_display import show_metrics
from lorelm.cli.options import (
    cache_option,
    precision_option,
    reading_options,
    refuse_reading_options,
    take_reading_options,
)
from lorelm.cli.terminal import echo_notes
from lorelm.corpus.readers import read_documents
from lorelm.evaluation.evaluate import DEFAULTS, EvaluationSettings, evaluate_bundle
from lorelm.evaluation.measure import EvaluationResult


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
@cache_option
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
    cache: bool,
    precision: Any,
    **flags: Any,
) -> None:
    """Measures the model in BUNDLE on FILE: against counting, and for copies.

    BUNDLE may be shakespeare, the embedded model, unless a folder of that name holds a model.

    Without FILE, and where FILE is the corpus of the model, the text is the test part of that
    corpus; the metrics go into a bundle that has none yet. Events are every token and the end of
    every document, in order.
    """
    if file is None:
        refuse_reading_options("they are about FILE, and there is none")
    _check_targets(report, plots)
    loaded = Bundle.load(bundle)
    documents = None if file is None else read_documents(file, take_reading_options(flags))
    if documents is not None:
        echo_notes(documents.notes)
    settings = EvaluationSettings(
        interpolate=interpolate, num_samples=samples, precision=precision, cache=cache
    )
    result = evaluate_bundle(loaded, settings, documents=documents)
    if as_json:
        click.echo(result.metrics.model_dump_json(indent=2))
    else:
        show_metrics(result.metrics, click.echo)
    if loaded.manifest.imported is not None:
        click.echo(
            "Not compared with counting, not looked for copies, and no bits per character: the "
            "training text of an imported model is not known.",
            err=True,
        )
    elif result.metrics.ngram_perplexity is None and interpolate is None:
        click.echo(
            "Not compared with counting: the bundle carries no n-gram model, and its corpus is not "
            "where it was, or too large to be counted.",
            err=True,
        )
    if file is None and loaded.manifest.metrics is None and settings == DEFAULTS:
        loaded.record_metrics(result.metrics)
    _write(report, plots, loaded, result)


def _check_targets(report: Path | None, plots: Path | None) -> None:
    """Refuses before the work what would fail after it."""
    if report is None and plots is None:
        return
    # Imported for what they import: Matplotlib is not in a serving install, and takes 0.3 s.
    import lorelm.evaluation.report.page  # noqa: F401
    from lorelm.evaluation.report.files import check_file, check_folder

    if report is not None:
        check_file(report, what="report")
    if plots is not None:
        check_folder(plots, what="plots")


def _write(
    report: Path | None, plots: Path | None, bundle: Bundle, result: EvaluationResult
) -> None:
    if report is not None:
        from lorelm.evaluation.report.page import write_report

        write_report(report, bundle, result)
    if plots is not None:
        from lorelm.evaluation.report.plots import write_plots

        write_plots(plots, bundle, result)
