import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from lorelm.history.record import Record, microseconds_in, microseconds_of, moment_of, new_id

MOMENTS = st.datetimes(
    min_value=datetime(1970, 1, 1),
    max_value=datetime(9000, 1, 1),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9))]),
)


@given(st.lists(MOMENTS, min_size=2))
def test_ids_sort_by_time_and_then_by_creation(
    moments: list[datetime],
) -> None:
    made = [(moment, number, new_id(moment)) for number, moment in enumerate(moments)]
    assert sorted(made) == sorted(made, key=lambda one: one[2])


@given(MOMENTS)
def test_an_id_contains_its_time(moment: datetime) -> None:
    assert microseconds_in(new_id(moment)) == microseconds_of(moment)
    assert moment_of(microseconds_of(moment)) == moment


def test_an_id_is_a_uuid_of_version_7() -> None:
    made = uuid.UUID(new_id(datetime.now(UTC)))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)


def test_other_ids_contain_no_time() -> None:
    for other in (uuid.uuid4().hex, "", "seven", "7" * 31):
        assert microseconds_in(other) is None


def test_a_record_has_an_id_of_its_own_unless_one_is_given(
    make_record: Callable[..., Record],
) -> None:
    now = datetime.now(UTC)
    first, second = make_record(created_at=now), make_record(created_at=now)
    assert first.id < second.id
    assert make_record(id=first.id, created_at=now) == first
