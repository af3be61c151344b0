from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.bundle.importing.foreign import UNK, WORDS, ForeignModel, greedy

import lorelm
from lorelm.bundle import Bundle
from lorelm.errors import SamplingError
from lorelm.evaluation.perplexity import predict
from lorelm.generation.generator import generate
from lorelm.generation.reply import prompt_tokens
from lorelm.generation.settings import GenerationSettings


@pytest.fixture(scope="module")
def model(tiny_bundle: Path) -> lorelm.LanguageModel:
    return lorelm.load(tiny_bundle)


def test_the_same_seed_gives_the_same_text(model: lorelm.LanguageModel) -> None:
    one, two = (model.generate("The fox", seed=3) for _ in range(2))
    assert one == two
    assert one.text


def test_a_seed_of_the_reply_gives_its_sample_again(model: lorelm.LanguageModel) -> None:
    reply = model.generate("The fox", num_samples=4, temperature=2.0)
    for sample in reply.samples:
        again = model.generate("The fox", seed=sample.seed, temperature=2.0)
        assert again.samples[0] == sample


def test_text_reads_on_after_the_prompt(model: lorelm.LanguageModel) -> None:
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
    with pytest.raises(SamplingError, match="warmth: is not a setting: the settings are max"):
        model.generate("The fox", warmth=3)


def test_float32_generates_too(tiny_bundle: Path) -> None:
    assert lorelm.load(tiny_bundle, precision="float32").generate("The fox", seed=1).text


def test_a_score_is_that_of_the_stream(model: lorelm.LanguageModel, tiny_bundle: Path) -> None:
    """Token by token against the evaluation of a whole stream."""
    text = "The fox sat by the dragon."
    tokens = model.score(text)
    bundle = Bundle.load(tiny_bundle)
    stream = bundle.vocabulary.encode(bundle.tokenizer.tokenize(text))
    expected = predict(bundle.runtime(), stream).log_probabilities
    assert [token.log_probability for token in tokens] == pytest.approx(expected, abs=1e-6)
    assert "".join(token.text for token in tokens) == text
    assert all(token.alternatives == [] for token in tokens)
    assert model.score("") == []


def test_alternatives_read_on_after_the_text(model: lorelm.LanguageModel) -> None:
    reply = model.generate("The fox", seed=1, num_alternatives=20)
    sample = reply.samples[0]
    assert sample.tokens
    text = reply.prompt
    for token in sample.tokens:
        for other in token.alternatives:
            assert other.text == "" or not (text + other.text).endswith((" ,", " .", "  "))
        assert token.log_probability in [other.log_probability for other in token.alternatives]
        text += token.text
    assert text == reply.prompt + sample.text


def test_word_biases_and_bans_apply(model: lorelm.LanguageModel) -> None:
    plain = model.generate("The", seed=1, num_samples=20, temperature=1.5)
    [(word, _)] = Counter(" ".join(sample.text for sample in plain.samples).split()).most_common(1)
    without = model.generate(
        "The", seed=1, num_samples=20, temperature=1.5, banned_words=[word, "the"]
    )
    assert not any({word, "the"} & set(sample.text.split()) for sample in without.samples)
    fond = model.generate("The", seed=1, num_samples=20, max_len=1, logit_bias={"toad": 100})
    assert {sample.text for sample in fond.samples} == {" toad"}


def test_a_sample_has_its_minimum_length(model: lorelm.LanguageModel) -> None:
    reply = model.generate("The", seed=1, num_samples=20, min_len=25, max_len=30)
    assert all(25 <= sample.num_tokens <= 30 for sample in reply.samples)


def test_ids_and_documents_convert_into_each_other(model: lorelm.LanguageModel) -> None:
    text = "The fox sat.<eos>Who goes there?"
    ids = model.prompts.documents_to_ids(text)
    assert ids.count(1) == 1
    assert model.prompts.ids_to_documents(ids, field="tokens") == text
    with pytest.raises(SamplingError, match="tokens: 99 is not an id below"):
        model.prompts.ids_to_documents([99], field="tokens")
    prompt = model.prompts.of_ids(ids[:2])
    assert (prompt.text, prompt.has_eos) == ("The fox", False)
    assert model.prompts.of_ids([1, *ids[:2]]).has_eos


@pytest.fixture(scope="module")
def imported(imported_bundle: Path) -> lorelm.LanguageModel:
    return lorelm.load(imported_bundle)


