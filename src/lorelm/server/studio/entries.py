"""What the studio's library holds: :class:`Text` and :class:`Deleted`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from lorelm.corpus.documents import ReadingOptions

Kind = Literal["texts", "models"]


@dataclass(frozen=True, kw_only=True)
class Text:
    """A text that was uploaded: one corpus, of one file or several.

    Attributes:
        content: tells whether the files are still the same: name, size and time of each.
        report: what ``lorelm inspect --json`` says; None while it is read.
        error: why it cannot be read; empty if it can.
        columns: of a table, also of one that cannot be read until one of them is chosen.
    """

    name: str
    folder: Path
    options: ReadingOptions
    content: Sequence[object] = ()
    report: Mapping[str, Any] | None = None
    error: str = ""
    columns: Sequence[str] = ()

    @property
    def files_dir(self) -> Path:
        return self.folder / "files"

    @property
    def files(self) -> list[Path]:
        return sorted(path for path in self.files_dir.iterdir() if not path.name.startswith("."))

    @property
    def num_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.files)

    @property
    def changed_at(self) -> datetime:
        return datetime.fromtimestamp(self.files_dir.stat().st_mtime, UTC)


@dataclass(frozen=True, kw_only=True)
class Deleted:
    """A text or model that can be brought back.

    Attributes:
        name: under which it is brought back.
        deleted_name: the one it had.
    """

    stamp: str
    kind: Kind
    name: str
    deleted_name: str

    @property
    def deleted_at(self) -> float:
        return int(self.stamp.partition("-")[0]) / 1000
