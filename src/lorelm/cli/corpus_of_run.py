"""The corpus of a run that goes on: what is given again, the rest where it was."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorelm.bundle import Bundle
from lorelm.corpus.documents import Documents, ReadingOptions
from lorelm.corpus.formats.sources import is_there
from lorelm.corpus.readers import read_documents
from lorelm.errors import CheckpointError, CorpusError
from lorelm.machine.quoting import quoted
from lorelm.training.options import found_again

if TYPE_CHECKING:
    from lorelm.training.checkpoint import Checkpoint


def corpus_of_run(
    checkpoint: "Checkpoint", out: Path, given: Sequence[Any]
) -> list[Documents | None]:
    """Read the corpus of a run: what is given, the rest where it was.

    Raises:
        CheckpointError: the run was begun with texts, and none are given.
        CorpusError: a file is missing or cannot be read.
    """
    files, folder = checkpoint.run["files"], checkpoint.run["folder"]
    if not files and not given[0]:
        raise CheckpointError(
            f"the run in {out} was begun with texts of Python or of standard input: go on in "
            f"Python with the same texts, by lorelm.train(..., out={str(out)!r}, resume=True) or "
            "lorelm.finish",
            code="checkpoint.no_files",
        )
    if folder is None and not given[0]:
        return _corpus_of_bundle(out)
    known = [*files, None, None, None][:3]
    return [
        read_documents(paths, _options_of(file or known[0]))
        if paths
        else file and _reread(file, folder or ".")
        for paths, file in zip(given, known, strict=True)
    ]


def _corpus_of_bundle(out: Path) -> list[Documents | None]:
    """Find the corpus of a bundle, which holds no folders.

    Raises:
        CorpusError: it is not found as it was.
    """
    from lorelm.evaluation.trained_corpus import read_again

    try:
        parts = read_again(Bundle.load(out))
    except CorpusError as error:
        raise CorpusError(
            f"the corpus of bundle {out} is not in the current folder, beside the bundle or above "
            "it as it was: bring it there, or name it (lorelm train PATH --resume "
            f"{quoted(out)} ...)",
            code=error.code,
        ) from error
    return [parts.documents, parts.valid, parts.test]


def _options_of(file: Mapping[str, Any] | None) -> ReadingOptions:
    return ReadingOptions(**file["options"]) if file else ReadingOptions()


def _reread(file: Mapping[str, Any], folder: str) -> Documents:
    """Read a file of a run that began in a folder.

    Raises:
        CorpusError: it is missing or cannot be read.
    """
    try:
        known = (file["path"], *file["more_paths"])
        paths = [found_again(path, folder, is_there) for path in known]
        return read_documents(paths, _options_of(file))
    except CorpusError as error:
        raise CorpusError(
            f"{error} (the run was begun in {folder}): name the file where it is now "
            "(PATH beside --resume or --finish)",
            code=error.code,
        ) from error
