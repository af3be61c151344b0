"""The report: metrics, plots, documents by surprisal, samples by their copies.

One HTML file that needs nothing else: the plots are embedded, and there is no script.
"""

import base64
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lorelm.bundle import Bundle
from lorelm.bundle.manifest import Manifest
from lorelm.evaluation.measure import EvaluationResult
from lorelm.evaluation.report.copies import SHORTEST_SPAN, shown_samples
from lorelm.evaluation.report.files import write_file
from lorelm.evaluation.report.plots import render_plots
from lorelm.evaluation.report.surprisal import MIN_TOKENS, hardest_and_easiest, level_names
from lorelm.evaluation.scores import Calibration, LengthClass, calibration, length_classes
from lorelm.evaluation.summary import (
    MetricsTable,
    copies_table,
    describe_orders,
    describe_text,
    findings,
    format_interval,
    prediction_table,
    structure_tables,
)

_DASH: Final = "–"

# Folders of files, not the package: what evaluates needs no server.
_SERVER_DIR: Final = Path(__file__).parents[2] / "server"
_LOOK_DIRS: Final = (_SERVER_DIR / "static", _SERVER_DIR / "templates")
"""The colours and the wordmark, which the report shares with the pages."""


def write_report(path: Path, bundle: Bundle, result: EvaluationResult) -> None:
    """Write the report and replace an old one.

    Raises:
        InputError: it cannot be written.
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
        loader=FileSystemLoader([Path(__file__).parent / "templates", *_LOOK_DIRS]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        bundle_name=bundle.name,
        manifest=bundle.manifest,
        metrics=metrics,
        text=describe_text(metrics),
        findings=findings(metrics),
        prediction=prediction_table(metrics),
        orders=describe_orders(metrics),
        structure=structure_tables(metrics.structure),
        copies=copies_table(metrics),
        icon=_svg_address((_SERVER_DIR / "static" / "icon.svg").read_bytes()),
        plots={
            name.replace("-", "_"): _svg_address(image)
            for name, image in render_plots(bundle, result, "svg").items()
        },
        calibration=_calibration_table(calibration(network)),
        lengths=_lengths_table(length_classes(result.text, network.log_probabilities)),
        hardest=hardest,
        easiest=easiest,
        levels=level_names(),
        fewest_tokens=MIN_TOKENS,
        samples=shown_samples(result),
        shortest_span=SHORTEST_SPAN,
        settings=_settings_table(bundle.manifest),
    )


def _calibration_table(of: Calibration) -> MetricsTable:
    columns = (of.confidence, of.accuracy, of.count)
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
                _DASH if of.interval is None else format_interval(of.interval, ",.1f"),
            )
            for of in classes
        ],
    )


def _svg_address(image: bytes) -> str:
    """Return a drawing as an address, so that the report needs no other file."""
    return "data:image/svg+xml;base64," + base64.b64encode(image).decode()


def _settings_table(manifest: Manifest) -> MetricsTable:
    corpus, recipe, training = manifest.corpus, manifest.recipe, manifest.training
    rows = []
    if corpus is not None:
        rows += [
            (name, f"{documents:,} documents, {tokens:,} tokens")
            for name, documents, tokens in (
                ("training part", corpus.train_documents, corpus.train_tokens),
                ("validation part", corpus.valid_documents, corpus.valid_tokens),
                ("test part", corpus.test_documents, corpus.test_tokens),
            )
        ]
    rows.append(("vocabulary", f"{manifest.model.vocabulary_size:,} words"))
    if recipe is None:  # Of an imported model only the sizes are known.
        recipe = asdict(manifest.model) | {"tokenizer": manifest.tokenizer}
        del recipe["vocabulary_size"]
    rows += [
        (name.replace("_", " "), _setting(value))
        for name, value in recipe.items()
        if not isinstance(value, list)  # names of settings that were fitted
    ]
    if training is not None:
        rows += [
            ("best epoch", training.best_epoch_of_all),
            ("training time (h:mm:ss)", str(timedelta(seconds=round(training.seconds)))),
            ("device", training.device),
        ]
    return MetricsTable(("setting", "value"), rows)


def _setting(value: object) -> str:
    if value is None:
        return _DASH
    return f"{value:g}" if isinstance(value, float) else str(value)
