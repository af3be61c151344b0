import re
import sys
import time
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelm.cli import terminal
from lorelm.cli.terminal import process_started, time_range, waiting


def test_a_process_began_when_the_system_says() -> None:
    age = time.perf_counter() - process_started()
    assert age == pytest.approx(time.time() - psutil.Process().create_time(), abs=1)


def test_a_process_began_when_windows_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    test_a_process_began_when_the_system_says()


def test_elsewhere_it_is_as_old_as_what_it_has_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_text(path: Path, *options: str) -> str:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_text", read_text)
    age = time.perf_counter() - process_started()
    assert age == pytest.approx(time.process_time(), abs=1)


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0, 0, "1 s"),
        (8.3, 12, "8 to 12 s"),
        (41, 68, "41 to 68 s"),
        (41, 41.4, "41 s"),
        (60, 130, "60 s to 2.2 min"),
        (1211, 1213, "20 min"),
        (100, 6840, "100 s to 110 min"),
        (7200, 10_000, "2 to 2.8 h"),
    ],
)
def test_a_range_of_time_is_short(low: float, high: float, text: str) -> None:
    assert time_range(low, high) == text


@given(low=st.floats(0, 1e6), more=st.floats(0, 1e6))
def test_a_range_of_time_is_about_what_it_says(low: float, more: float) -> None:
    shown = time_range(low, low + more)
    *_, last_unit = shown.split()
    found = re.findall(r"([\d.e+]+)(?: (s|min|h)\b)?", shown)
    size = {"s": 1, "min": 60, "h": 3600}
    seconds = [float(number) * size[unit or last_unit] for number, unit in found]
    assert seconds[0] == pytest.approx(low, rel=0.06, abs=1)
    assert seconds[-1] == pytest.approx(low + more, rel=0.06, abs=1)
    assert seconds[0] >= 1


def test_what_is_waited_for_is_said_only_if_it_takes_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "_SLOW_SECONDS", 0.2)
    with waiting("reading") as say:
        say("counting")
        deadline = time.monotonic() + 10
        while not (said := capsys.readouterr().err) and time.monotonic() < deadline:
            time.sleep(0.01)
        say("measuring")
    time.sleep(0.3)
    assert said == "counting ...\n"
    assert capsys.readouterr().err == ""


def test_of_several_processes_one_says_what_is_waited_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "_SLOW_SECONDS", 0.0)
    monkeypatch.setenv("RANK", "1")
    with waiting("reading") as say:
        say("counting")
        time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_what_is_waited_for_and_erases_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "30")
    with waiting("reading \x1b[31mthe text") as say:
        say("counting the words of a very long text")
    shown = capsys.readouterr().err
    assert "\x1b" not in shown
    lines = [line for line in shown.split("\r") if line]
    assert [line.rstrip() for line in lines] == [
        r"reading \x1b[31mthe text ...",
        "",
        "counting the words of a very",
        "",
    ]
    assert [len(line) for line in lines] == [len(lines[0])] * 2 + [29, 29]


def test_the_age_of_the_process_needs_no_other_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a serving installation on macOS and Windows."""
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setitem(sys.modules, "psutil", None)
    assert time.perf_counter() - process_started() > 0
