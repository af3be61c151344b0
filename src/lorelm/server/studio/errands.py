"""What the studio finds out in the background, one thing at a time: :class:`Errands`."""

import json
import logging
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from werkzeug.exceptions import NotFound

from lorelm.bundle.atomic_dir import replace_file
from lorelm.bundle.layout import MANIFEST
from lorelm.corpus.documents import ReadingOptions
from lorelm.errors import CommandError, InputError, ShuttingDownError
from lorelm.parameters import parameters_of
from lorelm.runs.process import CommandRunner
from lorelm.server.studio.entries import Text
from lorelm.server.studio.library import Library

_log: Final = logging.getLogger(__name__)

_INSPECTION_SECONDS: Final = 1200.0
_SAMPLE_SECONDS: Final = 120.0
_SAMPLE_TOKENS: Final = 60

_READING: Final = "reading"
_ESTIMATE: Final = "estimate"
_SAMPLE: Final = "sample"

SAMPLE: Final = ".sample.txt"


class Errands:
    """Runs commands in the background: a hostile file can harm no more than their process.

    Asking twice for the same thing, while it waits, does it once.
    """

    def __init__(self, library: Library, commands: CommandRunner) -> None:
        self._library: Final = library
        self._commands: Final = commands
        self._waiting: dict[tuple[str, str], Callable[[], None]] = {}
        self._changed: Final = threading.Condition()
        self._is_closed = False
        self._thread: Final = threading.Thread(
            target=self._work, name="lorelm-errands", daemon=True
        )

    def open(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Begin nothing more; closing the commands ends the one that runs."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def inspect(self, name: str) -> None:
        """Find out how a text is read, and then how long training takes."""
        self._add((_READING, name), lambda: self._inspect(name, is_whole=False))

    def write_sample(self, name: str) -> None:
        """Let a model write what its card shows."""
        self._add((_SAMPLE, name), lambda: self._write_sample(name))

    def _add(self, key: tuple[str, str], errand: Callable[[], None]) -> None:
        with self._changed:
            self._waiting.setdefault(key, errand)
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closed)
                if self._is_closed:
                    return
                # A reading takes a second and somebody waits for it; an estimate takes several.
                key = min(self._waiting, key=lambda key: key[0] == _ESTIMATE)
                # What is asked for from now on is done once more.
                errand = self._waiting.pop(key)
            try:
                # It was deleted or renamed meanwhile, or the studio ends.
                with suppress(OSError, NotFound, ShuttingDownError):
                    errand()
            except Exception:  # the others are to be done all the same
                _log.exception("%s of %s failed", *key)

    def _inspect(self, name: str, *, is_whole: bool) -> None:
        text = self._library.text(name)
        known = text.report or {}
        if text.error or known.get("is_whole"):
            return  # its page was opened again while it was read
        if known and not is_whole:
            self._add((_ESTIMATE, name), lambda: self._inspect(name, is_whole=True))
            return
        try:
            said = self._commands.run(
                _inspection(text, is_whole), timeout_seconds=_INSPECTION_SECONDS
            )
        except InputError as error:
            if known:  # only how long training takes cannot be said
                report = {**known, "is_whole": True, "training": ""}
                self._library.set_report(text, report, columns=text.columns)
                return
            # Users know the file, not the folder that the studio keeps it in.
            message = str(error).replace(f"{text.files_dir}{os.sep}", "")
            self._library.set_report(text, None, message, _columns_in(error))
            return
        report = json.loads(said) | {"is_whole": is_whole}
        self._library.set_report(text, report, columns=report["columns"])
        if not is_whole:
            self._add((_ESTIMATE, name), lambda: self._inspect(name, is_whole=True))

    def _write_sample(self, name: str) -> None:
        path = self._library.path("models", name)
        arguments = ["generate", str(path), "--seed", "1", "--max-len", str(_SAMPLE_TOKENS)]
        try:
            sample = self._commands.run(arguments, timeout_seconds=_SAMPLE_SECONDS).strip()
        except InputError as error:
            sample = f"({error})"
        replace_file(path / SAMPLE, sample.encode("utf-8", "replace"))


def reading_flags(options: ReadingOptions) -> list[str]:
    """Return the flags of ``lorelm`` that stand for reading options."""
    return [
        parameter.flag_for(getattr(options, name))
        for name, parameter in parameters_of(ReadingOptions).items()
        if getattr(options, name) not in (None, False)
    ]


def _inspection(text: Text, is_whole: bool) -> Sequence[str]:
    estimate = "--estimate" if is_whole else "--no-estimate"
    return ["inspect", "--json", estimate, *reading_flags(text.options), *map(str, text.files)]


def _columns_in(error: InputError) -> list[str]:
    """Return the columns that a table has which cannot be read as it is."""
    columns: list[str] = []
    if isinstance(error, CommandError):
        with suppress(ValueError, KeyError):  # it crashed, before it said anything
            columns = json.loads(error.stdout)["columns"]
    return columns


def sample_of(path: Path) -> str | None:
    """Return the sample of the model in a folder; None if it was not written yet, or is older."""
    sample, manifest = path / SAMPLE, path / MANIFEST
    try:
        if sample.stat().st_mtime >= manifest.stat().st_mtime:
            return sample.read_text(encoding="utf-8")
    except OSError:
        pass
    return None
