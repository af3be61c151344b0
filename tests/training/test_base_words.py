"""Words of the model to start from that the corpus does not have."""

import dataclasses
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.training.fitting import fit_recipe
from tests.training.test_loop import StopAfter

from lorelm.bundle import Bundle
from lorelm.corpus.documents import CorpusParts, Documents
from lorelm.corpus.preparation import Corpus, prepare_corpus
from lorelm.corpus.vocabulary import UNK_ID
from lorelm.errors import TrainingStoppedError
from lorelm.training.base_words import best_offset, with_base_words
from lorelm.training.callbacks import TrainedModel
from lorelm.training.checkpoint import Checkpoint
from lorelm.training.initial_checkpoint import initial_model, initial_weights, word_counts
from lorelm.training.losses import validation_loss
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe
from lorelm.training.resumption import resumed
from lorelm.training.run_context import RunContext
from lorelm.training.start import known_words
from lorelm.training.train import train

pytestmark = pytest.mark.system


def texts(*lines: str) -> Documents:
    return Documents(texts=[f"The {line} by the mill." for line in lines], source="lines")


PARTS = CorpusParts(
    documents=texts(*["fox sat", "fox slept", "hare sat"] * 12),
    valid=texts("fox sat", "hare slept", "owl sat", "dragon sat"),
    test=texts("owl slept", "fox sat"),
)


@pytest.fixture(scope="module")
def base(tiny_bundle: Path) -> Bundle:
    return Bundle.load(tiny_bundle)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return Recipe.load(
        "fine-tune", embedding_size=12, hidden_size=32, num_layers=2, tied=False, epochs=2
    )


@pytest.fixture(scope="module")
def small_corpus(base: Bundle, recipe: Recipe) -> Corpus:
    return prepare_corpus(
        PARTS,
        tokenizer=base.tokenizer,
        vocabulary=recipe.vocabulary_rules(known_words(base, "words")),
        split_seed=0,
    )


@pytest.fixture(scope="module")
def trained(base: Bundle, small_corpus: Corpus, recipe: Recipe) -> TrainedModel:
    seen = small_corpus.with_seen_words()
    weights = initial_weights(base, seen.vocabulary, seen.tokenizer)
    return fit_recipe(seen, recipe, weights=weights)


def test_words_that_only_held_out_parts_have_are_known_by_the_base_or_unknown(
    small_corpus: Corpus,
) -> None:
    assert {"owl", "singing"} <= set(small_corpus.vocabulary.words)
    assert "dragon" not in small_corpus.vocabulary
    seen = small_corpus.with_seen_words()
    assert set(seen.vocabulary.words[2:]) == {
        "The",
        "fox",
        "hare",
        "sat",
        "slept",
        "by",
        "the",
        "mill",
        "￭.",
    }
    assert seen.valid.unknown_rate > small_corpus.valid.unknown_rate > 0
    is_unknown = seen.valid.stream == UNK_ID
    assert (seen.valid.stream[~is_unknown] == small_corpus.valid.stream[~is_unknown]).all()
    assert seen.with_seen_words() is seen


def test_trained_words_stay_and_the_others_come_back_as_they_were(
    base: Bundle, small_corpus: Corpus, trained: TrainedModel
) -> None:
    whole = with_base_words(trained, small_corpus, base)
    num_seen = small_corpus.num_seen_words
    before = initial_weights(base, small_corpus.vocabulary, small_corpus.tokenizer)
    for name, tensor in whole.model.state_dict().items():
        array, own = tensor.numpy(), trained.model.state_dict()[name].numpy()
        if name not in ("embedding.weight", "fc.weight", "fc.bias"):
            assert (array == own).all()
            continue
        assert (array[:num_seen] == own).all()
        offsets = array[num_seen:] - before[name][num_seen:]
        assert np.ptp(offsets) < 1e-5
        assert name == "fc.bias" or not offsets.any()


def test_a_form_that_the_text_writes_otherwise_is_left_next_to_nothing(
    base: Bundle, trained: TrainedModel, recipe: Recipe
) -> None:
    """Such as a straight quotation mark, where the text has curly ones."""
    documents = texts(*["FOX sat", "FOX slept", "hare sat"] * 12)
    corpus = prepare_corpus(
        documents,
        tokenizer=base.tokenizer,
        vocabulary=recipe.vocabulary_rules(known_words(base, "words")),
        split_seed=0,
    )
    seen = corpus.with_seen_words()
    weights = initial_weights(base, seen.vocabulary, seen.tokenizer)
    model = initial_model(seen, recipe, torch.device("cpu"), weights)
    trained = dataclasses.replace(trained, model=model)
    bias = with_base_words(trained, corpus, base).model.state_dict()["fc.bias"].numpy()
    before = initial_weights(base, corpus.vocabulary, corpus.tokenizer)["fc.bias"]
    gained = dict(zip(corpus.vocabulary.words, bias - before, strict=True))
    num_upper = int(word_counts(corpus)[corpus.vocabulary.words.index("FOX")])
    assert gained["fox"] - gained["owl"] == pytest.approx(-np.log(num_upper + 2), abs=1e-4)


