import dataclasses
import importlib.metadata
from pathlib import Path

import pytest

from lorelm.bundle import Bundle
from lorelm.cli.evaluating import evaluate_bundle
from lorelm.corpus.documents import Documents
from lorelm.corpus.reading_options import CorpusFile, ReadingOptions
from lorelm.errors import MissingExtraError


def test_a_text_is_judged_where_the_corpus_needs_a_package_that_is_not_there(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the embedded bundle is in a serving install."""

    def not_installed(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", not_installed)
    bundle = Bundle.load(tiny_bundle)
    files = (CorpusFile(path="shakespeare", options=ReadingOptions()),)
    corpus = bundle.manifest.corpus.model_copy(update={"files": files})
    manifest = bundle.manifest.model_copy(update={"corpus": corpus})
    bundle = dataclasses.replace(bundle, manifest=manifest)
    text = Documents(texts=["The fox slept.", "The owl sat by the mill."], source="a text")
    assert evaluate_bundle(bundle, documents=text).figures.documents == 2
    with pytest.raises(MissingExtraError, match="the corpus 'shakespeare' needs more packages"):
        evaluate_bundle(bundle)
