import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lorelm.errors import SamplingError
from lorelm.generation.logits import Penalties
from lorelm.generation.settings import GenerationSettings
from lorelm.sampling import sample, weights

LAST_UNIFORM = float(np.nextafter(1, 0))
PLAIN = GenerationSettings(temperature=1.0, min_p=0)

uniforms = st.floats(0, 1, exclude_max=True)
# Half precision, so that logits that differ have probabilities that differ.
logits_of_a_row = hnp.arrays(np.float32, st.integers(1, 12), elements=st.floats(-50, 50, width=16))
temperatures = st.just(0) | st.floats(0.01, 100)
settings_of_a_row = st.builds(
    GenerationSettings,
    temperature=temperatures,
    top_k=st.integers(0, 12),
    top_p=st.floats(1e-9, 1),
    min_p=st.floats(0, 1),
) | st.builds(GenerationSettings, temperature=temperatures, min_p=st.floats(0, 1))


@st.composite
def batches(draw):
    shape = draw(st.tuples(st.integers(1, 6), st.integers(2, 40)))
    logits = st.floats(-50, 50, width=32) | st.floats(-1e6, 1e6, width=32) | st.integers(-2, 2)
    logits_BV = draw(hnp.arrays(np.float32, shape, elements=logits))
    banned = list(draw(st.sets(st.integers(0, shape[1] - 1), max_size=shape[1] - 1)))
    logits_BV[:, banned] = -np.inf
    settings = draw(st.lists(settings_of_a_row, min_size=shape[0], max_size=shape[0]))
    return logits_BV, settings


def weights_of(logits_BV, settings):
    return weights(np.array(logits_BV), settings)  # a copy, which is overwritten


def next_probabilities(logits_BV, settings):
    weights_BV = weights_of(logits_BV, settings).astype(np.float64)
    return weights_BV / weights_BV.sum(axis=1, keepdims=True)


def probabilities(shares, settings=PLAIN, *, seen=(), banned_ids=()):
    """The distribution of one row whose plain probabilities are in proportion to `shares`."""
    return probabilities_of_logits(np.log(shares), settings, seen=seen, banned_ids=banned_ids)


def penalized(logits_V, settings, prompt_ids, generated_ids=()):
    """Apply the penalties, as the tokens come one after the other."""
    penalties = Penalties(settings, list(prompt_ids), len(logits_V))
    token_ids = list(prompt_ids)
    sequence = SimpleNamespace(token_ids=token_ids, num_prompt_ids=len(token_ids))
    penalized_V = penalties(logits_V, sequence)
    for id_ in generated_ids:
        token_ids.append(id_)
        penalized_V = penalties(logits_V, sequence)
    return penalized_V


def probabilities_of_logits(logits, settings=PLAIN, *, seen=(), banned_ids=()):
    logits_V = np.array(logits, dtype=np.float32)
    logits_V = penalized(logits_V, settings, seen)
    logits_V[list(banned_ids)] = -np.inf
    return next_probabilities(logits_V[None], [settings])[0]


def picks(shares, uniforms, settings=PLAIN, *, banned_ids=()):
    """What each of many equal rows picks with its own uniform number."""
    logits_BV = np.log(np.tile(shares, (len(uniforms), 1))).astype(np.float32)
    logits_BV[:, list(banned_ids)] = -np.inf
    return sample(
        logits_BV, [settings] * len(uniforms), uniforms_B=np.array(uniforms, dtype=np.float64)
    ).tolist()


@given(batches())
def test_the_likeliest_has_the_weight_one_and_banned_ids_have_none(batch):
    logits_BV, settings = batch
    weights_BV = weights_of(logits_BV, settings)
    assert (weights_BV >= 0).all()
    assert (weights_BV.max(axis=1) == 1).all()
    assert not weights_BV[np.isneginf(logits_BV)].any()


