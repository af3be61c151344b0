"""Which file a corpus is in, and how it is to be read."""

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
