"""Pieces of words are learned from the training part alone, and spell every word of its letters."""

from collections import Counter

import pytest

from lorelm.corpus.documents import CorpusParts, Documents
from lorelm.corpus.preparation import Corpus, prepare_corpus
from lorelm.corpus.subwords import is_without_spaces, learn_pieces, num_pieces
from lorelm.corpus.tokenizer import SubwordTokenizer, make_tokenizer
from lorelm.corpus.vocabulary import Vocabulary, VocabularyRules

M = SubwordTokenizer.MARK

ENDINGS = ["er", "est", "ing", "ly"]
STEMS = ["slow", "low", "new", "warm"]
TALES = ["".join(STEMS[i % 4] + ENDINGS[i // 4 % 4]) + " tales." for i in range(48)]


def prepare(documents: Documents | CorpusParts, **rules: int) -> Corpus:
    vocabulary = VocabularyRules(**rules)
    tokenizer = make_tokenizer("subword")
    return prepare_corpus(documents, tokenizer=tokenizer, vocabulary=vocabulary, split_seed=0)


def test_frequent_pairs_are_joined_first() -> None:
    counts = Counter({"low": 5, "lower": 4, "newer": 3, "x": 1})
    letters = {form for letter in "lowernx" for form in (letter, M + letter)}
    pieces = set(learn_pieces(counts, 14)) - letters
    # By hand: l+o and lo+w come 9 times each, e+r 7, low+er 4, and the others 3.
    assert pieces == {"lo", "low", f"{M}er"}
    assert "lower" in learn_pieces(counts, 15)


def test_the_order_of_words_decides_nothing() -> None:
    counts = Counter(" ".join(TALES).replace(".", "").split())
    backwards = dict(reversed(counts.items()))
    assert set(learn_pieces(counts, 60)) == set(learn_pieces(backwards, 60))


@pytest.mark.parametrize(("num_words", "size"), [(100, 2_000), (60_000, 3_000), (10**7, 8_000)])
def test_more_text_has_more_pieces(num_words: int, size: int) -> None:
    assert num_pieces(num_words) == size


def test_a_word_that_no_text_has_is_spelled_from_pieces() -> None:
    texts = Documents(texts=TALES, source="tales")
    held_out = Documents(texts=["warmlow slowestly."], source="held out")
    corpus = prepare(CorpusParts(documents=texts, valid=held_out, test=held_out), max_words=60)
    assert corpus.test.unknown_rate == 0
    [tokens] = corpus.test.documents
    assert corpus.tokenizer.detokenize(tokens) == "warmlow slowestly."
    assert len(tokens) > 3


def test_letters_of_the_held_out_parts_alone_are_unknown() -> None:
    texts = Documents(texts=TALES, source="tales")
    held_out = Documents(texts=["slowest žluť."], source="held out")
    corpus = prepare(CorpusParts(documents=texts, valid=held_out, test=held_out), max_words=60)
    assert not any("ž" in word for word in corpus.vocabulary.words)
    assert corpus.test.unknown_rate > 0


def test_the_vocabulary_of_a_model_is_all_that_its_tokenizer_needs() -> None:
    texts = Documents(texts=TALES, source="tales")
    corpus = prepare(texts, max_words=60)
    again = prepare_corpus(
        texts,
        tokenizer=make_tokenizer("subword"),
        vocabulary=Vocabulary(corpus.vocabulary.words),
        split_seed=0,
    )
    assert (again.train.stream == corpus.train.stream).all()
    tokenizer = make_tokenizer("subword", words=corpus.vocabulary.words)
    for text in (*TALES, "warmlow"):
        assert tokenizer.tokenize(text) == corpus.tokenizer.tokenize(text)


@pytest.mark.parametrize(
    "sentence",
    ["ภาษาไทยไม่มีช่องว่างระหว่างคำ", "中文没有空格但是有很多字", "日本語には空白がありません"],
)
def test_scripts_without_spaces_have_pieces(sentence: str) -> None:
    parts = [sentence[i:] + sentence[:i] for i in range(len(sentence))] * 4
    texts = Documents(texts=[f"{part}。" for part in parts], source="text")
    corpus = prepare(texts)
    [tokens, *_] = corpus.train.documents
    assert 1 < len(tokens) < len(sentence) + 1
    assert corpus.test.unknown_rate == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("สวัสดีชาวโลก", True),
        ("你好，世界！", True),
        ("こんにちは世界", True),
        ("សួស្តី", True),
        ("안녕 세상", False),
        ("नमस्ते दुनिया", False),
        ("Hello, 世界", False),
        ("", False),
        ("12, 13!", False),
    ],
)
def test_scripts_without_spaces_are_known_by_their_letters(text: str, expected: bool) -> None:
    assert is_without_spaces(text) is expected
