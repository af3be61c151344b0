import csv
import itertools
import random

import pytest
from tests.errors import raises_code

from lorelm.corpus.documents import CorpusParts, Documents
from lorelm.corpus.preparation import prepare_corpus
from lorelm.corpus.special_tokens import EOS, UNK
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.corpus.vocabulary import EOS_ID, UNK_ID, VocabularyRules
from lorelm.errors import CorpusError

NAMES = {"valid": "validation", "test": "test"}


def documents(*texts: str) -> Documents:
    return Documents(texts=texts, source="a test")


def prepare(corpus: Documents, *, style="classic", min_frequency=1, seed=0, **parts):
    return prepare_corpus(
        CorpusParts(documents=corpus, **parts) if parts else corpus,
        tokenizer=make_tokenizer(style),
        vocabulary=VocabularyRules(min_frequency=min_frequency),
        split_seed=seed,
    )


@pytest.mark.parametrize("style", ["classic", "words"])
@pytest.mark.parametrize("seed", range(5))
def test_words_of_valid_and_test_never_enter_the_vocabulary(style, seed):
    corpus = prepare(documents(*(f"word{i}" for i in range(50))), style=style, seed=seed)
    assert len(corpus.vocabulary) == 2 + 40
    assert corpus.train.unknown_rate == 0
    assert corpus.valid.stream.tolist() == [UNK_ID, EOS_ID] * 5
    assert corpus.test.stream.tolist() == [UNK_ID, EOS_ID] * 5


def test_words_of_given_valid_and_test_files_never_enter_the_vocabulary():
    corpus = prepare(
        documents("ring of power"), valid=documents("ring of elf"), test=documents("orc orc ring")
    )
    assert set(corpus.vocabulary.words) == {UNK, EOS, "ring", "of", "power"}
    assert corpus.vocabulary.decode(corpus.valid.stream) == ["ring", "of", UNK, EOS]
    assert corpus.vocabulary.decode(corpus.test.stream) == [UNK, UNK, "ring", EOS]


@pytest.mark.parametrize("seed", range(5))
def test_documents_with_the_same_tokens_never_straddle_the_split(seed):
    twins = [form.format(i) for i in range(40) for form in ("word{}", "WORD{}!", "  Word{} ...")]
    corpus = prepare(documents(*twins), seed=seed)
    # Each document is a word of its own: known outside the training part, it would have leaked.
    assert corpus.valid.unknown_rate == corpus.test.unknown_rate == 1
    assert corpus.train.num_documents == len(corpus.train.stream) / 2 == 96


def test_rare_words_are_unknown_in_training_too():
    corpus = prepare(
        documents("ring ring elf"), min_frequency=2, valid=documents("elf"), test=documents("ring")
    )
    assert corpus.vocabulary.words == (UNK, EOS, "ring")
    assert corpus.train.stream.tolist() == [2, 2, UNK_ID, EOS_ID]
    assert corpus.train.unknown_rate == pytest.approx(1 / 3)


def test_unk_in_the_corpus_is_the_unknown_word():
    corpus = prepare(
        documents("the <unk> and <unk>"),
        style="words",
        valid=documents("the <unk>"),
        test=documents("and"),
    )
    assert corpus.vocabulary.words == (UNK, EOS, "and", "the")
    assert corpus.train.stream.tolist() == [3, UNK_ID, 2, UNK_ID, EOS_ID]
    assert corpus.train.unknown_rate == 0.5


def test_a_document_without_a_token_is_left_out():
    corpus = prepare(documents("ring", "--", "ring"), valid=documents("ring"), test=documents("a"))
    assert corpus.train.num_documents == 2
    assert corpus.train.stream.tolist() == [2, EOS_ID, 2, EOS_ID]


def test_the_same_texts_and_seed_give_the_same_corpus():
    texts = [f"word{i}" for i in range(50)]
    first, second = prepare(documents(*texts)), prepare(documents(*texts))
    assert first.fingerprint == second.fingerprint
    assert first.vocabulary == second.vocabulary
    assert first.train.stream.tolist() == second.train.stream.tolist()
    assert prepare(documents(*texts), seed=1).vocabulary != first.vocabulary


def test_the_fingerprint_changes_with_any_part():
    fingerprints = {
        prepare(documents(train), valid=documents(valid), test=documents(test)).fingerprint
        for train, valid, test in ["aaa", "aab", "aba", "baa"]
    }
    assert len(fingerprints) == 4


def test_where_a_text_ends_is_part_of_the_fingerprint():
    assert documents("ab", "c").fingerprint != documents("a", "bc").fingerprint
    assert documents("ab", "c").fingerprint != documents("c", "ab").fingerprint


