"""``lorelm evaluate``: measure a model on a text."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from lorelm.bundle import Bundle
from lorelm.cli.options import (
    parameter_options,
    reading_options,
    refuse_reading_options,
    take_reading_options,
)
from lorelm.cli.terminal import echo_notes, waiting
from lorelm.corpus.readers import read_documents
from lorelm.evaluation.evaluate import DEFAULTS, EvaluationSettings, evaluate_bundle
from lorelm.evaluation.measure import EvaluationResult
from lorelm.evaluation.report.files import check_file, check_folder
from lorelm.evaluation.summary import summary_lines
from lorelm.evaluation.trained_corpus import reading_options_of


@click.command()
@click.argument("bundle", type=click.Path())
@click.argument("file", type=click.Path(), required=False)
@click.option("--report", type=click.Path(path_type=Path), help="Write a report (HTML) there.")
@click.option("--plots", type=click.Path(path_type=Path), help="Write the plots (PNG) there.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@parameter_options(EvaluationSettings)
@reading_options
def evaluate(
    *,
    bundle: str,
    file: str | None,
    report: Path | None,
    plots: Path | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Measure the model in BUNDLE on FILE, against an n-gram model and for copies.

    BUNDLE may be english, the embedded model, unless a folder of that name holds a model.

    Without FILE, and where FILE is the corpus of the model, the text is the test part of that
    corpus; a bundle without metrics stores them. Tokens include the end of every document.
    """
    if file is None:
        refuse_reading_options("they are about FILE, and there is none")
    _check_outputs(report, plots)
    reading = take_reading_options(flags)
    settings = EvaluationSettings(**flags)
    loaded = Bundle.load(bundle)
    documents = None
    if file is not None:
        with waiting(f"reading {file}"):
            documents = read_documents(file, reading_options_of(loaded, file, reading))
        echo_notes(documents.notes)
    with waiting("evaluating") as say:
        result = evaluate_bundle(loaded, settings, documents=documents, on_stage=say)
    if as_json:
        click.echo(result.metrics.model_dump_json(indent=2))
    else:
        click.echo("\n".join(summary_lines(result.metrics)))
    if settings.add_ngram:
        loaded = Bundle.load(bundle)
        _echo_what_was_added(loaded)
    _echo_what_is_missing(loaded, settings, result)
    is_default = replace(settings, add_ngram=False) == DEFAULTS
    is_ours = not loaded.files.is_read_only
    if file is None and loaded.manifest.metrics is None and is_default and is_ours:
        loaded.record_metrics(result.metrics)
    _write_outputs(report, plots, loaded, result)


def _echo_what_was_added(bundle: Bundle) -> None:
    use = "generate, score and serve use it with --mixture."
    if bundle.manifest.mixture:
        use = (
            "it predicts better than the network alone, so generate, score and serve mix both "
            "(--no-mixture: the network alone)."
        )
    click.echo(f"Bundle {bundle.path} carries the n-gram model: {use}", err=True)


def _echo_what_is_missing(
    bundle: Bundle, settings: EvaluationSettings, result: EvaluationResult
) -> None:
    if bundle.manifest.imported is not None:
        click.echo(
            "No comparison with an n-gram model, no copies and no bits per character: the training "
            "text of an imported model is not known.",
            err=True,
        )
        return
    lacks_ngram = result.metrics.ngram_perplexity is None and settings.interpolate is None
    lacks_copies = result.metrics.copied_share is None and settings.num_samples > 0
    for is_missing, what in (
        (lacks_ngram, "No comparison with an n-gram model: the bundle carries none"),
        (lacks_copies, "Copies were not counted: the bundle carries no index of its training text"),
    ):
        if is_missing:
            click.echo(f"{what}, and its corpus was not found, or is too large.", err=True)


def _check_outputs(report: Path | None, plots: Path | None) -> None:
    """Refuse, before the work, paths that cannot be written.

    Raises:
        InputError: there is such a path.
        MissingExtraError: Matplotlib is not installed.
    """
    if report is None and plots is None:
        return
    # Importing the page imports Matplotlib, which a serving install lacks; it takes 0.3 s.
    import_module("lorelm.evaluation.report.page")
    if report is not None:
        check_file(report, what="report")
    if plots is not None:
        check_folder(plots, what="plots")


def _write_outputs(
    report: Path | None, plots: Path | None, bundle: Bundle, result: EvaluationResult
) -> None:
    if report is not None:
        from lorelm.evaluation.report.page import write_report

        write_report(report, bundle, result)
    if plots is not None:
        from lorelm.evaluation.report.plots import write_plots

        write_plots(plots, bundle, result)
