"""What `import lorelm` gives."""

import doctest
import errno
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas
import polars
import pytest
import torch
from tests.bundle.importing.foreign import WORDS, ForeignModel
from tests.errors import raises_code

import lorelm
from lorelm.cli.main import lorelm as cli
from lorelm.corpus.documents import Documents
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe
from lorelm.training.run_context import RunContext
from lorelm.training.train import train

pytestmark = pytest.mark.system

SMALL: dict[str, Any] = {"epochs": 1, "hidden_size": 8, "min_frequency": 1, "device": "cpu"}


@pytest.fixture(scope="module")
def texts(tales: Documents) -> list[str]:
    return list(tales.texts)


class ArrowStream:
    """An object that gives its columns by Arrow's stream protocol alone."""

    def __init__(self, frame: polars.DataFrame) -> None:
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._frame.__arrow_c_stream__(requested_schema)


@pytest.mark.filterwarnings("ignore:Taking the text from column")
@pytest.mark.parametrize(
    "corpus_of",
    [
        lambda texts: texts,
        iter,
        lambda texts: pandas.DataFrame({"text": texts}),
        pandas.Series,
        lambda texts: polars.DataFrame({"text": texts}),
        lambda texts: ArrowStream(polars.DataFrame({"text": texts})),
    ],
    ids=["list", "iterator", "pandas", "series", "polars", "arrow"],
)
def test_every_kind_of_corpus_trains_the_same_model(
    corpus_of: Callable[[list[str]], object], texts: list[str], tmp_path: Path
) -> None:
    bundle = lorelm.train(corpus_of(texts), out=tmp_path / "model", **SMALL)
    assert bundle.manifest.corpus is not None
    assert bundle.manifest.corpus.fingerprint == Documents(texts=texts, source="").fingerprint
    assert bundle.manifest.metrics is not None


def test_a_path_and_reading_options_are_taken(texts: list[str], tmp_path: Path) -> None:
    polars.DataFrame({"who": ["ANNA"] * len(texts), "what": texts}).write_csv(tmp_path / "a.csv")
    bundle = lorelm.train(
        tmp_path / "a.csv",
        out=tmp_path / "model",
        speaker_column="who",
        text_column="what",
        **SMALL,
    )
    assert "ANNA" in bundle.vocabulary.speakers


def test_all_wrong_settings_are_reported_and_nothing_is_written(
    texts: list[str], tmp_path: Path
) -> None:
    wrong = {"epochs": 0, "dropout": 2, "bptt": "x", "wings": 2, "schedule": "slow", "tied": 1}
    with pytest.raises(lorelm.errors.RecipeError) as caught:
        lorelm.train(texts, out=tmp_path / "model", **wrong)
    assert {each.field for each in caught.value.problems} == set(wrong)
    assert not (tmp_path / "model").exists()


def test_architecture_settings_beside_init_are_refused(texts: list[str], tmp_path: Path) -> None:
    with pytest.raises(lorelm.errors.RecipeError) as caught:
        lorelm.train(texts, out=tmp_path, init="english", hidden_size=9, num_layers=2)
    assert caught.value.code == "recipe.fixed_by_init"
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("corpus", [5, [1, 2], [None]])
def test_what_is_no_corpus_is_refused(corpus: Any, tmp_path: Path) -> None:
    with pytest.raises(lorelm.errors.CorpusError) as caught:
        lorelm.train(corpus, out=tmp_path / "model")
    assert caught.value.code == "corpus.not_texts"


@pytest.fixture
def unfinished(texts: list[str], tmp_path: Path) -> Path:
    """The folder of a run on texts that was interrupted after its first step."""
    stop = threading.Event()
    stop.set()
    settings = {name: value for name, value in SMALL.items() if name != "device"}
    with pytest.raises(lorelm.errors.TrainingStoppedError) as caught:
        train(
            Documents(texts=texts, source="the texts"),
            Recipe.load("default", **settings),
            out=tmp_path / "model",
            options=TrainingOptions(device="cpu"),
            context=RunContext(stop=nullcontext(stop)),
        )
    assert "resume=True" in str(caught.value)
    return tmp_path / "model"


def test_a_run_on_texts_is_resumed_with_the_same_texts(
    unfinished: Path, texts: list[str], tmp_path: Path
) -> None:
    with raises_code(lorelm.errors.CheckpointError, "checkpoint.other_corpus"):
        lorelm.train(texts[1:], out=unfinished, resume=True)
    resumed = lorelm.train(texts, out=unfinished, resume=True)
    whole = lorelm.train(texts, out=tmp_path / "whole", **SMALL)
    assert resumed.manifest.metrics == whole.manifest.metrics


