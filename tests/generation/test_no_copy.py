import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.errors import raises_code

import lorelm
from lorelm.bundle import Bundle
from lorelm.corpus.documents import Documents
from lorelm.corpus.preparation import Corpus
from lorelm.corpus.special_tokens import EOS
from lorelm.corpus.token_keys import token_keys
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.corpus.vocabulary import Vocabulary
from lorelm.errors import SamplingError
from lorelm.evaluation.trained_corpus import split_as_trained
from lorelm.generation.no_copy import NoCopyProcessor, TrainingTextIndex
from lorelm.ngrams.fingerprints import FingerprintIndex
from lorelm.training.recipe import Recipe
from lorelm.training.train import train

TOKENIZER = make_tokenizer("words")


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> lorelm.LanguageModel:
    return lorelm.load(tiny_bundle)


@pytest.fixture(scope="module")
def corpus(tiny_bundle: Path, tales: Documents) -> Corpus:
    corpus = split_as_trained(Bundle.load(tiny_bundle), tales)
    assert corpus is not None
    return corpus


def after(ids: list[int]) -> Any:
    """A sequence with these generated ids."""
    return SimpleNamespace(token_ids=ids, num_prompt_ids=0)


def spans_of(documents: list[list[str]], length: int) -> set[tuple[str, ...]]:
    """Every run of `length` tokens within a document, the marks of spacing taken off."""
    return {
        tuple(token.replace("￭", "") for token in tokens[i : i + length])
        for tokens in documents
        for i in range(len(tokens) - length + 1)
    }


RECITED = Documents(
    texts=[
        "Long ago a fox with a red tail kept a small inn below the old mill by the river.",
        "Every night an owl with a lame wing came to the inn and told of the lands in the north.",
        "Then a hare who had no home asked for bread, and the fox gave her a room above the barn.",
        "When winter came\nthe river froze,\nand the three\nsat by the fire\nuntil it was gone.",
    ],
    source="recited",
)


