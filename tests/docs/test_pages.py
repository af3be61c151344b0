"""Links, commands and code of every page are right."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import click
import pytest
import torch
from tests.bundle.importing.foreign import WORDS as FOREIGN_WORDS
from tests.bundle.importing.foreign import ForeignModel
from tests.docs.markdown import PAGES, ROOT, anchors, code_blocks, commands

from lorelm.cli.main import lorelm
from lorelm.corpus.documents import Documents
from lorelm.training.recipe import Recipe

pytestmark = pytest.mark.system

ADDRESS = "http://127.0.0.1:5000/"
FILES = [
    file.as_posix()
    for folder in ("src", "app", "base", "bench", "examples", "tests", "docs", "translations")
    for file in (ROOT / folder).rglob("*.[pj][ys]")
]
TRAINING, SERVING = (ROOT / "docs" / "guides" / name for name in ("training.md", "serving.md"))


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def pages_with(*languages: str) -> list[Path]:
    """The README and the pages of the site that have code in a language."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in pages if code_blocks(page, *languages)]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith("http"):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_has_the_options_that_are_shown(page: Path) -> None:
    for command in commands(page):
        words = shlex.split(command.split(" > ")[0], comments=True, posix="\\" not in command)
        at = next((i for i, word in enumerate(words) if re.fullmatch(r"(.*\W)?lorelm", word)), None)
        if at is not None:
            parse(words[at + 1 :])


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_that_is_named_exists(page: Path) -> None:
    for name in re.findall(r"`((?:\w+/)*\w+\.(?:py|js))`", page.read_text(encoding="utf-8")):
        assert any(file.endswith("/" + name) for file in FILES), name


def parse(arguments: list[str]) -> None:
    """Parse the arguments of `lorelm` without running it.

    Raises:
        click.UsageError: there is no such option.
    """
    command: click.Command = lorelm
    context = click.Context(lorelm, **lorelm.context_settings)
    while isinstance(command, click.Group) and arguments:
        name, *arguments = arguments
        found = command.get_command(context, name)
        assert found is not None, name
        command, context = found, click.Context(found, parent=context, info_name=name)
    command.make_parser(context).parse_args(arguments)


def test_an_option_that_does_not_exist_is_found() -> None:
    with pytest.raises(click.UsageError):
        parse(["train", "my.csv", "--epoch-number", "1"])


@pytest.mark.parametrize("page", pages_with("toml"), ids=name_of)
def test_every_recipe_is_one(page: Path, tmp_path: Path) -> None:
    for block in code_blocks(page, "toml"):
        (tmp_path / "my-recipe.toml").write_text(block)
        Recipe.load(str(tmp_path / "my-recipe.toml"))


@pytest.mark.system
@pytest.mark.parametrize("page", pages_with("python"), ids=name_of)
def test_the_python_of_a_page_runs(
    page: Path, tiny_bundle: Path, tales: Documents, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """All blocks of a page are one program, in a folder with the files that they name."""
    code = "\n".join(code_blocks(page, "python"))
    if ADDRESS in code:
        start_server: Callable[..., str] = request.getfixturevalue("start_server")
        code = code.replace(ADDRESS, start_server())
    (tmp_path / "my-model").symlink_to(tiny_bundle)
    lines = [text.replace("\n", " ") for text in tales.texts]
    (tmp_path / "my.txt").write_text("\n".join(lines), encoding="utf-8")
    torch.save(ForeignModel().state_dict(), tmp_path / "old.pt")
    (tmp_path / "vocab.json").write_text(json.dumps(FOREIGN_WORDS), encoding="utf-8")
    assert run([sys.executable, "-c", code], tmp_path).strip()


@pytest.mark.system
def test_the_train_and_generate_commands_run(
    tmp_path: Path, corpus_file: Callable[[str], Path]
) -> None:
    """As written, but for the text and the epochs: a part and one show that they go together."""
    rows = corpus_file("lotr_scripts.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "lotr_scripts.csv").write_text("".join(rows[:600]), encoding="utf-8")
    train, generate = (line for line in commands(TRAINING) if "lotr" in line)
    run([sys.executable, "-m", *shlex.split(train), "--epochs", "1"], tmp_path)
    output = run([sys.executable, "-m", *shlex.split(generate)], tmp_path)
    assert output.startswith("bilbo baggins is")


@pytest.mark.system
def test_the_generate_command_of_the_readme_runs(tmp_path: Path) -> None:
    [command] = (line for line in commands(ROOT / "README.md") if "generate english" in line)
    output = run([sys.executable, "-m", *shlex.split(command)], tmp_path)
    assert output.startswith('"Where have you been?" she ')


@pytest.mark.parametrize("page", [ROOT / "README.md", SERVING], ids=name_of)
def test_the_request_is_answered(
    page: Path, start_server: Callable[..., str], tmp_path: Path
) -> None:
    url = start_server()
    [command] = (line for line in commands(page) if line.startswith("curl "))
    reply = json.loads(run(shlex.split(command.replace(ADDRESS, url)), tmp_path))
    assert reply["samples"][0]["text"]


def run(command: list[str], folder: Path) -> str:
    """Return what a command prints.

    Raises:
        subprocess.CalledProcessError: it fails.
    """
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
