"""The texts and models of the studio, in folders that carry their names: :class:`Library`.

::

    texts/NAME/files/        the files as they were uploaded
    texts/NAME/text.json     how to read them
    texts/NAME/report.json   what lorelm inspect says of them
    models/NAME/             a model, or an unfinished run: what lorelm train --out writes
    runs/NAME/               its job, log and events (lorelm.runs.queue)
    deleted/STAMP/           what was deleted, until it is brought back or some days have passed

What can be read from these folders is written nowhere else, so that a folder that somebody has
copied, renamed or removed by hand is what it looks like.
"""

import json
import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, Final

from werkzeug.exceptions import NotFound

from lorelm.bundle.atomic_dir import replace_file
from lorelm.bundle.files import find_manifest
from lorelm.bundle.layout import EMBEDDED_NAME
from lorelm.bundle.manifest import Manifest
from lorelm.corpus.documents import ReadingOptions
from lorelm.errors import CorpusError, InputError
from lorelm.machine.renaming import rename
from lorelm.runs.registry import forget, move_entry
from lorelm.server.studio.entries import Deleted, Kind, Text
from lorelm.server.studio.names import (
    file_name,
    folder_name,
    free_name,
    is_folder_name,
    same_name,
)

_DAYS_TO_BRING_BACK: Final = 7
_MAX_FILES: Final = 1_000
_UPLOAD_PREFIX: Final = "upload-"


