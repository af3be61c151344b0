"""The folder `app/` with a checkpoint as a notebook leaves it."""

import importlib
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.bundle.importing.foreign import WORDS, ForeignModel
from tests.systems import end

APP = Path(__file__).resolve().parents[2] / "app"

NewFolder = Callable[..., Path]


@pytest.fixture
def new_folder(tmp_path: Path) -> NewFolder:
    """Copies `app/`, with checkpoints of these names, and with a vocabulary or none."""

    def make(*checkpoints: str, words: object = None) -> Path:
        folder = tmp_path / "app"
        folder.mkdir()
        for file in APP.glob("*.py"):
            shutil.copy(file, folder)
        for place, name in enumerate(checkpoints):
            torch.save(ForeignModel(layers=1 + place).state_dict(), folder / name)
        if words is not None:
            (folder / "vocab.pkl").write_bytes(pickle.dumps(words))
        return folder

    return make


@pytest.fixture
def folder(new_folder: NewFolder) -> Path:
    return new_folder("lotr_lstm_lm.pt", words=WORDS)


class Running:
    """`python app.py`, running at `url`."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        command = [sys.executable, "app.py", *arguments]
        self.process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr
        line = self.process.stderr.readline()
        address = re.search(r"http://\S+/", line)
        if address is None:
            pytest.fail(line + self.process.communicate()[1])
        self.url = address.group()

    def stop(self) -> str:
        """Ends it; what it has said on stderr behind its address."""
        end(self.process)
        assert self.process.stderr
        with self.process.stderr:
            return self.process.stderr.read()


@pytest.fixture
def start_app() -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def start(folder: Path, *arguments: str) -> Running:
        running.append(Running(folder, *arguments))
        return running[-1]

    yield start
    for each in running:
        if each.process.returncode is None:
            each.stop()


@pytest.fixture
def model_utils(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module of that name in `folder`."""
    monkeypatch.syspath_prepend(str(folder))
    yield importlib.import_module("model_utils")
    for name in ("model_utils", "model_files"):
        del sys.modules[name]
