from pathlib import Path

import pytest

from lorelm.bundle import Bundle
from lorelm.corpus.documents import Documents
from lorelm.corpus.preparation import Corpus
from lorelm.evaluation.text import HeldOutText
from lorelm.evaluation.trained_corpus import split_as_trained


@pytest.fixture(scope="session")
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.load(tiny_bundle)


@pytest.fixture(scope="session")
def corpus(bundle: Bundle, tales: Documents) -> Corpus:
    """What the bundle was trained on."""
    corpus = split_as_trained(bundle, tales)
    assert corpus is not None
    return corpus


@pytest.fixture(scope="session")
def text(bundle: Bundle, corpus: Corpus) -> HeldOutText:
    """The test part of it."""
    return HeldOutText(
        documents=corpus.test.documents,
        name="tales",
        tokenizer=bundle.tokenizer,
        vocabulary=bundle.vocabulary,
    )
