"""A corpus as it was read: its documents, the file they came from, and how it was read."""

import glob
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Final, Literal, cast, get_args

from lorelm.corpus.text_files import TextFile
from lorelm.errors import CorpusError
from lorelm.parameters import Parameter, problems_of

DocumentUnit = Literal["line", "paragraph", "scene", "text"]
DOCUMENT_UNITS: Final = get_args(DocumentUnit)


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """How to read a corpus file.

    Attributes:
        text_column: the column of a table that holds the text; guessed when None.
        speaker_column: the column that says who speaks; guessed when None, and none if "".
        scene_column: a column of a table; where its value changes, a scene begins.
        document: what one document is; by the kind of text when None.
        encoding: the character encoding of text, CSV, TSV and JSONL files; recognised when None.
        anonymise: whether personal data are replaced by stand-ins.

    Raises:
        CorpusError: values are not allowed; it names them all.
    """

    text_column: Annotated[
        str | None,
        Parameter("Column of a table with the text.", metavar="NAME", label="Text column"),
    ] = None
    speaker_column: Annotated[
        str | None,
        Parameter(
            "Column of a table that says who speaks; '' if nobody does. By default it is guessed.",
            metavar="NAME",
            label="Speaker column",
        ),
    ] = None
    scene_column: Annotated[
        str | None,
        Parameter(
            "Column of a table; where its value changes, a scene begins.",
            metavar="NAME",
            label="Scene column",
        ),
    ] = None
    document: Annotated[
        DocumentUnit | None,
        Parameter(
            "What one document is: a line (or a row of a table), a paragraph, a scene (turns of "
            "speakers), or a passage of a continuous text. By default, what suits the text.",
            choices=DOCUMENT_UNITS,
            label="Document",
        ),
    ] = None
    encoding: Annotated[
        str | None,
        Parameter("Encoding of a text file. By default it is recognised.", label="Encoding"),
    ] = None
    anonymise: Annotated[
        bool,
        Parameter(
            "Replace names of speakers, e-mail addresses, long numbers and links by stand-ins."
        ),
    ] = False

    def __post_init__(self) -> None:
        # In bundles of before; a whole file is a continuous text.
        if cast(str, self.document) == "file":
            object.__setattr__(self, "document", "text")
        problems = problems_of(ReadingOptions, asdict(self))
        if problems:
            raise CorpusError.of(problems, code="corpus.reading_options")


@dataclass(frozen=True, kw_only=True)
class CorpusFile:
    """Where a corpus was read from, so that it can be read again.

    Attributes:
        path: as the user wrote it: relative to the folder the command was given in, if it was. It
            may be a folder, an archive or a pattern. In a manifest it is the name alone, since
            folders of a person are private.
        more_paths: further ones of the same corpus.
    """

    path: str
    options: ReadingOptions
    more_paths: tuple[str, ...] = ()

    @property
    def paths(self) -> list[str]:
        return [self.path, *self.more_paths]

    @property
    def without_folder(self) -> "CorpusFile":
        """The same with names for paths; a pattern is kept from its first sign on."""
        names = list(map(_without_folder, self.paths))
        return replace(self, path=names[0], more_paths=tuple(names[1:]))


def _without_folder(path: str) -> str:
    parts = Path(path).parts
    first = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return str(Path(*parts[first:])) if parts else path


