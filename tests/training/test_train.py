import dataclasses
import itertools
import json
import os
import shutil
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from tests.errors import raises_code

from lorelm.bundle import Bundle
from lorelm.corpus import encoding, id_store, preparation, text_files
from lorelm.corpus.documents import Documents
from lorelm.corpus.preparation import Corpus
from lorelm.corpus.readers import read_documents
from lorelm.errors import BundleError, CorpusError, RecipeError, TrainingStoppedError
from lorelm.evaluation import baseline
from lorelm.evaluation.evaluate import evaluate_bundle
from lorelm.evaluation.report.page import render_report
from lorelm.evaluation.trained_corpus import find_trained_corpus
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.ngrams.kneser_ney import KneserNey
from lorelm.training.callbacks import EpochReport, TrainingCallback
from lorelm.training.checkpoint import Checkpoint
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe
from lorelm.training.run_context import RunContext
from lorelm.training.train import train

from .test_checkpoint import fill

pytestmark = pytest.mark.system


def test_metrics_have_one_line_per_epoch(tiny_bundle: Path, tiny_recipe: Recipe) -> None:
    lines = [json.loads(line) for line in (tiny_bundle / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, tiny_recipe.epochs + 1))
    best = min(line["valid_perplexity"] for line in lines)
    assert Bundle.load(tiny_bundle).manifest.training.valid_perplexity == best
    assert set(lines[0]) >= {"train_loss_nats_per_token", "learning_rate", "tokens_per_second"}