def test_the_offset_predicts_the_validation_part_best(
    base: Bundle, small_corpus: Corpus, trained: TrainedModel
) -> None:
    # So long that the half word that is counted beside it does not show.
    stream = np.tile(small_corpus.valid.stream, 50)
    long_part = dataclasses.replace(small_corpus.valid, stream=stream)
    long_corpus = dataclasses.replace(small_corpus, valid=long_part)
    model = with_base_words(trained, long_corpus, base).model
    num_seen = small_corpus.num_seen_words
    assert best_offset(model, stream, num_seen) == pytest.approx(0, abs=0.051)
    best = validation_loss(model, stream)
    for change in (-1.0, -0.2, 0.2, 1.0):
        with torch.no_grad():
            model.fc.bias[num_seen:] += change
        assert validation_loss(model, stream) > best
        with torch.no_grad():
            model.fc.bias[num_seen:] -= change


@pytest.fixture(scope="module")
def fine_tuned(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return fine_tune(tiny_bundle, tmp_path_factory.mktemp("fine-tuned"))


def fine_tune(tiny_bundle: Path, out: Path, context: RunContext | None = None) -> Bundle:
    options = TrainingOptions(init=str(tiny_bundle), device="cpu", checkpoint_steps=1)
    bundle = train(
        PARTS.documents,
        Recipe.load("fine-tune", epochs=3, min_frequency=1),
        out=out,
        options=options,
        valid=PARTS.valid,
        test=PARTS.test,
        context=context,
    )
    assert bundle is not None
    return bundle


def go_on(out: Path, changes: dict[str, Any], **context: Any) -> Bundle:
    checkpoint = resumed(out, changes)
    return fine_tune(Path("unused"), out, RunContext(resume=checkpoint, **context))


def assert_same_weights(first: Bundle, second: Bundle) -> None:
    assert first.vocabulary.words == second.vocabulary.words
    for name, array in first.weights().items():
        assert (array == second.weights()[name]).all(), name


def test_a_bundle_knows_the_words_of_its_base(
    fine_tuned: Bundle, tiny_bundle: Path, tmp_path: Path
) -> None:
    assert "singing" in fine_tuned.vocabulary
    assert len(fine_tuned.weights()["fc.bias"]) == len(fine_tuned.vocabulary)
    own = Recipe.load("fine-tune", epochs=2, vocabulary="own", min_frequency=1)
    options = TrainingOptions(init=str(tiny_bundle), device="cpu")
    parts = {"valid": PARTS.valid, "test": PARTS.test}
    small = train(PARTS.documents, own, out=tmp_path, options=options, **parts)
    assert small is not None
    assert "singing" not in small.vocabulary


def test_an_interrupted_run_gets_the_words_of_its_base_too(
    fine_tuned: Bundle, tiny_bundle: Path, tmp_path: Path
) -> None:
    callback = StopAfter(2)
    with pytest.raises(TrainingStoppedError):
        fine_tune(
            tiny_bundle, tmp_path, RunContext(callback=callback, stop=nullcontext(callback.stop))
        )
    checkpoint = Checkpoint.find(tmp_path)
    assert checkpoint is not None
    assert_same_weights(fine_tuned, go_on(tmp_path, {}))


def test_an_extended_run_keeps_the_words_of_its_base(fine_tuned: Bundle, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for copy in (whole, parts):
        shutil.copytree(fine_tuned.path, copy)
    extended = go_on(whole, {"epochs": 6})
    num_seen = extended.manifest.corpus.seen_words
    assert num_seen == fine_tuned.manifest.corpus.seen_words
    assert 2 < num_seen < len(extended.vocabulary)
    before, after = (bundle.weights()["embedding.weight"] for bundle in (fine_tuned, extended))
    assert (before[num_seen:] == after[num_seen:]).all()
    assert (before[2:num_seen] != after[2:num_seen]).any()
    callback = StopAfter(1)
    with pytest.raises(TrainingStoppedError):
        go_on(parts, {"epochs": 6}, callback=callback, stop=nullcontext(callback.stop))
    assert_same_weights(extended, go_on(parts, {"epochs": 6}))


@pytest.mark.parametrize("num_tokens", [100, 1000])
def test_words_that_the_validation_part_lacks_keep_half_an_event(
    base: Bundle, small_corpus: Corpus, trained: TrainedModel, num_tokens: int
) -> None:
    model = with_base_words(trained, small_corpus, base).model
    num_seen = small_corpus.num_seen_words
    stream = np.full(num_tokens, 2, dtype=np.int64)
    with torch.no_grad():
        model.fc.bias[num_seen:] += best_offset(model, stream, num_seen)
        logits_T1V, _ = model(torch.from_numpy(stream[:, None]), model.initial_state(1))
    num_expected = logits_T1V.softmax(2)[..., num_seen:].sum().item()
    assert num_expected == pytest.approx(0.5, rel=0.2)
