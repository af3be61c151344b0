"""A corpus as it was read: its documents, the file they came from, and how it was read."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

DocumentUnit = Literal["line", "paragraph", "file"]
DOCUMENT_UNITS: Final = get_args(DocumentUnit)


@dataclass(frozen=True, kw_only=True)
class ReadingOptions:
    """How to read a corpus file.

    Attributes:
        text_column: the column of a table that holds the text; guessed when None.
        speaker_column: a column whose value is put before each text ("FRODO: I will take it").
        document: what one document of a plain text file is.
        encoding: the character encoding of text, CSV, TSV and JSONL files.
    """

    text_column: str | None = None
    speaker_column: str | None = None
    document: DocumentUnit = "line"
    encoding: str = "utf-8"


@dataclass(frozen=True, kw_only=True)
class CorpusFile:
    """Where a corpus was read from, so that it can be read again.

    Attributes:
        path: as the user wrote it: relative to the folder the command was given in, if it was.
    """

    path: str
    options: ReadingOptions


@dataclass(frozen=True, kw_only=True)
class Documents:
    """The documents of a corpus in the order of their file.

    Attributes:
        texts: one text a document, none of them blank.
        source: what they were read from, in words fit to be shown ("lotr_scripts.csv").
        speakers: who speaks each document, where a speaker column was named.
        notes: what the reader decided or passed over, a sentence each, to be shown to the user.
        file: the file they were read from, if they were read from one.
    """

    texts: Sequence[str]
    source: str
    speakers: Sequence[str] = ()
    notes: Sequence[str] = ()
    file: CorpusFile | None = None

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the texts: two corpora share it when they are the same."""
        return fingerprint_of(self.texts)


def fingerprint_of(texts: Iterable[str]) -> str:
    """SHA-256 over texts in their order, each with its length before it."""
    digest = TextDigest()
    for text in texts:
        digest.update(text)
    return digest.fingerprint


class TextDigest:
    """:func:`fingerprint_of` texts that come one by one and are not kept."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def update(self, text: str) -> None:
        encoded = text.encode("utf-8", "surrogatepass")
        self._digest.update(len(encoded).to_bytes(8, "little") + encoded)

    @property
    def fingerprint(self) -> str:
        """Of the texts so far."""
        return self._digest.hexdigest()


def has_word(text: str) -> bool:
    """Whether there is a letter or a digit in a text."""
    return any(map(str.isalnum, text))
