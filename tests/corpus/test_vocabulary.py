from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.errors import raises_code

from lorelm.corpus.special_tokens import EOS, OTHER_SPEAKER, SOMEONE, UNK
from lorelm.corpus.vocabulary import (
    EOS_ID,
    MIN_TURNS,
    UNK_ID,
    Vocabulary,
    VocabularyRules,
    letters,
    straight,
    unknown_rate,
)
from lorelm.errors import CorpusError

words = st.text(min_size=1).filter(lambda word: word not in (UNK, EOS))
word_lists = st.lists(words, unique=True)
documents = st.lists(st.lists(st.sampled_from(["the", "ring", "of", "a", UNK, "\n", "é"])))


def of_documents(documents, *, min_frequency):
    counts = Counter(chain.from_iterable(documents))
    return Vocabulary.from_counts(counts, VocabularyRules(min_frequency=min_frequency))


def test_frequent_words_come_first_and_equal_ones_in_alphabetical_order():
    vocabulary = of_documents(
        [["ring", "the", "a", "the"], ["the", "ring", "elf"]], min_frequency=1
    )
    assert vocabulary.words == (UNK, EOS, "the", "ring", "a", "elf")


def test_rare_words_are_left_out():
    vocabulary = of_documents(
        [["ring", "the", "a", "the"], ["the", "ring", "elf"]], min_frequency=2
    )
    assert vocabulary.words == (UNK, EOS, "the", "ring")


@given(documents, st.integers(1, 4))
def test_a_word_is_in_exactly_when_seen_often_enough(documents, min_frequency):
    vocabulary = of_documents(documents, min_frequency=min_frequency)
    flat = [token for document in documents for token in document if token != UNK]
    expected = {token for token in flat if flat.count(token) >= min_frequency}
    assert set(vocabulary.words[2:]) == expected
    assert len(vocabulary) == len(expected) + 2


@given(documents, st.randoms())
def test_the_order_of_documents_does_not_matter(documents, random):
    shuffled = random.sample(documents, len(documents))
    assert of_documents(documents, min_frequency=1) == of_documents(shuffled, min_frequency=1)


def test_unk_in_the_text_is_the_unknown_word_and_not_a_second_one():
    vocabulary = of_documents([[UNK, UNK, UNK, "ring"]], min_frequency=1)
    assert vocabulary.words == (UNK, EOS, "ring")
    assert vocabulary.encode([UNK, "ring"]).tolist() == [UNK_ID, 2]


def test_unk_and_eos_have_the_first_ids():
    assert Vocabulary([UNK, EOS, "ring"]).encode([UNK, EOS, "ring"]).tolist() == [0, 1, 2]
    assert (UNK_ID, EOS_ID) == (0, 1)


@given(word_lists, st.lists(words))
def test_unknown_words_get_id_zero_and_known_ones_come_back(known, tokens):
    vocabulary = Vocabulary([UNK, EOS, *known])
    ids = vocabulary.encode(tokens)
    assert ids.dtype == np.int64
    assert vocabulary.decode(ids) == [token if token in known else UNK for token in tokens]
    assert [token in vocabulary for token in tokens] == [token in known for token in tokens]


@given(word_lists)
def test_json_round_trip_keeps_every_word_and_id(known):
    vocabulary = Vocabulary([UNK, EOS, *known])
    again = Vocabulary.from_json(vocabulary.to_json())
    assert again == vocabulary
    assert hash(again) == hash(vocabulary)
    assert again.encode(known).tolist() == list(range(2, len(known) + 2))


def test_vocabularies_of_another_order_differ():
    assert Vocabulary([UNK, EOS, "a", "b"]) != Vocabulary([UNK, EOS, "b", "a"])
    assert Vocabulary([UNK, EOS]) != (UNK, EOS)


def test_a_repeated_word_is_refused_by_name():
    with raises_code(CorpusError, "vocabulary.repeated_word") as caught:
        Vocabulary([UNK, EOS, "ring", "elf", "ring"])
    assert "'ring'" in str(caught.value)


@pytest.mark.parametrize("beginning", [[], [UNK], [EOS, UNK], ["ring", UNK, EOS]])
def test_a_wrong_beginning_is_refused(beginning):
    with raises_code(CorpusError, "vocabulary.special_tokens"):
        Vocabulary(beginning)