@dataclass(frozen=True, kw_only=True)
class Documents:
    """The documents of a corpus in the order of their file.

    Attributes:
        texts: one text a document, none of them blank.
        source: a name to show for what they were read from ("lotr_scripts.csv").
        parts: the part of each document, by the numbers of `splits.py`; empty if the documents are
            independent of each other, to be split at random.
        finer: texts and parts of the same text, cut finer; for texts of too few documents to be
            split, or with one in the test part, which could not be evaluated.
        speakers: how many turns each speaker has, the most frequent one first.
        kind: what kind of text it is ("wrapped prose"), empty if it is not known.
        unit: what one document is.
        notes: what the reader decided or left out, in sentences for the user.
        warnings: what the user should change in the file, in sentences; they may quote it.
        file: the file they were read from, if they were read from one.
        columns: of a table, the names of all of them.
    """

    texts: Sequence[str]
    source: str
    parts: Sequence[int] = ()
    finer: tuple[Sequence[str], Sequence[int]] | None = None
    speakers: Mapping[str, int] = field(default_factory=dict)
    kind: str = ""
    unit: DocumentUnit | None = None
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    file: CorpusFile | None = None
    columns: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def is_streamed(self) -> bool:
        """Whether the texts are too large for memory and are read whenever they are iterated."""
        return isinstance(self.texts, TextFile)

    def estimated_len(self) -> float:
        """Return the number of documents; of streamed ones, an estimate."""
        texts = self.texts
        return texts.estimated_len() if isinstance(texts, TextFile) else len(texts)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the texts: two corpora share it when they are the same."""
        return fingerprint_of(self.texts)

    def content_hash(self) -> str:
        """Return a hash of the content that is quick to compute: of the file, of streamed texts."""
        texts = self.texts
        return texts.content_hash() if isinstance(texts, TextFile) else self.fingerprint


@dataclass(frozen=True, kw_only=True)
class CorpusParts:
    """What a corpus is made of.

    Attributes:
        documents: what is split into the parts that have no documents of their own; cut finer if
            they are too few for that.
        valid, test: held-out parts with documents of their own.
    """

    documents: Documents
    valid: Documents | None = None
    test: Documents | None = None

    def __post_init__(self) -> None:
        parts, finer = self.documents.parts, self.documents.finer
        is_split = {0, 1, 2} == {*parts, *self.given}
        can_be_evaluated = self.test is not None or parts.count(2) > 1
        if finer is not None and not (is_split and can_be_evaluated):
            cut = replace(self.documents, texts=finer[0], parts=finer[1], finer=None)
            object.__setattr__(self, "documents", cut)  # as frozen dataclasses set what they derive

    @staticmethod
    def of(documents: "Documents | CorpusParts") -> "CorpusParts":
        """Return the same parts, or documents that are all to be split."""
        if isinstance(documents, CorpusParts):
            return documents
        return CorpusParts(documents=documents)

    @property
    def given(self) -> dict[int, Documents]:
        """The held-out parts with documents of their own, by the numbers of `splits.py`."""
        parts = {1: self.valid, 2: self.test}
        return {part: documents for part, documents in parts.items() if documents is not None}

    @property
    def all(self) -> list[Documents]:
        return [self.documents, *self.given.values()]

    @property
    def speakers(self) -> set[str]:
        return {name for documents in self.all for name in documents.speakers}

    @property
    def is_streamed(self) -> bool:
        return any(documents.is_streamed for documents in self.all)

    @property
    def files(self) -> list[CorpusFile | None]:
        """As in the manifest: one file to split, or one a part, None for a part that is split off.

        Nothing if any documents are from no file.
        """
        if any(documents.file is None for documents in self.all):
            return []
        return [None if part is None else part.file for part in self._named]

    @property
    def notes(self) -> list[str]:
        """Which part is split off although the other one is not, in a sentence for the user."""
        if len(self.given) != 1:
            return []
        name, other = ("validation", "test") if self.valid is None else ("test", "validation")
        source = self.documents.source
        return [f"The {name} part is split off {source}, since only a {other} part was given."]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the texts of all parts."""
        return fingerprint_of(text for part in self.all for text in part.texts)

    def content_hash(self) -> str:
        """Return a hash of all texts that is quick to compute."""
        return fingerprint_of("" if part is None else part.content_hash() for part in self._named)

    @property
    def _named(self) -> tuple[Documents | None, ...]:
        return (self.documents, self.valid, self.test) if self.given else (self.documents,)


def fingerprint_of(texts: Iterable[str]) -> str:
    """Return the SHA-256 over texts in their order, each with its length before it."""
    digest = TextDigest()
    for text in texts:
        digest.update(text)
    return digest.fingerprint


class TextDigest:
    """Computes :func:`fingerprint_of` texts that come one by one and are not kept."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def update(self, text: str) -> None:
        encoded = text.encode("utf-8", "surrogatepass")
        self._digest.update(len(encoded).to_bytes(8, "little") + encoded)

    @property
    def fingerprint(self) -> str:
        return self._digest.hexdigest()
