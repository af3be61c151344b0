import os
import subprocess
import sys
from collections.abc import Callable

import click
import pytest

from lorelm.cli.main import COMMANDS
from lorelm.cli.main import lorelm as group

pytestmark = pytest.mark.system

Lorelm = Callable[..., object]


def test_help_lists_every_command(lorelm: Lorelm) -> None:
    listed = lorelm("--help").stdout
    for command in ("serve", "generate", "train", "import", "inspect", "score", "history"):
        assert f"\n  {command} " in listed


def test_the_list_of_commands_has_the_first_sentence_of_each() -> None:
    context = click.Context(group)
    for name, sentence in COMMANDS.items():
        command = group.get_command(context, name)
        assert command is not None
        assert command.get_short_help_str(limit=1000) == sentence


@pytest.mark.parametrize(
    ("arguments", "environment", "shown"),
    [
        (["--help"], {}, "doctor"),
        (["--version"], {}, "lorelm, version"),
        (
            [],
            {"_LORELM_COMPLETE": "bash_complete", "COMP_WORDS": "lorelm st", "COMP_CWORD": "1"},
            "plain,studio",
        ),
    ],
    ids=["help", "version", "completion"],
)
def test_what_lists_the_commands_imports_none_of_them(
    arguments: list[str], environment: dict[str, str], shown: str
) -> None:
    code = f"""
import sys
before = set(sys.modules)
sys.argv = ["lorelm", *{arguments}]
from lorelm.cli.main import main
try:
    main()
finally:
    packages = {{name.partition(".")[0] for name in set(sys.modules) - before}}
    print(*packages - sys.stdlib_module_names, file=sys.stderr)
"""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown in ended.stdout
    assert set(ended.stderr.split()) <= {"click", "lorelm", "colorama"}


@pytest.mark.parametrize("command", ["serve", "generate", "train", "import", "inspect", "score"])
def test_every_command_explains_itself(lorelm: Lorelm, command: str) -> None:
    assert f"lorelm {command} " in lorelm(command, "--help").stdout.replace("python -m ", "")


def test_an_earlier_name_of_a_command_still_works(lorelm: Lorelm) -> None:
    ended = lorelm("compare", "--help")
    assert "lorelm compare is now lorelm runs compare." in ended.stderr
    assert "BUNDLE BUNDLE" in ended.stdout


def test_an_unknown_command_or_flag_is_exit_code_2(lorelm: Lorelm) -> None:
    assert "No such command 'sing'" in lorelm("sing", code=2).stderr
    assert "No such option" in lorelm("serve", "--sing", code=2).stderr


def test_a_serving_install_says_what_training_needs() -> None:
    """Where PyTorch is not installed (here, cannot be found), training says how to get it."""
    code = """
import sys
sys.modules["torch"] = None
sys.argv = ["lorelm", "train", sys.argv[1], "--out", "model"]
from lorelm.cli.main import main
main()
"""
    ended = subprocess.run(
        [sys.executable, "-c", code, __file__], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert (
        'training a model needs more packages: pip install "lorelm[train]" (in a clone: ".[train]")'
        in ended.stderr
    )
