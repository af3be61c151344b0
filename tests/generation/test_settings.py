import pytest

from lorelm.errors import SamplingError
from lorelm.generation.settings import GenerationSettings


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
