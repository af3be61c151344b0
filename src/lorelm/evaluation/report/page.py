"""The report: metrics, plots, documents by surprisal, samples by their copies.

One HTML file that needs nothing else: the plots are embedded, and there is no script.
"""

import base64
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from lorelm.bundle import Bundle
from lorelm.bundle.manifest import CorpusMetadata, Manifest, Metrics, TrainingMetadata
from lorelm.evaluation.measure import EvaluationResult
from lorelm.evaluation.report.copies import SHORTEST_SPAN, shown_samples
from lorelm.evaluation.report.files import write_file
from lorelm.evaluation.report.plots import render_plots
from lorelm.evaluation.report.surprisal import MIN_TOKENS, hardest_and_easiest, level_names
from lorelm.evaluation.scores import Calibration, LengthClass, length_classes
from lorelm.evaluation.summary import (
    MetricsTable,
    copies_table,
    describe_text,
    findings,
    prediction_table,
)

_DASH: Final = "–"


def write_report(path: Path, bundle: Bundle, result: EvaluationResult) -> None:
    """Write the report and replace an old one.

    Raises:
        InputError: it cannot be written.
        BundleError: the training metrics are damaged.
    """
    # A corpus may hold a lone surrogate, which UTF-8 cannot encode.
    write_file(path, render_report(bundle, result).encode(errors="replace"), what="report")


def render_report(bundle: Bundle, result: EvaluationResult) -> str:
    """Return the report as HTML.

    Raises:
        BundleError: the training metrics are damaged.
    """
    metrics, network = result.metrics, result.network
    hardest, easiest = hardest_and_easiest(result.text, result.target_bits)
    environment = Environment(
        loader=PackageLoader("lorelm.evaluation.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        bundle_name=bundle.path.name,
        manifest=bundle.manifest,
        metrics=metrics,
        text=describe_text(metrics),
        findings=findings(metrics),
        prediction=prediction_table(metrics),
        orders=_orders_table(metrics),
        copies=copies_table(metrics),
        plots={
            name.replace("-", "_"): "data:image/svg+xml;base64," + base64.b64encode(image).decode()
            for name, image in render_plots(bundle, result, "svg").items()
        },
        calibration=_calibration_table(result.calibration),
        lengths=_lengths_table(length_classes(result.text, network.log_probabilities)),
        hardest=hardest,
        easiest=easiest,
        levels=level_names(),
        fewest_tokens=MIN_TOKENS,
        samples=shown_samples(result),
        shortest_span=SHORTEST_SPAN,
        settings=_settings_table(bundle.manifest),
    )


def _orders_table(metrics: Metrics) -> MetricsTable | None:
    """Return the n-gram models of each order; None if there are none."""
    if not metrics.ngram_perplexities:
        return None
    perplexities = enumerate(metrics.ngram_perplexities, start=1)
    return MetricsTable(
        ("order of the n-gram model", "perplexity"),
        [(f"{order}", f"{perplexity:,.1f}") for order, perplexity in perplexities],
    )


def _calibration_table(calibration: Calibration) -> MetricsTable:
    columns = (calibration.confidence, calibration.accuracy, calibration.count)
    return MetricsTable(
        ("confidence", "accuracy", "predictions"),
        [
            (f"{confidence:.0%}", f"{right:.0%}", f"{count:,.0f}")
            for confidence, right, count in zip(*columns, strict=True)
        ],
    )


def _lengths_table(classes: Sequence[LengthClass]) -> MetricsTable:
    return MetricsTable(
        ("tokens", "documents", "perplexity", "95 %"),
        [
            (
                of.name,
                f"{of.num_documents:,}",
                f"{of.perplexity:,.1f}",
                _DASH if of.interval is None else "{:,.1f} – {:,.1f}".format(*of.interval),
            )
            for of in classes
        ],
    )


def _settings_table(manifest: Manifest) -> MetricsTable:
    return MetricsTable(
        ("setting", "value"),
        [
            *_corpus_rows(manifest.corpus),
            ("vocabulary", f"{manifest.model.vocabulary_size:,} words"),
            *_recipe_rows(manifest),
            *_training_rows(manifest.training),
        ],
    )


def _corpus_rows(corpus: CorpusMetadata | None) -> list[tuple[str, str]]:
    if corpus is None:
        return []
    parts = (
        ("training part", corpus.train_documents, corpus.train_tokens),
        ("validation part", corpus.valid_documents, corpus.valid_tokens),
        ("test part", corpus.test_documents, corpus.test_tokens),
    )
    return [
        (name, f"{documents:,} documents, {tokens:,} tokens") for name, documents, tokens in parts
    ]


def _recipe_rows(manifest: Manifest) -> list[tuple[str, str]]:
    settings = manifest.recipe
    if settings is None:  # Of an imported model only the sizes are known.
        settings = asdict(manifest.model) | {"tokenizer": manifest.tokenizer}
        del settings["vocabulary_size"]
    return [(name.replace("_", " "), _setting(value)) for name, value in settings.items()]


def _training_rows(training: TrainingMetadata | None) -> list[tuple[str, str]]:
    if training is None:
        return []
    return [
        ("best epoch", f"{training.best_epoch} of {training.epochs}"),
        ("training time (h:mm:ss)", str(timedelta(seconds=round(training.seconds)))),
        ("device", training.device),
    ]


def _setting(value: object) -> str:
    if value is None:
        return _DASH
    return f"{value:g}" if isinstance(value, float) else str(value)