@pytest.fixture(scope="module")
def reciter(tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> lorelm.LanguageModel:
    """A model that has learned its four documents by heart."""
    recipe = dataclasses.replace(
        tiny_recipe, min_frequency=1, epochs=60, dropout=0.0, num_layers=1, batch_size=1
    )
    path = tmp_path_factory.mktemp("models") / "reciter"
    train(RECITED, recipe, out=path, valid=RECITED, test=RECITED)
    return lorelm.load(path)


@pytest.mark.parametrize("prompt", ["Long ago", "When winter came\n"])
@pytest.mark.parametrize("length", range(3, 13))
def test_no_generated_span_of_that_length_stands_in_the_training_text(
    reciter: lorelm.LanguageModel, length: int, prompt: str
) -> None:
    """Checked against the training documents themselves, not the fingerprints."""
    forbidden = spans_of([TOKENIZER.tokenize(text) for text in RECITED.texts], length)
    forbidden -= spans_of([TOKENIZER.tokenize_prompt(prompt)], length)  # no words of the model

    def copies(**more: int) -> list[set[tuple[str, ...]]]:
        reply = reciter.generate(prompt, num_samples=20, seed=length, max_len=60, **more)
        written = [TOKENIZER.tokenize(reply.prompt + sample.text) for sample in reply.samples]
        return [spans_of([tokens], length) & forbidden for tokens in written]

    assert all(copies())
    assert not any(copies(novel_span=length))


def test_no_line_break_follows_another() -> None:
    """Two are read as one when the text is read again, so a copy would be a copy again."""
    words = ["<unk>", EOS, "\n", "a"]
    fingerprints = FingerprintIndex.build(token_keys([], TOKENIZER))
    index = TrainingTextIndex(fingerprints, TOKENIZER, Vocabulary(words))
    no_copy = NoCopyProcessor(index, ["a"], novel_span=6)
    logits_V = np.zeros(4, np.float32)
    assert np.isinf(no_copy(logits_V, after([2]))).tolist() == [False, False, True, False]
    assert np.isfinite(no_copy(logits_V, after([2, 3]))).all()


def test_a_prompt_that_ends_in_a_line_break_continues_on_the_next_line(
    reciter: lorelm.LanguageModel, model: lorelm.LanguageModel
) -> None:
    assert reciter.generate("When winter came\n", temperature=0).text.startswith("the river froze")
    assert reciter.generate("When winter came", temperature=0).text.startswith("\nthe river")
    assert reciter.generate("Long ago\n").unknown_words == []


def test_the_processor_changes_nothing_that_is_not_a_copy(model: lorelm.LanguageModel) -> None:
    free = model.generate("The fox", seed=3, max_len=60)
    banned = model.generate("The fox", seed=3, max_len=60, novel_span=50)
    assert banned == free


def test_the_end_is_always_allowed() -> None:
    """Every word would complete a copy, and the sequence may still end."""
    vocabulary = Vocabulary(["<unk>", EOS, "a", "b"])
    keys = token_keys(["b", "a", "b", "b", "a", "b", "a"], TOKENIZER)
    index = TrainingTextIndex(FingerprintIndex.build(keys), TOKENIZER, vocabulary)
    no_copy = NoCopyProcessor(index, ["b"], novel_span=3)
    logits_V = np.zeros(4, np.float32)
    # "b a" goes on with b alone (and is the end of the text); "b" alone is too short to copy.
    assert np.isinf(no_copy(logits_V, after([2]))).tolist() == [False, False, False, True]
    assert np.isfinite(no_copy(logits_V, after([]))).all()


def test_a_text_may_be_empty_where_every_word_would_be_a_copy(tiny_bundle: Path) -> None:
    bundle = Bundle.load(tiny_bundle)

    class EveryRun(FingerprintIndex):
        def completing(self, context_keys, candidate_keys):
            return np.ones(len(candidate_keys), dtype=np.bool_)

    everything = EveryRun.build(token_keys(["a"] * 5, TOKENIZER))
    model = lorelm.LanguageModel(
        bundle.runtime(),
        bundle.tokenizer,
        bundle.vocabulary,
        index=TrainingTextIndex(everything, bundle.tokenizer, bundle.vocabulary),
    )
    [sample] = model.generate("The fox", novel_span=3, seed=1).samples
    assert (sample.text, sample.finish_reason) == ("", "eos")


def test_copied_spans_are_given_in_characters(model: lorelm.LanguageModel, corpus: Corpus) -> None:
    num_found = 0
    spans_of_six = spans_of(corpus.train.documents, 6)
    for sample in model.generate("The", num_samples=40, seed=0, temperature=0.5).samples:
        assert sample.copied_spans is not None
        for span in sample.copied_spans:
            num_found += 1
            text = sample.text[span.start : span.end]
            assert text == text.strip()
            tokens = model.tokenizer.tokenize(text)
            assert span.num_tokens - len(tokens) in (0, 1)  # "The" of the prompt may be in it
            for i in range(len(tokens) - 5):
                assert tuple(t.replace("￭", "") for t in tokens[i : i + 6]) in spans_of_six
    assert num_found > 5


def test_a_stop_text_cuts_a_span_short(model: lorelm.LanguageModel, corpus: Corpus) -> None:
    for seed in range(50):
        [sample] = model.generate("The", seed=seed, temperature=0.3).samples
        if sample.copied_spans and sample.copied_spans[0].start == 0:
            break
    word = sample.text.split()[-1]
    [stopped] = model.generate("The", seed=seed, temperature=0.3, stop=[word]).samples
    assert stopped.finish_reason == "stop"
    assert stopped.copied_spans is not None
    assert all(span.end <= len(stopped.text) for span in stopped.copied_spans)


def test_without_an_index_copies_can_be_neither_found_nor_forbidden(older_bundle: Path) -> None:
    model = lorelm.load(older_bundle)
    assert model.generate("The fox", seed=1).samples[0].copied_spans is None
    with raises_code(SamplingError, "setting.no_copy_index"):
        model.generate("The fox", novel_span=6)


@pytest.mark.parametrize("value", [1, 2, 51, -3, 6.0, "6", None])
def test_a_length_that_cannot_be_kept_is_refused(
    model: lorelm.LanguageModel, value: object
) -> None:
    with pytest.raises(SamplingError, match=r"novel_span: must be a whole number from 3 to 50"):
        model.generate("The fox", novel_span=value)
