import io
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import click
import psutil
import pytest
from tests.errors import raises_code
from tests.server.studio.conftest import Studio
from tests.server.studio.test_texts import TALES

from lorelm.errors import InputError
from lorelm.parameters import parameters_of
from lorelm.runs.process import ProcessId
from lorelm.runs.queue import Job
from lorelm.server.studio.run_view import run_events, view_of
from lorelm.server.studio.training_form import (
    minutes_of,
    training_arguments,
    tuning_arguments,
)
from lorelm.training.recipe import Recipe
from lorelm.translations import catalogue


@pytest.fixture
def text(studio: Studio) -> str:
    return studio.state.library.add_text("Tales", [("a.txt", io.BytesIO(TALES.encode()))])


def job_of(studio: Studio, name: str = "Tales") -> Job:
    job = studio.state.queue.find(name)
    assert job is not None
    return job


def start(studio: Studio, **form: str) -> Job:
    response = studio.client.post("/train", data={"text": "Tales", "length": "quick", **form})
    assert response.status_code == 303, response.text
    return job_of(studio, form.get("title", "Tales"))


def test_the_form_becomes_a_command(studio: Studio, text: str) -> None:
    job = start(studio, title="Fox", length="own", minutes="1.5", setting_epochs="3",
                setting_shuffle="no", setting_init="none")  # fmt: skip
    library = studio.state.library
    file = library.root / "texts" / "Tales" / "files" / "a.txt"
    events = library.root / "runs" / "Fox" / "events.jsonl"
    assert job.waits
    assert job.arguments == (
        "train",
        str(file),
        *("--out", str(library.root / "models" / "Fox")),
        *("--checkpoint-seconds", "10"),
        *("--time-budget=90s", "--no-shuffle", "--epochs=3", "--init=none"),
        *("--events", str(events)),
    )


def test_every_setting_of_the_form_is_an_option_of_the_command(studio: Studio, text: str) -> None:
    """With its default for a value; a flag that is misspelt would end the run at once."""
    from lorelm.cli.main import lorelm
    from lorelm.cli.train import train

    found = studio.state.library.text("Tales")
    recipe = Recipe.load("default").to_dict()
    form = {}
    for name, parameter in parameters_of(Recipe).items():
        value = recipe[name]
        form[f"setting_{name}"] = ("no", "yes")[value] if parameter.kind is bool else str(value)
    arguments = training_arguments(found, Path("out"), form, parameters_of(Recipe))
    # As under lorelm itself: click keeps the first help option that it makes of a command.
    parent = click.Context(lorelm, **lorelm.context_settings)
    context = train.make_context("train", arguments[1:], parent=parent)
    for name in parameters_of(Recipe):
        assert context.params[name] in (recipe[name], None), name


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"length": "own", "minutes": "soon"}, "minutes: must be a number above 0"),
        ({"length": "own", "minutes": "-1"}, "minutes: must be a number above 0"),
        ({"length": "own", "minutes": "nan"}, "minutes: must be a number above 0"),
        ({"setting_epochs": "many"}, "epochs: must be a whole number"),
        ({"setting_dropout": "2", "setting_bptt": "0"}, "dropout: must be"),
        ({"setting_schedule": "$(reboot)"}, "schedule: must be one of"),
        ({"length": "recipe", "tune": "yes"}, "length: is missing"),
    ],
)
def test_a_form_that_is_wrong_is_shown_again(
    studio: Studio, text: str, form: dict[str, str], message: str
) -> None:
    response = studio.client.post("/train", data={"text": "Tales", **form})
    assert response.status_code == 422
    assert message in response.text
    assert studio.state.queue.jobs() == []


def test_a_search_is_a_command_of_its_own(studio: Studio, text: str) -> None:
    job = start(studio, tune="yes", length="good")
    assert job.arguments[0] == "tune"
    assert "--time-budget=900s" in job.arguments
    assert view_of(studio.state, "Tales").is_tuning
    found = studio.state.library.text("Tales")
    with raises_code(InputError, "studio.training_form"):
        tuning_arguments(found, Path("out"), {"length": "recipe"}, {})


