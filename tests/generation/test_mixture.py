from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import lorelm
from lorelm.bundle import Bundle
from lorelm.corpus.vocabulary import EOS_ID
from lorelm.errors import BundleError
from lorelm.evaluation.baseline import ngram_log_probabilities
from lorelm.evaluation.perplexity import predict
from lorelm.generation.logits import Mixture
from lorelm.runtime.base import State
from lorelm.runtime.mixture import log_softmax, mix_logs


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.load(tiny_bundle)


def test_generation_and_evaluation_mix_alike(bundle: Bundle) -> None:
    """Token by token against the mixture of a whole stream."""
    stream = bundle.vocabulary.encode(["The", "fox", "sat", "by", "the", "river", "￭."])
    runtime = bundle.runtime()
    network = predict(runtime, stream).log_probabilities
    ngram, _ = bundle.ngram()
    expected = mix_logs(network, ngram_log_probabilities(ngram, stream), 0.3)
    mixture = Mixture(ngram, 0.3)
    state = State.zeros(runtime.config, 1)
    for place, previous in enumerate([EOS_ID, *stream[:-1]]):
        logits_BV, state = runtime.step(np.array([previous]), state)
        if place >= 2:
            read = SimpleNamespace(token_ids=[EOS_ID, *stream.tolist()], num_read=place)
            mixed_V = mixture(logits_BV[0], read)
            assert np.exp(mixed_V).sum() == pytest.approx(1, abs=1e-4)
            found = log_softmax(mixed_V)[stream[place]]
            assert found == pytest.approx(expected[place], abs=1e-4)


def test_the_same_seed_gives_the_same_text_alone_and_among_others(tiny_bundle: Path) -> None:
    model = lorelm.load(tiny_bundle, mixture=True)
    together = model.generate("The", seed=5, num_samples=6, novel_span=8).samples
    alone = [
        model.generate("The", seed=5 + i, num_samples=1, novel_span=8).samples[0] for i in range(6)
    ]
    assert together == alone


def test_a_mixture_generates_other_texts_than_the_network(bundle: Bundle) -> None:
    def texts(mixture: Mixture | None) -> list[str]:
        model = lorelm.LanguageModel(
            bundle.runtime(), bundle.tokenizer, bundle.vocabulary, mixture=mixture
        )
        reply = model.generate(seed=0, num_samples=20, temperature=1.5)
        return [sample.text for sample in reply.samples]

    ngram, _ = bundle.ngram()
    assert texts(Mixture(ngram, 0.2)) != texts(None)
    assert texts(Mixture(ngram, 1.0)) == texts(None)


def test_a_bundle_without_an_ngram_model_says_so(older_bundle: Path) -> None:
    with pytest.raises(
        BundleError,
        match=r"carries no n-gram model: add it .add_ngram, lorelm evaluate .* --add-ngram",
    ):
        lorelm.load(older_bundle, mixture=True)


def test_a_bundle_that_counting_beats_is_mixed_unless_asked_otherwise(
    beaten_bundle: Path, tiny_bundle: Path
) -> None:
    def text(mixture: bool | None) -> str:
        model = lorelm.load(beaten_bundle, mixture=mixture)
        assert model.is_mixed == (mixture is not False)
        return model.generate("The", seed=1, max_len=30).text

    assert text(None) == text(True) != text(False)
    assert not lorelm.load(tiny_bundle).is_mixed  # which carries an n-gram model, too