class Library:
    """The folders of the studio.

    Attributes:
        root: their common folder.
        lock: held while a name is chosen and taken.
    """

    def __init__(self, root: Path) -> None:
        self.root: Final = root
        self.lock: Final = threading.RLock()
        self.runs_dir: Final = root / "runs"

    def open(self) -> None:
        """Make the folders, and delete for good what was deleted some days ago.

        Raises:
            InputError: they cannot be written.
        """
        try:
            for name in ("texts", "models", "runs", "deleted"):
                (self.root / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"the studio's folder {self.root} cannot be written ({error.strerror or error}): "
                "choose another one (--folder)",
                code="studio.unwritable",
            ) from error
        for left in (self.root / "deleted").glob(
            f"{_UPLOAD_PREFIX}*"
        ):  # by a studio that was killed
            shutil.rmtree(left, ignore_errors=True)
        for each in self.deleted():
            if time.time() - each.deleted_at > _DAYS_TO_BRING_BACK * 86_400:
                forget(self.root / "deleted" / each.stamp / each.name)
                shutil.rmtree(self.root / "deleted" / each.stamp, ignore_errors=True)

    def path(self, kind: Kind, name: str) -> Path:
        """Return the folder of a text or model.

        Raises:
            NotFound: there is none of this name.
        """
        path = self.root / kind / name
        is_there = (path / "files" if kind == "texts" else path).is_dir()
        # The name comes from an address: it must not lead anywhere else.
        if not is_folder_name(name) or not is_there:
            noun = "text" if kind == "texts" else "model"
            raise NotFound(f"there is no {noun} called {name[:80]!r} in the studio")
        return path

    def names(self, kind: Kind) -> list[str]:
        """Return the names of all texts or models, the newest first."""
        folders = [path for path in (self.root / kind).iterdir() if _is_shown(path)]
        folders = [path for path in folders if is_folder_name(path.name)]
        if kind == "texts":  # a folder that somebody has put there by hand
            folders = [path for path in folders if (path / "files").is_dir()]
        return [path.name for path in sorted(folders, key=_age)]

    def free_name(self, kind: Kind, title: str, *, own: str = "") -> str:
        """Return a name for a new text or model that is like a title.

        Args:
            own: a name that it has already, and may keep in another case.
        """
        default = "Text" if kind == "texts" else "Model"
        folders = [*(self.root / kind).iterdir()]
        taken = set()
        if kind == "models":
            folders += self.runs_dir.iterdir()
            taken.add(EMBEDDED_NAME)
        taken |= {same_name(path.name) for path in folders}
        taken.discard(same_name(own))
        return free_name(folder_name(title, default), lambda name: same_name(name) in taken)

    def add_text(self, title: str, files: Iterable[tuple[str, IO[bytes]]]) -> str:
        """Keep uploaded files as a text; return its name.

        Args:
            files: the names that the browser sent, which may be anything, and the contents.

        Raises:
            InputError: there is no file, or too many, or the disk is full.
        """
        try:
            with self.upload_dir() as folder:
                new = folder / "text"
                _write_files(new / "files", files)
                _write_json(new / "text.json", asdict(ReadingOptions()))
                with self.lock:
                    name = self.free_name("texts", title)
                    rename(new, self.root / "texts" / name)
        except OSError as error:
            raise InputError(
                f"the text cannot be kept ({error.strerror or error})", code="studio.unwritable"
            ) from error
        return name

    @contextmanager
    def upload_dir(self) -> Iterator[Path]:
        """Make a folder for what is not whole yet; it goes at the end, or at the next start."""
        parent = self.root / "deleted"
        with TemporaryDirectory(
            dir=parent, prefix=_UPLOAD_PREFIX, ignore_cleanup_errors=True
        ) as folder:
            yield Path(folder)

    def text(self, name: str) -> Text:
        """Return a text.

        Raises:
            NotFound: there is none of this name.
        """
        folder, options = self.path("texts", name), ReadingOptions()
        with suppress(TypeError, CorpusError):  # written by hand, or by another version
            options = ReadingOptions(**_read_json(folder / "text.json"))
        found = _read_json(folder / "report.json")
        text = Text(name=name, folder=folder, options=options)
        stats = [(path.name, path.stat()) for path in text.files]
        text = replace(text, content=[[name, s.st_size, s.st_mtime_ns] for name, s in stats])
        if found.get("options") != asdict(options) or found.get("content") != text.content:
            return text
        known = {each: found[each] for each in ("report", "error", "columns") if each in found}
        return replace(text, **known)

    def find_corpus(self, manifest: Manifest) -> Text | None:
        """Return the text that a model was trained on; None if there is none.

        It has the same documents or else, since it may be read in another way now, files of the
        same names.
        """
        if manifest.corpus is None:
            return None
        fingerprint, files = manifest.corpus.fingerprint, manifest.corpus.files
        wanted = {name for file in files if file for name in file.without_folder.paths}
        texts = [self.text(name) for name in self.names("texts")]
        same = [t for t in texts if t.report and t.report.get("fingerprint") == fingerprint]
        named = [t for t in texts if wanted and wanted <= {path.name for path in t.files}]
        return next(iter([*same, *named]), None)

    def set_options(self, name: str, options: ReadingOptions) -> None:
        """Change how a text is read; what is known of it is to be found out anew."""
        folder = self.path("texts", name)
        _write_json(folder / "text.json", asdict(options))
        (folder / "report.json").unlink(missing_ok=True)

    def set_report(
        self,
        text: Text,
        report: Mapping[str, Any] | None,
        error: str = "",
        columns: Sequence[str] = (),
    ) -> None:
        """Keep what was found out about a text, as long as it is what it was when it was loaded."""
        found: dict[str, Any] = {"options": asdict(text.options), "content": text.content}
        found |= {"report": report, "error": error, "columns": columns}
        with suppress(OSError):  # it was deleted meanwhile
            _write_json(text.folder / "report.json", found)

    def rename(self, kind: Kind, name: str, title: str) -> str:
        """Give a text or model another name; return it.

        Raises:
            InputError: nothing is left of the title as the name of a folder.
        """
        path = self.path(kind, name)
        wanted = folder_name(title, "")
        if not wanted:
            raise InputError(
                "this name has no character that names of folders may have: choose one with a "
                "letter or digit",
                code="studio.no_name",
            )
        if wanted == name:
            return name
        new = self.free_name(kind, title, own=name)
        self._move(kind, (path, self.runs_dir / name), (path.with_name(new), self.runs_dir / new))
        return new

    def duplicate_model(self, name: str) -> str:
        """Copy a model; return the name of the copy."""
        path = self.path("models", name)
        if find_manifest(path) is None:
            raise InputError(f"{name} is not finished yet", code="studio.unfinished")
        with self.upload_dir() as folder:
            copy = shutil.copytree(path, folder / "model")
            with self.lock:
                new = self.free_name("models", name)
                rename(copy, path.with_name(new))
        return new

    def delete(self, kind: Kind, name: str) -> Deleted:
        """Put a text or model aside, from where :meth:`bring_back` fetches it."""
        path = self.path(kind, name)
        number = time.time_ns() // 1_000_000
        while (self.root / "deleted" / f"{number}-{kind}").exists():
            number += 1
        aside = self.root / "deleted" / f"{number}-{kind}"
        aside.mkdir()
        self._move(kind, (path, self.runs_dir / name), (aside / name, aside / ".run"))
        return _deleted(aside, kind, name)

    def forget_run(self, name: str) -> None:
        """Remove the job, log and events of a run; a checkpoint of it is put aside."""
        if (self.root / "models" / name).is_dir():
            self.delete("models", name)
        else:
            shutil.rmtree(self.runs_dir / name, ignore_errors=True)

    def deleted(self) -> list[Deleted]:
        """Return what can be brought back, the last one first."""
        found: list[Deleted] = []
        for aside in (self.root / "deleted").glob("[0-9]*-*"):
            number, _, kind = aside.name.partition("-")
            names = [path.name for path in aside.iterdir() if _is_shown(path)]
            if number.isdigit() and names:
                of_kind: Kind = "texts" if kind == "texts" else "models"
                found.append(_deleted(aside, of_kind, names[0]))
        return sorted(found, key=lambda each: each.deleted_at, reverse=True)

    def bring_back(self, stamp: str) -> Deleted:
        """Undo a :meth:`delete`; the name has a number if it was given anew meanwhile.

        Raises:
            NotFound: it is gone for good, or was brought back before.
        """
        each = next((each for each in self.deleted() if each.stamp == stamp), None)
        if each is None:
            raise NotFound("this was brought back already, or deleted for good")
        aside = self.root / "deleted" / stamp
        name = self.free_name(each.kind, each.name)
        there = self.root / each.kind / name, self.runs_dir / name
        self._move(each.kind, (aside / each.name, aside / ".run"), there)
        shutil.rmtree(aside, ignore_errors=True)
        return replace(each, name=name)

    def _move(self, kind: Kind, old: tuple[Path, Path], new: tuple[Path, Path]) -> None:
        """Move a folder and, of a model, that of its run, where there is one."""
        rename(old[0], new[0])
        if kind == "models":
            if old[1].is_dir():
                rename(old[1], new[1])
            move_entry(old[0], new[0])


def _write_files(folder: Path, files: Iterable[tuple[str, IO[bytes]]]) -> None:
    folder.mkdir(parents=True)
    for number, (given, content) in enumerate(files):
        if number >= _MAX_FILES:
            raise InputError(
                f"a text has at most {_MAX_FILES:,} files: put them into a zip archive",
                code="studio.too_many_files",
            )
        own = free_name(file_name(given), lambda each: (folder / each).exists(), has_ending=True)
        with (folder / own).open("wb") as file:
            shutil.copyfileobj(content, file)
    if not any(folder.iterdir()):
        raise InputError("no file arrived: choose one or more", code="studio.no_file")


def _deleted(aside: Path, kind: Kind, name: str) -> Deleted:
    return Deleted(stamp=aside.name, kind=kind, name=name, deleted_name=name)


def _is_shown(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _age(path: Path) -> float:
    return -path.stat().st_mtime


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    replace_file(path, json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass"))