def test_an_unfinished_run_on_texts_is_neither_overwritten_nor_changed(
    unfinished: Path, texts: list[str]
) -> None:
    with raises_code(lorelm.errors.CheckpointError, "checkpoint.unfinished_run") as caught:
        lorelm.train(texts, out=unfinished, **SMALL)
    assert "resume=True" in str(caught.value)
    with raises_code(lorelm.errors.RecipeError, "recipe.fixed_by_resume") as refused:
        lorelm.train(texts, out=unfinished, resume=True, recipe="classic", dropout=0.2)
    assert [each.field for each in refused.value.problems] == ["recipe", "dropout"]


def test_a_run_on_texts_is_finished_and_then_extended(unfinished: Path, texts: list[str]) -> None:
    with raises_code(lorelm.errors.InputError, "setting.unknown"):
        lorelm.finish(texts, out=unfinished, epochs=2)
    finished = lorelm.finish(texts, out=unfinished)
    assert finished.manifest.training.ended == "finish"
    assert finished.manifest.training.epochs == 1
    with raises_code(lorelm.errors.CheckpointError, "checkpoint.finished"):
        lorelm.train(texts, out=unfinished, resume=True)
    with pytest.warns(lorelm.errors.LoreLMWarning, match="The run is extended"):
        extended = lorelm.train(texts, out=unfinished, resume=True, epochs=3)
    assert [line["epoch"] for line in extended.training_metrics()] == [1, 2, 3]
    assert extended.manifest.training.ended == "schedule"


def test_the_command_says_how_to_resume_a_run_on_texts(unfinished: Path) -> None:
    with raises_code(lorelm.errors.CheckpointError, "checkpoint.no_files") as caught:
        cli.main(["train", "--resume", str(unfinished)], standalone_mode=False)
    assert f"out={str(unfinished)!r}, resume=True" in str(caught.value)


def test_a_bundle_is_evaluated_on_texts(tiny_bundle: Path, texts: list[str]) -> None:
    bundle = lorelm.Bundle.load(tiny_bundle)
    own = lorelm.evaluate(bundle, texts, num_samples=0)
    assert bundle.manifest.metrics is not None
    assert own.perplexity == bundle.manifest.metrics.perplexity  # on its test part
    other = lorelm.evaluate(tiny_bundle, ["The fox sat.", "The owl sat."], num_samples=0)
    assert other.tokens == 10


def test_an_ngram_model_is_added_to_a_bundle(older_bundle: Path, texts: list[str]) -> None:
    assert not lorelm.Bundle.load(older_bundle).has_ngram
    lorelm.evaluate(older_bundle, texts, num_samples=0, add_ngram=True)
    assert lorelm.load(older_bundle, mixture=True).is_mixed


def test_a_corpus_that_was_moved_is_read_as_in_training(texts: list[str], tmp_path: Path) -> None:
    rows = "".join(f'{i},"{text}"\n' for i, text in enumerate(texts))
    (tmp_path / "tales.csv").write_text("number,line\n" + rows)
    bundle = lorelm.train(tmp_path / "tales.csv", out=tmp_path / "m", text_column="line", **SMALL)
    (tmp_path / "moved").mkdir()
    moved = (tmp_path / "tales.csv").rename(tmp_path / "moved" / "tales.csv")
    metrics = lorelm.evaluate(bundle, moved, num_samples=0)
    assert metrics.text == "the test part of tales.csv"


def test_an_unknown_setting_of_an_evaluation_is_refused(tiny_bundle: Path) -> None:
    with pytest.raises(lorelm.errors.InputError) as caught:
        lorelm.evaluate(tiny_bundle, ["The fox sat."], samples=3)
    assert caught.value.problems[0].field == "samples"


def test_a_foreign_model_is_imported(tmp_path: Path) -> None:
    torch.save(ForeignModel().state_dict(), tmp_path / "old.pt")
    (tmp_path / "vocab.json").write_text(json.dumps(WORDS), encoding="utf-8")
    bundle = lorelm.import_model(tmp_path / "old.pt", tmp_path / "vocab.json", out=tmp_path / "new")
    assert bundle.manifest.imported is not None
    assert lorelm.load(bundle).generate(max_len=3, seed=1).text


def test_every_public_name_is_there_and_others_are_not() -> None:
    assert dir(lorelm) == lorelm.__all__
    for name in lorelm.__all__:
        assert getattr(lorelm, name) is not None
    assert not hasattr(lorelm, "wings")


def test_the_package_loads_nothing_that_takes_time() -> None:
    code = "import lorelm, sys; print(*sorted({'numpy', 'torch', 'click'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "\n"


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(lorelm.__file__).parent / "py.typed").exists()


