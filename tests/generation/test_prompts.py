"""Scenes as prompts, and lines that end where the next speaker begins."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.errors import raises_code

import lorelm
from lorelm.corpus.special_tokens import OTHER_SPEAKER, speaker_name
from lorelm.corpus.vocabulary import Vocabulary
from lorelm.errors import SamplingError
from lorelm.generation.generator import generate
from lorelm.generation.prompts import speaker_in
from lorelm.generation.settings import GenerationSettings


@pytest.fixture(scope="module")
def model(scene_bundle: Path) -> lorelm.LanguageModel:
    return lorelm.load(scene_bundle)


@pytest.fixture(scope="module")
def single_lines(model: lorelm.LanguageModel) -> lorelm.LanguageModel:
    """A model of the same speakers that has never seen a line break."""
    vocabulary = Vocabulary(
        [word if word != "\n" else "no break" for word in model.vocabulary.words]
    )
    return lorelm.LanguageModel(model.runtime, model.tokenizer, vocabulary)


TURNS = [("OWL", "Who is at the mill?"), ("hare", "I saw the mill.")]


def test_turns_are_read_as_the_lines_of_a_script(model: lorelm.LanguageModel) -> None:
    scene = model.prompts.read_scene("The mill", speaker="OLD MOLE", turns=TURNS)
    text = "OWL: Who is at the mill?\nHARE: I saw the mill.\nOLD MOLE: The mill"
    assert scene.text == text
    assert scene.ids.tolist() == model.prompts.read(text).ids.tolist()
    assert scene.unknown_words == []


def test_a_scene_without_a_next_speaker_ends_its_last_line(model: lorelm.LanguageModel) -> None:
    scene = model.prompts.read_scene("", turns=TURNS)
    assert scene.tokens[-1] == "\n"
    assert scene.text.endswith("mill.\n")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("BILL", "BILL"),
        ("Mr Fox", "Mr Fox"),
        ("a mouse", "A mouse"),
        ("the old: cat\nfrom down there", "The old cat from"),
        ("7 dwarfs", "SOMEONE"),
        ("李雷", "SOMEONE"),
    ],
)
def test_an_unknown_speaker_is_the_other_one_and_keeps_the_name_where_it_reads_as_one(
    model: lorelm.LanguageModel, name: str, shown: str
) -> None:
    scene = model.prompts.read_scene("", speaker=name)
    assert scene.text == f"{shown}:"
    assert scene.ids.tolist() == [model.vocabulary.speakers["SOMEONE"]]
    assert scene.unknown_words == [" ".join(name.split())]


NAMES = st.sampled_from(
    ["OWL", "hare", "Old  Mole", "Bob", "a mouse", "李雷", "A: B", "", "SOMEONE"]
)
TEXTS = st.sampled_from(
    ["Who is at the mill?", "", " I saw ", "Note: the hill.", "OWL: no", "two\nlines", "\n\nx\n"]
)


@given(st.lists(st.tuples(NAMES, TEXTS), max_size=4), NAMES, TEXTS)
def test_the_text_of_a_scene_reads_as_the_scene(
    model: lorelm.LanguageModel,
    single_lines: lorelm.LanguageModel,
    turns: list[tuple[str, str]],
    speaker: str,
    text: str,
) -> None:
    for each in (model, single_lines):
        scene = each.prompts.read_scene(text, speaker=speaker, turns=turns)
        again = each.prompts.read(scene.text)
        assert (again.ids.tolist(), again.tokens) == (scene.ids.tolist(), scene.tokens)
    spoken = [name for name, said in turns if name and said.strip()] + [speaker] * bool(speaker)
    scene = model.prompts.read_scene(text, speaker=speaker, turns=turns)
    cues = [token for token in scene.tokens if speaker_name(token)]
    assert len(cues) >= len(spoken)
    if speaker:
        scene = model.prompts.read_scene("", speaker=speaker, turns=turns)
        assert speaker_name(scene.tokens[-1])


def test_a_model_that_never_saw_a_line_break_reads_none_between_turns(
    single_lines: lorelm.LanguageModel,
) -> None:
    scene = single_lines.prompts.read_scene("", turns=TURNS)
    assert scene.text == "OWL: Who is at the mill?\nHARE: I saw the mill.\n"
    assert scene.unknown_words == []
    assert "\n" not in scene.tokens


def test_a_speech_that_begins_like_a_cue_is_one_speech(model: lorelm.LanguageModel) -> None:
    scene = model.prompts.read_scene("", turns=[("OWL", "HARE: the mill")])
    assert [speaker_name(token) for token in scene.tokens][:2] == ["OWL", None]


def test_one_line_is_written_and_no_more(model: lorelm.LanguageModel) -> None:
    for seed in range(30):
        reply = model.generate("", speaker="HARE", turns=TURNS[:1], seed=seed, max_len=60)
        assert reply.prompt == "OWL: Who is at the mill?\nHARE:"
        assert reply.text.startswith(" ")
        assert "\n" not in reply.text
        assert (
            "".join(model.stream("", speaker="HARE", turns=TURNS[:1], seed=seed, max_len=60))
            == reply.text
        )


def test_the_scene_runs_on_where_one_line_is_not_asked_for(model: lorelm.LanguageModel) -> None:
    reply = model.generate("", speaker="OWL", single_turn=False, seed=1, max_len=60)
    assert "\nHARE:" in reply.text or "\nOLD MOLE:" in reply.text


def test_no_line_is_empty_and_the_other_speaker_never_speaks(model: lorelm.LanguageModel) -> None:
    for seed in range(20):
        text = model.generate("", seed=seed, max_len=100, temperature=1.5).text
        assert "SOMEONE" not in text
        lines = text.split("\n")[:-1]
        assert all(line.partition(":")[2].strip() for line in lines if ":" in line)


@pytest.mark.parametrize("banned", [["JOAN:"], ["JOAN:", "BOB:"]])
def test_a_banned_speaker_of_the_prompt_never_speaks(
    model: lorelm.LanguageModel, banned: list[str]
) -> None:
    prompt, other = "JOAN: The mill.\nBOB: Who?\n", model.vocabulary.speakers["SOMEONE"]
    settings: Any = {"num_samples": 20, "max_len": 60, "logit_bias": {other: 20}}
    free = model.generate(prompt, seed=1, **settings)
    assert any("JOAN:" in sample.text for sample in free.samples)
    reply = model.generate(prompt, seed=1, banned_words=banned, **settings)
    for sample in reply.samples:
        assert not any(word in sample.text for word in banned)
        assert OTHER_SPEAKER not in sample.text
    assert any("BOB:" in sample.text for sample in reply.samples) == (len(banned) == 1)


@pytest.mark.parametrize(
    ("prompt", "others"),
    [
        ("OWL: The mill.\n", []),
        ("JOAN: The mill.\nBOB: Who?\n", ["JOAN", "BOB"]),
        ("JOAN: The mill.\nBOB: Who?\nOWL: No.\nJOAN: The mill.\n", ["BOB", "JOAN"]),
        ("SOMEONE: The mill.\n", ["SOMEONE"]),
    ],
)
def test_other_speakers_are_in_the_order_of_their_last_line(
    model: lorelm.LanguageModel, prompt: str, others: list[str]
) -> None:
    assert [*map(speaker_name, model.prompts.read(prompt).other_speakers)] == others


def test_speakers_that_the_model_does_not_know_speak_again_in_turn() -> None:
    model = lorelm.load("english")
    turns = [("MARTHA", "Who is at the mill?"), ("TOM", "The owl.")]
    prompt = model.prompts.read_scene("", turns=turns)
    spoken = []
    for seed in range(8):
        text = model.generate("", turns=turns, seed=seed, max_len=60).text
        assert text == model.generate(prompt.text, seed=seed, max_len=60).text
        names = re.findall(r"^([A-Z ]+):", text, re.MULTILINE)
        assert names == (["MARTHA", "TOM"] * len(names))[: len(names)]
        spoken += names
    assert len(spoken) > 16
    banned = model.generate("", turns=turns, max_len=60, seed=1, logit_bias={"SOMEONE:": -100})
    assert not re.search(r"^[A-Z ]+:", banned.text, re.MULTILINE)


def test_known_names_in_another_case_are_no_cast_of_one_s_own(model: lorelm.LanguageModel) -> None:
    prompt = model.prompts.read("Owl: The mill.\nZed: Who?\nZED: I.\n")
    assert [*map(speaker_name, prompt.other_speakers)] == ["Owl", "ZED"]
    assert prompt.names_known_speaker
    assert not model.prompts.read("SOMEONE: The mill.\nZed: Who?\n").names_known_speaker


def test_a_speaker_of_the_prompt_is_named_among_the_alternatives() -> None:
    turns = [("MARTHA", "Who is at the mill?"), ("TOM", "The owl.")]
    reply = lorelm.load("english").generate("", turns=turns, seed=1, num_alternatives=5)
    cues = [token for token in reply.samples[0].tokens or () if token.text.endswith("TOM:")]
    assert cues
    for token in cues:
        texts = [alternative.text for alternative in token.alternatives]
        assert token.text in texts
        assert not any("SOMEONE" in text for text in texts)


def test_the_line_of_an_unknown_speaker_ends_where_another_one_begins(
    model: lorelm.LanguageModel,
) -> None:
    turns = [("JOAN", "Who is at the mill?"), ("BOB", "The owl.")]
    for seed in range(30):
        reply = model.generate("", speaker="JOAN", turns=turns, seed=seed, max_len=60)
        assert "\n" not in reply.text


def test_a_model_without_speakers_reads_and_writes_lines(tiny_bundle: Path) -> None:
    model = lorelm.load(tiny_bundle)
    turns = [("A", "The fox sat"), ("B", "by the mill.")]
    assert model.prompts.read_scene("", turns=turns).text == "The fox sat\nby the mill.\n"
    reply = model.generate("", turns=turns, single_turn=True, max_len=60, seed=1)
    assert "\n" not in reply.text
    with raises_code(SamplingError, "setting.no_speakers"):
        model.generate("", speaker="A")


@pytest.mark.parametrize("turn", ["OWL: no", ("OWL",), ("OWL", 3), {"speaker": "OWL"}, 7])
def test_what_is_no_turn_is_refused(model: lorelm.LanguageModel, turn: object) -> None:
    with pytest.raises(SamplingError) as caught:
        model.generate("", turns=[turn])
    assert caught.value.problems[0].field == "turns"


def test_an_unknown_word_comes_back_as_it_was_written(model: lorelm.LanguageModel) -> None:
    turns = [("OWL", "Where is the castle?")]
    replies = [model.generate("", speaker="HARE", turns=turns, seed=seed) for seed in range(40)]
    assert replies[0].unknown_words == ["castle"]
    assert sum("castle" in reply.text for reply in replies) >= 4
    assert model.generate("", speaker="HARE", turns=turns, seed=3) == replies[3]


def test_a_stand_in_is_a_word_of_its_kind_that_the_prompt_lacks(
    model: lorelm.LanguageModel,
) -> None:
    prompt = model.prompts.read("OWL: Where is the castle, Zorblat?")
    request = model.request(prompt, GenerationSettings())
    stand_ins = request.prompt.stand_ins
    assert set(stand_ins.values()) <= {"castle", "Zorblat"}
    assert not set(stand_ins) & set(prompt.ids.tolist())
    for id_, token in stand_ins.items():
        assert model.vocabulary.words[id_][0].isupper() == token[0].isupper()


# What phones and Word write, after what it is read as.
TYPED = [
    ('"I don\'t know," she said. "It\'s \'tis."', "“I don’t know,” she said. “It’s ‚tis.”"),
    ('"I don\'t know," she said. "It\'s \'tis."', "„I donʼt know,‟ she said. “It’s ’tis.″"),
]


@pytest.mark.parametrize(("straight", "typed"), TYPED)
def test_quotation_marks_are_read_whatever_their_form(straight: str, typed: str) -> None:
    model = lorelm.load("english")
    expected, prompt = model.prompts.read(straight), model.prompts.read(typed)
    assert not prompt.unknown_words
    assert prompt.tokens == expected.tokens  # from which copies are found
    assert prompt.text == typed
    settings = {"seed": 3, "max_len": 12}
    assert model.generate(typed, **settings).text == model.generate(straight, **settings).text


def test_a_model_of_curly_marks_reads_straight_ones(model: lorelm.LanguageModel) -> None:
    words = ["<unk>", "<eos>", "“￭", "￭”", "don’t", "￭.", "'￭", "‘￭"]
    curly = lorelm.LanguageModel(model.runtime, model.tokenizer, Vocabulary(words))
    assert curly.prompts.read("\"Don't don't.\"").ids.tolist() == [2, 0, 4, 5, 3]
    assert curly.prompts.read("‘don't").ids.tolist() == [7, 4]  # the exact form comes first


def test_a_dash_is_read_whatever_the_spaces_around_it() -> None:
    model = lorelm.load("english")
    close, wide = (model.prompts.read(f"He was tired{dash}she") for dash in ("—", " — "))
    assert not wide.unknown_words
    assert wide.ids.tolist() == close.ids.tolist()
    reply = model.generate("He was tired —", seed=3, max_len=8)
    assert reply.text.startswith(" ")  # as it is written, not as it is read
    assert model.prompts.read("tired \ufffd she").unknown_words == ["\ufffd"]


def test_a_speaker_is_known_whatever_the_apostrophe(model: lorelm.LanguageModel) -> None:
    tokenizer = model.tokenizer.with_speakers(["O'BRIEN", "HARE"])
    names = ["<speaker O'BRIEN>", "<speaker HARE>", "<other speaker>"]
    vocabulary = Vocabulary(["<unk>", "<eos>", "\n", *names])
    irish = lorelm.LanguageModel(model.runtime, tokenizer, vocabulary)
    prompt = irish.prompts.read("O’BRIEN:\nAnn:")
    assert prompt.ids.tolist() == [3, 2, 5]
    assert prompt.names_known_speaker
    assert speaker_in(vocabulary, "O’Brien") == "O'BRIEN"


def test_scoring_reads_unknown_words_as_unknown(model: lorelm.LanguageModel) -> None:
    prompt = model.prompts.read("OWL: Where is the castle?")
    request = model.scoring_request(prompt, num_alternatives=0)
    assert not request.prompt.stand_ins
    [sequence] = request.sequences
    generate(model.runtime, sequence)
    assert 0 in sequence.token_ids


def test_a_scored_prompt_has_the_same_text(model: lorelm.LanguageModel) -> None:
    prompt = model.prompts.read("OWL: Where is the castle?\nHARE:")
    texts = []
    for score_prompt in (False, True):
        request = model.request(prompt, GenerationSettings(seed=3), score_prompt=score_prompt)
        [sequence] = request.sequences
        generate(model.runtime, sequence)
        texts.append(sequence.text())
    assert texts[0] == texts[1]
