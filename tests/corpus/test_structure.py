"""Turns become documents; continuous text is split by position."""

from dataclasses import replace
from itertools import groupby, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelm.corpus.documents import CorpusParts
from lorelm.corpus.splits import TEST, TRAIN, VALID
from lorelm.corpus.structure import (
    GAP_WORDS,
    PASSAGE_WORDS,
    SCENE_WORDS,
    Content,
    Turn,
    describe,
    to_documents,
)

WORK = [[Turn(f"w{i} " * 20, "ANNA" if i % 2 else "BEN") for i in range(400)]]


def content_of(*works, kind="script") -> Content:
    return Content(kind=kind, works=works, source="a.txt")


def words_of(documents, part: int) -> list[str]:
    texts = zip(documents.texts, documents.parts, strict=True)
    return [word for text, p in texts if p == part for word in text.split() if word[0] == "w"]


def test_a_script_is_split_by_position_into_scenes() -> None:
    documents = to_documents(content_of(WORK))
    assert [part for part, _ in groupby(documents.parts)] == [TRAIN, VALID, TEST]
    sizes = [len(words_of(documents, part)) for part in (TRAIN, VALID, TEST)]
    assert 0.78 <= sizes[0] / 8000 <= 0.81
    assert all(0.08 <= size / 8000 <= 0.11 for size in sizes[1:])
    assert documents.speakers == {"BEN": 200, "ANNA": 200}
    assert documents.texts[0].startswith("BEN: w0 w0")
    assert "\nANNA: w1 w1" in documents.texts[0]


def test_words_between_the_parts_are_left_out() -> None:
    documents = to_documents(content_of(WORK))
    last = int(words_of(documents, TRAIN)[-1][1:])
    first = int(words_of(documents, VALID)[0][1:])
    assert 20 * (first - last - 1) >= GAP_WORDS
    assert 20 * (first - last - 2) < GAP_WORDS


def test_a_part_that_begins_with_a_scene_needs_no_gap() -> None:
    scenes = [[Turn(f"w{i} " * 20, "ANNA") for i in range(4 * n, 4 * n + 4)] for n in range(100)]
    documents = to_documents(content_of(scenes))
    assert sum(len(words_of(documents, part)) for part in (TRAIN, VALID, TEST)) == 8000
    assert len(documents) == 100


def test_each_long_work_is_split_alone_and_short_ones_together() -> None:
    documents = to_documents(content_of(WORK, WORK))
    assert [part for part, _ in groupby(documents.parts)] == [TRAIN, VALID, TEST] * 2
    short = [[Turn("w " * 20, "ANNA")]]
    documents = to_documents(content_of(*[short] * 50))
    assert [part for part, _ in groupby(documents.parts)] == [TRAIN, VALID, TEST]
    assert len(documents) == 50


def prose_of(num_paragraphs: int) -> Content:
    """Paragraphs of 23 sentences of ten words."""
    numbers = iter(range(10**6))
    sentences = (f"{' '.join(f'w{next(numbers)}' for _ in range(10))}." for _ in range(10**6))
    turns = [Turn(" ".join(islice(sentences, 23))) for _ in range(num_paragraphs)]
    return content_of([turns], kind="paragraphs")


@pytest.mark.parametrize("num_paragraphs", [3, 6, 9, 11])
def test_too_few_paragraphs_for_three_parts_are_cut_between_sentences(num_paragraphs: int) -> None:
    content = prose_of(num_paragraphs)
    whole = to_documents(content)
    assert set(whole.parts) != {TRAIN, VALID, TEST}
    documents = CorpusParts(documents=whole).documents
    assert [part for part, _ in groupby(documents.parts)] == [TRAIN, VALID, TEST]
    assert all(documents.parts.count(part) > 1 for part in (VALID, TEST))
    assert all(text.endswith(".") for text in documents.texts)
    text = "\n".join(turn.text for turn in content.turns)
    assert all(part in text for part in documents.texts)  # no line is broken in a paragraph
    num_words = sum(len(words_of(documents, part)) for part in (TRAIN, VALID, TEST))
    assert num_words >= 0.93 * len(text.split())


