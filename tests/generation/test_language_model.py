from pathlib import Path

import pytest

import lorelm
from lorelm.errors import SamplingError


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> lorelm.LanguageModel:
    return lorelm.load(tiny_bundle)


def test_the_same_seed_gives_the_same_text(model: lorelm.LanguageModel) -> None:
    one, two = (model.generate("The fox", seed=3) for _ in range(2))
    assert one == two
    assert one.text


def test_the_reply_carries_what_gives_it_again(model: lorelm.LanguageModel) -> None:
    reply = model.generate("The fox", num_samples=4, temperature=2.0)
    for sample in reply.samples:
        again = model.generate("The fox", seed=sample.seed, temperature=2.0)
        assert again.samples[0] == sample


def test_text_reads_on_behind_the_prompt(model: lorelm.LanguageModel) -> None:
    for seed in range(20):
        reply = model.generate("The fox sat", seed=seed)
        whole = reply.prompt + reply.text
        assert model.tokenizer.tokenize(whole)[:3] == ["The", "fox", "sat"]
        assert "  " not in whole
        assert "￭" not in whole


def test_a_prompt_that_ends_in_a_space_gets_no_second_one(model: lorelm.LanguageModel) -> None:
    assert not model.generate("The fox ", seed=1).text.startswith(" ")


def test_an_empty_prompt_begins_a_document(model: lorelm.LanguageModel) -> None:
    texts = [model.generate("", seed=seed).text for seed in range(10)]
    assert all(text and not text[0].isspace() for text in texts)
    assert len(set(texts)) > 3


def test_unknown_words_are_named_once(model: lorelm.LanguageModel) -> None:
    reply = model.generate("The dragon met the dragon and Smaug;", seed=1)
    assert list(reply.unknown_words) == ["dragon", "met", "Smaug", ";"]


def test_a_stop_text_is_found_across_tokens_and_left_out(model: lorelm.LanguageModel) -> None:
    free = model.generate("", seed=4)
    stop = free.text[6:13]  # ends and begins within words
    reply = model.generate("", seed=4, stop=[stop])
    assert reply.samples[0].finish_reason == "stop"
    assert reply.text == free.text[: free.text.index(stop)]


def test_the_first_of_several_stop_texts_counts(model: lorelm.LanguageModel) -> None:
    free = model.generate("", seed=4).text
    reply = model.generate("", seed=4, stop=[free[9:11], free[3:5]])
    assert reply.text == free[: min(free.index(free[3:5]), free.index(free[9:11]))]


def test_an_unknown_setting_is_refused_by_name(model: lorelm.LanguageModel) -> None:
    with pytest.raises(SamplingError, match="warmth: is not a setting; the settings are temp"):
        model.generate("The fox", warmth=3)


def test_float32_generates_too(tiny_bundle: Path) -> None:
    assert lorelm.load(tiny_bundle, precision="float32").generate("The fox", seed=1).text
