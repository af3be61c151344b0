"""The notebook for Colab and Binder, from its first cell to its last, with a short training."""

import re
import subprocess
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from tests.conftest import tale_documents
from tests.examples.folders import EXAMPLES

from lorelm.bundle import Bundle

pytestmark = [pytest.mark.system, pytest.mark.slow]

NOTEBOOK = EXAMPLES / "notebook" / "your_text.ipynb"
ROOT = EXAMPLES.parent


BUDGET = "time_budget_seconds=60 * MINUTES"
CHANGES = {
    "two epochs": {'TEXT = ""': 'TEXT = "my tales.txt"', BUDGET: "epochs=2"},
    "one minute": {'TEXT = ""': 'TEXT = "my tales.txt"', "MINUTES = 5": "MINUTES = 1"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("colab")
    tales = "\n".join(text.replace("\n", " ") for text in tale_documents())
    (folder / "my tales.txt").write_text(tales, encoding="utf-8")
    return folder


@pytest.fixture(
    scope="module",
    params=["two epochs", pytest.param("one minute", marks=pytest.mark.slow)],
)
def executed(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> nbformat.NotebookNode:
    """The notebook as a person runs it who has changed some settings."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for old, new in CHANGES[request.param].items():
        [cell] = (cell for cell in notebook.cells if old in cell.source)
        cell.source = cell.source.replace(old, new)
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as environment:
        for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR"):
            environment.setenv(name, str(home / name.lower()))
        resources = {"metadata": {"path": str(folder)}}
        return NotebookClient(notebook, timeout=300, resources=resources).execute()


def printed(notebook: nbformat.NotebookNode, cell_id: str) -> str:
    [cell] = (cell for cell in notebook.cells if cell.id == cell_id)
    return "".join(output.get("text", "") for output in cell.outputs)


def test_it_trains_on_the_text_that_is_named(executed: nbformat.NotebookNode, folder: Path) -> None:
    assert printed(executed, "text") == "The text: my tales.txt\n"
    assert "epoch 1: perplexity " in printed(executed, "train")
    bundle = Bundle.load(folder / "my-model")
    assert bundle.manifest.corpus
    assert bundle.manifest.corpus.source == "my tales.txt"
    network, ngram = re.findall(r"perplexity ([\d.]+)\n", printed(executed, "metrics"))
    assert bundle.manifest.metrics
    assert float(network) == pytest.approx(bundle.manifest.metrics.perplexity, abs=0.06)
    assert float(ngram) > 1


def test_it_writes_and_scores(executed: nbformat.NotebookNode) -> None:
    assert printed(executed, "write").count("\n\n") == 3
    assert printed(executed, "write").startswith("The")
    words = printed(executed, "score").split("\n")
    assert words[0].endswith("%  The")
    assert all(0 <= float(line.split()[0]) <= 100 for line in words if line)


def test_the_file_to_keep_is_the_model(executed: nbformat.NotebookNode, folder: Path) -> None:
    kept = Bundle.load(folder / "my-model.lorelm")
    assert kept.manifest.files == Bundle.load(folder / "my-model").manifest.files


def test_no_cell_warns_or_fails(executed: nbformat.NotebookNode) -> None:
    outputs = [output for cell in executed.cells for output in cell.get("outputs", ())]
    assert all(output.output_type != "error" for output in outputs)
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []


def test_it_is_stored_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert NOTEBOOK.read_text(encoding="utf-8") == nbformat.writes(notebook) + "\n"


def test_its_badges_open_this_notebook() -> None:
    path = NOTEBOOK.relative_to(ROOT).as_posix()
    for page in (NOTEBOOK, NOTEBOOK.with_name("README.md")):
        text = page.read_text(encoding="utf-8")
        assert f"/blob/main/{path})" in text
        assert f"urlpath=lab/tree/{path})" in text


def test_binder_installs_extras_that_exist() -> None:
    build = ROOT / "binder" / "postBuild"
    assert build.stat().st_mode & 0o111  # Binder runs it
    subprocess.run(["bash", "-n", build], check=True)
    [extras] = re.findall(r"\.\[([\w,]+)\]", build.read_text())
    project = (ROOT / "pyproject.toml").read_text()
    assert all(re.search(rf"^{extra} = \[", project, re.M) for extra in extras.split(","))
    [version] = re.findall(r"python-3\.(\d+)", (ROOT / "binder" / "runtime.txt").read_text())
    assert int(version) >= 11
