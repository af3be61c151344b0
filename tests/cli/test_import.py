import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.bundle.importing.foreign import WORDS, ForeignModel, greedy
from tests.systems import IS_WINDOWS

from lorelm.bundle import Bundle
from lorelm.bundle.importing.importer import import_model

pytestmark = pytest.mark.system

Lorelm = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A checkpoint and a vocabulary as a notebook saves them."""
    torch.save(ForeignModel().state_dict(), tmp_path / "old.pt")
    (tmp_path / "vocab.pkl").write_bytes(pickle.dumps(WORDS))
    return tmp_path / "old.pt", tmp_path / "vocab.pkl"


def test_an_imported_checkpoint_writes_the_same_text(
    lorelm: Lorelm, files: tuple[Path, Path], tmp_path: Path
) -> None:
    ended = lorelm("import", "old.pt", "--vocab", "vocab.pkl", "--out", "my-model")
    assert "old.pt: LSTM, 2 layers of 8, embedding 8, not tied" in ended.stdout
    assert "30 words, by vocab.pkl" in ended.stdout
    assert "tokenizer   classic" in ended.stdout
    for notice in import_model(*files).notices:
        assert notice in ended.stderr
    assert "lorelm serve my-model" in ended.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my-model", "old.pt", "vocab.pkl"]
    written = lorelm("generate", "my-model", "the fox", "--temperature", "0", "--max-len", "20")
    expected = greedy(ForeignModel(), [0, 1], max_len=20)
    assert written.stdout.split() == ["the", "fox", *(WORDS[id_] for id_ in expected)]


def test_without_a_vocabulary_it_says_what_to_provide(
    lorelm: Lorelm, files: tuple[Path, Path], tmp_path: Path
) -> None:
    ended = lorelm("import", "old.pt", "--out", "m", "--tokenizer", "basic_english")
    assert "placeholders" in ended.stdout
    assert "provide the file that holds the words" in ended.stderr
    bundle = Bundle.load(tmp_path / "m")
    assert bundle.tokenizer.style == "basic_english"
    assert "token_29" in bundle.vocabulary


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["missing.pt", "--out", "m"], "missing.pt cannot be read"),
        (["old.pt", "--vocab", "missing.pkl", "--out", "m"], "missing.pkl cannot be read"),
        (["vocab.pkl", "--out", "m"], "vocab.pkl is not imported: it holds no LSTM"),
        (["old.pt", "--vocab", "old.pt", "--out", "m"], "old.pt holds no vocabulary"),
        (["old.pt", "--out", "old.pt"], "old.pt is a file: choose a folder"),
        (["old.pt", "--out", "."], "cannot be replaced as a whole"),
        (["old.pt", "--out", "m", "--tokenizer", "words"], "--tokenizer"),
        (["."], "--out"),
        ([".", "--out", "m"], "cannot be read"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    arguments: list[str], wanted: str, lorelm: Lorelm, files: tuple[Path, Path], tmp_path: Path
) -> None:
    ended = lorelm("import", *arguments, code=2)
    assert wanted in ended.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old.pt", "vocab.pkl"]


def test_a_pickle_that_would_run_is_refused_by_its_name(
    lorelm: Lorelm, files: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "vocab.pkl").write_bytes(b"cos\nsystem\n(S'touch canary'\ntR.")
    ended = lorelm("import", "old.pt", "--vocab", "vocab.pkl", "--out", "m", code=2)
    assert ended.stderr.startswith("lorelm: vocab.pkl is not imported: it wants 'os.system', which")
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "canary").exists()


def import_without(package: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from lorelm.cli.main import main\n"
        "sys.argv = ['lorelm', 'import', 'old.pt', '--out', 'm']; main()"
    )
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )


def test_an_import_needs_no_pytorch(files: tuple[Path, Path], tmp_path: Path) -> None:
    assert import_without("torch", tmp_path).returncode == 0
    assert (tmp_path / "m" / "manifest.json").exists()


def test_without_safetensors_it_says_what_to_install(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    ended = import_without("safetensors", tmp_path)
    assert ended.returncode == 1
    assert 'pip install "lorelm[train]"' in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "m").exists()


TALE = "the fox ran to w3\nw4 w5 the fox\nw7 ran\n"


def test_an_imported_model_is_evaluated_on_any_text(
    lorelm: Lorelm, imported_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "tale.txt").write_text(TALE)
    ended = lorelm("evaluate", imported_bundle, "tale.txt", "--json", "--report", "r.html")
    figures = json.loads(ended.stdout)
    assert figures["precision"] == "float32"
    assert figures["perplexity"] > 1
    assert figures["bits_per_character"] is figures["copied_share"] is None
    assert "training text of an imported model is not known" in ended.stderr
    report = (tmp_path / "r.html").read_text()
    assert "a model of old.pt" in report
    assert "imported by lorelm" in report
    scored = json.loads(lorelm("score", imported_bundle, "tale.txt", "--json").stdout)
    assert scored["perplexity"] == pytest.approx(figures["perplexity"])


def test_commands_that_need_its_training_text_are_refused(
    lorelm: Lorelm, imported_bundle: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "tale.txt").write_text(TALE)
    refused = lorelm("evaluate", imported_bundle, code=2)
    assert "was imported, and what it was trained on is not known" in refused.stderr
    for others in ([tiny_bundle], [tiny_bundle, imported_bundle]):
        refused = lorelm("runs", "compare", *others, imported_bundle, code=2)
        assert "was imported, and what it was trained on is not known" in refused.stderr
    refused = lorelm("runs", "compare", tiny_bundle, imported_bundle, "--text", "tale.txt", code=2)
    assert "no spelling model" in refused.stderr
    assert "it was imported" in refused.stderr


def test_an_imported_model_can_be_trained_on_and_replaced(lorelm: Lorelm, tmp_path: Path) -> None:
    state = ForeignModel().state_dict()
    torch.save({name: tensor / 10 for name, tensor in state.items()}, tmp_path / "old.pt")
    (tmp_path / "vocab.json").write_text(json.dumps([w for w in WORDS if w != "<eos>"]))
    lorelm("import", "old.pt", "--vocab", "vocab.json", "--out", "m")
    lines = [f"the fox ran to w{i % 9} and w{i % 7}" for i in range(60)]
    (tmp_path / "tale.txt").write_text("\n".join(lines))
    ended = lorelm("train", "tale.txt", "--init", "m", "--out", "m", "--epochs", "1")
    assert "m holds a model of old.pt, which the new one will replace" in ended.stderr
    assert "exploded" not in ended.stderr
    manifest = Bundle.load(tmp_path / "m").manifest
    assert manifest.imported is None
    assert (manifest.reads_eos_first, manifest.precision) == (True, "int8")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes in folders")
@pytest.mark.parametrize("role", ["checkpoint", "vocabulary"])
def test_a_pipe_does_not_block(
    role: str, lorelm: Lorelm, files: tuple[Path, Path], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    arguments = ["pipe"] if role == "checkpoint" else ["old.pt", "--vocab", "pipe"]
    ended = lorelm("import", *arguments, "--out", "m", code=2)
    assert "pipe cannot be read (it is no file)" in ended.stderr


def test_serving_shows_what_is_known_of_it(imported_bundle: Path) -> None:
    notices = Bundle.load(imported_bundle).manifest.imported
    assert notices is not None
    command = [sys.executable, "-m", "lorelm", "serve", imported_bundle, "--port", "0"]
    server = subprocess.Popen([*command, "--no-history"], stderr=subprocess.PIPE, text=True)
    assert server.stderr
    with server.stderr:
        assert "LoreLM serves http://127.0.0.1:" in server.stderr.readline()
        server.terminate()
        said = server.stderr.read()
        assert server.wait(timeout=20) == 0 or IS_WINDOWS
    assert "words, imported from old.pt\n" in said
    assert "".join(f"lorelm: {notice}\n" for notice in notices.notices) in said
