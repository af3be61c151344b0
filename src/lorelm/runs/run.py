"""A training run as the files in its folder tell: :class:`Run`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any, Final, Literal

from lorelm.bundle.atomic_dir import resolve_dir
from lorelm.bundle.dir_lock import is_locked
from lorelm.bundle.files import find_manifest, open_files
from lorelm.bundle.layout import CHECKPOINT, MANIFEST, METRICS, METRICS_SO_FAR
from lorelm.bundle.manifest import Manifest
from lorelm.errors import BundleError
from lorelm.runs.registry import Entry, entries, find_entry

State = Literal["running", "evaluating", "finished", "stopped", "failed", "gone"]

_MAX_HEADER_BYTES: Final = 100_000_000
"""A longer header is none: it has the name, shape and place of some dozens of tensors."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A training run.

    Attributes:
        path: its folder, absolute; of a model that was packed, its file.
        state: `running` and `evaluating` while a process holds the lock of the folder; `finished`
            with a model; `failed` if an error ended it, also before its first checkpoint; `stopped`
            where a checkpoint waits to be resumed; `gone` if the folder is no longer there.
        manifest: of the finished model.
        checkpoint: what the last checkpoint says of an unfinished run and its state.
        epochs: the metrics of each epoch, as in ``metrics.jsonl``.
        entry: what the registry knows; None if the run is not in it.
    """

    path: Path
    state: State
    manifest: Manifest | None = None
    checkpoint: Mapping[str, Any] = field(default_factory=dict)
    epochs: Sequence[Mapping[str, Any]] = ()
    entry: Entry | None = None

    @property
    def source(self) -> str:
        """The name of the corpus; empty if nothing says it."""
        if self.manifest is not None:
            return self.manifest.source
        if self.entry is not None:
            return self.entry.source
        files = self.checkpoint.get("run", {}).get("files") or [None]
        return PurePath(files[0]["path"]).name if files[0] else ""

    @property
    def recipe(self) -> Mapping[str, Any]:
        """All settings; empty if they are not known."""
        if self.manifest is not None:
            return self.manifest.recipe or {}
        recipe: Mapping[str, Any] = self.checkpoint.get("run", {}).get("recipe", {})
        return recipe

    @property
    def num_epochs(self) -> int | None:
        """How many epochs it has, or is to have."""
        if self.manifest is not None and self.manifest.training is not None:
            return self.manifest.training.epochs
        return self.recipe.get("epochs")

    @property
    def seconds(self) -> float | None:
        """Duration of training, without interruptions."""
        if self.manifest is not None and self.manifest.training is not None:
            return self.manifest.training.seconds
        saved = self.checkpoint.get("facts", {}).get("seconds")
        return max(
            [*(row["seconds"] for row in self.epochs), *([saved] if saved else [])], default=None
        )

    @property
    def valid_perplexity(self) -> float | None:
        """Of the best epoch."""
        if self.epochs:
            return min(float(row["valid_perplexity"]) for row in self.epochs)
        training = self.manifest and self.manifest.training
        return training.valid_perplexity if training else None

    @property
    def is_mixed(self) -> bool:
        """Whether the model is used with its n-gram model, which the test metrics then count in."""
        metrics = self.manifest and self.manifest.metrics
        return metrics.is_mixed if metrics else False

    @property
    def test_perplexity(self) -> float | None:
        """Of the model as it is used, mixed or not; without an evaluation, of its weights."""
        if self.manifest is None:
            return None
        if (metrics := self.manifest.metrics) is not None:
            return metrics.mixture_perplexity if metrics.is_mixed else metrics.perplexity
        return self.manifest.training.test_perplexity if self.manifest.training else None

    @property
    def bits_per_character(self) -> float | None:
        """Of the model as it is used, mixed or not."""
        metrics = self.manifest.metrics if self.manifest else None
        if metrics is None:
            return None
        return (
            metrics.mixture_bits_per_character if metrics.is_mixed else metrics.bits_per_character
        )

    @property
    def began_at(self) -> datetime | None:
        """When it began or was last resumed; for an unregistered run, when it was last written."""
        if self.entry is not None:
            return datetime.fromisoformat(self.entry.began_at)
        for file in (self.path, self.path / MANIFEST, self.path / CHECKPOINT):
            if file.is_file():
                return datetime.fromtimestamp(file.stat().st_mtime, UTC)
        return None

    @property
    def error(self) -> str | None:
        """The message of a failed run."""
        return self.entry.error if self.entry and self.state == "failed" else None

    def to_json(self) -> dict[str, Any]:
        began_at = self.began_at
        return {
            "path": str(self.path),
            "state": self.state,
            "error": self.error,
            "corpus": self.source,
            "began_at": began_at and began_at.isoformat(timespec="seconds"),
            "epochs_done": len(self.epochs),
            "epochs": self.num_epochs,
            "seconds": self.seconds,
            "valid_perplexity": self.valid_perplexity,
            "is_mixed": self.is_mixed,
            "test_perplexity": self.test_perplexity,
            "bits_per_character": self.bits_per_character,
            "recipe": dict(self.recipe),
        }


def read_run(folder: Path, entry: Entry | None = None) -> Run:
    """Return the run in a folder as it is now.

    Args:
        entry: what the registry knows of it; None looks there.
    """
    entry = entry or find_entry(folder)
    path = Path(Entry.of(folder, "").path)
    there = resolve_dir(path)
    checkpoint = _checkpoint_header(there / CHECKPOINT)
    # A run that writes over an old model has its checkpoint beside the old manifest.
    manifest = None if checkpoint else find_manifest(there)
    return Run(
        path=path,
        state=_state(path, checkpoint, manifest, entry),
        manifest=manifest,
        checkpoint=checkpoint,
        epochs=_rows(there, METRICS if manifest else METRICS_SO_FAR),
        entry=entry,
    )


def list_runs() -> list[Run]:
    """Return the registered runs as they are now, the newest first."""
    return [read_run(Path(entry.path), entry) for entry in entries()]


def find_run(name: str | Path) -> Run:
    """Return the run in a folder, or the registered run whose folder has this name.

    Raises:
        BundleError: there is none, or several runs have the name.
    """
    run = read_run(Path(name))
    if run.state != "gone":
        return run
    named = [entry for entry in entries() if Path(entry.path).name == str(name)]
    if len(named) > 1:
        places = ", ".join(entry.path for entry in named)
        raise BundleError(
            f"several runs are called {name}: name one by its path ({places})",
            code="runs.ambiguous",
        )
    if named:
        return read_run(Path(named[0].path), named[0])
    if run.entry is not None:
        return run
    raise BundleError(
        f"{name} holds no training run and no model: lorelm runs lists those that there are",
        code="runs.unknown",
    )


def _state(
    path: Path, checkpoint: Mapping[str, Any], manifest: Manifest | None, entry: Entry | None
) -> State:
    # The lock alone does not tell: lorelm evaluate --add-ngram locks a finished model, too.
    if manifest is not None:
        return "finished"
    if is_locked(path):
        return "evaluating" if checkpoint.get("facts", {}).get("is_over") else "running"
    if entry is not None and entry.error:
        return "failed"
    return "stopped" if checkpoint else "gone"


def _checkpoint_header(path: Path) -> Mapping[str, Any]:
    """Read what ``training/checkpoint.py`` wrote beside the tensors, without PyTorch.

    The file begins with the length of a JSON header, in 8 bytes (safetensors' format).
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > _MAX_HEADER_BYTES:
                return {}
            header = json.loads(file.read(length))
        written: Mapping[str, Any] = json.loads(header["__metadata__"]["lorelm"])
        return written
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _rows(path: Path, name: str) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in open_files(path).read(name).splitlines()]
    except (BundleError, ValueError):
        return []