def test_an_imported_model_generates_in_float32_what_it_generated_elsewhere(
    imported: lorelm.LanguageModel, imported_bundle: Path
) -> None:
    for prompt in ("the fox ran to", "w3", "a dragon ran"):
        ids = [WORDS.index(w) if w in WORDS else UNK for w in prompt.split()]
        expected = [WORDS[id_] for id_ in greedy(ForeignModel(), ids, max_len=30)]
        for asked in ({}, {"precision": "float32"}):
            model = lorelm.load(imported_bundle, **asked)
            assert model.generate(prompt, temperature=0, max_len=30).text.split() == expected
    assert lorelm.load(imported_bundle, precision="int8").generate(prompt, seed=1).text


def test_scores_of_an_imported_model_leave_its_texts_as_they_are(
    imported: lorelm.LanguageModel,
) -> None:
    settings = GenerationSettings(seed=4, num_alternatives=2)
    prompt = imported.prompts.read("the fox ran")
    replies = []
    for score_prompt in (True, False):
        request = imported.request(prompt, settings, score_prompt=score_prompt)
        generate(imported.runtime, request.sequences[0])
        replies.append(imported.reply(request))
        if score_prompt:
            tokens = prompt_tokens(request.sequences[0])
    assert replies[0] == replies[1]
    assert [token.text for token in tokens] == ["the", " fox", " ran"]
    assert tokens[0].log_probability is None
    assert all(token.log_probability is not None for token in tokens[1:])


def test_an_imported_model_scores_a_text_from_an_eos_on(
    imported: lorelm.LanguageModel, imported_bundle: Path
) -> None:
    tokens = imported.score("the fox ran")
    bundle = Bundle.load(imported_bundle)
    stream = bundle.vocabulary.encode(["the", "fox", "ran"])
    expected = predict(bundle.runtime(), stream).log_probabilities
    assert [token.log_probability for token in tokens] == pytest.approx(expected, abs=1e-6)


def test_an_eos_that_is_given_is_read(imported: lorelm.LanguageModel) -> None:
    settings = GenerationSettings(seed=4)
    ids = imported.vocabulary.encode(["the", "fox"]).tolist()
    for given in (ids, [1, *ids]):
        [sequence] = imported.request(imported.prompts.of_ids(given), settings).sequences
        assert sequence.token_ids == given


def test_words_that_are_never_written_cannot_be_biased_in(
    imported: lorelm.LanguageModel,
) -> None:
    biased = {"logit_bias": {"<pad>": 100.0, "fox": 50.0}, "max_len": 3}
    for settings in (biased, {"max_len": 1000, "min_len": 1000, "temperature": 5.0}):
        reply = imported.generate("the", seed=1, num_samples=4, **settings)
        for sample in reply.samples:
            assert sample.text
            assert not {"<pad>", "<unk>", "pad"} & set(sample.text.split())


PROMPTS = ["The fox", "", "The owl sat", "The fox"]
SETTINGS = [{}, {"stop": ["the ", "n "]}, {"repetition_penalty": 2.0, "banned_words": ["fox"]}]


@pytest.mark.parametrize("settings", SETTINGS, ids=["plain", "stop", "processors"])
def test_prompts_together_give_the_texts_that_each_gives_alone(
    model: lorelm.LanguageModel, settings: dict[str, Any]
) -> None:
    together = model.generate_many(iter(PROMPTS), seed=5, max_len=20, **settings)
    alone = [model.generate(prompt, seed=5, max_len=20, **settings) for prompt in PROMPTS]
    assert together == alone


def test_no_prompts_give_no_replies(model: lorelm.LanguageModel) -> None:
    assert model.generate_many([]) == []


@pytest.mark.parametrize("settings", SETTINGS, ids=["plain", "stop", "processors"])
def test_a_stream_adds_up_to_the_text(
    model: lorelm.LanguageModel, settings: dict[str, Any]
) -> None:
    for prompt in PROMPTS:
        chunks = list(model.stream(prompt, seed=5, max_len=20, **settings))
        assert "".join(chunks) == model.generate(prompt, seed=5, max_len=20, **settings).text


def test_a_stream_is_checked_before_its_first_chunk(model: lorelm.LanguageModel) -> None:
    for wrong in ({"num_samples": 2}, {"top_p": 0}, {"wings": 2}):
        with pytest.raises(SamplingError):
            model.stream("The", **wrong)
