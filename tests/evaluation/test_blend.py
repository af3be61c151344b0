import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.errors import raises_code

import lorelm
from lorelm.bundle import Bundle
from lorelm.corpus.documents import Documents
from lorelm.errors import BundleError, InputError
from lorelm.evaluation.blend import BlendedNetwork, blend_of
from lorelm.evaluation.evaluate import EvaluationSettings, evaluate_bundle
from lorelm.evaluation.perplexity import perplexity, predict
from lorelm.evaluation.trained_corpus import split_as_trained
from lorelm.generation.generator import generate
from lorelm.runtime.mixture import mix_logs


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return Bundle.load(tiny_bundle)


def blend(bundle: Bundle, given: str) -> BlendedNetwork:
    return blend_of(bundle, given, corpus=None, precision=None)


def test_the_perplexity_is_that_of_the_mixture_of_both(
    bundle: Bundle, wolves_bundle: Path, tales: Documents
) -> None:
    settings = EvaluationSettings(blend=f"{wolves_bundle}=0.3", num_samples=0)
    metrics = evaluate_bundle(bundle, settings, documents=tales).metrics
    corpus = split_as_trained(bundle, tales)
    assert corpus is not None
    stream = corpus.test.stream
    pair = blend(bundle, f"{wolves_bundle}=1").pair
    own = predict(bundle.runtime(), stream).log_probabilities
    second = blend(bundle, f"{wolves_bundle}=1").mixed(own, stream)
    assert pair.words.num_shared == len(bundle.vocabulary) - 1
    expected = mix_logs(own, second, 0.7)
    assert metrics.blend_perplexity == pytest.approx(perplexity(-expected.mean()))
    assert (metrics.blend_model, metrics.blend_share) == (str(wolves_bundle), 0.3)
    assert metrics.blend_ratio_interval is not None
    low, high = metrics.blend_ratio_interval
    assert low < metrics.blend_perplexity / metrics.perplexity < high
    assert metrics.blend_perplexity_interval is not None
    low, high = metrics.blend_perplexity_interval
    assert low < metrics.blend_perplexity < high
    assert metrics.blend_bits_per_character is not None


def test_an_evaluation_scores_what_a_blend_writes(bundle: Bundle, wolves_bundle: Path) -> None:
    """The same probabilities as those of tokens that a blended model scores."""
    text = "The owl and the mole went home."
    stream = bundle.vocabulary.encode(bundle.tokenizer.tokenize(text))
    own = predict(bundle.runtime(), stream).log_probabilities
    found = blend(bundle, f"{wolves_bundle}=0.4").mixed(own, stream)
    model = lorelm.load(bundle).blended_with(lorelm.load(wolves_bundle), name="wolves")
    request = model.scoring_request(
        model.prompts.read(text), num_alternatives=0, blend={"wolves": 0.4}
    )
    [sequence] = request.sequences
    generate(model.runtime, sequence)
    expected = [score.log_probability for score in sequence.prompt_scores]
    assert found == pytest.approx(expected, abs=1e-5)


def test_a_model_with_the_same_words_is_blended_exactly(
    bundle: Bundle, beaten_bundle: Path
) -> None:
    stream = bundle.vocabulary.encode(bundle.tokenizer.tokenize("The fox slept by the mill."))
    logs = [
        predict(each.runtime(), stream).log_probabilities
        for each in (bundle, Bundle.load(beaten_bundle))
    ]
    found = blend(bundle, f"{beaten_bundle}=0.2").mixed(logs[0], stream)
    assert found == pytest.approx(mix_logs(logs[0], logs[1], 0.8), abs=1e-5)


def test_without_a_share_the_best_one_of_the_validation_part_is_taken(
    bundle: Bundle, beaten_bundle: Path, tales: Documents
) -> None:
    corpus = split_as_trained(bundle, tales)
    assert corpus is not None
    stream = corpus.valid.stream
    found = blend_of(bundle, str(beaten_bundle), corpus=corpus, precision=None)
    own = predict(bundle.runtime(), stream).log_probabilities
    losses = [
        -replace(found, share=share).mixed(own, stream).mean() for share in np.linspace(0, 1, 21)
    ]
    assert found.share == pytest.approx(0.05 * int(np.argmin(losses)), abs=0.051)
    with raises_code(InputError, "evaluation.blend") as caught:
        blend(bundle, str(beaten_bundle))
    assert f"name one, as in {beaten_bundle}=0.3" in str(caught.value)


@pytest.mark.parametrize("share", ["2", "-1", "half", "nan"])
def test_a_share_must_be_one(bundle: Bundle, wolves_bundle: Path, share: str) -> None:
    with raises_code(InputError, "evaluation.blend") as caught:
        blend(bundle, f"{wolves_bundle}={share}")
    assert "a model and its share from 0 to 1" in str(caught.value)


def test_other_models_are_refused(
    bundle: Bundle, imported_bundle: Path, tmp_path: Path, wolves_bundle: Path
) -> None:
    with raises_code(BundleError, "bundle.not_found"):
        blend(bundle, f"{tmp_path / 'none'}=0.1")
    with raises_code(InputError, "evaluation.blend") as caught:
        blend(bundle, f"{imported_bundle}=0.1")
    assert "blend: " in str(caught.value)
    odd = Path(shutil.copytree(wolves_bundle, tmp_path / "a=b"))  # the last sign counts
    assert blend(bundle, f"{odd}=0.1").name == str(odd)


def test_models_without_ngram_models_are_blended_too(
    bundle: Bundle, beaten_bundle: Path, older_bundle: Path, tales: Documents
) -> None:
    text = Documents(texts=tales.texts[:20], source="held-out.txt")
    older = Bundle.load(older_bundle)
    settings = EvaluationSettings(blend=f"{older_bundle}=0.3", num_samples=0)
    metrics = evaluate_bundle(older, settings, documents=text).metrics
    assert metrics.blend_perplexity == pytest.approx(metrics.perplexity)  # the same model twice
    assert metrics.ngram_perplexity is None
    assert metrics.blend_seen_share is None
    assert not metrics.blend_lacks_mixture
    # Where one model is mixed with counting by default, the blend of the networks says so.
    settings = EvaluationSettings(blend=f"{beaten_bundle}=0.3", num_samples=0)
    metrics = evaluate_bundle(bundle, settings, documents=text).metrics
    assert metrics.blend_lacks_mixture
    assert metrics.blend_seen_share is not None
