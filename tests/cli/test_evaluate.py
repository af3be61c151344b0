import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lorelm.bundle import Bundle
from lorelm.corpus.documents import Documents

pytestmark = pytest.mark.system

Lorelm = Callable[..., object]

SMALL = [
    *("--recipe", "classic", "--tokenizer", "words", "--num-layers", "1"),
    *("--hidden-size", "32", "--embedding-size", "16", "--batch-size", "4", "--bptt", "16"),
    *("--min-frequency", "2", "--epochs", "16", "--learning-rate", "0.02"),
]
KEYS = {
    *("perplexity", "unknown_rate", "bits_per_character", "ngram_perplexity"),
    *("mixture_perplexity", "mixture_weight", "copied_share", "longest_copy", "distinct_share"),
}


@pytest.fixture(scope="module")
def trained_once(tales: Documents, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with tales.txt and the model of it, and what `lorelm train` said."""
    folder = tmp_path_factory.mktemp("trained")
    lines = [text.replace("\n", " ") for text in tales.texts]
    (folder / "tales.txt").write_text("\n".join(lines), encoding="utf-8")
    command = [sys.executable, "-m", "lorelm", "train", "tales.txt", "--out", "model", *SMALL]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return folder, ended.stderr


@pytest.fixture
def trained(trained_once: tuple[Path, str], tmp_path: Path) -> str:
    """The same in the folder of the test; returns what `lorelm train` said."""
    folder, said = trained_once
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return said


def test_training_ends_with_an_evaluation(lorelm: Lorelm, trained: str, tmp_path: Path) -> None:
    assert "the test part of tales.txt: 18 documents" in trained
    assert re.search(r"n-gram model \(order \d\)", trained)
    assert re.search(r"tokens in spans of 12 or more +\d", trained)
    metrics = Bundle.load(tmp_path / "model").manifest.metrics
    assert metrics is not None
    printed = json.loads(lorelm("evaluate", "model", "--json").stdout)
    assert printed == json.loads(metrics.model_dump_json())
    assert printed.keys() >= KEYS
    assert all(printed[key] is not None for key in KEYS)


def test_the_corpus_itself_is_evaluated_on_its_test_part(lorelm: Lorelm, trained: str) -> None:
    without = lorelm("evaluate", "model", "--json").stdout
    assert lorelm("evaluate", "model", "tales.txt", "--json").stdout == without


def test_any_text_is_evaluated_with_the_metrics_of_score(
    lorelm: Lorelm, trained: str, tmp_path: Path
) -> None:
    (tmp_path / "other.txt").write_text("The fox sat by the mill.\nThe wren slept.\n")
    evaluated = json.loads(lorelm("evaluate", "model", "other.txt", "--json").stdout)
    scored = json.loads(lorelm("score", "model", "other.txt", "--json").stdout)
    assert evaluated["text"] == "other.txt"
    assert evaluated["perplexity"] == pytest.approx(scored["perplexity"])
    assert evaluated["tokens"] == scored["tokens"]
    assert evaluated["unknown_rate"] == scored["unknown_rate"]


@pytest.mark.slow
def test_a_bundle_that_carries_the_ngram_model_needs_no_corpus(
    lorelm: Lorelm, trained: str, tmp_path: Path
) -> None:
    lorelm("train", "tales.txt", "--out", "carrying", "--ngram", *SMALL)
    (tmp_path / "other.txt").write_text("The fox sat by the mill.\nThe wren slept.\n")
    with_corpus = json.loads(lorelm("evaluate", "carrying", "other.txt", "--json").stdout)
    (tmp_path / "tales.txt").rename(tmp_path / "gone.txt")
    alone = json.loads(lorelm("evaluate", "carrying", "other.txt", "--json").stdout)
    assert alone.pop("ngram_perplexities") == []
    assert len(with_corpus.pop("ngram_perplexities")) == 5
    assert alone == with_corpus
    mixed = json.loads(lorelm("score", "carrying", "other.txt", "--mixture", "--json").stdout)
    assert mixed["perplexity"] == pytest.approx(alone["mixture_perplexity"])
    assert lorelm("generate", "carrying", "The", "--mixture", "--seed", "1").stdout

    without = json.loads(lorelm("evaluate", "model", "other.txt", "--json").stdout)
    assert without["ngram_perplexity"] is None
    assert without["copied_share"] is not None  # from the fingerprints
    shown = lorelm("evaluate", "model", "other.txt")
    assert "No comparison with an n-gram model: the bundle carries none" in shown.stderr
    refused = lorelm("evaluate", "model", "other.txt", "--interpolate", code=2)
    assert "name the corpus (add_ngram, lorelm evaluate " in refused.stderr


def test_an_ngram_model_is_added_later(lorelm: Lorelm, trained: str, tmp_path: Path) -> None:
    refused = lorelm("generate", "model", "The", "--mixture", code=2)
    assert "model --add-ngram" in refused.stderr
    before = lorelm("evaluate", "model", "--json").stdout
    added = lorelm("evaluate", "model", "--add-ngram", "--json")
    assert added.stdout == before
    assert "carries the n-gram model" in added.stderr
    assert lorelm("generate", "model", "The", "--mixture", "--seed", "1").stdout
    (tmp_path / "tales.txt").rename(tmp_path / "gone.txt")
    refused = lorelm("evaluate", "model", code=2)
    assert "(tales.txt) is neither in the current folder" in refused.stderr
    moved = json.loads(lorelm("evaluate", "model", "gone.txt", "--json").stdout)
    assert moved.pop("text") == "the test part of gone.txt"
    assert moved == {k: value for k, value in json.loads(before).items() if k != "text"}


def test_flags_leave_out_what_is_not_wanted(lorelm: Lorelm, trained: str) -> None:
    flags = ["--no-interpolate", "--samples", "0", "--json"]
    metrics = json.loads(lorelm("evaluate", "model", *flags).stdout)
    assert metrics["ngram_perplexity"] is None
    assert metrics["copied_share"] is None
    assert metrics["samples"] == 0
    assert metrics["seen_documents"] == 0


def test_a_report_and_plots_are_written(lorelm: Lorelm, trained: str, tmp_path: Path) -> None:
    shown = lorelm("evaluate", "model", "--report", "out/report.html", "--plots", "plots")
    assert "network (int8)" in shown.stdout
    assert (tmp_path / "out" / "report.html").read_text(encoding="utf-8").startswith("<!doctype")
    assert {plot.name for plot in (tmp_path / "plots").iterdir()} == {
        *("curves.png", "calibration.png", "document-length.png"),
    }


def test_a_report_that_cannot_be_written_is_refused_before_the_work(
    lorelm: Lorelm, tiny_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "other.txt").write_text("The fox sat by the mill.\nThe wren slept.\n")
    for option, target, message in (
        ("--report", ".", "report . cannot be written: it is a folder; name a file"),
        ("--report", "other.txt/r.html", "cannot be written:"),
        ("--plots", "other.txt", "other.txt is no folder"),
    ):
        ended = lorelm("evaluate", tiny_bundle, "other.txt", option, target, code=2)
        assert message in ended.stderr
        assert ended.stdout == ""
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["other.txt"]


def test_options_about_a_file_that_is_not_given_are_refused(
    lorelm: Lorelm, tiny_bundle: Path
) -> None:
    ended = lorelm("evaluate", tiny_bundle, "--document", "paragraph", code=2)
    assert "--document: they are about FILE, and there is none" in ended.stderr
    ended = lorelm("runs", "compare", tiny_bundle, tiny_bundle, "--encoding", "latin-1", code=2)
    assert "--encoding: they are about --text, and there is none" in ended.stderr


def test_a_text_of_the_training_part_is_reported(
    lorelm: Lorelm, trained: str, tmp_path: Path
) -> None:
    text = (tmp_path / "tales.txt").read_text()
    (tmp_path / "longer.txt").write_text(text + "\nOne more line.\n")
    shown = lorelm("evaluate", "model", "longer.txt").stdout
    assert "The model was trained on this text:" in shown
    assert "than the n-gram model" not in shown
    lorelm(
        *("train", "tales.txt", "--valid", "tales.txt", "--test", "tales.txt", "--out", "leaky"),
        *SMALL,
    )
    assert "trained on this text: 100%" in lorelm("evaluate", "leaky").stdout


def test_a_bundle_without_metrics_stores_them(lorelm: Lorelm, trained: str, tmp_path: Path) -> None:
    manifest = json.loads((tmp_path / "model" / "manifest.json").read_text())
    metrics = manifest.pop("metrics")
    (tmp_path / "model" / "manifest.json").write_text(json.dumps(manifest))
    lorelm("evaluate", "model", "--samples", "3")
    assert Bundle.load(tmp_path / "model").manifest.metrics is None
    lorelm("evaluate", "model")
    found = Bundle.load(tmp_path / "model").manifest.metrics
    assert found is not None
    assert json.loads(found.model_dump_json()) == metrics


@pytest.mark.parametrize("columns", ["40", "80"])
def test_no_figure_is_cut_short_by_a_narrow_terminal(
    lorelm: Lorelm, trained: str, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert "…" not in lorelm("evaluate", "model").stdout
    compared = lorelm("runs", "compare", "model", "model").stdout
    assert "…" not in compared
    assert re.search(r"model .*\+0\.000 \(\+0\.000 – \+0\.000\) +1\.000", compared)


def test_a_corpus_too_small_to_evaluate_on_still_trains(lorelm: Lorelm, tmp_path: Path) -> None:
    (tmp_path / "three.txt").write_text("one two three\nfour five one\none two six\n")
    flags = [*SMALL, "--batch-size", "1", "--min-frequency", "1"]
    ended = lorelm("train", "three.txt", "--out", "model", *flags)
    assert (
        "the model cannot be evaluated: the test part of three.txt is one document" in ended.stderr
    )
    assert "Saved to model" in ended.stderr
    assert "nan" not in ended.stderr
    refused = lorelm("evaluate", "model", code=2)
    assert "is one document" in refused.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "other.txt is empty"),
        ("!!!\n...\n", "holds no document with a word in it"),
        ("Кольцо всевластья.\nГде кольцо?\n", "knows no word of other.txt"),
        ("xyzzy plugh\nplugh xyzzy\n", "knows no word of other.txt"),
        ("The fox sat by the mill.\n", "other.txt is one document"),
    ],
)
@pytest.mark.parametrize("command", ["evaluate", "runs compare"])
def test_a_text_that_cannot_be_evaluated_is_one_line(
    lorelm: Lorelm, tiny_bundle: Path, tmp_path: Path, *, command: str, content: str, message: str
) -> None:
    (tmp_path / "other.txt").write_text(content, encoding="utf-8")
    arguments = {
        "evaluate": [tiny_bundle, "other.txt", "--json"],
        "runs compare": [tiny_bundle, tiny_bundle, "--text", "other.txt", "--json"],
    }[command]
    ended = lorelm(*command.split(), *arguments, code=2)
    assert message in ended.stderr
    assert ended.stderr.startswith("lorelm: ")
    assert ended.stderr.count("\n") == 1
    assert ended.stdout == ""


def test_bundles_that_lack_something_are_named(
    lorelm: Lorelm, tiny_bundle: Path, older_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "other.txt").write_text("The fox sat by the mill.\nThe wren slept.\n")
    shown = lorelm("evaluate", older_bundle, "other.txt", "--json")
    assert "Copies were not counted: the bundle carries no index" in shown.stderr
    metrics = json.loads(shown.stdout)
    assert metrics["copied_share"] is None
    assert metrics["bits_per_character"] is None
    assert metrics["perplexity"] > 1
    refused = lorelm("generate", older_bundle, "The", "--novel-span", "6", code=2)
    assert "needs an index of the training text" in refused.stderr
    refused = lorelm("score", older_bundle, "other.txt", "--mixture", code=2)
    assert "carries no n-gram model" in refused.stderr
    refused = lorelm("serve", older_bundle, "--mixture", "--port", "0", code=2)
    assert "carries no n-gram model" in refused.stderr
    refused = lorelm("evaluate", tiny_bundle, code=2)
    assert "does not say which file it was trained on" in refused.stderr
    refused = lorelm("runs", "compare", tiny_bundle, older_bundle, "--text", "other.txt", code=2)
    assert "older has no spelling model" in refused.stderr


@pytest.mark.slow
def test_models_are_compared_on_their_common_test_part(
    lorelm: Lorelm, trained: str, tmp_path: Path
) -> None:
    shutil.copytree(tmp_path / "model", tmp_path / "twin")
    lorelm("train", "tales.txt", "--out", "worse", *SMALL, "--epochs", "1")
    shown = lorelm("runs", "compare", "model", "twin", "worse").stdout
    assert "the test part of tales.txt, int8" in shown
    assert "twin and model do not differ by more than chance." in shown
    assert "worse is worse than model." in shown
    first, twin, worse = json.loads(
        lorelm("runs", "compare", "model", "twin", "worse", "--json").stdout
    )
    assert first["bundle"] == "model"
    assert first["p_value"] is None
    assert twin["difference_bits_per_character"] == 0
    assert worse["difference_interval"][0] > 0
    lorelm("train", "tales.txt", "--out", "other", *SMALL, "--epochs", "1", "--split-seed", "7")
    refused = lorelm("runs", "compare", "model", "other", code=2)
    assert "different corpora or splits" in refused.stderr
    assert "Name two bundles" in lorelm("runs", "compare", "model", code=2).stderr


def test_a_blend_is_measured_and_its_share_found(
    lorelm: Lorelm, trained: str, wolves_bundle: Path
) -> None:
    found = lorelm("evaluate", "model", "--blend", wolves_bundle, "--samples", "0").stdout
    assert f"% {wolves_bundle}" in found
    assert f"Blending with {wolves_bundle}" in found
    as_json = lorelm("evaluate", "model", "--blend", f"{wolves_bundle}=0.25", "--json").stdout
    metrics = json.loads(as_json)
    assert metrics["blend_share"] == 0.25
    assert metrics["blend_perplexity"] > 1
