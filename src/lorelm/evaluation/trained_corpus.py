"""Read and split the corpus of a bundle again, as training did."""

import glob
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import product
from pathlib import Path

from lorelm.bundle import Bundle
from lorelm.bundle.manifest import CorpusMetadata
from lorelm.corpus.documents import CorpusFile, CorpusParts, Documents, ReadingOptions
from lorelm.corpus.preparation import Corpus, prepare_corpus, split_test_part
from lorelm.corpus.readers import read_documents
from lorelm.corpus.shakespeare import SHAKESPEARE
from lorelm.errors import CorpusError
from lorelm.machine.quoting import quoted


def find_trained_corpus(bundle: Bundle) -> Corpus:
    """Find the files that the manifest names, and split them as training did.

    They are looked for in the current folder, beside the bundle, and above that.

    Raises:
        CorpusError: it names none, or one of them is not found or has changed since.
    """
    corpus = split_as_trained(bundle, read_again(bundle))
    if corpus is None:
        raise _changed(bundle)
    return corpus


def split_as_trained(bundle: Bundle, documents: Documents | CorpusParts) -> Corpus | None:
    """Return the corpus of a bundle, with its vocabulary; None if these are other documents."""
    trained, recipe = bundle.manifest.corpus, bundle.manifest.recipe
    if trained is None or recipe is None or documents.fingerprint != trained.fingerprint:
        return None
    if "split_seed" not in recipe:
        return None  # of a model that was trained elsewhere
    return prepare_corpus(
        documents,
        tokenizer=bundle.tokenizer,
        vocabulary=bundle.vocabulary,
        split_seed=recipe["split_seed"],
    )


def common_test_part(bundles: Sequence[Bundle]) -> Documents:
    """Return the test part, not tokenized, of the corpus that several bundles were trained on.

    Raises:
        CorpusError: they were trained on different corpora, or on one that was split differently;
            or it is not where it was, or has changed.
    """
    first, *others = bundles
    split, *other_splits = [_split_of(bundle) for bundle in bundles]
    for other, other_split in zip(others, other_splits, strict=True):
        if other_split != split:
            raise CorpusError(
                f"bundles {first.path} and {other.path} were trained on different corpora or "
                "splits, and what one was tested on the other may have learned: name a text that "
                "none has seen (--text)",
                code="corpus.different_corpora",
            )
    parts = read_again(first)
    assert first.manifest.recipe is not None
    return split_test_part(parts, split_seed=first.manifest.recipe["split_seed"])


def _split_of(bundle: Bundle) -> tuple[object, ...]:
    """Return what is equal for two bundles if their test parts hold the same documents."""
    corpus, recipe = _metadata(bundle), bundle.manifest.recipe
    assert recipe is not None
    are_files = [file is not None for file in corpus.files]
    return corpus.fingerprint, are_files, recipe.get("split_seed")


def _metadata(bundle: Bundle) -> CorpusMetadata:
    if bundle.manifest.corpus is None:
        raise CorpusError(
            f"bundle {bundle.path} was imported, and what it was trained on is not known: name a "
            "text to evaluate it on, which it has not seen",
            code="corpus.unknown",
        )
    return bundle.manifest.corpus


def reading_options_of(bundle: Bundle, file: str, given: ReadingOptions) -> ReadingOptions:
    """Return how to read a file: as in training, if it has the name of the corpus.

    Args:
        given: what the user asks for; it takes precedence unless it is the default.
    """
    corpus = bundle.manifest.corpus
    if corpus is not None and given == ReadingOptions():
        for known in corpus.files:
            if known is not None and known.without_folder.path == Path(file).name:
                return known.options
    return given


def read_again(bundle: Bundle) -> CorpusParts:
    """Read the corpus of a bundle; of several files of its name, the one with its content.

    Raises:
        CorpusError: it names no file, or none is found that has not changed since.
    """
    files = _metadata(bundle).files
    if not files:
        raise CorpusError(
            f"bundle {bundle.path} does not say which file it was trained on: name a text to "
            "evaluate it on",
            code="corpus.no_file",
        )
    candidates = [[*_candidates(bundle, file)] if file else [None] for file in files]
    for found in product(*candidates):
        with suppress(CorpusError):  # another file of this name may be no text at all
            read = {
                name: read_documents(file.paths, file.options)
                for name, file in zip(("documents", "valid", "test"), found, strict=False)
                if file is not None
            }
            parts = CorpusParts(**read)
            if parts.fingerprint == _metadata(bundle).fingerprint:
                return parts
    raise _changed(bundle) if all(candidates) else _gone(bundle)


def _candidates(bundle: Bundle, file: CorpusFile) -> Iterator[CorpusFile]:
    """Yield the files that have the names of those that the bundle was trained on."""
    names = file.without_folder.paths
    beside = bundle.path.absolute().parent
    # The paths themselves first: a bundle of an earlier version has them.
    places = [file.paths, *([str(folder / n) for n in names] for folder in _folders(beside))]
    for first, *others in dict.fromkeys(map(tuple, places)):
        if all(map(_may_be_read, (first, *others))):
            yield replace(file, path=first, more_paths=tuple(others))


def _folders(beside: Path) -> tuple[Path, ...]:
    return Path.cwd(), beside, beside.parent


def _may_be_read(path: str) -> bool:
    """Return whether it is there, or a pattern, or the name of a corpus that is no file."""
    return path == SHAKESPEARE or glob.has_magic(path) or Path(path).exists()


def _gone(bundle: Bundle) -> CorpusError:
    return CorpusError(
        f"the corpus of bundle {bundle.path} ({_names(bundle)}) is neither in the current folder "
        "nor beside the bundle or above it: bring it there, or name it or another text "
        f"(lorelm evaluate {quoted(bundle.path)} FILE)",
        code="corpus.gone",
    )


def _changed(bundle: Bundle) -> CorpusError:
    return CorpusError(
        f"{_names(bundle)} is not as it was when bundle {bundle.path} was trained on it: name "
        f"another text (lorelm evaluate {quoted(bundle.path)} FILE)",
        code="corpus.changed",
    )


def _names(bundle: Bundle) -> str:
    files = _metadata(bundle).files
    return ", ".join(name for file in files if file for name in file.without_folder.paths)
