"""A message that Python may give names a setting as in Python, with its flag beside it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "lorelm"
PACKAGES = ("bundle", "corpus", "evaluation", "generation", "ngrams", "runtime", "training")
# Where the name of the setting is not that of the flag.
NAMES = {
    "ngram": "with_ngram",
    "no-fingerprints": "fingerprints",
    "no-mixture": "mixture",
    "no-tied": "tied",
    "samples": "num_samples",
    "text": "text",  # of `lorelm runs compare`, which Python does not have
    "time-budget": "time_budget_seconds",
}
OTHER_PROGRAMS = re.compile(
    r"(pip install|torchrun|createdb|lorelm train) --?[a-z-]+|nproc-per-node"
)


def messages(path: Path) -> Iterator[str]:
    """Yield the texts of a file's errors, problems and notes; not the help of its flags."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or ast.unparse(node.func) == "Parameter":
            continue
        for argument in node.args:
            if isinstance(argument, ast.Constant | ast.JoinedStr):
                parts = [argument] if isinstance(argument, ast.Constant) else argument.values
                yield "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "…" for part in parts
                )


FILES = [path for package in PACKAGES for path in sorted((SOURCE / package).rglob("*.py"))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_message_names_the_setting_in_python_beside_its_flag(path: Path) -> None:
    for message in messages(path):
        own = OTHER_PROGRAMS.sub("", message)
        for flag in re.findall(r"--([a-z][a-z-]*)", own):
            name = NAMES.get(flag, flag.replace("-", "_"))
            assert re.search(rf"(?<!-)\b{name}\b", own), message
