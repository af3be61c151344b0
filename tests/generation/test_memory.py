from pathlib import Path

import numpy as np
import pytest
from tests.generation.sequences import request_of

import lorelm
from lorelm.errors import SamplingError
from lorelm.generation.memory import MAX_BIAS, RECENT, SHARE, MemoryBias, MemoryWords

MEMORY = "The toad and Aragast are at the mill."


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> lorelm.LanguageModel:
    return lorelm.load(tiny_bundle)


def raised(model: lorelm.LanguageModel, memory: str) -> dict[str, float]:
    """Return the words that a memory raises, with their biases."""
    words = MemoryWords(model.tokenizer, model.vocabulary, model.runtime)
    bias_V = words.bias(model.tokenizer.tokenize(memory), model.prompts.read("")).bias_V
    return {model.vocabulary.words[id_]: float(bias_V[id_]) for id_ in np.flatnonzero(bias_V)}


def test_rarer_words_are_raised_and_common_ones_are_not(
    model: lorelm.LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lorelm.generation.memory.SHARE", 0.9)  # no word is frequent enough
    assert {"the", "￭."} == set(model.vocabulary.words[2:4])  # the commonest tenth
    found = raised(model, "The tired singing, said Zorblax")
    assert {"tired", "singing"} <= set(found)
    assert not {"the", "The", "￭,"} & set(found)


def test_words_of_another_case_are_raised_too(model: lorelm.LanguageModel) -> None:
    assert set(raised(model, "THEN")) == {"Then"}


def test_at_like_places_the_words_have_their_share_together(model: lorelm.LanguageModel) -> None:
    """By hand: two words of 0.1 % each get 1 % each, so log(10) nats."""
    words = MemoryWords(model.tokenizer, model.vocabulary, model.runtime)
    usual_V = np.full(len(model.vocabulary), 0.5)
    fox, owl = model.vocabulary.encode(["fox", "owl"])
    usual_V[[fox, owl]] = 0.001
    words.__dict__["_usual_shares"] = usual_V
    bias_V = words.bias(["fox", "owl"], model.prompts.read("")).bias_V
    assert SHARE == 0.02
    assert bias_V[fox] == bias_V[owl] == pytest.approx(np.log(10))
    usual_V[fox] = 1e-9
    assert words.bias(["fox", "owl"], model.prompts.read("")).bias_V[fox] == MAX_BIAS
    usual_V[fox] = 0.5  # it needs no help
    assert words.bias(["fox", "owl"], model.prompts.read("")).bias_V[fox] == 0


def test_a_word_that_was_just_written_is_not_raised(model: lorelm.LanguageModel) -> None:
    bias_V = np.arange(40, dtype=np.float32)
    [sequence] = request_of(model, [7, *[3] * (RECENT - 1)]).sequences
    logits_V = MemoryBias(bias_V)(np.zeros(40, np.float32), sequence)
    assert logits_V[[7, 3, 8]].tolist() == [0, 0, 8]
    sequence.token_ids.append(3)
    assert MemoryBias(bias_V)(np.zeros(40, np.float32), sequence)[7] == 7


def test_a_word_that_was_just_written_is_not_raised_in_another_case_either(
    model: lorelm.LanguageModel,
) -> None:
    words = MemoryWords(model.tokenizer, model.vocabulary, model.runtime)
    words._common = set()
    words.__dict__["_usual_shares"] = np.full(len(model.vocabulary), 1e-6)
    ids = words._ids["the"]
    assert len(ids) == 2
    memory = words.bias(["the", "fox"], model.prompts.read(""))
    logits_V = np.zeros(len(model.vocabulary), np.float32)
    for id_ in ids:
        [sequence] = request_of(model, [id_]).sequences
        assert set(np.flatnonzero(memory(logits_V, sequence))) == set(words._ids["fox"])


def test_a_text_has_the_words_of_its_memory_more_often(
    model: lorelm.LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of 40 words, most have more than 2 % as it is.
    monkeypatch.setattr("lorelm.generation.memory.SHARE", 0.2)

    def count(memory: str | None) -> int:
        reply = model.generate("The", memory=memory, seed=1, num_samples=60, min_len=30)
        return sum(sample.text.count("barn") for sample in reply.samples)

    assert count("They sing in the barn.") > count(None)


def test_a_name_that_the_model_does_not_know_may_come(model: lorelm.LanguageModel) -> None:
    reply = model.generate("The", memory=MEMORY, seed=1, num_samples=60, max_len=60, min_len=60)
    assert any("Aragast" in sample.text for sample in reply.samples)
    assert reply.unknown_words == []  # it is not in the prompt
    free = model.generate("The", seed=1, num_samples=60, max_len=60, min_len=60)
    assert not any("Aragast" in sample.text for sample in free.samples)


def test_the_seed_gives_the_text_again_and_an_empty_memory_changes_none(
    model: lorelm.LanguageModel,
) -> None:
    one, two = (model.generate("The fox", memory=MEMORY, seed=4) for _ in range(2))
    assert one == two
    assert model.generate("The fox", memory="", seed=4) == model.generate("The fox", seed=4)


def test_a_long_memory_is_refused(model: lorelm.LanguageModel) -> None:
    with pytest.raises(SamplingError, match="memory: must be a text of at most 2,000 characters"):
        model.generate("The fox", memory="fox " * 501)