def test_times_of_the_form() -> None:
    assert minutes_of({"length": "quick"}) == 2
    assert minutes_of({"length": "own", "minutes": "0,5"}) == 0.5
    assert minutes_of({}) is None


def test_a_run_that_waits_is_shown_and_taken_from_the_queue(studio: Studio, text: str) -> None:
    start(studio)
    own = ProcessId(number=os.getpid(), started=psutil.Process().create_time())
    waiting = job_of(studio)
    studio.state.queue._write(replace(waiting, waits=False, process=own))
    assert "Training a model of <bdi>a.txt</bdi>." in studio.client.get("/train/Tales").text
    studio.state.queue._write(waiting)
    assert "waiting for its turn" in studio.client.get("/train").text
    assert "Remove from the queue" in studio.client.get("/train/Tales").text
    events = run_events(studio.state, "Tales", "waiting", catalogue("en"))
    assert next(events)["progress"]["stage"] == "waiting"
    studio.client.post("/train/Tales/pause")
    assert next(events)["end"]["message"] == "It was removed from the queue."
    assert "removed from the queue" in studio.client.get("/train/Tales").text
    assert studio.client.post("/train/Tales/again").status_code == 303
    assert job_of(studio).waits
    assert studio.client.post("/train/Tales/forget").status_code == 422  # it waits


def test_a_run_that_was_cut_off_offers_to_go_on(
    studio: Studio, text: str, tiny_bundle: Path
) -> None:
    """As after a power cut: a checkpoint, and a process that is no longer there."""
    start(studio)
    models = studio.state.library.root / "models"
    (models / "Tales").mkdir()
    header = b'{"__metadata__": {"lorelm": "{\\"run\\": {\\"recipe\\": {\\"epochs\\": 9}}}"}}'
    checkpoint = len(header).to_bytes(8, "little") + header
    (models / "Tales" / "checkpoint.safetensors").write_bytes(checkpoint)
    job = job_of(studio)
    studio.state.queue._write(
        Job.from_json(job.to_json().replace(b'"waits": true', b'"waits": false'))
    )
    view = view_of(studio.state, "Tales")
    assert (view.state, view.is_cut_off) == ("paused", True)
    assert "cut off" in studio.client.get("/train").text
    studio.client.post("/train/Tales/go-on")
    file = str(studio.state.library.text("Tales").files[0])
    assert job_of(studio).arguments[:3] == ("train", file, "--resume")
    assert job_of(studio).begun_with == job.begun_with
    studio.client.post("/train/Tales/pause")
    studio.client.post("/train/Tales/finish")
    assert job_of(studio).arguments[:3] == ("train", file, "--finish")


CHECKPOINT = b'{"__metadata__": {"lorelm": "{\\"run\\": {\\"recipe\\": {\\"epochs\\": 9}}}"}}'


def ended(studio: Studio, log: str, *events: str, is_stopping: bool = False) -> None:
    """Let the run "Tales" have ended in this way."""
    gone = ProcessId(number=os.getpid(), started=0.0)
    job = replace(job_of(studio), waits=False, process=gone, is_stopping=is_stopping)
    studio.state.queue._write(job)
    folder = studio.state.library.runs_dir / "Tales"
    (folder / "log.txt").write_text(log)
    (folder / "events.jsonl").write_text("".join(f"{event}\n" for event in events))


def progress(stage: str, epochs: int) -> str:
    return json.dumps({"put": {"progress": {"stage": stage, "epochs": epochs, "share": 0.5}}})