def test_a_bundle_holds_the_curves_of_its_training(tiny_bundle: Path) -> None:
    assert (tiny_bundle / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "curves.png" not in Bundle.load(tiny_bundle).manifest.files


def test_without_matplotlib_there_are_no_curves_and_the_old_ones_go(
    tiny_bundle: Path,
    tales: Documents,
    tiny_recipe: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = shutil.copytree(tiny_bundle, tmp_path / "model")
    monkeypatch.delitem(sys.modules, "lorelm.evaluation.report.plots", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.style", None)
    train(tales, dataclasses.replace(tiny_recipe, epochs=1), out=out)
    assert not (out / "curves.png").exists()


def test_the_manifest_holds_the_recipe_and_the_corpus(
    tiny_bundle: Path, tiny_recipe: Recipe, tales: Documents
) -> None:
    manifest = Bundle.load(tiny_bundle).manifest
    assert manifest.recipe == tiny_recipe.to_dict()
    assert manifest.corpus.fingerprint == tales.fingerprint
    assert manifest.corpus.source == "tales.txt"
    parts = (
        manifest.corpus.train_documents,
        manifest.corpus.valid_documents,
        manifest.corpus.test_documents,
    )
    assert sum(parts) == len(tales)


def test_a_model_that_is_worse_than_counting_is_mixed_by_default(
    tales: Documents, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    callback = FirstEpoch(lambda: None)
    recipe = dataclasses.replace(tiny_recipe, epochs=1)
    bundle = train(tales, recipe, out=tmp_path / "m", context=RunContext(callback=callback))
    manifest = bundle.manifest
    assert bundle.has_ngram  # without being asked for
    assert manifest.mixture
    assert manifest.metrics.is_mixed
    assert manifest.metrics.mixture_perplexity < manifest.metrics.perplexity
    [problem] = callback.problems
    assert problem.startswith("Counting predicts the validation part better than the network")


def test_a_model_that_is_better_than_counting_is_left_alone(
    tales: Documents, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    bundle = train(tales, tiny_recipe, out=tmp_path / "m")
    assert not bundle.has_ngram
    assert not bundle.manifest.mixture
    assert not bundle.manifest.metrics.is_mixed


def test_no_file_of_a_bundle_names_a_folder(
    tales: Documents, tiny_recipe: Recipe, tiny_bundle: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "private-folder"
    folder.mkdir()
    for name, texts in (("tales.txt", tales.texts), ("test.txt", tales.texts[:9])):
        (folder / name).write_text("\n".join(texts), encoding="utf-8")
    shutil.copytree(tiny_bundle, folder / "first")
    bundle = train(
        read_documents(folder / "tales.txt"),
        dataclasses.replace(tiny_recipe, epochs=1),
        out=folder / "m",
        options=TrainingOptions(
            init=str(folder / "first"), tensorboard=str(folder / "board"), with_ngram=True
        ),
        test=read_documents(folder / "test.txt"),
    )
    result = evaluate_bundle(bundle, documents=read_documents(folder / "test.txt"))
    (folder / "m" / "report.html").write_text(render_report(bundle, result), encoding="utf-8")
    for path in (folder / "m").iterdir():
        for secret in (b"private-folder", bytes(tmp_path)):
            assert secret not in path.read_bytes(), path
        if path.suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    assert b"private-folder" not in archive.read(name)


def test_named_parts_are_used_as_they_are(
    tales: Documents, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    valid = Documents(texts=tales.texts[:5], source="valid.txt")
    test = Documents(texts=tales.texts[5:9], source="test.txt")
    bundle = train(tales, tiny_recipe, out=tmp_path / "m", valid=valid, test=test)
    facts = bundle.manifest.corpus
    assert (facts.train_documents, facts.valid_documents, facts.test_documents) == (
        len(tales),
        5,
        4,
    )


def test_the_bundle_is_written_once_with_all_metrics_and_the_ngrams_are_counted_once(
    tales: Documents, tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    fit_orders = baseline.fit_orders

    def count(corpus: Corpus) -> Sequence[KneserNey]:
        counted.append(1)
        return fit_orders(corpus)

    monkeypatch.setattr(baseline, "fit_orders", count)
    out = tmp_path / "m"
    bundle = train(tales, dataclasses.replace(tiny_recipe, epochs=2), out=out)
    assert len(counted) == 1
    assert bundle.manifest == Bundle.load(out).manifest
    evaluated = evaluate_bundle(bundle, documents=tales).metrics
    # The n-gram models and the mixture weight are the same; of the spelling, rounding differs.
    assert bundle.manifest.metrics.ngram_perplexities == evaluated.ngram_perplexities
    assert bundle.manifest.metrics.mixture_perplexity == evaluated.mixture_perplexity
    assert bundle.manifest.metrics.samples == evaluated.samples == 100
    assert bundle.manifest.metrics.copied_share == evaluated.copied_share
    assert bundle.manifest.metrics.bits_per_character == pytest.approx(evaluated.bits_per_character)


def test_a_test_part_that_cannot_be_evaluated_is_a_problem_and_not_the_end(
    tales: Documents, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    callback = FirstEpoch(lambda: None)
    one = Documents(texts=tales.texts[:1], source="test.txt")
    recipe = dataclasses.replace(tiny_recipe, epochs=1)
    context = RunContext(callback=callback)
    bundle = train(tales, recipe, out=tmp_path / "m", valid=tales, test=one, context=context)
    assert bundle.manifest.metrics is None
    problem = callback.problems[-1]
    assert "cannot be evaluated: the test part of tales.txt is one document" in problem


class InterruptedEvaluation(TrainingCallback):
    def on_evaluation(self, corpus: Corpus) -> None:
        raise KeyboardInterrupt


def test_ctrl_c_during_evaluation_leaves_a_checkpoint_of_the_trained_model(
    tales: Documents, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    out, recipe = tmp_path / "m", dataclasses.replace(tiny_recipe, epochs=2)
    end = "stopped; the last checkpoint is of the end of epoch 2, the last: go on with"
    with pytest.raises(TrainingStoppedError, match=end):
        train(tales, recipe, out=out, context=RunContext(callback=InterruptedEvaluation()))
    bundle = train(tales, recipe, out=out, context=RunContext(resume=Checkpoint.load(out)))
    assert bundle.manifest.metrics is not None
    assert len(bundle.training_metrics()) == 2


def test_a_folder_of_other_things_is_refused_before_training(
    tales: Documents, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    (tmp_path / "thesis.docx").write_text("")
    with pytest.raises(BundleError, match="holds other things"):
        train(tales, tiny_recipe, out=tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.docx"]


class FirstEpoch(TrainingCallback):
    """Acts after the first epoch, and records problems."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act
        self.problems: list[str] = []

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        if report.epoch == 1:
            self.act()

    def on_problem(self, message: str) -> None:
        self.problems.append(message)


def test_a_second_run_in_the_same_folder_is_refused(
    tales: Documents, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    out, recipe = tmp_path / "m", dataclasses.replace(tiny_recipe, epochs=2)

    def train_too() -> None:
        for resume in (None, Checkpoint.load(out)):
            with pytest.raises(
                BundleError, match=rf"another run \(process {os.getpid()} .*choose another"
            ):
                train(tales, recipe, out=out, context=RunContext(resume=resume))

    train(tales, recipe, out=out, context=RunContext(callback=FirstEpoch(train_too)))
    assert Bundle.load(out).manifest.training.epochs == 2
    assert list(tmp_path.iterdir()) == [out]


def test_other_files_in_the_folder_of_a_run_stay(
    tales: Documents, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    out, stop = tmp_path / "m", threading.Event()
    options = TrainingOptions(tensorboard=str(out / "board"))
    recipe = dataclasses.replace(tiny_recipe, epochs=2)

    def put() -> None:
        (out / "notes").mkdir()
        (out / "notes" / "day.txt").write_text("it works")
        stop.set()

    with pytest.raises(TrainingStoppedError):
        train(
            tales,
            recipe,
            out=out,
            options=options,
            context=RunContext(callback=FirstEpoch(put), stop=nullcontext(stop)),
        )
    train(tales, recipe, out=out, options=options, context=RunContext(resume=Checkpoint.load(out)))
    train(tales, recipe, out=out)  # again, in place of the bundle
    Bundle.load(out)
    assert (out / "notes" / "day.txt").read_text() == "it works"
    assert list((out / "board").iterdir())


def test_an_error_on_a_full_disk_says_how_much_is_needed_and_how_to_resume(
    tales: Documents, tiny_recipe: Recipe, small_disk: Path
) -> None:
    out, ballast = small_disk / "m", small_disk / "ballast"
    recipe = dataclasses.replace(tiny_recipe, epochs=2)
    callback = FirstEpoch(lambda: fill(ballast))
    with pytest.raises(
        BundleError,
        match=r"cannot be written: No space left on device \(free 0\.\d MB for it\); the last "
        rf"checkpoint is of epoch 1, step 0: go on with lorelm\.train\(\.\.\., out='{out}', "
        r"resume=True\)",
    ):
        train(tales, recipe, out=out, context=RunContext(callback=callback))
    ballast.unlink()
    resumed = train(tales, recipe, out=out, context=RunContext(resume=Checkpoint.load(out)))
    assert resumed.manifest.training.epochs == 2


def test_a_run_begun_in_bfloat16_resumes_in_float32_without_hardware_support(
    tales: Documents, tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, stop = tmp_path / "m", threading.Event()
    stop.set()
    with pytest.raises(TrainingStoppedError):
        train(tales, tiny_recipe, out=out, context=RunContext(stop=nullcontext(stop)))
    begun = Checkpoint.load(out)
    begun.run["recipe"] |= {"precision": "bfloat16", "epochs": 1}
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)  # as on another machine
    callback = FirstEpoch(lambda: None)
    recipe = Recipe.from_dict(begun.run["recipe"])
    train(tales, recipe, out=out, context=RunContext(resume=begun, callback=callback))
    assert callback.problems[0].endswith("with which the run was begun: it goes on in float32")
    assert Bundle.load(out).manifest.recipe["precision"] == "float32"


@pytest.mark.parametrize("seconds", [float("nan"), -1.0])
def test_an_invalid_time_between_checkpoints_is_refused(seconds: float) -> None:
    with raises_code(RecipeError, "recipe.options"):
        TrainingOptions(checkpoint_seconds=seconds)


@pytest.fixture
def large_tales(tales: Documents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Documents:
    """Four times the tales, as a file that is not held in memory and cannot be counted."""
    monkeypatch.setattr(text_files, "LARGE_FILE_BYTES", 1_000)
    monkeypatch.setattr(preparation, "MAX_COUNTED_TOKENS", 1_000)
    path = tmp_path / "tales.txt"
    lines = [f"{text} {n}" for n in range(4) for text in tales.texts]
    path.write_text("\n".join(line.replace("\n", " ") for line in lines), encoding="utf-8")
    return read_documents(path)


def test_a_corpus_larger_than_memory_becomes_a_bundle(
    large_tales: Documents, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    out = tmp_path / "m"
    recipe = dataclasses.replace(tiny_recipe, epochs=2, shuffle=True)
    bundle = train(large_tales, recipe, out=out)
    assert bundle.manifest.corpus.fingerprint == large_tales.fingerprint
    assert bundle.manifest.ngram is None
    assert bundle.copies() is None
    assert bundle.spelling() is not None
    assert not list(out.glob("*ids.*"))
    again = find_trained_corpus(bundle)
    assert len(again.train.stream) == bundle.manifest.corpus.train_tokens
    assert again.test.num_documents == bundle.manifest.metrics.documents
    assert bundle.manifest.metrics.ngram_perplexity is None
    assert bundle.manifest.metrics.samples == 0
    assert again.vocabulary == bundle.vocabulary


def test_a_resumed_run_of_a_large_corpus_uses_its_stored_ids(
    large_tales: Documents, tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, stop = tmp_path / "m", threading.Event()
    stop.set()
    with pytest.raises(TrainingStoppedError):
        train(large_tales, tiny_recipe, out=out, context=RunContext(stop=nullcontext(stop)))
    assert len(list(out.glob("ids.*"))) == 2
    monkeypatch.setattr(id_store, "Encoder", None)  # nothing can be encoded now
    recipe = Checkpoint.load(out).run["recipe"]
    train(large_tales, Recipe(**recipe), out=out, context=RunContext(resume=Checkpoint.load(out)))
    assert not list(out.glob("ids.*"))


def test_a_large_corpus_that_would_take_all_of_the_time_is_refused_while_it_is_read(
    large_tales: Documents, tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that goes on by a second at each call."""
    ticks = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))
    monkeypatch.setattr(encoding, "DOCUMENTS_PER_REPORT", 10)
    options = TrainingOptions(time_budget_seconds=10)
    with raises_code(RecipeError, "recipe.budget_too_short"):
        train(large_tales, tiny_recipe, out=tmp_path / "m", options=options)
    assert not (tmp_path / "m").exists()


def test_a_run_with_a_time_budget_ends_in_time_with_a_low_learning_rate(
    tales: Documents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that goes on by a hundredth of a second at each call."""
    ticks = itertools.count()
    for clock in ("perf_counter", "thread_time"):
        monkeypatch.setattr(time, clock, lambda: next(ticks) / 100)
    recipe = Recipe.load("default", min_frequency=1, hidden_size=8)
    options = TrainingOptions(device="cpu", time_budget_seconds=20)
    result = train(
        tales, recipe, out=tmp_path / "m", options=options, context=RunContext(started=-2.0)
    )
    assert next(ticks) / 100 < 18
    assert result is not None
    assert result.manifest.training.seconds > 4
    rates = [row["learning_rate"] for row in Bundle.load(tmp_path / "m").training_metrics()]
    assert rates[-1] < 0.03 * max(rates)


def test_a_resumed_run_with_a_time_budget_keeps_its_plan(tales: Documents, tmp_path: Path) -> None:
    recipe = Recipe.load("default", min_frequency=1, hidden_size=8, epochs=2)
    stop = threading.Event()
    stop.set()
    options = TrainingOptions(device="cpu", time_budget_seconds=100)
    with pytest.raises(TrainingStoppedError):
        train(
            tales,
            recipe,
            out=tmp_path / "m",
            options=options,
            context=RunContext(stop=nullcontext(stop)),
        )
    checkpoint = Checkpoint.load(tmp_path / "m")
    assert 0 < checkpoint.run["training_seconds"] < 100
    result = train(
        tales,
        Recipe.from_dict(checkpoint.run["recipe"]),
        out=tmp_path / "m",
        options=options,
        context=RunContext(resume=checkpoint),
    )
    assert result is not None
    assert result.manifest.training.epochs == 2


def test_an_ngram_model_of_a_corpus_too_large_to_count_is_refused(
    large_tales: Documents, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    options = TrainingOptions(with_ngram=True)
    with raises_code(CorpusError, "corpus.too_large_for_ngram"):
        train(large_tales, tiny_recipe, out=tmp_path / "m", options=options)