def test_a_test_part_of_one_passage_is_cut_in_two_and_the_others_stay() -> None:
    whole = to_documents(prose_of(21))
    assert whole.parts.count(TEST) == 1
    parts = CorpusParts(documents=whole)
    documents = parts.documents
    assert documents.parts == [*whole.parts, TEST]
    assert documents.texts[:-2] == whole.texts[:-1]
    assert " ".join(documents.texts[-2:]) == whole.texts[-1]
    assert documents.texts[-2].endswith(".")
    assert replace(parts).documents is documents
    assert CorpusParts(documents=whole, test=whole).documents is whole


def test_what_can_be_split_or_need_not_be_is_cut_as_ever() -> None:
    assert to_documents(prose_of(40)).finer is None
    short = to_documents(prose_of(6))
    whole = CorpusParts(documents=short, valid=short, test=short)
    assert whole.documents is short
    assert to_documents(content_of([[Turn("w1 w2. " * 9)]], kind="paragraphs")).finer is None


def test_a_speech_that_is_cut_finer_has_its_speaker_once_in_a_document() -> None:
    content = prose_of(4)
    documents = to_documents(content.map_turns(lambda turn: replace(turn, speaker="ANNA")), "text")
    texts = CorpusParts(documents=documents).documents.texts
    assert all(text.startswith("ANNA: w") for text in texts)
    assert all(text.count("ANNA") == 1 + text.count("\n") for text in texts)


def test_one_document_is_described_in_the_singular() -> None:
    documents = to_documents(content_of([[Turn("One line of text.")]], kind="lines"))
    assert describe(documents) == [
        "a.txt is read as lines: 1 document, a line or a row: 'One line of text.'."
    ]


def test_lines_and_paragraphs_are_independent() -> None:
    for unit in ("line", "paragraph"):
        documents = to_documents(content_of(WORK), unit)
        assert documents.parts == ()
        assert documents.texts == [str(turn) for turn in WORK[0]]


@given(st.lists(st.lists(st.integers(1, 900), min_size=1), min_size=1, max_size=20))
def test_no_word_is_lost_but_in_the_gaps(lengths: list[list[int]]) -> None:
    number = iter(range(10**9))
    scenes = [[Turn(" ".join(f"w{next(number)}" for _ in range(n))) for n in s] for s in lengths]
    documents = to_documents(content_of(scenes, kind="wrapped prose"))
    words = " ".join(documents.texts).split()
    assert len(words) == len(set(words))
    assert words == sorted(words, key=lambda word: int(word[1:]))
    total = sum(map(sum, lengths))
    longest = 2 * PASSAGE_WORDS
    assert total - len(words) <= 2 * (GAP_WORDS + longest)
    assert max(len(text.split()) for text in documents.texts) <= 3 * longest


def test_scenes_have_about_the_length_they_should() -> None:
    sizes = [len(text.split()) for text in to_documents(content_of(WORK)).texts]
    assert all(0.6 * SCENE_WORDS <= size <= 1.6 * SCENE_WORDS for size in sizes)


def test_the_kind_is_said_with_the_first_documents() -> None:
    [sentence] = describe(to_documents(content_of(WORK)))
    assert "a.txt is read as script" in sentence
    assert "BEN: w0" in sentence


def test_fragments_are_warned_of() -> None:
    lines = [[Turn(f"and then they went down the {i}")] for i in range(50)]
    assert "--document text" in describe(to_documents(content_of(lines, kind="lines")))[1]
    whole = [[Turn(f"Then they went down to number {i}.")] for i in range(50)]
    assert len(describe(to_documents(content_of(whole, kind="lines")))) == 1
