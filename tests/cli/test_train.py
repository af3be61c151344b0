import dataclasses
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.systems import needs_signals

from lorelm.bundle import Bundle
from lorelm.cli.corpus_of_run import _reread
from lorelm.cli.train import _stop_on_signal
from lorelm.corpus.documents import Documents, ReadingOptions
from lorelm.corpus.readers import read_documents

pytestmark = pytest.mark.system

Lorelm = Callable[..., Any]

FLAGS = ["--batch-size", "4", "--min-frequency", "1"]
SMALL = ["--hidden-size", "8", "--epochs", "2", *FLAGS]


@pytest.fixture
def tales_csv(tales: Documents, tmp_path: Path) -> Path:
    import polars

    path = tmp_path / "tales.csv"
    speakers = ["FOX" if i % 2 else "OWL" for i in range(len(tales))]
    polars.DataFrame({"who": speakers, "line": list(tales.texts)}).write_csv(path)
    return path


def test_train_generate_and_score_go_together(lorelm: Lorelm, tales_csv: Path) -> None:
    trained = lorelm("train", tales_csv, "--out", "model", *SMALL)
    assert trained.stdout == ""
    assert "Taking the text from column 'line'" in trained.stderr
    assert "tales.csv is read as table: " in trained.stderr
    assert "The first ones: " in trained.stderr
    assert re.search(r"epoch 1 +valid perplexity +\d+\.\d", trained.stderr)
    assert re.search(r"test perplexity +\d+\.\d", trained.stderr)
    assert 'lorelm generate model "your words"' in trained.stderr

    # What follows may be a comma, or a line break.
    assert re.fullmatch(r"The fox\b.+\n", lorelm("generate", "model", "The fox").stdout, re.DOTALL)

    scored = json.loads(lorelm("score", "model", tales_csv, "--json").stdout)
    assert set(scored) == {"tokens", "perplexity", "unknown_rate"}
    assert scored["unknown_rate"] < 0.05
    assert f"perplexity    {scored['perplexity']:.2f}" in lorelm("score", "model", tales_csv).stdout


def test_the_speaker_comes_before_the_line(lorelm: Lorelm, tales_csv: Path, tmp_path: Path) -> None:
    lorelm("train", tales_csv, "--speaker-column", "who", "--out", "model", *SMALL)
    words = Bundle.load(tmp_path / "model").vocabulary.words
    assert {"<speaker FOX>", "<speaker OWL>", "<other speaker>"} <= set(words)


