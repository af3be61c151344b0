"""The lecture hall: the server with its limits, the projector's page, and students at it."""

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tests.examples.folders import EXAMPLES

pytestmark = [
    pytest.mark.system,
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one console of several"),
    pytest.mark.skipif(
        find_spec("segno") is None, reason="no segno: pip install 'lorelm[examples]'"
    ),
]

FOLDER = EXAMPLES / "lecture_hall"


@contextmanager
def hall(*arguments: str | Path) -> Iterator[tuple[str, str, str]]:
    """Start the lecture hall; the address of the students, of the projector, and what it prints."""
    command = [sys.executable, FOLDER / "lecture_hall.py", *arguments]
    room = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", "0", "--no-browser"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"},
        start_new_session=True,  # its Ctrl-C is not ours
    )
    assert room.stdout
    printed = ""
    for line in room.stdout:
        printed += line
        if line.startswith("Ctrl-C"):
            break
    else:
        pytest.fail(printed)
    [students] = re.findall(r"^Students: (.+)$", printed, re.M)
    [projector] = re.findall(r"^Projector: (.+)$", printed, re.M)
    try:
        yield students, projector, printed
    finally:
        os.killpg(room.pid, signal.SIGINT)  # as Ctrl-C in a terminal: to both programs
        assert room.wait(timeout=20) == 0
        room.stdout.close()


def students(url: str, *arguments: str) -> dict[str, str]:
    """Let students write; what they have seen."""
    command = [sys.executable, FOLDER / "students.py", url, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    summary = re.fullmatch(
        r"(?P<students>\d+) students wrote (?P<texts>\d+) texts in \d+ s\.\n"
        r"The page: median [\d.]+ s, .+\nFirst word: (?P<first>.+)\nText of 40 tokens: .+\n"
        r"(?P<speed>\d+) tokens/s, (?P<refused>\d+) requests over the limit\n"
        r"(?P<errors>\d+) errors(?P<which>.*)\n",
        ended.stdout,
        re.DOTALL,
    )
    assert summary, ended.stdout
    return summary.groupdict()


def test_twenty_students_write_at_once(tiny_bundle: Path) -> None:
    """The figures for sixty are in the README; this is the same, shorter."""
    with hall(tiny_bundle, "--rate", "1000/minute") as (url, _, _):
        seen = students(url, "--students", "20", "--seconds", "4", "--reading", "1")
    assert seen["students"] == "20"
    assert int(seen["texts"]) >= 20
    assert int(seen["speed"]) > 0
    assert (seen["refused"], seen["errors"]) == ("0", "0"), seen["which"]


@pytest.mark.skipif(sys.platform != "linux", reason="one address for all students")
def test_one_who_asks_without_reading_is_held_up_alone(tiny_bundle: Path) -> None:
    with hall(tiny_bundle, "--rate", "5/minute") as (url, _, _):
        hasty = students(url, "--students", "1", "--seconds", "3", "--reading", "0.01")
        others = students(url, "--students", "3", "--seconds", "2", "--reading", "1")
        # Student 1 has the same address as before, and is refused; 2 and 3 are not.
    assert int(hasty["texts"]) == 5
    assert int(hasty["refused"]) > 0
    assert int(others["texts"]) > 0


def test_the_projector_leads_to_the_page(browser: Browser, tiny_bundle: Path) -> None:
    with hall(tiny_bundle, "--title", "Foxes & <owls>") as (url, projector, printed):
        assert "█" in printed or "▀" in printed  # the code in the terminal
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.goto(projector)
        expect(page.get_by_role("heading", name="Foxes & <owls>")).to_be_visible()
        assert page.locator("svg path").first.bounding_box()
        link = page.get_by_role("link", name=url)
        assert page.evaluate("document.documentElement.scrollHeight") <= 720
        link.click()
        expect(page.get_by_role("button", name="Generate")).to_be_visible()
        expect(page).to_have_title(re.compile("Foxes & <owls>"))
        page.close()


def test_the_password_is_on_the_projector_and_not_in_the_command(
    browser: Browser, tiny_bundle: Path
) -> None:
    with hall(tiny_bundle, "--password", "mellon") as (url, projector, _):
        page = browser.new_page()
        page.goto(projector)
        expect(page.get_by_text("The password is mellon.")).to_be_visible()
        page.close()
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(url)
        seen = students(
            url, "--students", "2", "--seconds", "2", "--reading", "1", "--password", "mellon"
        )
        assert seen["errors"] == "0"


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    command = [sys.executable, FOLDER / "lecture_hall.py", tmp_path / "none", "--no-browser"]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert str(tmp_path / "none") in refused.stderr
    assert "Traceback" not in refused.stderr