@given(batches(), st.data())
def test_what_is_picked_has_a_weight(batch, data):
    logits_BV, settings = batch
    choices = uniforms | st.sampled_from([0.0, 0.5, LAST_UNIFORM])
    uniforms_B = np.array([data.draw(choices) for _ in settings])
    picked_B = sample(logits_BV.copy(), settings, uniforms_B=uniforms_B)
    assert (weights_of(logits_BV, settings)[np.arange(len(settings)), picked_B] > 0).all()


@given(batches(), st.data())
def test_what_is_picked_is_where_the_cumulative_weight_passes(batch, data):
    """Both ways to pick, among all ids in blocks and among few, against one exact sum."""
    logits_BV, settings = batch
    uniforms_B = np.array([data.draw(uniforms) for _ in settings])
    picked_B = sample(logits_BV.copy(), settings, uniforms_B=uniforms_B)
    for weights_V, uniform, picked in zip(
        weights_of(logits_BV, settings), uniforms_B, picked_B, strict=True
    ):
        total = math.fsum(weights_V)
        assert math.fsum(weights_V[:picked]) <= total * (uniform + 1e-6)
        assert math.fsum(weights_V[: picked + 1]) >= total * (uniform - 1e-6)


@given(batches(), st.data())
def test_a_row_does_not_depend_on_the_rows_beside_it(batch, data):
    logits_BV, settings = batch
    num_rows = len(settings)
    uniforms_B = np.array([data.draw(uniforms) for _ in settings])
    together_BV = weights_of(logits_BV, settings)
    picked_B = sample(logits_BV.copy(), settings, uniforms_B=uniforms_B)
    some_rows = data.draw(st.lists(st.integers(0, num_rows - 1), min_size=1, max_size=8))
    for chosen in (*([row] for row in range(num_rows)), some_rows):
        part = logits_BV[chosen], [settings[row] for row in chosen]
        assert np.array_equal(weights_of(*part), together_BV[chosen])
        assert np.array_equal(sample(*part, uniforms_B=uniforms_B[chosen]), picked_B[chosen])


@pytest.mark.parametrize("vocabulary_size", [911, 1024, 5000])
def test_a_row_of_a_real_vocabulary_does_not_depend_on_its_place(vocabulary_size):
    random = np.random.default_rng(0)
    logits_BV = random.normal(0, 3, (33, vocabulary_size)).astype(np.float32)
    uniforms_B = random.random(33)
    rows = [
        *(
            GenerationSettings(top_p=0.9),
            GenerationSettings(top_k=40),
            GenerationSettings(min_p=0.05),
            GenerationSettings(min_p=0),
        ),
        GenerationSettings(temperature=0),
    ]
    settings = [rows[row % len(rows)] for row in range(33)]
    together_BV = weights_of(logits_BV, settings)
    picked_B = sample(logits_BV.copy(), settings, uniforms_B=uniforms_B)
    for row in range(33):
        part = logits_BV[[row]], settings[row : row + 1]
        assert np.array_equal(weights_of(*part)[0], together_BV[row])
        assert sample(*part, uniforms_B=uniforms_B[[row]]) == picked_B[row]


@given(logits_of_a_row, uniforms)
def test_temperature_zero_and_top_k_one_take_the_likeliest(logits, uniform):
    for settings in (GenerationSettings(temperature=0), GenerationSettings(top_k=1)):
        distribution = probabilities_of_logits(logits, settings)
        assert distribution.tolist() == np.eye(len(logits))[np.argmax(logits)].tolist()
    greedy = [GenerationSettings(temperature=0)]
    picked = sample(logits[None].copy(), greedy, uniforms_B=np.array([uniform]))
    assert picked.tolist() == [np.argmax(logits)]


