"""Checkpoints: all that a training run needs to go on, in one file that is always whole."""

import json
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from lorelm.bundle.bundle import CHECKPOINT
from lorelm.bundle.folder import replace_file
from lorelm.errors import CheckpointError

_FORMAT_VERSION: Final = 1
_METADATA: Final = "lorelm"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A training run at one moment, between two steps.

    Attributes:
        tensors: weights, average, best weights, optimizer, state of the LSTM, random states; on
            the CPU, shared with nothing.
        facts: everything else, fit for JSON.
    """

    tensors: dict[str, torch.Tensor]
    facts: dict[str, Any]

    @property
    def description(self) -> str:
        """How far the run was, in words fit to be shown."""
        return f"epoch {len(self.facts['epochs']) + 1}, step {self.facts['window']}"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A snapshot and the settings of the run that it is of.

    Attributes:
        run: what :func:`lorelm.training.train.train` was asked to do, fit for JSON.
    """

    run: dict[str, Any]
    snapshot: Snapshot

    @classmethod
    def load(cls, out: Path) -> Self:
        """Reads the checkpoint in the folder of an unfinished run.

        Raises:
            CheckpointError: there is none, it is damaged, or of a newer version.
        """
        path = out / CHECKPOINT
        if not path.is_file():
            raise CheckpointError(
                f"{out} holds no unfinished run (no {CHECKPOINT}): name the folder that was "
                "given to lorelm train with --out, or begin anew"
            )
        try:
            with safe_open(path, "pt") as file:
                written = json.loads(file.metadata()[_METADATA])
                if written["format_version"] > _FORMAT_VERSION:
                    raise CheckpointError(
                        f"{path} was written by a newer LoreLM: upgrade it with pip install "
                        "--upgrade lorelm"
                    )
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return cls(
                run=written["run"], snapshot=Snapshot(tensors=tensors, facts=written["facts"])
            )
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path} is damaged: {error}") from error

    def save(self, out: Path) -> None:
        """Writes it into the folder in place of the one before, by renaming.

        Raises:
            CheckpointError: it cannot be written; the one before is as it was.
        """
        written = {
            "format_version": _FORMAT_VERSION,
            "run": self.run,
            "facts": self.snapshot.facts,
        }
        path = out / CHECKPOINT
        try:
            out.mkdir(exist_ok=True)
            # Not save_file: killed, it leaves a large file behind, of a name that nobody knows.
            replace_file(path, save(self.snapshot.tensors, {_METADATA: json.dumps(written)}))
            _to_disk(out)
        except OSError as error:
            raise CheckpointError(f"{path} cannot be written: {error.strerror or error}") from error


class CheckpointWriter:
    """Writes checkpoints beside the training, in a thread of its own.

    A failure to write is told and not raised: training goes on, and the last good checkpoint is
    where it was.

    Args:
        run: the settings of the run.
        on_problem: told a sentence.
    """

    def __init__(self, out: Path, run: dict[str, Any], on_problem: Callable[[str], None]) -> None:
        self._out: Final = out
        self._run: Final = run
        self._on_problem = on_problem
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._writing: Future[None] | None = None
        self._last_good = ""

    @property
    def is_busy(self) -> bool:
        return self._writing is not None and not self._writing.done()

    def write(self, snapshot: Snapshot) -> None:
        """Begins to write a snapshot, after the one that may be under way."""
        self.wait()
        self._writing = self._thread.submit(self._write, snapshot)

    def wait(self) -> None:
        """Returns when what was begun is on the disk."""
        if self._writing is not None:
            self._writing.result()

    def _write(self, snapshot: Snapshot) -> None:
        try:
            Checkpoint(run=self._run, snapshot=snapshot).save(self._out)
            self._last_good = snapshot.description
        except CheckpointError as error:
            kept = (
                f"the last good one is of {self._last_good}" if self._last_good else "there is none"
            )
            self._on_problem(f"{error}; {kept}, and training goes on")


def _to_disk(folder: Path) -> None:
    """Has the system write the entries of a folder to the disk itself."""
    if os.name == "nt":  # Windows does not open folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