@pytest.mark.parametrize(
    "text", ["", "{", '{"<unk>": 0}', '"<unk>"', "null", '["<unk>", "<eos>", 7]', "[" * 100_000]
)
def test_json_that_is_no_vocabulary_is_refused(text):
    with raises_code(CorpusError, "vocabulary.not_json"):
        Vocabulary.from_json(text)


def test_unknown_rate_leaves_document_ends_out():
    assert unknown_rate(np.array([2, UNK_ID, EOS_ID, 3, 4, EOS_ID])) == 0.25
    assert unknown_rate(np.array([EOS_ID])) == 0.0
    assert unknown_rate(np.zeros(0, dtype=np.int64)) == 0.0


def test_speakers_with_few_turns_share_a_token():
    counts = {"<speaker A>": MIN_TURNS, "<speaker B>": MIN_TURNS - 1, "<speaker C>": 1, "hall": 9}
    vocabulary = Vocabulary.from_counts(counts, VocabularyRules(min_frequency=3))
    assert set(vocabulary.words[2:]) == {"<speaker A>", OTHER_SPEAKER, "hall"}
    assert set(vocabulary.speakers) == {"A", SOMEONE}
    other = vocabulary.speakers[SOMEONE]
    assert vocabulary.encode(["<speaker B>", "<speaker D>", "x"]).tolist() == [other, other, UNK_ID]
    assert "<speaker D>" in vocabulary
    assert "x" not in vocabulary


def test_a_limit_of_words_leaves_the_speakers():
    counts = {"<speaker A>": 20, "one": 90, "two": 80, "three": 70}
    vocabulary = Vocabulary.from_counts(counts, VocabularyRules(min_frequency=1, max_words=2))
    assert vocabulary.words == (UNK, EOS, "one", "two", "<speaker A>", OTHER_SPEAKER)


def test_without_speakers_none_is_unknown():
    vocabulary = Vocabulary.from_counts({"a": 1}, VocabularyRules(min_frequency=1))
    assert vocabulary.speakers == {}
    assert vocabulary.encode(["<speaker A>"]).tolist() == [UNK_ID]


KNOWN = ("the", "ring", "horse", "Nazgul")


def test_known_words_are_kept_however_rare_and_follow_those_that_were_seen():
    counts = {"elf": 3, "rare": 1, "ring": 1, "the": 5}
    rules = VocabularyRules(min_frequency=2, known=KNOWN)
    vocabulary = Vocabulary.from_counts(counts, rules)
    assert vocabulary.words == (UNK, EOS, "the", "elf", "ring", "horse", "Nazgul")


def test_a_rare_word_is_kept_if_it_is_known_in_another_case_or_with_other_apostrophes():
    rules = VocabularyRules(min_frequency=2, known=("the", "Can't"))
    vocabulary = Vocabulary.from_counts({"THE": 1, "can’t": 1, "rare": 1}, rules)
    assert vocabulary.words == (UNK, EOS, "THE", "can’t", "the", "Can't")


def test_apostrophes_and_quotation_marks_are_one_whatever_their_form():
    assert {letters(f"Don{sign}t") for sign in "'’‘‛ʼ′＇´"} == {"don't"}
    assert {straight(f"{sign}￭") for sign in '"“”„‟″＂'} == {'"￭'}
    assert letters("don`t") == "don`t"  # code has it


@given(documents, st.lists(st.sampled_from(["horse", "the", "zebra", "é"]), unique=True))
def test_words_that_were_not_seen_come_last_in_the_order_in_which_they_are_known(texts, known):
    counts = Counter(token for text in texts for token in text if token != UNK)
    vocabulary = Vocabulary.from_counts(counts, VocabularyRules(min_frequency=2, known=known))
    seen = [word for word in vocabulary.words[2:] if counts[word]]
    unseen = [word for word in known if not counts[word]]
    assert list(vocabulary.words[2:]) == seen + unseen
    assert {word for word in known if counts[word]} <= set(seen)


def test_excluded_words_are_left_out_whatever_their_case_also_known_ones():
    rules = VocabularyRules(excluded=("Ring", "HORSE"), known=KNOWN)
    vocabulary = Vocabulary.from_counts({"ring": 9, "the": 1, "Ring’s": 3, "horse's": 3}, rules)
    assert vocabulary.words == (UNK, EOS, "the", "Nazgul")


def test_a_limit_keeps_words_that_were_seen_before_known_ones():
    rules = VocabularyRules(max_words=2, known=KNOWN)
    assert Vocabulary.from_counts({"elf": 1}, rules).words == (UNK, EOS, "elf", "the")
