import re
from pathlib import Path

import numpy as np
import pytest
from tests.errors import raises_code

import lorelm
from lorelm.corpus.vocabulary import UNK_ID
from lorelm.errors import SamplingError
from lorelm.generation.required_words import Sentences


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> lorelm.LanguageModel:
    return lorelm.load(tiny_bundle)


def first_sentence(text: str) -> str:
    return re.split("[.!?]", text, maxsplit=1)[0]


@pytest.mark.parametrize("word", ["mill", "singing", "mole"])
def test_the_next_sentence_has_the_word(model: lorelm.LanguageModel, word: str) -> None:
    reply = model.generate("The fox sat", must_contain=[word], seed=1, num_samples=20)
    assert all(word in first_sentence(sample.text).split() for sample in reply.samples)
    assert all(sample.missing_words == [] for sample in reply.samples)
    free = model.generate("The fox sat", seed=1, num_samples=20)
    assert not all(word in first_sentence(sample.text).split() for sample in free.samples)
    assert free.samples[0].missing_words is None


def test_it_has_several_words_in_any_order(model: lorelm.LanguageModel) -> None:
    reply = model.generate("", must_contain=["barn, hare", "went"], seed=3, num_samples=10)
    for sample in reply.samples:
        assert {"barn", "hare", "went"} <= set(model.tokenizer.tokenize(sample.text))
        assert sample.missing_words == []


def test_a_word_may_begin_the_sentence(model: lorelm.LanguageModel) -> None:
    """Most sentences begin with "The" and "Then" as people write these words in lower case."""
    reply = model.generate("", must_contain=["then"], seed=1, num_samples=20)
    assert any(sample.text.startswith("Then") for sample in reply.samples)
    assert all(sample.missing_words == [] for sample in reply.samples)


def test_the_place_is_the_likeliest_of_a_greedy_sentence(model: lorelm.LanguageModel) -> None:
    free = model.generate("The fox", temperature=0, num_alternatives=0)
    assert free.samples[0].tokens is not None
    prefixes, logs = ["The fox"], []
    for token in free.samples[0].tokens[:-1]:
        prefixes.append(prefixes[-1] + token.text)
    for prefix in prefixes:
        ids = model.prompts.read(prefix).ids
        logits_V, _ = model.runtime.read([1, *ids])
        logits_V[UNK_ID] = -np.inf
        place = model.vocabulary.encode(["barn"])[0]
        logs.append(logits_V[place] - np.log(np.exp(logits_V).sum()))
    reply = model.generate("The fox", temperature=0, must_contain=["barn"])
    assert (reply.prompt + reply.text).startswith(prefixes[int(np.argmax(logs))] + " barn")


def test_the_same_seed_gives_the_same_text_whatever_is_beside_it(
    model: lorelm.LanguageModel,
) -> None:
    several = model.generate("The", must_contain=["owl"], seed=5, num_samples=3)
    for sample in several.samples:
        alone = model.generate("The", must_contain=["owl"], seed=sample.seed)
        assert alone.samples[0] == sample
    many = model.generate_many(["No", "The"], must_contain=["owl"], seed=5)
    assert many[1].samples[0] == several.samples[0]
    streamed = "".join(model.stream("The", must_contain=["owl"], seed=5))
    assert streamed == several.samples[0].text


def test_what_is_forbidden_stays_so_and_the_reply_says_it(model: lorelm.LanguageModel) -> None:
    for banned in (["owl"], ["owl", "Owl"]):
        with raises_code(SamplingError, "setting.contradiction") as refused:
            model.generate("The", must_contain=["mill", "owl"], banned_words=banned, seed=1)
        assert "'owl'" in str(refused.value)
    cut = model.generate("The", must_contain=["owl"], stop=["owl"], seed=1)
    assert cut.samples[0].missing_words == ["owl"]
    assert cut.samples[0].finish_reason == "stop"


def test_a_text_that_may_not_copy_does_not(model: lorelm.LanguageModel) -> None:
    reply = model.generate("The fox", must_contain=["river"], novel_span=6, seed=2, num_samples=8)
    assert all(sample.copied_spans == [] for sample in reply.samples)
    assert any("river" in sample.text for sample in reply.samples)


def test_a_word_of_the_prompt_that_the_model_does_not_know(model: lorelm.LanguageModel) -> None:
    reply = model.generate("The fox and Aragast went", must_contain=["Aragast"], seed=1)
    assert "Aragast" in reply.text
    assert reply.samples[0].missing_words == []


def test_a_word_that_cannot_be_written_is_refused(model: lorelm.LanguageModel) -> None:
    with raises_code(SamplingError, "setting.unknown_word") as unknown:
        model.generate("The", must_contain=["owll"])
    assert "does not know 'owll'; is it 'owl'?" in str(unknown.value)
    with raises_code(SamplingError, "setting.not_a_word"):
        model.generate("The", must_contain=["old-fox"])
    with pytest.raises(SamplingError, match="at most 4 words, not 5"):
        model.generate("The", must_contain=["fox owl mill barn toad"])


def test_a_cue_of_a_speaker_is_no_word(scene_bundle: Path) -> None:
    model = lorelm.load(scene_bundle)
    for cue in ("OWL:", "FRODO:"):
        with raises_code(SamplingError, "setting.not_a_word") as refused:
            model.generate("", must_contain=[cue])
        assert f"{cue!r} is the cue of a speaker" in str(refused.value)


def test_a_line_of_a_speaker_has_the_word(scene_bundle: Path) -> None:
    model = lorelm.load(scene_bundle)
    turns = [("OWL", "Where is the mill?")]
    reply = model.generate("", speaker="HARE", turns=turns, must_contain=["river"], num_samples=8)
    assert all("river" in sample.text for sample in reply.samples)
    assert not any("OWL:" in sample.text for sample in reply.samples)


def test_a_sentence_does_not_begin_with_a_word_in_lower_case(model: lorelm.LanguageModel) -> None:
    """As "singing The owl" would, which a lottery over all places has at times."""
    asked = {"must_contain": ["singing"], "max_len": 1, "seed": 1}
    assert model.generate("The fox slept.\n", **asked).samples[0].missing_words == ["singing"]
    assert model.generate("The fox", **asked).text == " singing"
    sentences = Sentences(model.tokenizer, model.vocabulary)
    ids = model.vocabulary.encode(model.tokenizer.tokenize('The fox slept. "Who')).tolist()
    places = [sentences.begins_after(ids[:length]) for length in range(len(ids) + 1)]
    assert places == [True, False, False, False, True, True, False]


def test_a_sentence_ends_after_a_word(model: lorelm.LanguageModel) -> None:
    sentences = Sentences(model.tokenizer, model.vocabulary)

    def has_ended(text: str) -> bool:
        return sentences.has_ended(model.vocabulary.encode(model.tokenizer.tokenize(text)).tolist())

    assert has_ended("The fox slept.")
    assert has_ended("Who goes there?")
    assert not has_ended("The fox")
    assert not sentences.has_ended([])
    [mark] = model.vocabulary.encode(["￭."])
    assert not sentences.has_ended([int(mark)])  # of the sentence in the prompt
