import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lorelm.generation.token_scores import score_tokens

logits = hnp.arrays(np.float32, (3, 7), elements=st.floats(-30, 30, width=16))


def test_a_worked_example() -> None:
    shares = np.array([[0.5, 0.25, 0.125, 0.125]], dtype=np.float32)
    [score] = score_tokens(np.log(shares) + 3, [3], [2])
    assert score.log_probability == pytest.approx(math.log(0.125), abs=1e-6)
    # Id 0 is `<unk>`: it has its probability and is no alternative.
    assert [id_ for id_, _ in score.alternatives] == [1, 2]
    assert [log for _, log in score.alternatives] == pytest.approx(
        [math.log(0.25), math.log(0.125)], abs=1e-6
    )


@given(logits, st.lists(st.integers(0, 6), min_size=3, max_size=3), st.data())
def test_a_row_is_scored_as_it_would_be_alone(
    logits_BV: np.ndarray, ids: list[int], data: st.DataObject
) -> None:
    nums = data.draw(st.lists(st.integers(0, 20), min_size=3, max_size=3))
    together = score_tokens(logits_BV, ids, nums)
    for row in range(3):
        [alone] = score_tokens(logits_BV[[row]], [ids[row]], [nums[row]])
        assert together[row].log_probability == alone.log_probability
        found = [log for _, log in together[row].alternatives]
        assert found == [log for _, log in alone.alternatives]
        assert len(found) == min(nums[row], 6)
        assert found == sorted(found, reverse=True)


@given(logits)
def test_all_alternatives_and_the_unknown_word_sum_to_one(logits_BV: np.ndarray) -> None:
    for score in score_tokens(logits_BV, [0, 0, 0], [6, 6, 6]):
        logs = [score.log_probability, *(log for _, log in score.alternatives)]
        assert math.fsum(map(math.exp, logs)) == pytest.approx(1)


def test_the_inputs_are_left_as_they_are() -> None:
    logits_BV = np.arange(8, dtype=np.float32).reshape(2, 4)
    score_tokens(logits_BV, [1, 2], [3, 3])
    assert logits_BV.tolist() == np.arange(8).reshape(2, 4).tolist()