def test_flags_come_before_the_recipe_file(lorelm: Lorelm, tales_csv: Path, tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text('tokenizer = "classic"\nbptt = 7\nepochs = 9\n')
    lorelm("train", tales_csv, "--recipe", "my.toml", "--out", "model", *SMALL)
    recipe = Bundle.load(tmp_path / "model").manifest.recipe
    assert (recipe["tokenizer"], recipe["bptt"], recipe["epochs"]) == ("classic", 7, 2)


def begin(
    tmp_path: Path, tales_csv: Path, *arguments: str, out: str = "model"
) -> "subprocess.Popen[str]":
    """Begins to train in the background, with a path from the folder."""
    command = [sys.executable, "-m", "lorelm", "train", tales_csv.name, "--out", out, *SMALL]
    return subprocess.Popen(
        [*map(str, command), *arguments], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )


def wait_for_epochs(path: Path, num_epochs: int) -> None:
    metrics = path / "metrics.so-far.jsonl"
    give_up = time.monotonic() + 60
    num_written = 0
    while num_written < num_epochs:
        assert time.monotonic() < give_up
        time.sleep(0.02)
        with suppress(FileNotFoundError):
            num_written = metrics.read_text().count("\n")


def weights(path: Path) -> dict[str, Any]:
    return Bundle.load(path).weights()


def same(one: dict[str, Any], two: dict[str, Any]) -> bool:
    return all((one[name] == two[name]).all() for name in one)


@needs_signals
def test_ctrl_c_saves_and_says_how_to_go_on(
    lorelm: Lorelm, tales_csv: Path, tmp_path: Path
) -> None:
    lorelm("train", tales_csv, "--out", "whole", *SMALL, "--epochs", "40")
    training = begin(tmp_path, tales_csv, "--epochs", "40", out="my model")
    model = tmp_path / "my model"
    wait_for_epochs(model, 2)
    training.send_signal(signal.SIGINT)
    _, errors = training.communicate(timeout=60)
    assert training.returncode == 130
    assert re.fullmatch(
        r"lorelm: stopped; go on with lorelm train --resume 'my model', or make a model of its "
        r"best epoch so far \(\d+, valid perplexity \d+\.\d\) with lorelm train "
        r"--finish 'my model'",
        errors.splitlines()[-1],
    )
    assert "Traceback" not in errors
    assert "every 30 s: Ctrl-C stops, lorelm train --resume 'my model' goes on, and" in errors
    begun_again = lorelm("train", tales_csv, "--out", "my model", *SMALL, code=2)
    assert "go on with lorelm train --resume 'my model'" in begun_again.stderr
    unfinished = lorelm("generate", "my model", code=2)
    assert "go on with lorelm train --resume 'my model'" in unfinished.stderr
    (tmp_path / "elsewhere").mkdir()
    resumed = lorelm("train", "--resume", "../my model", cwd=tmp_path / "elsewhere")
    assert "Going on from epoch" in resumed.stderr
    assert "lorelm generate '../my model' \"your words\"" in resumed.stderr
    assert same(weights(model), weights(tmp_path / "whole"))
    assert not list(model.glob("*checkpoint*"))
    assert (model / "metrics.jsonl").read_text().count("\n") == 40
    assert [f.path for f in Bundle.load(model).manifest.corpus.files] == ["tales.csv"]


# Runs the command and sends it a signal when it opens or makes a file whose name ends so.
INTERRUPTED = """
import os, signal, sys
from lorelm.cli.main import main

number, end_of_name = int(sys.argv.pop(1)), sys.argv.pop(1)

def interrupt(event, arguments):
    global end_of_name
    if event in ("open", "os.mkdir") and end_of_name and str(arguments[0]).endswith(end_of_name):
        end_of_name = ""
        os.kill(os.getpid(), number)

sys.addaudithook(interrupt)
main()
"""


@pytest.mark.parametrize(
    ("number", "file", "message"),
    [
        pytest.param(signal.SIGINT, "{parent}", "stopped", id="while preparing"),
        pytest.param(
            signal.SIGTERM,
            ".model.new",
            "stopped; the last checkpoint is of the end of epoch 2, the last: go on with lorelm "
            "train --resume model",
            id="while saving",
        ),
    ],
)
def test_a_signal_before_and_after_the_steps_stops_at_once(
    lorelm: Lorelm,
    tales_csv: Path,
    tmp_path: Path,
    number: int,
    file: str,
    message: str,
) -> None:
    file = file.format(parent=tmp_path.name)
    command = [sys.executable, "-c", INTERRUPTED, str(int(number)), file]
    ended = subprocess.run(
        [*command, "train", tales_csv, "--out", "model", *SMALL],
        cwd=tmp_path,
        check=False,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert ended.returncode == 130
    assert ended.stderr.splitlines()[-1] == f"lorelm: {message}"
    left = {path.name for path in tmp_path.iterdir()} - {"tales.csv"}
    assert left == (set() if message == "stopped" else {"model"})
    if file == ".model.new":
        resumed = lorelm("train", "--resume", "model")
        assert not re.search(r"epoch +\d+ +valid", resumed.stderr)
    if left:
        assert Bundle.load(tmp_path / "model").manifest.training.epochs == 2


@pytest.mark.slow
def test_a_run_with_a_validation_file_alone_is_resumed_with_the_same_parts(
    lorelm: Lorelm, tales_csv: Path, tmp_path: Path
) -> None:
    shutil.copy(tales_csv, tmp_path / "held.csv")
    arguments = ("train", "tales.csv", "--valid", "held.csv", "--out", "model", *SMALL)
    saving = (str(int(signal.SIGINT)), ".model.new")
    command = [sys.executable, "-c", INTERRUPTED, *saving, *arguments]
    ended = subprocess.run(command, cwd=tmp_path, check=False, stderr=subprocess.PIPE, text=True)
    assert (
        "The test part is split off tales.csv, since only a validation part was given."
        in ended.stderr
    )
    assert "% of the documents of the validation part are in the training text too" in ended.stderr
    assert ended.returncode == 130
    lorelm("train", "--resume", "model")
    facts = Bundle.load(tmp_path / "model").manifest.corpus
    assert [file and file.path for file in facts.files] == ["tales.csv", "held.csv", None]
    assert facts.valid_documents == len(read_documents(tales_csv))


def test_shakespeare_is_reread_beside_a_folder_of_that_name(tmp_path: Path) -> None:
    """As `lorelm train shakespeare --out shakespeare` makes one."""
    begun = read_documents("shakespeare", ReadingOptions())
    (tmp_path / "shakespeare").mkdir()
    assert begun.file is not None
    again = _reread(dataclasses.asdict(begun.file), str(tmp_path))
    assert list(again.texts[:100]) == list(begun.texts[:100])


def test_a_ctrl_c_after_the_last_step_takes_effect() -> None:
    with pytest.raises(KeyboardInterrupt), _stop_on_signal():
        signal.raise_signal(signal.SIGINT)


def test_the_model_to_be_replaced_is_named_at_the_start(
    lorelm: Lorelm, tiny_bundle: Path, tales_csv: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "model")
    ended = lorelm("train", tales_csv, "--out", "model", "--device", "abacus", code=2)
    expected = "model holds a model of tales.txt, which the new one will replace."
    assert expected in ended.stderr.splitlines()


def test_resume_without_a_run_says_so(lorelm: Lorelm, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ended = lorelm("train", "--resume", "empty", code=2)
    assert "empty holds no unfinished run" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume", "m", "--dropout", "0.5"], "leave out --dropout"),
        (["--resume", "m", "--text-column", "line"], "leave out --text-column"),
        (["--resume", "m", "--finish", "m"], "leave out --resume"),
        (["--finish", "m", "--epochs", "9"], "leave out --epochs"),
        (["--finish", "m", "--early-stopping", "2"], "leave out --early-stopping"),
        (["--finish", "nowhere"], "nowhere holds no unfinished run"),
        (["--resume", "nowhere", "--epochs", "9"], "nowhere holds no unfinished run"),
        (["--finish", "damaged"], "checkpoint.safetensors is damaged"),
        (["--finish", "finished"], "the run in finished is finished"),
        (["--resume", "finished"], "or train it further with epochs or time_budget_seconds"),
        (["--resume", "finished", "--epochs", "10"], "10 are over already: give 11 or more"),
        (["--resume", "finished", "--epochs", "0"], "epochs: must be a whole number from 1 to"),
        (["--resume", "finished", "--epochs", "20", "--time-budget", "1m"], "give either epochs"),
        (["--resume", "finished", "--epochs", "20"], "was begun with texts of Python"),
    ],
)
def test_what_cannot_go_on_is_one_line(
    lorelm: Lorelm, tiny_bundle: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    if "finished" in arguments:
        shutil.copytree(tiny_bundle, tmp_path / "finished")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "checkpoint.safetensors").write_bytes(b"{}")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    ended = lorelm("train", *arguments, code=2)
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


@pytest.mark.slow
def test_a_killed_run_is_finished_and_a_finished_one_extended_after_its_text_has_moved(
    lorelm: Lorelm, tales_csv: Path, tmp_path: Path
) -> None:
    steps = ("--checkpoint-steps", "1")
    training = begin(tmp_path, tales_csv, "--epochs", "9999", *steps, "--schedule", "cosine")
    wait_for_epochs(tmp_path / "model", 2)
    training.kill()
    training.communicate(timeout=60)
    finished = lorelm("train", "--finish", "model")
    assert not re.search(r"documents to train on[^!]*documents to train on", finished.stderr)
    assert re.search(r"best epoch +\d+ of \d+ \(finished before its time\)", finished.stderr)
    assert re.search(r"test perplexity +\d+\.\d", finished.stderr)
    assert not list((tmp_path / "model").glob("*checkpoint*"))
    (tmp_path / "elsewhere").mkdir()
    tales_csv.rename(tmp_path / "elsewhere" / "tales.csv")
    num_epochs = Bundle.load(tmp_path / "model").manifest.training.epochs
    longer = ("--resume", "model", "--epochs", str(num_epochs + 1))
    gone = lorelm("train", *longer, code=2)
    assert "bring it there, or name it (lorelm train PATH --resume model ...)" in gone.stderr
    extended = lorelm("train", "elsewhere/tales.csv", *longer)
    assert "The run is extended: the learning rate rises from zero" in extended.stderr
    manifest = Bundle.load(tmp_path / "model").manifest
    assert manifest.training.epochs == num_epochs + 1
    assert [file.path for file in manifest.corpus.files] == ["tales.csv"]
    assert b"elsewhere" not in (tmp_path / "model" / "manifest.json").read_bytes()


@needs_signals
@pytest.mark.slow
def test_an_unfinished_run_goes_on_after_its_text_has_moved(
    lorelm: Lorelm, tales_csv: Path, tmp_path: Path
) -> None:
    training = begin(tmp_path, tales_csv, "--epochs", "9999")
    wait_for_epochs(tmp_path / "model", 1)
    training.send_signal(signal.SIGTERM)
    _, errors = training.communicate(timeout=60)
    assert training.returncode == 130
    assert "lorelm train --finish model" in errors.splitlines()[-1]
    tales_csv.rename(tmp_path / "moved.csv")
    gone = lorelm("train", "--finish", "model", code=2)
    assert "name the file where it is now (PATH beside --resume or --finish)" in gone.stderr
    lorelm("train", "moved.csv", "--finish", "model")
    assert Bundle.load(tmp_path / "model").manifest.training.ended == "finish"


@pytest.mark.slow
def test_a_compact_bundle_serves_and_is_begun_with(
    lorelm: Lorelm, tales_csv: Path, tmp_path: Path
) -> None:
    lorelm("train", tales_csv, "--out", "known", *SMALL, "--epochs", "8", "--compact")
    files = {file.name for file in (tmp_path / "known").iterdir()}
    assert "step.float32.onnx" not in files
    assert {"step.int8.onnx", "weights.safetensors"} <= files
    manifest = Bundle.load(tmp_path / "known").manifest
    assert manifest.model.tied
    num_weights = sum(weight.size for weight in weights(tmp_path / "known").values())
    num_tied = manifest.model.vocabulary_size * manifest.model.hidden_size
    size = (tmp_path / "known" / "weights.safetensors").stat().st_size
    assert size == pytest.approx(2 * (num_weights - num_tied), abs=2000)  # and a header
    assert lorelm("generate", "known", "The fox").stdout.startswith("The fox")
    lorelm("train", tales_csv, "--out", "tuned", "--init", "known", "--epochs", "1", *FLAGS)
    lorelm("train", tales_csv, "--out", "fresh", *SMALL, "--epochs", "1")
    tuned, fresh = (
        Bundle.load(tmp_path / name).manifest.training.valid_perplexity
        for name in ("tuned", "fresh")
    )
    assert tuned < fresh
    assert tuned < 1.2 * manifest.training.valid_perplexity


def test_a_bundle_without_weights_is_not_begun_with(
    lorelm: Lorelm, tales_csv: Path, tmp_path: Path
) -> None:
    lorelm("train", tales_csv, "--out", "serving", *SMALL, "--epochs", "1", "--serving-only")
    ended = lorelm("train", tales_csv, "--out", "tuned", "--init", "serving", code=2)
    assert "it is a serving bundle" in ended.stderr
    assert not (tmp_path / "tuned").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--init", "nowhere"], "bundle nowhere does not exist"),
        (["--init", "english", "--hidden-size", "64"], "leave it out (--hidden-size)"),
        (["--init", "english", "--recipe", "my.toml"], "leave it out (--num-layers)"),
    ],
)
def test_a_wrong_init_is_refused_before_the_corpus_is_read(
    lorelm: Lorelm, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "my.toml").write_text('base = "fine-tune"\nnum_layers = 2\n')
    ended = lorelm("train", "nowhere.csv", "--out", "model", *arguments, code=2)
    assert message in ended.stderr


