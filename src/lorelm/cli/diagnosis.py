"""What ``lorelm doctor`` looks at, and what it says about it: :func:`examine`."""

import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Literal

from lorelm.errors import LoreLMError
from lorelm.history.state import HistoryState, read_state
from lorelm.machine.cores import available_cores
from lorelm.machine.folders import DATA_VARIABLE, data_folder
from lorelm.machine.memory import Memory, memory
from lorelm.machine.processor import Processor, processor
from lorelm.version import VERSION

_PACKAGES: Final = ("onnxruntime", "numpy", "torch")

_SECONDS_TO_MEASURE: Final = 0.7
_TOKENS_AT_ONCE: Final = 20

_SLOW_TOKENS_A_SECOND: Final = 400
"""An idle core with AVX-512 writes 3,100; 650 to 1,330 where four to seven processes want two."""

_FREE_ON_DISK: Final = 1_000_000_000
_FREE_MEMORY: Final = 500_000_000
"""A server takes 200 MB with the embedded model."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something to know, with what to do about it.

    Attributes:
        kind: wrong, if a part of LoreLM does not work.
    """

    kind: Literal["wrong", "slow", "note"]
    message: str
    hint: str


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder that LoreLM writes.

    Attributes:
        path: the folder, which may not exist yet.
        free_bytes: on its disk.
    """

    path: str
    free_bytes: int
    is_writable: bool


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What this installation and this machine are like.

    Attributes:
        versions: of LoreLM, Python and packages; None: not installed.
        load: processes that want a core, in the mean of the last minute; None: not known.
        memory: None: not known.
        history: None: it cannot be read.
        tokens_per_second: of the embedded model, one text on one core; None: it does not run.
    """

    versions: dict[str, str | None]
    processor: Processor
    cores: int
    load: float | None
    memory: Memory | None
    data_folder: Folder
    temporary_folder: Folder
    history: HistoryState | None
    tokens_per_second: float | None
    findings: list[Finding]

    @property
    def works(self) -> bool:
        return all(finding.kind != "wrong" for finding in self.findings)


def examine(history: str | None) -> Diagnosis:
    """Look at everything; what does not work becomes a finding.

    Args:
        history: its URL; None for the default one.
    """
    findings: list[Finding] = []
    cores, load, found = available_cores(), _load(), processor()
    data, temporary = _folder(data_folder()), _folder(Path(tempfile.gettempdir()))
    for folder in (data, temporary):
        findings += findings_of_folder(folder)
    diagnosis = Diagnosis(
        versions=_versions(),
        processor=found,
        cores=cores,
        load=load,
        memory=memory(),
        data_folder=data,
        temporary_folder=temporary,
        history=_examine_history(history, findings),
        tokens_per_second=_measure(findings),
        findings=findings,
    )
    findings += findings_of_speed(diagnosis)
    return diagnosis


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"lorelm": VERSION, "Python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)  # without importing it
        except PackageNotFoundError:
            found[package] = None
    return found


def _load() -> float | None:
    if sys.platform != "win32":
        with suppress(OSError):
            return os.getloadavg()[0]
    return None


def _folder(path: Path) -> Folder:
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    return Folder(
        path=str(path),
        free_bytes=shutil.disk_usage(existing).free,
        is_writable=existing.is_dir() and os.access(existing, os.W_OK | os.X_OK),
    )


def findings_of_folder(folder: Folder) -> Iterator[Finding]:
    """Say what a folder lacks: permission, or space."""
    if not folder.is_writable:
        yield Finding(
            kind="wrong",
            message=f"{folder.path} cannot be written",
            hint=f"give this user the permission, or name another folder with {DATA_VARIABLE} or "
            "TMPDIR",
        )
    elif folder.free_bytes < _FREE_ON_DISK:
        yield Finding(
            kind="note",
            message=f"the disk of {folder.path} has {folder.free_bytes / 1e6:,.0f} MB left",
            hint="free some space: a training run writes checkpoints, and the history grows",
        )


def _examine_history(address: str | None, findings: list[Finding]) -> HistoryState | None:
    try:
        state = read_state(address)
    except LoreLMError as error:
        hint = "start or repair the database; lorelm history restore brings a backup of a file back"
        findings.append(Finding(kind="wrong", message=str(error), hint=hint))
        return None
    if state.revision not in (None, state.newest_revision):
        findings.append(
            Finding(
                kind="note",
                message=f"the history in {state.place} is of an earlier version of LoreLM",
                hint="lorelm history backup FILE, before the next lorelm serve upgrades it",
            )
        )
    return state


def _measure(findings: list[Finding]) -> float | None:
    """Return how many tokens of one text the embedded model writes in a second."""
    try:
        from lorelm.bundle import EMBEDDED_PATH, Bundle
        from lorelm.generation.language_model import LanguageModel

        model = LanguageModel.of_bundle(Bundle.load(EMBEDDED_PATH))
        model.generate("", max_len=1)
        num_tokens, began = 0, time.perf_counter()
        while (seconds := time.perf_counter() - began) < _SECONDS_TO_MEASURE:
            model.generate("", min_len=_TOKENS_AT_ONCE, max_len=_TOKENS_AT_ONCE, seed=num_tokens)
            num_tokens += _TOKENS_AT_ONCE
    except (LoreLMError, ImportError, OSError, RuntimeError) as error:
        findings.append(
            Finding(
                kind="wrong",
                message=f"the embedded model does not run: {error}",
                hint="install LoreLM again: pip install --force-reinstall lorelm",
            )
        )
        return None
    return num_tokens / seconds


def findings_of_speed(found: Diagnosis) -> Iterator[Finding]:
    """Say what makes this machine slow: what can be changed first."""
    num_cores = os.cpu_count() or 1  # of the machine, as the load is
    if found.load is not None and found.load > num_cores:
        cores = "one core" if num_cores == 1 else f"{num_cores} cores"
        yield Finding(
            kind="slow",
            message=f"{found.load:.1f} processes want {cores}, so each has a part",
            hint="look with top which programs compute, and end them or wait",
        )
    if found.memory is not None and found.memory.available < _FREE_MEMORY:
        yield Finding(
            kind="slow",
            message=f"{found.memory.available / 1e6:,.0f} MB of memory are free; a server takes "
            "200 MB, and training more",
            hint="end other programs, or give the container more memory",
        )
    features = found.processor.features
    if features.get("AVX2") is False:
        yield Finding(
            kind="slow",
            message=f"the processor ({found.processor.name}) has no AVX2",
            hint="in a virtual machine, let it see the processor of its host; else use a newer one",
        )
    speed = found.tokens_per_second
    if speed is not None and speed < _SLOW_TOKENS_A_SECOND:
        yield Finding(
            kind="slow",
            message=f"the embedded model writes {speed:,.0f} tokens/s, fewer than "
            f"{_SLOW_TOKENS_A_SECOND}",
            hint="run lorelm doctor again when nothing else computes; smaller models are faster "
            "(lorelm train --recipe classic)",
        )
