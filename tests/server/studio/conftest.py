"""A studio in this process, and one that runs as people start it."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest
from flask.testing import FlaskClient

from lorelm.parameters import parameters_of
from lorelm.server.studio.app import create_studio
from lorelm.server.studio.settings import StudioSettings
from lorelm.server.studio.state import StudioState
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe, describe_recipe

ORIGIN = {"Sec-Fetch-Site": "same-origin"}


@dataclass
class Studio:
    """A studio whose queue and errands stand still, unless a test works them."""

    state: StudioState
    client: FlaskClient


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    parameters = parameters_of(Recipe) | {"init": parameters_of(TrainingOptions)["init"]}
    settings = StudioSettings(
        folder=tmp_path / "studio",
        history=f"sqlite:///{tmp_path / 'history.db'}",
        max_upload_bytes=1_000_000,
        training_parameters=parameters,
        describe_recipe=describe_recipe,
    )
    app, state, links = create_studio(settings)
    client = app.test_client()
    assert client.get(f"/enter?token={links.new_token()}").status_code == 303
    yield Studio(state, client)
    state.stop(0)
    state.close()


class RunningStudio:
    """``lorelm studio``, as a process."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "lorelm", "studio", "--no-browser"),
                *("--folder", str(folder), "--history", f"sqlite:///{folder}.db", *arguments),
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = ""
        self.link = self._read(r"Open (http\S+)")
        self.url = self.link.partition("enter?")[0]

    def _read(self, pattern: str) -> str:
        stderr: IO[str] | None = self.process.stderr
        assert stderr is not None
        for line in stderr:
            self.said += line
            if found := re.search(pattern, line):
                return found[1]
        pytest.fail(f"the studio did not start: {self.said}")

    def end(self) -> str:
        """Stop it as Ctrl-C does; return what it said."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.communicate(timeout=60)[1]


@pytest.fixture
def start_studio(tmp_path: Path) -> Iterator[Callable[..., RunningStudio]]:
    """Start `lorelm studio`, once or more, in one folder; end it and its runs at the end."""
    started: list[RunningStudio] = []

    def start(*arguments: str) -> RunningStudio:
        started.append(RunningStudio(tmp_path / "studio", *arguments))
        return started[-1]

    yield start
    for each in started:
        each.end()
    end_runs(tmp_path / "studio")


def end_runs(folder: Path) -> None:
    """Kill the runs that a studio has started."""
    from lorelm.runs.process import _find
    from lorelm.runs.queue import RunQueue

    for job in RunQueue(folder / "runs").jobs():
        if job.process is not None and (process := _find(job.process)) is not None:
            process.kill()


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something is so."""
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.05)
