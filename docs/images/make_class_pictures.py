"""Run the notebook with the solutions of the three lessons, and keep their pictures.

The solutions are the blocks `py` of the lessons, each a cell below the section of the notebook that
its exercise has the number of.
"""

import base64
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import nbformat
from nbclient import NotebookClient

ROOT: Final = Path(__file__).resolve().parents[2]
NOTEBOOK: Final = ROOT / "notebooks" / "LSTM LM.ipynb"
LESSONS: Final = ROOT / "docs" / "tutorials" / "class"

_EXERCISE = re.compile(r"^### Exercise (\d+): (.+?)$(.*?)(?=^##)", re.MULTILINE | re.DOTALL)
_CELL = re.compile(r"^```py\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SECTION = re.compile(r"^## (\d+)\. ", re.MULTILINE)


def solutions() -> dict[int, list[str]]:
    """Return the cells of the solutions, by the number of the section that they belong to."""
    pages = (page.read_text(encoding="utf-8") for page in sorted(LESSONS.glob("lesson-*.md")))
    return {
        int(number): _CELL.findall(text)
        for page in pages
        for number, _, text in _EXERCISE.findall(page + "\n##")
    }


def with_solutions(notebook: Any) -> Any:
    """Return the notebook with the solutions in it; their cells have the tag `solution-NUMBER`."""
    cells, section = [], 0
    of_section = solutions()
    for cell in [*notebook.cells, nbformat.v4.new_markdown_cell("## 0. The end")]:
        found = _SECTION.match(cell.source) if cell.cell_type == "markdown" else None
        if found is not None or cell.source.startswith("## Where to go"):
            cells += [_solution(code, section) for code in of_section.get(section, ())]
            section = int(found[1]) if found else 0
        cells.append(cell)
    return nbformat.from_dict({**notebook, "cells": cells[:-1]})


def _solution(code: str, section: int) -> Any:
    return nbformat.v4.new_code_cell(code.strip(), metadata={"tags": [f"solution-{section}"]})


def shown(output: Any) -> str:
    """Return the text of an output, for the lessons."""
    return str(output.get("text") or output.get("data", {}).get("text/html", "a picture"))


def main() -> None:
    notebook = with_solutions(nbformat.read(NOTEBOOK, as_version=4))
    with tempfile.TemporaryDirectory() as folder:  # where it finds no films, and so Shakespeare
        for name in ("notebooks", "app"):
            shutil.copytree(ROOT / name, Path(folder) / name)
        resources = {"metadata": {"path": f"{folder}/notebooks"}}
        NotebookClient(notebook, timeout=1800, resources=resources).execute()
    [cell] = [cell for cell in notebook.cells if "solution-8" in cell.metadata.get("tags", ())]
    [picture] = [
        output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})
    ]
    for cell in notebook.cells:
        if cell.metadata.get("tags"):
            lines = [*cell.metadata.tags, *(shown(output) for output in cell.outputs)]
            sys.stdout.write("\n".join(lines) + "\n")
    path = Path(__file__).with_name("class-without-dropout.png")
    path.write_bytes(base64.b64decode(picture))


if __name__ == "__main__":
    main()