@pytest.mark.parametrize(
    ("log", "events", "is_stopping", "state"),
    [
        ("Saved to m.\n  lorelm serve m\n", (progress("finished", 9),), False, "gone"),
        ("1: The fox\n", (progress("training", 3),), False, "gone"),  # killed
        ("lorelm: stopped; go on with lorelm train --resume m\n", (), True, "gone"),
        ("lorelm: stopped; nothing of the run is on the disk\n", (), True, "failed"),
        ("1: The fox\n", (progress("training", 0),), False, "failed"),
        ("lorelm: the disk is full\n", (progress("training", 3),), False, "failed"),
    ],
)
def test_a_run_whose_folder_was_removed_by_hand_is_gone(
    studio: Studio, text: str, log: str, events: tuple[str, ...], is_stopping: bool, state: str
) -> None:
    start(studio)
    ended(studio, log, *events, is_stopping=is_stopping)
    assert view_of(studio.state, "Tales").state == state
    listed = studio.client.get("/train").text
    page = studio.client.get("/train/Tales").text
    assert ("/train/Tales" in listed or 'train/Tales"' in listed) == (state == "failed")
    assert ("Its folder is not there" in page) == (state == "gone")
    assert "lorelm serve" not in page
    assert studio.client.post("/train/Tales/forget").status_code == 303


def test_a_run_that_was_cut_off_goes_on_under_a_new_name(studio: Studio, text: str) -> None:
    """As guides/studio.md allows: the folder was renamed by hand."""
    start(studio)
    folder = studio.state.library.root / "models" / "Owls"
    folder.mkdir()
    checkpoint = len(CHECKPOINT).to_bytes(8, "little") + CHECKPOINT
    (folder / "checkpoint.safetensors").write_bytes(checkpoint)
    ended(studio, "1: The fox", progress("training", 3))
    (folder / "metrics.so-far.jsonl").write_text('{"epoch": 1, "seconds": 3}\n')
    page = studio.client.get("/train").text
    assert "paused, after 1 epoch<" in page
    assert 'aria-label="Continue Owls"' in page
    assert "Tales</a>" not in page
    assert studio.client.post("/train/Owls/go-on").status_code == 303
    assert job_of(studio, "Owls").arguments[:3] == ("train", "--resume", str(folder))


def test_a_search_that_has_ended_has_not_failed(
    studio: Studio, text: str, tiny_bundle: Path
) -> None:
    start(studio, tune="yes")
    tuning = studio.state.library.runs_dir / "Tales" / "tuning"
    tuning.mkdir(parents=True)
    (tuning / "study.db").write_bytes(b"")
    ended(studio, "lorelm: stopped; the same command goes on\n", is_stopping=True)
    assert view_of(studio.state, "Tales").state == "paused"
    shutil.copytree(tiny_bundle, tuning / "model")
    ended(studio, "Saved to tuning/model. Go on with\n  lorelm train PATH\n")
    assert "ended with a model" in studio.client.get("/train").text
    page = studio.client.get("/train/Tales").text
    assert "The search is over" in page
    assert "failed" not in page
    assert studio.client.post("/train/Tales/take").status_code == 303
    assert studio.state.library.names("models") == ["Tales"]


def test_a_finished_model_is_trained_further(studio: Studio, text: str, tiny_bundle: Path) -> None:
    shutil.copytree(tiny_bundle, studio.state.library.root / "models" / "Fox")
    assert "Train it further" in studio.client.get("/train/Fox").text
    studio.client.post("/train/Fox/extend", data={"minutes": "2"})
    assert job_of(studio, "Fox").arguments[-1] == "--time-budget=120s"
    studio.client.post("/train/Fox/extend", data={"epochs": "40", "minutes": "2"})
    assert job_of(studio, "Fox").arguments[-2:] == ("--epochs", "40")
    response = studio.client.post("/train/Fox/extend", data={"epochs": "more"})
    assert response.status_code == 422


def test_the_best_model_of_a_search_becomes_a_model(
    studio: Studio, text: str, tiny_bundle: Path
) -> None:
    start(studio, tune="yes")
    studio.client.post("/train/Tales/pause")
    assert studio.client.post("/train/Tales/take").status_code == 422
    assert "Take the best model" not in studio.client.get("/train/Tales").text
    tuning = studio.state.library.runs_dir / "Tales" / "tuning"
    shutil.copytree(tiny_bundle, tuning / "model")
    assert "Take the best model" in studio.client.get("/train/Tales").text
    assert studio.client.post("/train/Tales/take").status_code == 303
    assert "Take the best model" not in studio.client.get("/train/Tales").text
    assert studio.state.library.names("models") == ["Tales"]


