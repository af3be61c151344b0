"""Measure a trained base model, and put it into the package in place of the one that is there.

python base/embed.py my-base --corpus corpus
"""

import contextlib
import sys
from pathlib import Path
from typing import Final

import click

from lorelm.bundle import EMBEDDED_PATH, Bundle, BundleContents, save_bundle
from lorelm.bundle.layout import METRICS, graph_name
from lorelm.corpus import preparation
from lorelm.errors import LoreLMError
from lorelm.evaluation.evaluate import evaluate_bundle

_SOURCE: Final = "150 books, plays and chats"
"""What the page says that the model was trained on."""

_MAX_COUNTED_TOKENS: Final = 40_000_000
"""The limit of `lorelm evaluate` is for a laptop's memory; here 5 GB are needed."""


def measured(bundle: Bundle, corpus: Path) -> Bundle:
    """Evaluate a bundle on its test part, with an n-gram model and the copies; record it there.

    Args:
        corpus: the folder of the parts that it was trained on.

    Raises:
        CorpusError: they are not there, or have changed.
    """
    preparation.MAX_COUNTED_TOKENS = _MAX_COUNTED_TOKENS  # type: ignore[misc]
    with contextlib.chdir(corpus):
        metrics = evaluate_bundle(bundle, on_stage=click.echo).metrics
    bundle.record_metrics(metrics)
    return Bundle.load(bundle.path)


def small(bundle: Bundle) -> BundleContents:
    """Return a bundle with float16 weights and the int8 graph, without an index of its text.

    Fingerprints take five bytes a token, 120 MB for the books.
    """
    corpus = bundle.manifest.corpus
    assert corpus is not None
    named = {"corpus": corpus.model_copy(update={"source": _SOURCE})}
    return BundleContents(
        manifest=bundle.manifest.model_copy(update=named),
        vocabulary=bundle.vocabulary,
        graphs={"int8": bundle.files.read(graph_name("int8"))},
        weights=bundle.weights(),
        weight_type="float16",
        spelling=bundle.spelling(),
        metrics=bundle.files.read(METRICS),
    )


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--corpus", type=click.Path(path_type=Path, exists=True), required=True, help="Its folder."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=EMBEDDED_PATH,
    show_default="the package's",
    help="Folder to write to.",
)
def main(bundle: Path, corpus: Path, out: Path) -> None:
    """Measure the model in the folder BUNDLE on its corpus, and embed it.

    The figures in MODEL_CARD.md are then to be changed by hand; a test compares them.
    """
    try:
        contents = small(measured(Bundle.load(bundle.absolute()), corpus))
        save_bundle(out, contents)
    except LoreLMError as error:
        click.echo(f"embed: {error}", err=True)
        sys.exit(2)
    size = sum(map(len, contents.files().values()))
    click.echo(f"{out}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