def test_a_time_budget_keeps_to_the_epochs_that_are_given_and_says_what_it_does(
    lorelm: Lorelm, tales_csv: Path, tmp_path: Path
) -> None:
    budget = ("--time-budget", "2m", "--epochs", "3")
    ended = lorelm("train", tales_csv, "--out", "model", *SMALL, *budget)
    assert "Of the time budget of 2 min, " in ended.stderr
    assert "training: hidden size 8, epochs: about 3." in ended.stderr
    assert (tmp_path / "model" / "metrics.jsonl").read_text().count("\n") == 3


def test_a_time_budget_in_which_nothing_fits_is_refused(
    lorelm: Lorelm, tales_csv: Path, tmp_path: Path
) -> None:
    ended = lorelm("train", tales_csv, "--out", "model", "--time-budget", "0.1s", code=2)
    assert "lorelm: a time budget of 0.1 s is too short: " in ended.stderr
    assert " s went into preparing, and the rest is enough for 0 updates" in ended.stderr
    assert "; set time_budget_seconds (--time-budget) to " in ended.stderr
    assert not (tmp_path / "model").exists()


def test_an_invalid_time_is_refused(lorelm: Lorelm, tales_csv: Path) -> None:
    for time_budget in ("soon", "0m", "5", "9" * 400 + "h"):
        ended = lorelm("train", tales_csv, "--out", "model", "--time-budget", time_budget, code=2)
        assert "is not a time: write a number and s, m or h" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.csv"], "lorelm: there is no file nowhere.csv"),
        (["m" * 300], "lorelm: " + "m" * 300 + " cannot be read: File name too long"),
        (["tales.csv", "--init", "m" * 300], " cannot be read: File name too long"),
        (["tales.csv", "--recipe", "m" * 300], " cannot be read: File name too long"),
        (["tales.csv", "--text-column", "dialog"], "has no column 'dialog'"),
        (
            ["tales.csv", "--epochs", "0"],
            "lorelm: epochs: must be a whole number from 1 to 1,000,000",
        ),
        (["tales.csv", "--recipe", "grand"], "lorelm: there is no recipe 'grand'"),
        (["tales.csv", "--batch-size", "99999"], "use a batch_size (--batch-size) of"),
        (["tales.csv", "--device", "abacus"], "no device 'abacus'"),
        (["tales.csv", "--device", "meta"], "no device 'meta'"),
        (
            ["tales.csv", "--no-tied", "--hidden-size", "999999"],
            "use a smaller hidden_size (--hidden-size)",
        ),
        (
            ["tales.csv", "--checkpoint-seconds", "nan"],
            "checkpoint_seconds: must be a number from 0 up",
        ),
    ],
)
def test_a_wrong_input_is_one_line_and_leaves_nothing(
    lorelm: Lorelm, tales_csv: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    ended = lorelm("train", *arguments, "--out", "model", code=2)
    assert message in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("lorelm: ")
    assert "\n\n" not in ended.stderr
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("option", ["--out", "--resume"])
def test_a_folder_that_cannot_be_is_one_line(lorelm: Lorelm, tales_csv: Path, option: str) -> None:
    given = [tales_csv] if option == "--out" else []
    ended = lorelm("train", *given, option, "m" * 300, code=2)
    assert ended.stderr.splitlines()[-1].startswith("lorelm: ")
    assert "File name too long" in ended.stderr.splitlines()[-1]


def test_the_folder_of_other_things_is_not_overwritten(lorelm: Lorelm, tales_csv: Path) -> None:
    ended = lorelm("train", tales_csv, "--out", ".", code=2)
    assert "cannot be replaced as a whole" in ended.stderr
    assert tales_csv.exists()


def test_a_model_of_a_folder_is_evaluated_on_its_files_again(
    lorelm: Lorelm, tales_csv: Path, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    tales_csv.rename(tmp_path / "folder" / "tales.csv")
    (tmp_path / "more.txt").write_text("One more tale of the fox.\nAnd of the owl.\n")
    options = (*SMALL, "--document", "line")
    lorelm("train", "folder", "*.txt", "--out", "m", "--text-column", "line", *options, code=2)
    lorelm("train", "folder", "fold*/*.csv", "--out", "m", "--text-column", "line", *options)
    manifest = json.loads((tmp_path / "m" / "manifest.json").read_text())
    assert manifest["corpus"]["files"][0]["path"] == "folder"
    assert manifest["corpus"]["files"][0]["more_paths"] == ["fold*/*.csv"]
    assert "perplexity" in lorelm("evaluate", "m").stdout
