import subprocess

import pytest
from tests.errors import raises_code

from lorelm.errors import CommandError, InputError, ShuttingDownError
from lorelm.runs.process import CommandRunner, error_in

pytestmark = pytest.mark.system


def test_a_command_says_why_it_failed() -> None:
    with raises_code(CommandError, "runs.command_failed") as caught:
        CommandRunner().run(["inspect", "nowhere.txt"], timeout_seconds=60)
    assert "nowhere.txt" in str(caught.value)


def test_a_command_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    popen = subprocess.Popen

    def kept(*arguments, **options):  # type: ignore[no-untyped-def]
        started.append(popen(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", kept)
    with raises_code(InputError, "runs.command_timeout"):
        CommandRunner().run(["serve", "--port", "0"], timeout_seconds=0.05)
    assert [each.poll() is not None for each in started] == [True]


def test_nothing_runs_after_the_end() -> None:
    commands = CommandRunner()
    commands.close()
    with raises_code(ShuttingDownError, "runs.closed"):
        commands.run(["inspect", "nowhere.txt"], timeout_seconds=60)


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        ("epoch 1\nlorelm: the disk is full\nmore", "the disk is full"),
        ("Saved to m. Go on with\n  lorelm serve m\n", "it ended without a word"),
        ("  1: The fox ran.\n", "it ended without a word"),
        ("", "it ended without a word"),
        ("epoch 1\nTraceback (most recent call last):\n  x\nOSError: no\n", "OSError: no"),
        ("Usage: lorelm train\n\nError: No such option '--x'.\n", "Error: No such option"),
    ],
)
def test_only_what_says_why_is_a_reason(log: str, reason: str) -> None:
    assert error_in(log).startswith(reason)
