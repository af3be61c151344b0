"""What commands print where characters are missing, and in files of other systems."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lorelm.corpus.readers import read_documents

pytestmark = pytest.mark.system

Print = Callable[..., "subprocess.CompletedProcess[bytes]"]

TEXTS = ["Žižek naïvely said: „Größe“ – 小説…", "Она сказала: “Да”, и ушла."]


@pytest.fixture
def lorelm(tmp_path: Path) -> Print:
    """Run a command as Python of before 3.15 runs it, whose files are not UTF-8 everywhere."""

    def run(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[bytes]":
        environment = {k: v for k, v in os.environ.items() if k not in ("LANG", "LC_ALL")}
        environment |= {"PYTHONUTF8": "0", "LORELM_DATA": str(tmp_path / "data"), **variables}
        ended = subprocess.run(
            [sys.executable, "-m", "lorelm", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            check=False,
        )
        assert b"Traceback" not in ended.stderr
        return ended

    return run


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "Žižek 小説.txt"
    path.write_text("\n".join(TEXTS * 60), encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("code_page", ["cp1252", "cp932"])
def test_what_a_code_page_lacks_is_replaced(
    code_page: str, lorelm: Print, text: Path, tiny_bundle: Path
) -> None:
    chosen = {"PYTHONIOENCODING": code_page}
    train = ("--recipe", "classic", "--hidden-size", "8", "--epochs", "1", "--init", "none")
    commands = [
        ("inspect", text.name, "--no-estimate"),
        ("train", text.name, "--out", "小説", *train, "--device", "cpu"),
        ("runs",),
        ("runs", "show", "小説"),
        ("generate", str(tiny_bundle), "The fox – 小説", "--seed", "1"),
        ("evaluate", str(tiny_bundle), text.name),
        ("pack", "小説", "--out", "é.lorelm"),
        ("doctor",),
        ("train", "--help"),
    ]
    for command in commands:
        ended = lorelm(*command, **chosen)
        assert ended.returncode == 0, ended.stderr
        ended.stdout.decode(code_page)
        ended.stderr.decode(code_page)
    missing = lorelm("inspect", "Ž小.txt", **chosen)
    assert missing.returncode == 2
    assert re.search(r"there is no file \S+\.txt", missing.stderr.decode(code_page))


# Writes in a code page, as Python on Windows does for a file.
_IN_A_CODE_PAGE = """
import sys
from lorelm.cli.main import main

sys.stdout.reconfigure(encoding="cp1252")
main()
"""


def test_files_and_programs_get_utf8_whatever_the_system_writes(tiny_bundle: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _IN_A_CODE_PAGE, "generate", tiny_bundle, "The fox – 小説"],
        capture_output=True,
        check=True,
    )
    assert ended.stdout.decode("utf-8").startswith("The fox – 小説")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_a_text_is_the_same_from_every_system(encoding: str, line_end: str, tmp_path: Path) -> None:
    lines = [f"Zoë naïvely said “oui” – {number} times…" for number in range(20)]
    (tmp_path / "text.txt").write_bytes(line_end.join(lines).encode(encoding))
    assert read_documents(tmp_path / "text.txt").texts == lines
