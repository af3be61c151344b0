from collections.abc import Callable

import pytest

from lorelm.training.pace import CountedPace, Pace, TimedPace

BUDGET = 100.0


def test_a_counted_run_is_as_far_as_its_updates() -> None:
    pace = CountedPace(4)
    progresses = []
    while not pace.is_over:
        progresses.append(pace.progress)
        pace.advance(seconds=1e9)
    assert progresses == [0.0, 0.25, 0.5, 0.75]
    assert pace.progress == 1.0


def run(pace: Pace, seconds_per_update: Callable[[float], float]) -> list[tuple[float, float]]:
    """The seconds and the progress after each update of a run on a simulated clock."""
    now, course = 0.0, [(0.0, pace.progress)]
    while not pace.is_over:
        now += seconds_per_update(now)
        pace.advance(seconds=now)
        course.append((now, pace.progress))
        assert now < 10 * BUDGET
    return course


def constant(_now: float) -> float:
    return 0.1


def three_times_slower_half_way(now: float) -> float:
    return 0.1 if now < BUDGET / 2 else 0.3


def three_times_faster_half_way(now: float) -> float:
    return 0.3 if now < BUDGET / 2 else 0.1


MACHINES = [constant, three_times_slower_half_way, three_times_faster_half_way]


@pytest.mark.parametrize("machine", MACHINES)
def test_a_timed_run_is_over_when_its_time_is(machine: Callable[[float], float]) -> None:
    *_, (_, before), (seconds, progress) = run(TimedPace(BUDGET), machine)
    assert seconds == pytest.approx(BUDGET, rel=0.03)
    assert progress == 1.0
    assert before > 0.9, "the learning rate has come down"


@pytest.mark.parametrize("machine", MACHINES)
def test_the_progress_of_a_timed_run_never_goes_back(machine: Callable[[float], float]) -> None:
    progresses = [progress for _, progress in run(TimedPace(BUDGET), machine)]
    assert progresses == sorted(progresses)
    assert max(progresses) == 1.0


def test_at_a_constant_speed_progress_is_the_share_of_the_time() -> None:
    for seconds, progress in run(TimedPace(BUDGET), constant)[20:]:
        assert progress == pytest.approx(seconds / BUDGET, abs=0.02)


def test_an_update_that_takes_longer_than_the_whole_time_is_the_last() -> None:
    course = run(TimedPace(BUDGET), lambda _now: 1.5 * BUDGET)
    assert len(course) == 2


@pytest.mark.parametrize("make", [lambda: CountedPace(500), lambda: TimedPace(BUDGET)])
def test_what_is_restored_goes_on_as_it_was(make: Callable[[], Pace]) -> None:
    pace, restored = make(), make()
    for update in range(1, 326):
        pace.advance(seconds=update / 10)
    restored.restore(pace.state)
    for update in range(326, 400):
        for one in (pace, restored):
            one.advance(seconds=update / 10)
        assert restored.progress == pace.progress
