"""The study: where it is, what it is about, and several processes in it."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from tests.errors import raises_code

from lorelm.errors import CorpusError, RecipeError, StudyError
from lorelm.training.tuning.study import StudyPlace, open_study

COMPLETE = optuna.trial.TrialState.COMPLETE
ABOUT: dict[str, Any] = {
    "corpus": "1234",
    "recipe": {"epochs": 3, "dropout": 0.5},
    "tuned": {"dropout": [0.3, 0.7]},
    "init": None,
}


def proposals(place: StudyPlace, num_trials: int, **changes: object) -> list[float]:
    """Make trials that train nothing: the value of one is a parabola of its setting.

    Returns:
        The settings of all completed trials of the study.
    """

    def objective(trial: optuna.Trial) -> float:
        return (trial.suggest_float("dropout", 0.3, 0.7) - 0.4) ** 2

    with open_study(place, {**ABOUT, **changes}, first={"dropout": 0.5}, seed=0) as study:
        study.optimize(objective, n_trials=num_trials)
        return [trial.params["dropout"] for trial in study.get_trials(states=[COMPLETE])]


def test_a_study_is_a_file_in_the_folder_unless_a_storage_is_given(tmp_path: Path) -> None:
    assert str(StudyPlace.of(None, tmp_path / "out")) == str(tmp_path / "out" / "study.db")
    assert str(StudyPlace.of(f"sqlite:///{tmp_path}/a.db", tmp_path)) == f"{tmp_path}/a.db"
    shared = StudyPlace.of("postgresql://ann:secret@db/studies", tmp_path / "mine")
    assert shared.name == "mine"
    assert str(shared) == "postgresql+psycopg://ann:***@db/studies"


@pytest.mark.parametrize("url", ["study.db", "mysql://ann:secret@db/x", "sqlite://", "://", ""])
def test_other_storages_are_refused_without_showing_a_password(url: str, tmp_path: Path) -> None:
    with raises_code(RecipeError, "recipe.storage") as caught:
        StudyPlace.of(url, tmp_path)
    assert "secret" not in str(caught.value)


def test_a_study_begins_with_the_given_settings_and_goes_on(tmp_path: Path) -> None:
    place = StudyPlace.of(None, tmp_path)
    assert proposals(place, 3)[0] == 0.5
    assert len(proposals(place, 2)) == 5


@pytest.mark.system
def test_a_tuning_by_one_process_can_be_repeated(tmp_path: Path) -> None:
    """Also one that is stopped and goes on; and the search finds the valley."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    whole = proposals(StudyPlace.of(None, tmp_path / "one"), 30)
    for num_trials in (12, 18):
        parts = proposals(StudyPlace.of(None, tmp_path / "two"), num_trials)
    assert parts == whole
    assert sum(abs(each - 0.4) < 0.05 for each in whole[15:]) > 6


def test_a_study_of_another_corpus_or_recipe_is_refused(tmp_path: Path) -> None:
    place = StudyPlace.of(None, tmp_path)
    proposals(place, 1)
    with raises_code(CorpusError, "corpus.other_study"):
        proposals(place, 1, corpus="4321")
    for changes, names in (
        ({"recipe": {"epochs": 4, "dropout": 0.5}}, "(epochs)"),
        ({"tuned": {"dropout": [0.3, 0.7], "bptt": [1, 2]}}, "(bptt)"),
        ({"init": "abcd"}, "(init)"),
    ):
        with raises_code(RecipeError, "recipe.other_study") as caught:
            proposals(place, 1, **changes)
        assert names in str(caught.value)


@pytest.mark.parametrize("has_enqueued", [False, True])
def test_a_study_whose_creator_was_killed_is_begun_by_the_next(
    has_enqueued: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lorelm.training.tuning.study._CREATOR_SECONDS", 0)
    place = StudyPlace.of(None, tmp_path)
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/study.db")
    study = optuna.create_study(storage=storage, study_name=place.name)
    if has_enqueued:
        study.enqueue_trial({"dropout": 0.5})
    storage.engine.dispose()
    assert proposals(place, 2).count(0.5) == 1


def test_who_waits_for_the_creator_of_a_study_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("lorelm.training.tuning.study._CREATOR_SECONDS", 0.3)
    monkeypatch.setattr("lorelm.training.tuning.study._SILENT_SECONDS", 0)
    place = StudyPlace.of(None, tmp_path)
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/study.db")
    optuna.create_study(storage=storage, study_name=place.name)
    storage.engine.dispose()
    proposals(place, 1)
    proposals(place, 1)
    [record] = caplog.records
    assert f"the process that creates the study in {tmp_path}/study.db" in record.getMessage()


def test_a_file_that_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_text("no database, by any means " * 100)
    with raises_code(StudyError, "study.unreachable") as caught:
        proposals(StudyPlace.of(None, tmp_path), 1)
    assert str(caught.value).startswith(f"the trials in {tmp_path}/study.db cannot be read")


@pytest.mark.system
def test_an_unreachable_database_is_one_sentence(tmp_path: Path) -> None:
    with raises_code(StudyError, "study.unreachable") as caught:
        proposals(StudyPlace.of("postgresql://ann:secret@127.0.0.1:1/studies", tmp_path), 1)
    assert "secret" not in str(caught.value)


@pytest.mark.system
def test_machines_share_a_study_in_postgresql(postgres_url: str, tmp_path: Path) -> None:
    """Of the same name; a study of another name in the same database is another one."""
    places = [StudyPlace.of(postgres_url, tmp_path / each / "tuned") for each in ("one", "two")]
    proposals(places[0], 3)
    assert len(proposals(places[1], 2)) == 5
    assert len(proposals(StudyPlace.of(postgres_url, tmp_path / "other"), 1, corpus="4321")) == 1


@pytest.mark.system
def test_a_database_that_goes_away_ends_with_one_sentence(
    postgres_server: Any, postgres_url: str, tmp_path: Path
) -> None:
    place = StudyPlace.of(postgres_url, tmp_path / "tuned")
    proposals(place, 2)
    with (
        raises_code(StudyError, "study.unreachable"),
        open_study(place, ABOUT, first={"dropout": 0.5}, seed=0) as study,
    ):
        postgres_server.kill()
        try:
            study.optimize(lambda trial: trial.suggest_float("dropout", 0.3, 0.7), n_trials=1)
        finally:
            postgres_server.start()
    assert len(proposals(place, 1)) >= 3


# Opens the same study as others do, at the same moment, and makes trials in it.
CROWD = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.training.tuning.test_study import StudyPlace, proposals
place = StudyPlace.of(sys.argv[2] or None, Path(sys.argv[3]))
time.sleep(max(0, float(sys.argv[4]) - time.time()))
proposals(place, 5)
"""


@pytest.mark.system
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def test_processes_that_begin_together_share_a_study(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres_url") if kind == "postgresql" else ""
    root, start = str(Path(__file__).parents[3]), str(time.time() + 5)
    arguments = [sys.executable, "-c", CROWD, root, url, str(tmp_path), start]
    crowd = [subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    errors = [process.communicate(timeout=120)[1] for process in crowd]
    assert [process.returncode for process in crowd] == [0] * 4, errors
    found = proposals(StudyPlace.of(url or None, tmp_path), 0)
    assert len(found) == 20
    assert found.count(0.5) == 1
    assert len(set(found)) == 20  # none made what another did
