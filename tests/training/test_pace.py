from collections.abc import Callable

import pytest

from lorelm.training.pace import Pace

BUDGET = 100.0


def test_a_run_of_so_many_updates_is_as_far_as_they_are() -> None:
    pace = Pace(num_updates=4)
    assert [pace.progress(num_updates=n, seconds=1e9) for n in range(6)] == [
        0,
        0.25,
        0.5,
        0.75,
        1,
        1,
    ]


def test_a_run_by_the_clock_is_as_far_as_its_time() -> None:
    pace = Pace(seconds=4)
    assert [pace.progress(num_updates=99, seconds=s) for s in range(6)] == [
        0,
        0.25,
        0.5,
        0.75,
        1,
        1,
    ]
    assert Pace(seconds=0).progress(num_updates=0, seconds=0) == 1


@pytest.mark.parametrize(("num_updates", "seconds", "progress"), [(3, 1, 0.75), (1, 1.5, 0.375)])
def test_of_updates_and_time_what_comes_first_ends_the_run(
    num_updates: int, seconds: float, progress: float
) -> None:
    pace = Pace(num_updates=4, seconds=4)
    assert pace.progress(num_updates=num_updates, seconds=seconds) == progress


@pytest.mark.parametrize(
    "seconds_per_update",
    [
        pytest.param(lambda now: 0.3 if now > BUDGET / 2 else 0.1, id="slower half way"),
        pytest.param(lambda now: 0.1 if now > BUDGET / 2 else 0.3, id="faster half way"),
        pytest.param(lambda now: 9.0 if 40 < now < 42 else 0.2, id="interrupted"),
    ],
)
def test_the_learning_rate_has_come_down_when_the_time_is_over(
    seconds_per_update: Callable[[float], float],
) -> None:
    pace, now, progresses = Pace(seconds=BUDGET), 0.0, [0.0]
    while progresses[-1] < 1:
        now += seconds_per_update(now)
        progresses.append(pace.progress(num_updates=len(progresses), seconds=now))
    assert now == pytest.approx(BUDGET, abs=0.4)
    assert progresses[-2] > 0.99
    assert progresses == sorted(progresses)