@given(logits_of_a_row)
def test_plain_settings_give_the_softmax(logits):
    exponentials = [math.exp(float(logit)) for logit in logits]
    expected = [value / math.fsum(exponentials) for value in exponentials]
    assert probabilities_of_logits(logits).tolist() == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_temperature_divides_the_logits():
    hot = probabilities([0.64, 0.16, 0.16, 0.04], GenerationSettings(temperature=2))
    assert hot == pytest.approx([4 / 9, 2 / 9, 2 / 9, 1 / 9], rel=1e-5)
    cold = probabilities([1, 2, 3], GenerationSettings(temperature=0.5))
    assert cold == pytest.approx([1 / 14, 4 / 14, 9 / 14], rel=1e-5)


def test_top_k_keeps_the_k_likeliest():
    settings = GenerationSettings(temperature=1, top_k=2)
    kept = probabilities([0.1, 0.4, 0.2, 0.3], settings)
    assert kept == pytest.approx([0, 4 / 7, 0, 3 / 7], rel=1e-5)
    assert probabilities([0.1, 0.4, 0.2, 0.3], GenerationSettings(temperature=1, top_k=9)).all()


def test_of_equally_likely_ids_top_k_keeps_exactly_k():
    settings = GenerationSettings(temperature=1, top_k=2)
    assert np.count_nonzero(probabilities([0.25] * 4, settings)) == 2


@pytest.mark.parametrize(
    ("top_p", "expected"),
    [
        (1e-9, [0, 1, 0, 0]),
        (0.39, [0, 1, 0, 0]),
        (0.41, [0, 4 / 7, 0, 3 / 7]),
        (0.69, [0, 4 / 7, 0, 3 / 7]),
        (0.71, [0, 4 / 9, 2 / 9, 3 / 9]),
        (0.91, [0.1, 0.4, 0.2, 0.3]),
        (1.0, [0.1, 0.4, 0.2, 0.3]),
    ],
)
def test_top_p_keeps_the_likeliest_that_together_reach_it(top_p, expected):
    settings = GenerationSettings(temperature=1, top_p=top_p)
    assert probabilities([0.1, 0.4, 0.2, 0.3], settings) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("min_p", "expected"),
    [
        (0.0, [0.1, 0.4, 0.2, 0.3]),
        (0.24, [0.1, 0.4, 0.2, 0.3]),
        (0.26, [0, 4 / 9, 2 / 9, 3 / 9]),
        (0.51, [0, 4 / 7, 0, 3 / 7]),
        (1.0, [0, 1, 0, 0]),
    ],
)
def test_min_p_keeps_ids_with_that_share_of_the_likeliest(min_p, expected):
    settings = GenerationSettings(temperature=1, min_p=min_p)
    assert probabilities([0.1, 0.4, 0.2, 0.3], settings) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("penalty", "logits"), [(2.0, [1.0, -2.0, 0.5, -0.5]), (0.5, [4.0, -0.5, 0.5, -0.5])]
)
def test_the_penalty_divides_positive_and_multiplies_negative_logits_of_seen_ids(penalty, logits):
    penalized = probabilities_of_logits(
        [2.0, -1.0, 0.5, -0.5],
        GenerationSettings(temperature=1, min_p=0, repetition_penalty=penalty),
        seen=[0, 1],
    )
    exponentials = np.exp(logits)
    assert penalized == pytest.approx(exponentials / exponentials.sum(), rel=1e-5)


def test_frequency_counts_each_time_and_presence_once():
    settings = GenerationSettings(temperature=1, frequency_penalty=0.5, presence_penalty=-0.25)
    logits = penalized(np.array([1, 2, -1, 0], dtype=np.float32), settings, [0, 3], [1, 1, 2])
    assert logits.tolist() == [1, 2 - 2 * 0.5 + 0.25, -1 - 0.5 + 0.25, 0]


def test_the_penalties_act_together_and_leave_the_logits_as_they_are():
    settings = GenerationSettings(repetition_penalty=2, frequency_penalty=1, presence_penalty=1)
    logits = np.array([4, 4, 4], dtype=np.float32)
    assert penalized(logits, settings, [0], [1]).tolist() == [2, 2 - 1 - 1, 4]
    assert logits.tolist() == [4, 4, 4]