@pytest.mark.parametrize(("given", "other"), [("valid", "test"), ("test", "valid")])
def test_a_part_that_is_not_given_is_split_off_and_the_rest_trains(given, other):
    texts = documents(*(f"word{i % 40}" for i in range(50)))
    whole, corpus = prepare(texts), prepare(texts, **{given: documents("word1", "elf")})
    assert getattr(corpus, other).documents == getattr(whole, other).documents
    assert getattr(corpus, given).documents == [["word1"], ["elf"]]
    split_off = {word for tokens in getattr(corpus, other).documents for word in tokens}
    train = {word for tokens in corpus.train.documents for word in tokens}
    assert train == {f"word{i}" for i in range(40)} - split_off
    assert set(corpus.vocabulary.words) == {UNK, EOS} | train
    assert any(f"since only a {NAMES[given]} part was given" in note for note in corpus.notes)


def test_a_given_part_that_is_in_the_training_text_is_noted_with_its_share():
    texts = documents(*(f"word{i} of a tale" for i in range(100)))
    corpus = prepare(
        texts, valid=documents("WORD1 of a tale!", "word2 of a tale", "an elf", "an orc", "--")
    )
    [note] = [note for note in corpus.notes if "training text too" in note]
    assert "50% of the documents of the validation part" in note
    assert "leave out valid (--valid)" in note


@pytest.mark.parametrize("num_shared", [0, 1])
def test_a_given_part_that_shares_a_phrase_by_chance_is_not_noted(num_shared):
    train = documents(*(f"word{i}" for i in range(9)))
    held_out = documents(*["word3"][:num_shared], *(f"other{i}" for i in range(150)))
    assert prepare(train, valid=held_out, test=held_out).notes == []


def test_too_few_documents_are_refused():
    with raises_code(CorpusError, "corpus.too_few_documents"):
        prepare(documents("Ring!", "ring", "elf"))


def test_a_corpus_without_a_token_is_refused_by_its_name():
    with raises_code(CorpusError, "corpus.no_words") as caught:
        prepare(documents("Привет", "мир", "труд"))
    assert "training part of a test " in str(caught.value)


def test_a_part_without_a_token_is_refused_by_its_name():
    with raises_code(CorpusError, "corpus.no_words") as caught:
        prepare(
            documents("ring"),
            valid=documents("ring"),
            test=Documents(texts=["Привет"], source="holdout"),
        )
    assert "test part of holdout " in str(caught.value)


def test_a_cut_off_that_leaves_no_word_is_refused():
    with raises_code(CorpusError, "corpus.no_frequent_words"):
        prepare(documents("a b c", "d e f", "g h i"), min_frequency=2)


def test_the_quality_split_of_the_film_dialogue_has_911_words(corpus_file):
    with corpus_file("lotr_scripts.csv").open(encoding="utf-8", newline="") as file:
        lines = [row["dialog"] for row in csv.DictReader(file)]
    random.Random(42).shuffle(lines)
    train_end = int(len(lines) * 0.8)
    valid_end = train_end + int(len(lines) * 0.1)
    corpus = prepare(
        documents(*lines[:train_end]),
        valid=documents(*lines[train_end:valid_end]),
        test=documents(*lines[valid_end:]),
        min_frequency=3,
    )
    assert len(corpus.vocabulary) == 911
    assert int((corpus.train.stream != EOS_ID).sum()) == 19_844


@pytest.mark.parametrize("max_tokens", [1, 50, 333, 10_000])
def test_samples_of_the_held_out_parts_are_whole_documents_from_all_over(max_tokens):
    lengths = [1 + i % 7 for i in range(300)]
    texts = documents(*(" ".join([f"word{i}"] * n) for i, n in enumerate(lengths)))
    corpus = prepare(texts, valid=texts, test=documents("word1", "word2"))
    sampled = corpus.with_samples(max_tokens)
    kept = [corpus.valid.documents.index(tokens) for tokens in sampled.valid.documents]
    assert kept == sorted(kept)
    assert len(sampled.valid.stream) == pytest.approx(
        min(max(max_tokens, 8), len(corpus.valid.stream)), abs=10
    )
    gaps = [after - before for before, after in itertools.pairwise([*kept, 300])]
    assert max(gaps) - min(gaps) <= 1
    words = [token for tokens in sampled.valid.documents for token in (*tokens, EOS)]
    assert corpus.vocabulary.decode(sampled.valid.stream) == words
    assert sampled.test.num_documents == 2, "from one document no interval can be computed"
    assert sampled.is_sampled == (max_tokens < 10_000)
    assert sampled.train is corpus.train
