"""Scripts outside of the package, and the notebook, import names that exist."""

import ast
import importlib
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = [
    *sorted((ROOT / "bench").glob("*.py")),
    *sorted((ROOT / "app").glob("*.py")),
    *sorted((ROOT / "base").glob("*.py")),
    *sorted((ROOT / "examples").rglob("*.py")),
    *sorted((ROOT / "examples").rglob("*.ipynb")),
    ROOT / "notebooks" / "LSTM LM.ipynb",
]


def source_of(script: Path) -> str:
    """The Python code of a script or of a notebook's cells."""
    text = script.read_text(encoding="utf-8")
    if script.suffix == ".py":
        return text
    cells = (cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code")
    code = "\n".join("".join(cell["source"]) for cell in cells)
    return re.sub(r"^\s*[%!].*$", "", code, flags=re.MULTILINE)  # commands of IPython


def imports_of(script: Path) -> list[tuple[str, str | None]]:
    """Modules that a script imports, in order, each with the name taken from it if there is one."""
    found: list[tuple[int, str, str | None]] = []
    for node in ast.walk(ast.parse(source_of(script))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [(node.lineno, node.module, alias.name) for alias in node.names]
    return [(module, name) for _, module, name in sorted(found, key=lambda each: each[0])]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_every_name_that_is_imported_exists(script: Path) -> None:
    for module, name in imports_of(script):
        if module.partition(".")[0] == "lorelm" and name is not None:
            assert hasattr(importlib.import_module(module), name), f"{module}.{name}"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_lorelm_is_imported_before_pytorch(script: Path) -> None:
    """Importing lorelm limits how long OpenMP's threads spin; PyTorch reads that when loaded."""
    packages = [module.partition(".")[0] for module, _ in imports_of(script)]
    if "torch" in packages and "lorelm" in packages:
        assert packages.index("lorelm") < packages.index("torch")