def test_the_mistakes_in_settings_of_all_kinds_are_reported_together(
    texts: list[str], tmp_path: Path
) -> None:
    wrong: dict[str, Any] = {
        **{"epochs": -3, "checkpoint_seconds": -1, "time_budget_seconds": -2},
        **{"document": "sentence", "encoding": 5, "time_budget": "30s"},
    }
    with pytest.raises(lorelm.errors.RecipeError) as caught:
        lorelm.train(texts, out=tmp_path / "model", **wrong)
    messages = dict(caught.value.problems)
    assert messages.keys() == wrong.keys()
    assert "did you mean time_budget_seconds?" in messages["time_budget"]


def test_a_tuning_on_texts_finds_a_recipe_and_a_model(texts: list[str], tmp_path: Path) -> None:
    numbers: list[int] = []
    settings = {**SMALL, "trials": np.int64(2)}
    result = lorelm.tune(
        texts, out=tmp_path / "tuned", on_trial=lambda each: numbers.append(each.number), **settings
    )
    assert numbers == [0, 1]
    assert result.recipe.epochs == SMALL["epochs"]  # what is given stays
    assert lorelm.load(result.bundle).generate("The fox", seed=1).text
    assert lorelm.Bundle.load(tmp_path / "tuned" / "model").manifest == result.bundle.manifest


def test_the_mistakes_in_settings_of_a_tuning_are_reported_together(
    texts: list[str], tmp_path: Path
) -> None:
    wrong: dict[str, Any] = {"trials": 0, "epochs": 0, "checkpoint_steps": 5, "document": "verse"}
    with pytest.raises(lorelm.errors.RecipeError) as caught:
        lorelm.tune(texts, out=tmp_path / "tuned", **wrong)
    assert dict(caught.value.problems).keys() == wrong.keys()
    assert not (tmp_path / "tuned").exists()


def test_reading_options_beside_texts_are_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    with raises_code(lorelm.errors.CorpusError, "corpus.unused_options"):
        lorelm.train(["The fox."], out=tmp_path / "model", text_column="nope")
    with raises_code(lorelm.errors.CorpusError, "corpus.unused_options"):
        lorelm.evaluate(tiny_bundle, ["The fox."], document="file")


def test_wrong_settings_of_an_evaluation_are_refused_together(tiny_bundle: Path) -> None:
    with pytest.raises(lorelm.errors.InputError) as caught:
        lorelm.evaluate(tiny_bundle, num_samples=-3, precision="int4", encoding=5)
    fields = {each.field for each in caught.value.problems}
    assert fields == {"num_samples", "precision", "encoding"}


def test_paths_and_numbers_of_numpy_are_taken(
    tiny_bundle: Path, texts: list[str], tmp_path: Path
) -> None:
    made = {"epochs": np.int64(1), "seed": np.int64(3), "device": "cpu", "dropout": np.float32(0)}
    bundle = lorelm.train(texts, out=tmp_path / "model", init=tiny_bundle, **made)
    model = lorelm.load(bundle)
    assert model.generate(seed=np.int64(4)).text == model.generate(seed=4).text


def test_prompts_that_are_no_texts_are_refused(tiny_bundle: Path) -> None:
    model, anything = lorelm.load(tiny_bundle), cast("Any", None)
    for call in (
        lambda: model.score(anything),
        lambda: model.generate(anything),
        lambda: model.generate_many("My lord"),
    ):
        with pytest.raises(lorelm.errors.SamplingError):
            call()


@pytest.mark.system
@pytest.mark.parametrize("where", [lorelm, lorelm.train], ids=["package", "train"])
def test_the_first_example_runs(
    where: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    [example] = doctest.DocTestFinder(recurse=False).find(
        where, "example", globs={"lorelm": lorelm}
    )
    code = "".join(each.source for each in example.examples)
    exec(code.replace("my-model", str(tmp_path / "m")), {"lorelm": lorelm})
    assert lorelm.load(tmp_path / "m").generate("The fox", seed=1).text


def test_a_function_is_called_after_each_epoch(texts: list[str], tmp_path: Path) -> None:
    perplexities: list[float] = []
    bundle = lorelm.train(
        texts,
        out=tmp_path / "model",
        on_epoch=lambda report: perplexities.append(report.valid_perplexity),
        **SMALL,
    )
    assert perplexities == [line["valid_perplexity"] for line in bundle.training_metrics()]


def test_notes_on_the_corpus_and_problems_are_warnings(
    texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr("lorelm.training.loop.replace_file", fail)
    with pytest.warns(lorelm.errors.LoreLMWarning) as caught:
        lorelm.train([*texts, " "], out=tmp_path / "model", test=texts[:20], **SMALL)
    messages = " ".join(str(each.message) for each in caught)
    assert "hold no word and are left out" in messages
    assert "The validation part is split off" in messages
    assert "% of the documents of the test part are in the training text too" in messages
    assert "cannot be written: no space left; training goes on" in messages
