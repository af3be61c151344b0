import math

import pytest

from lorelm.errors import SamplingError
from lorelm.generation.settings import GenerationSettings
from lorelm.parameters import parameters_of
from lorelm.sampling import SamplingSettings


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_len", 0),
        ("max_len", 1.5),
        ("max_len", True),
        ("max_len", 10_001),
        ("num_samples", 0),
        ("num_samples", 65),
        ("seed", -1),
        ("seed", 2**53),
        ("stop", "end"),
        ("stop", [""]),
        ("stop", [3]),
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("top_p", 0),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(SamplingError, match=f"^{field}: must be") as caught:
        GenerationSettings(**{field: value})
    assert caught.value.field == field


def test_samples_count_up_from_the_seed() -> None:
    assert GenerationSettings(seed=7, num_samples=3).seeds() == [7, 8, 9]


def test_without_a_seed_a_new_one_is_drawn_each_time() -> None:
    settings = GenerationSettings()
    assert len({settings.seeds()[0] for _ in range(5)}) > 1


FIELDS = list(SamplingSettings.__annotations__)
NOT_NUMBERS = [pytest.param(value, id=repr(value)) for value in ("1", None, [1], 1j)]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -3, True, False])
def test_a_value_out_of_range_is_refused_by_its_field(field: str, value: object) -> None:
    with pytest.raises(SamplingError) as caught:
        GenerationSettings(**{field: value})
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}: must be ")
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize(
    "field",
    FIELDS,
)
@pytest.mark.parametrize("value", NOT_NUMBERS)
def test_what_is_no_number_is_refused_by_its_field(field: str, value: object) -> None:
    with pytest.raises(SamplingError) as caught:
        GenerationSettings(**{field: value})
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -1e-9),
        ("temperature", 100.1),
        ("top_k", 1.0),
        ("top_k", 2.5),
        ("top_p", 0),
        ("top_p", 1.01),
        ("min_p", 1.01),
        ("repetition_penalty", 0),
        ("repetition_penalty", 100.1),
        ("frequency_penalty", 2.1),
        ("presence_penalty", -2.1),
    ],
)
def test_each_field_has_its_own_range(field: str, value: object) -> None:
    with pytest.raises(SamplingError, match=f"^{field}: must be ") as caught:
        GenerationSettings(**{field: value})
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("temperature", value) for value in (0, 1, 100, 0.5)),
        *(("top_k", value) for value in (0, 1, 10**9)),
        *(("top_p", value) for value in (1, 1e-9)),
        *(("min_p", value) for value in (0, 1)),
        *(("repetition_penalty", value) for value in (1, 100, 0.5)),
        *(("frequency_penalty", value) for value in (-2, 0, 2)),
        *(("presence_penalty", value) for value in (-2, 0, 2)),
    ],
)
def test_the_ends_of_each_range_are_allowed(field: str, value: object) -> None:
    assert getattr(GenerationSettings(**{field: value}), field) == value


def test_all_wrong_values_are_reported_at_once() -> None:
    with pytest.raises(SamplingError) as caught:
        GenerationSettings.of(top_p=2, warmth=1, max_len="many", seed=4, temprature=1)
    problems = {each.field: each.message for each in caught.value.problems}
    assert problems == {
        "warmth": "is not a setting: the settings are "
        + ", ".join(parameters_of(GenerationSettings)),
        "temprature": "is not a setting: did you mean temperature?",
        "max_len": "must be a whole number from 1 to 10,000, not 'many'",
        "top_p": "must be a number above 0 and at most 1, not 2",
    }
    assert str(caught.value).count("; ") == 3


def test_values_that_contradict_each_other_are_reported() -> None:
    with pytest.raises(SamplingError) as caught:
        GenerationSettings(min_len=9, max_len=8, seed=2**53 - 1, num_samples=2)
    assert [each.field for each in caught.value.problems] == ["min_len", "seed"]