@pytest.mark.parametrize("name", ["nowhere", "..", "%2e%2e"])
def test_a_run_that_is_not_there(studio: Studio, name: str) -> None:
    for path in ("", "/events", "/pause"):
        method = studio.client.post if path == "/pause" else studio.client.get
        assert method(f"/train/{name}{path}").status_code in (404, 308)


def test_a_run_that_runs_is_not_started_twice(studio: Studio, text: str) -> None:
    """As by a second tab that shows an old page."""
    job = start(studio)
    own = ProcessId(number=os.getpid(), started=psutil.Process().create_time())
    studio.state.queue._write(replace(job, waits=False, process=own))
    for action in ("go-on", "again", "extend"):
        response = studio.client.post(f"/train/Tales/{action}", data={"epochs": "9"})
        assert response.status_code == 422
        assert "runs already" in response.text
    assert job_of(studio).process == own


def test_runs_follow_a_text_and_a_model_to_their_new_names(
    studio: Studio, text: str, tiny_bundle: Path
) -> None:
    start(studio)
    refused = studio.client.post("/texts/Tales/rename", data={"title": "Stories"})
    assert refused.status_code == 422
    assert "learns from this text" in refused.text
    studio.client.post("/train/Tales/pause")
    assert studio.client.post("/texts/Tales/rename", data={"title": "Stories"}).status_code == 303
    shutil.copytree(tiny_bundle, studio.state.library.root / "models" / "Tales")
    assert studio.client.post("/models/Tales/rename", data={"title": "Fox"}).status_code == 303
    root = studio.state.library.root
    arguments = job_of(studio, "Fox").begun_with
    assert arguments[1] == str(root / "texts" / "Stories" / "files" / "a.txt")
    assert arguments[3] == str(root / "models" / "Fox")
    assert arguments[-1] == str(root / "runs" / "Fox" / "events.jsonl")


@pytest.mark.parametrize("kinds", [("models", "texts"), ("texts", "models")])
def test_a_run_that_comes_back_under_another_name_is_asked_for_by_it(
    studio: Studio, text: str, tiny_bundle: Path, kinds: tuple[str, ...]
) -> None:
    root = studio.state.library.root
    for is_deleted in (True, False):
        start(studio)
        studio.client.post("/train/Tales/pause")
        shutil.copytree(tiny_bundle, root / "models" / "Tales")
        if is_deleted:
            for kind in ("models", "texts"):
                assert studio.client.post(f"/{kind}/Tales/delete").status_code == 303
            studio.state.library.add_text("Tales", [("a.txt", io.BytesIO(TALES.encode()))])
    for each in sorted(studio.state.library.deleted(), key=lambda each: kinds.index(each.kind)):
        studio.client.post(f"/deleted/{each.stamp}")
    for name in ("Tales", "Tales 2"):
        arguments = job_of(studio, name).begun_with
        assert arguments[1] == str(root / "texts" / name / "files" / "a.txt")
        assert arguments[3] == str(root / "models" / name)
        assert arguments[-1] == str(root / "runs" / name / "events.jsonl")


def test_a_model_says_why_it_was_not_trained_further(
    studio: Studio, text: str, tiny_bundle: Path
) -> None:
    shutil.copytree(tiny_bundle, studio.state.library.root / "models" / "Fox")
    studio.client.post("/train/Fox/extend", data={"epochs": "40"})
    studio.client.post("/train/Fox/pause")
    (studio.state.library.runs_dir / "Fox" / "log.txt").write_text("lorelm: its corpus is gone\n")
    page = studio.client.get("/train/Fox").text
    assert "Finished." in page
    assert "its corpus is gone" in page


def test_minutes_that_are_typed_count_without_their_button() -> None:
    assert minutes_of({"length": "good", "minutes": "3"}) == 3
