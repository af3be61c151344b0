"""Checkpoints: everything a training run needs to continue, in one file replaced atomically."""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from lorelm.bundle.atomic_dir import replace_file, resolve_dir, wrap_write_errors
from lorelm.bundle.layout import CHECKPOINT, MANIFEST
from lorelm.errors import BundleError, CheckpointError
from lorelm.evaluation.perplexity import perplexity
from lorelm.machine.quoting import quoted

_FORMAT_VERSION: Final = 4
_METADATA: Final = "lorelm"
_SHA256: Final = "sha256"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The state of a training run between two steps.

    Attributes:
        tensors: weights, average, best weights, optimizer, state of the LSTM, random states; on
            the CPU, sharing no memory.
        metadata: everything else, fit for JSON.
    """

    tensors: dict[str, torch.Tensor]
    metadata: dict[str, Any]

    @property
    def description(self) -> str:
        """How far the run was, for messages."""
        num_epochs = len(self.metadata["epochs"])
        if self.metadata["is_over"]:
            return f"the end of epoch {num_epochs}, the last"
        return f"epoch {num_epochs + 1}, step {self.metadata['window']}"

    @property
    def begins_extension(self) -> bool:
        """Whether the run was extended and has made no step since."""
        return bool(0 < self.metadata["begun"]["num_updates"] == self.metadata["num_updates"])

    def best_so_far(self) -> str:
        """Say what of the run can be kept if it is finished now; empty if there is nothing."""
        best = [report for report in self.metadata["epochs"] if report["is_best"]]
        if best:
            valid = perplexity(best[-1]["valid_loss"])
            return f"its best epoch so far ({best[-1]['epoch']}, valid perplexity {valid:.1f})"
        return "what it has learned so far" if self.metadata["window"] else ""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A snapshot and the settings of its run.

    Attributes:
        run: the arguments of :func:`lorelm.training.train.train`, fit for JSON.
    """

    run: dict[str, Any]
    snapshot: Snapshot

    def ways_on(self, out: Path) -> str:
        """Return what to call next, for messages; texts and data frames cannot be read again."""
        resume, finish = (
            f"lorelm train --resume {quoted(out)}",
            f"lorelm train --finish {quoted(out)}",
        )
        if self.run.get("files") == []:
            given = f"(..., out={str(out)!r}"
            resume = f"lorelm.train{given}, resume=True) in Python, with the same texts"
            finish = f"lorelm.finish{given})"
        kept = self.snapshot.best_so_far()
        if not kept or self.snapshot.metadata["is_over"]:
            return resume
        return f"{resume}, or make a model of {kept} with {finish}"

    @classmethod
    def find(cls, out: Path) -> Self | None:
        """Return the checkpoint in a folder; None if there is none.

        Change nothing in the folder, since another run may be writing to it.

        Raises:
            CheckpointError: it is damaged, or of another version.
        """
        path = resolve_dir(out) / CHECKPOINT
        if not path.is_file():
            return None
        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata()
                # Copies: a mapped file stays on the disk when it is replaced.
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            written = json.loads(metadata[_METADATA])
            _check_version(written["format_version"], path)
            if _sha256(metadata[_METADATA], tensors) != metadata[_SHA256]:
                raise ValueError("its SHA-256 differs")
            return cls(
                run=written["run"], snapshot=Snapshot(tensors=tensors, metadata=written["facts"])
            )
        except CheckpointError:
            raise
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{path} is damaged ({error}): bring back a copy of it, or delete it and begin "
                "anew",
                code="checkpoint.damaged",
            ) from error

    @classmethod
    def load(cls, out: Path) -> Self:
        """Return the checkpoint in the folder of an unfinished run.

        Raises:
            CheckpointError: there is none, it is damaged, or of another version.
        """
        checkpoint = cls.find(out)
        if checkpoint is not None:
            return checkpoint
        if (resolve_dir(out) / MANIFEST).is_file():
            raise CheckpointError(
                f"the run in {out} is finished, and its model is there: see what it writes with "
                f"lorelm generate {quoted(out)}, or train it further with epochs or "
                "time_budget_seconds (lorelm train --resume DIR --epochs N, or --time-budget TIME)",
                code="checkpoint.finished",
            )
        raise CheckpointError(
            f"{out} holds no unfinished run (no {CHECKPOINT}): name the folder that the run was to "
            "write (out, --out), or start over",
            code="checkpoint.missing",
        )

    def save(self, out: Path) -> None:
        """Replace the checkpoint in the folder atomically.

        Raises:
            CheckpointError: it cannot be written; the previous one is intact.
        """
        written = {
            "format_version": _FORMAT_VERSION,
            "run": self.run,
            "facts": self.snapshot.metadata,
        }
        path = out / CHECKPOINT
        header = json.dumps(written)
        metadata = {_METADATA: header, _SHA256: _sha256(header, self.snapshot.tensors)}
        content = save(self.snapshot.tensors, metadata)
        try:
            with wrap_write_errors(path, len(content)):
                out.mkdir(exist_ok=True)
                # Not save_file: when killed, it leaves a large file of an unknown name.
                replace_file(path, content)
                _to_disk(out)
        except BundleError as error:
            with suppress(OSError):
                out.rmdir()  # if it is empty
            raise CheckpointError(str(error), code="checkpoint.unwritable") from error


def prefixed(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the same tensors, by longer names."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def random_states(device: torch.device) -> dict[str, torch.Tensor]:
    """Return the states of PyTorch's random generators, by their names in a snapshot."""
    states = {"random": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda_random"] = torch.cuda.get_rng_state(device)
    return states


def set_random_states(states: Mapping[str, torch.Tensor], device: torch.device) -> None:
    """Put the states that a snapshot holds in place."""
    torch.set_rng_state(states["random"])
    if "cuda_random" in states:
        torch.cuda.set_rng_state(states["cuda_random"], device)


def last_checkpoint(out: Path) -> str | None:
    """Say which checkpoint a folder holds and how to continue; None if there is none.

    Raises:
        CheckpointError: it is damaged.
    """
    saved = Checkpoint.find(out)
    if saved is None:
        return None
    where = saved.snapshot.description
    return f"the last checkpoint is of {where}: go on with {saved.ways_on(out)}"


def _check_version(version: int, path: Path) -> None:
    if version > _FORMAT_VERSION:
        raise CheckpointError(
            f"{path} was written by a newer LoreLM: upgrade it with pip install --upgrade lorelm",
            code="checkpoint.newer_version",
        )
    if version < _FORMAT_VERSION:
        raise CheckpointError(
            f"{path} was written by an older LoreLM: go on with that one, or delete it and begin "
            "anew",
            code="checkpoint.older_version",
        )


def _sha256(header: str, tensors: Mapping[str, torch.Tensor]) -> str:
    """Hash the whole contents of a checkpoint."""
    digest = hashlib.sha256(header.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _to_disk(folder: Path) -> None:
    """Flush the entries of a folder to disk."""
    if os.name == "nt":  # Windows does not open folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
