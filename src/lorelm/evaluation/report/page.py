"""A page about a model: metrics, plots, documents by their surprise, samples by their copies.

The page is one file of HTML that needs nothing else: the plots are in it, and no script is.
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
from lorelm.evaluation.calibration import Calibration
from lorelm.evaluation.findings import findings
from lorelm.evaluation.lengths import LengthClass, length_classes
from lorelm.evaluation.measure import EvaluationResult
from lorelm.evaluation.report.copied import SHORTEST_SPAN, shown_samples
from lorelm.evaluation.report.files import write_file
from lorelm.evaluation.report.plots import render_plots
from lorelm.evaluation.report.surprise import FEWEST_TOKENS, hardest_and_easiest, level_names
from lorelm.evaluation.tables import (
    MetricsTable,
    copies_table,
    describe_text,
    prediction_table,
)

_DASH: Final = "–"


def write_report(path: Path, bundle: Bundle, result: EvaluationResult) -> None:
    """Writes the page, in place of an old one that may be there.

    Raises:
        InputError: it cannot be written.
        BundleError: the record of the training is damaged.
    """
    # A corpus may hold half of a character that UTF-8 has no form for.
    write_file(path, render_report(bundle, result).encode(errors="replace"), what="report")


def render_report(bundle: Bundle, result: EvaluationResult) -> str:
    """The page as HTML.

    Raises:
        BundleError: the record of the training is damaged.
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
        foretelling=prediction_table(metrics),
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
        fewest_tokens=FEWEST_TOKENS,
        samples=shown_samples(result),
        shortest_span=SHORTEST_SPAN,
        settings=_settings_table(bundle.manifest),
    )


def _orders_table(metrics: Metrics) -> MetricsTable | None:
    """The n-gram models of each order; None where they were not counted."""
    if not metrics.ngram_perplexities:
        return None
    perplexities = enumerate(metrics.ngram_perplexities, start=1)
    return MetricsTable(
        ("order of the n-gram model", "perplexity"),
        [(f"{order}", f"{perplexity:,.1f}") for order, perplexity in perplexities],
    )


def _calibration_table(calibration: Calibration) -> MetricsTable:
    columns = (calibration.confidence, calibration.right, calibration.count)
    return MetricsTable(
        ("how sure of the first guess", "came true", "guesses"),
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
    if settings is None:  # of a model that was trained elsewhere, the sizes are all that is known
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
