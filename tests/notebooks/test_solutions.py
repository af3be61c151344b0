"""The solutions of the lessons run where they belong in the notebook."""

import shutil
from pathlib import Path

import nbformat
import pytest
from docs.images.make_class_pictures import solutions, with_solutions
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "LSTM LM.ipynb"


def test_each_section_with_an_exercise_has_its_solution() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    sections = text.split("\n## ")
    with_exercise = {int(section.split(".")[0]) for section in sections if "**Try:**" in section}
    assert with_exercise <= set(solutions())
    assert all(cells for number, cells in solutions().items() if number in with_exercise)


@pytest.mark.system
@pytest.mark.slow
def test_the_solutions_run_in_the_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Shakespeare, with the small setting."""
    for name in ("notebooks", "app"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("output"))
    monkeypatch.setenv("LORELM_NOTEBOOK_SMALL", "1")
    notebook = with_solutions(nbformat.read(NOTEBOOK, as_version=4))
    resources = {"metadata": {"path": str(tmp_path / "notebooks")}}
    NotebookClient(notebook, timeout=300, resources=resources).execute()
    printed = {
        tag: "".join(output.get("text", "") for output in cell.outputs)
        for cell in notebook.cells
        for tag in cell.metadata.get("tags", ())
    }
    assert "5 columns of 5 steps; left over: owl <eos>" in printed["solution-5"]
    assert "5,647,746" in printed["solution-7"]
    assert "test perplexity" in printed["solution-11"]
