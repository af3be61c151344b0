from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelm.corpus.token_keys import document_keys, token_keys
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.evaluation.memorisation import (
    SPAN_LENGTHS,
    CopiedTexts,
    TrainingText,
    WrittenText,
    count_seen,
    distinct_shares,
    find_copies,
)
from lorelm.ngrams.fingerprints import FingerprintIndex
from lorelm.ngrams.matches import longest_spans

TOKENIZER = make_tokenizer("words")
TRAINING = [
    "The ring was made in fire, and only fire unmakes it.",
    "No.",
    "Not all those who wander are lost\nnot all that is gold does glitter",
]


def written(*texts: str, is_complete: bool = True) -> list[WrittenText]:
    return [WrittenText(tokens=TOKENIZER.tokenize(t), is_complete=is_complete) for t in texts]


def training_text(texts: Sequence[str] = TRAINING) -> TrainingText:
    return TrainingText([TOKENIZER.tokenize(text) for text in texts], TOKENIZER)


def metrics(*texts: str, is_complete: bool = True) -> CopiedTexts:
    return find_copies(written(*texts, is_complete=is_complete), training_text(), TOKENIZER)


def test_copies_counted_by_hand() -> None:
    found = metrics("Some say The ring was made in gold", "No.")
    # "The ring was made in" is five of the first text's eight tokens; the second has two.
    assert found.num_tokens.tolist() == [8, 2]
    assert found.copied_share == {4: 0.5, 6: 0, 8: 0, 12: 0}
    assert found.longest_copy == 5
    assert found.copied_lines_share == 0.5


def test_nothing_written_is_nothing_copied() -> None:
    for found in (metrics(), metrics("")):
        assert found.num_tokens.sum() == found.longest_copy == 0
        assert found.copied_share == dict.fromkeys(SPAN_LENGTHS, 0)
        assert found.copied_lines_share is None


def test_a_whole_document_is_one_span() -> None:
    found = metrics(TRAINING[0])
    assert found.copied_share == dict.fromkeys(SPAN_LENGTHS, 1.0)
    assert found.longest_copy == 13
    assert found.copied_lines_share == 1


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("not all that is gold does glitter", 1),  # a line within a document
        ("all that is gold does glitter", 0),  # not the whole line
        ("not all that is gold does glitter\nNo.\nYes.", 2 / 3),
        ("The ring", 0),
    ],
)
def test_whole_lines(text: str, share: float) -> None:
    assert metrics(text).copied_lines_share == pytest.approx(share)


def test_a_line_that_was_cut_off_is_no_whole_line() -> None:
    assert metrics("No.", is_complete=False).copied_lines_share is None
    assert metrics("No.\nThe ring", is_complete=False).copied_lines_share == 1


def test_the_ends_of_a_text_are_no_words_of_it() -> None:
    # With its ends, "fire unmakes it." would be a span of five.
    assert metrics("fire unmakes it.").longest_copy == 4


def test_a_span_names_the_document_that_it_comes_from() -> None:
    training = training_text()
    copied = find_copies(written("Those who wander are lost, said No."), training, TOKENIZER)
    [span] = longest_spans(copied.matches[0], min_length=4)
    assert (span.start, span.length) == (1, 4)
    assert training.document_at(span.position) == TRAINING[2]


@pytest.mark.parametrize("place", range(len(TRAINING)))
def test_every_document_is_found_at_its_place(place: int) -> None:
    training = training_text()
    keys = token_keys(TOKENIZER.tokenize(TRAINING[place]), TOKENIZER)
    matches = training.longest_matches(keys)
    assert matches.lengths[0] == len(keys)
    assert training.document_at(int(matches.positions[0])) == TRAINING[place]


def test_distinct_shares_counted_by_hand() -> None:
    shares = distinct_shares(written("a b a b", "a b"), TOKENIZER)
    assert shares == {1: 2 / 6, 2: 2 / 4, 3: 2 / 2}


def test_documents_that_were_seen_are_counted_with_their_tokens() -> None:
    documents = [TOKENIZER.tokenize(text) for text in (TRAINING[1], "No one.", TRAINING[0], "No")]
    assert count_seen(documents, training_text(), TOKENIZER) == (2, 2 + 13)


def test_a_span_does_not_go_from_one_document_into_the_next() -> None:
    found = metrics("only fire unmakes it.\nNo.")
    assert found.longest_copy == 5
    assert metrics("wander are lost\nnot all that").longest_copy == 7  # within one it does


words = st.lists(st.sampled_from(["a", "b", "c", "\n", "￭,"]), min_size=1, max_size=30)


@given(st.lists(words, min_size=1, max_size=8), st.lists(words, min_size=1, max_size=4))
def test_the_fingerprints_say_what_the_exact_index_says(
    training: list[list[str]], texts: list[list[str]]
) -> None:
    samples = [WrittenText(tokens=tokens) for tokens in texts]
    fingerprints = FingerprintIndex.build(document_keys(training, TOKENIZER))
    exact = find_copies(samples, TrainingText(training, TOKENIZER), TOKENIZER)
    hashed = find_copies(samples, fingerprints, TOKENIZER)
    assert exact.copied_share == hashed.copied_share
    assert exact.copied_lines_share == hashed.copied_lines_share
    assert exact.longest_copy == hashed.longest_copy or exact.longest_copy < 3