def test_the_penalty_can_change_what_the_likeliest_is():
    settings = GenerationSettings(temperature=0, repetition_penalty=3)
    assert probabilities_of_logits([2, 1], settings, seen=[0]).tolist() == [0, 1]


def test_filters_act_on_what_the_one_before_has_left():
    shares = [0.1, 0.4, 0.2, 0.3]
    # Of the two that top-k leaves, the first holds 4/7 and reaches 0.5 alone; of all four, not.
    top_k_then_p = GenerationSettings(temperature=1, top_k=2, top_p=0.5)
    assert probabilities(shares, top_k_then_p).tolist() == [0, 1, 0, 0]
    # The banned id counts neither among the k nor towards p, nor as the likeliest.
    second = GenerationSettings(temperature=1, top_k=1)
    assert probabilities(shares, second, banned_ids=[1]).tolist() == [0, 0, 0, 1]
    assert probabilities(
        shares, GenerationSettings(temperature=1, top_p=0.7), banned_ids=[1]
    ) == pytest.approx([0, 0, 0.4, 0.6], rel=1e-5)
    assert probabilities(
        shares, GenerationSettings(temperature=1, min_p=0.7), banned_ids=[3]
    ) == pytest.approx([0, 1, 0, 0], rel=1e-5)
    # Heat brings an id above the threshold of min-p that would have fallen below it.
    hot = GenerationSettings(temperature=2, min_p=0.45)
    assert probabilities([0.64, 0.16, 0.16, 0.04], hot) == pytest.approx([0.5, 0.25, 0.25, 0])


def test_a_banned_id_stays_banned_under_every_setting():
    for settings in (
        GenerationSettings(temperature=0),
        GenerationSettings(temperature=100),
        GenerationSettings(repetition_penalty=0.01),
    ):
        distribution = probabilities([1, 2, 96], settings, seen=[0, 1, 2], banned_ids=[2, 0])
        assert distribution.tolist() == [0, 1, 0]


def test_the_extreme_uniforms_pick_the_first_and_the_last_allowed_id():
    extremes = [0.0, 0.999999, LAST_UNIFORM]
    assert picks([0.25, 0.25, 0.25, 0.25], extremes) == [0, 3, 3]
    assert picks([0.25, 0.25, 0.25, 0.25], extremes, banned_ids=[0, 3]) == [1, 2, 2]
    top_two = GenerationSettings(temperature=1, top_k=2)
    assert picks([0.1, 0.4, 0.2, 0.3], extremes, top_two) == [1, 3, 3]


def test_a_grid_of_uniforms_gives_each_id_its_share():
    grid = (np.arange(8) + 0.5) / 8
    assert picks([1, 2, 0.5, 4.5], grid) == [0, 1, 1, 3, 3, 3, 3, 3]
    assert picks([1, 2, 1, 4], grid) == [0, 1, 1, 2, 3, 3, 3, 3]


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=8), settings_of_a_row)
def test_frequencies_agree_with_the_probabilities(shares, settings):
    num_points = 500
    grid = (np.arange(num_points) + 0.5) / num_points
    counts = np.bincount(picks(shares, grid, settings), minlength=len(shares))
    expected = num_points * probabilities(shares, settings)
    assert np.abs(counts - expected).max() <= 1.001


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": 5e-324},
        {"temperature": 1e-308},
        {"repetition_penalty": 5e-324},
        {"top_k": 1, "top_p": 5e-324},
        {"top_k": 10**400},
    ],
    ids=["temperature", "temperature-1e-308", "repetition_penalty", "top_p", "top_k"],
)
def test_the_most_extreme_numbers_are_refused_or_give_a_distribution(values):
    try:
        settings = GenerationSettings(**values)
    except SamplingError:
        return
    distribution = probabilities_of_logits([1, 30, 30], settings, seen=[1, 2], banned_ids=[0])
    assert distribution.sum() == pytest.approx(1)
    assert distribution[0] == 0
