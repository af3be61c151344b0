import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelm.ngrams.matches import Matches, Span, covered, longest_spans


@st.composite
def lengths_of_runs(draw):
    """A length for each place, none over the end."""
    num_places = draw(st.integers(0, 12))
    return [draw(st.integers(0, num_places - place)) for place in range(num_places)]


def matches_of(lengths):
    positions = [100 + 10 * place if length else -1 for place, length in enumerate(lengths)]
    return Matches(
        lengths=np.array(lengths, dtype=np.int64), positions=np.array(positions, dtype=np.int64)
    )


@given(lengths_of_runs(), st.integers(1, 5))
def test_a_token_is_covered_exactly_when_it_lies_in_a_run_long_enough(lengths, min_length):
    expected = [
        any(
            length >= min_length and start <= token < start + length
            for start, length in enumerate(lengths)
        )
        for token in range(len(lengths))
    ]
    assert covered(matches_of(lengths).lengths, min_length=min_length).tolist() == expected


@given(lengths_of_runs(), st.integers(1, 5))
def test_spans_are_the_runs_long_enough_that_lie_in_no_other(lengths, min_length):
    long = [(start, n) for start, n in enumerate(lengths) if n >= min_length]
    expected = [
        Span(start, n, 100 + 10 * start)
        for start, n in long
        if not any(
            other <= start and start + n <= other + m and (other, m) != (start, n)
            for other, m in long
        )
    ]
    assert longest_spans(matches_of(lengths), min_length=min_length) == expected


def test_an_example_by_hand():
    # Text:  the old man and the sea and the old oak
    # Query: and the old man , the sea and then
    matches = Matches(
        lengths=np.array([3, 3, 2, 1, 0, 3, 2, 1, 0]),
        positions=np.array([6, 0, 1, 2, -1, 4, 5, 6, -1]),
    )
    covered_by_three = covered(matches.lengths, min_length=3)
    assert covered_by_three.tolist() == [True] * 4 + [False] + [True] * 3 + [False]
    assert longest_spans(matches, min_length=3) == [Span(0, 3, 6), Span(1, 3, 0), Span(5, 3, 4)]
    assert not covered(matches.lengths, min_length=4).any()
    assert longest_spans(matches, min_length=4) == []


def test_spans_are_of_plain_numbers():
    (span,) = longest_spans(matches_of([2, 1]), min_length=2)
    assert [type(value) for value in (span.start, span.length, span.position)] == [int] * 3


@pytest.mark.parametrize("min_length", [1, 3])
def test_nothing_covers_nothing(min_length):
    assert covered(matches_of([]).lengths, min_length=min_length).tolist() == []
    assert longest_spans(matches_of([]), min_length=min_length) == []
