"""Read and split the corpus of a bundle again, as training did."""

from collections.abc import Sequence

from lorelm.bundle import Bundle
from lorelm.bundle.manifest import CorpusMetadata
from lorelm.corpus.documents import CorpusParts, Documents
from lorelm.corpus.preparation import Corpus, prepare_corpus, split_test_part
from lorelm.corpus.readers import read_documents
from lorelm.errors import CorpusError


def find_trained_corpus(bundle: Bundle) -> Corpus:
    """Read the files that the manifest names, and split them as training did.

    Raises:
        CorpusError: it names none, or one of them is missing or has changed since.
    """
    corpus = split_as_trained(bundle, _read_again(bundle))
    if corpus is None:
        raise _changed(bundle)
    return corpus


def split_as_trained(bundle: Bundle, documents: Documents | CorpusParts) -> Corpus | None:
    """Return the corpus of a bundle, or None if these documents or their vocabulary differ."""
    trained, recipe = bundle.manifest.corpus, bundle.manifest.recipe
    if trained is None or recipe is None or documents.fingerprint != trained.fingerprint:
        return None
    if not {"min_frequency", "split_seed"} <= recipe.keys():
        return None  # of a model that was trained elsewhere
    corpus = prepare_corpus(
        documents,
        tokenizer=bundle.tokenizer,
        min_frequency=recipe["min_frequency"],
        split_seed=recipe["split_seed"],
    )
    return corpus if corpus.vocabulary == bundle.vocabulary else None


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
    parts = _read_again(first)
    if parts.fingerprint != _metadata(first).fingerprint:
        raise _changed(first)
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


def _read_again(bundle: Bundle) -> CorpusParts:
    files = _metadata(bundle).files
    if not files:
        raise CorpusError(
            f"bundle {bundle.path} does not say which file it was trained on: name a text to "
            "evaluate it on",
            code="corpus.no_file",
        )
    try:
        read = {
            name: read_documents(file.path, file.options)
            for name, file in zip(("documents", "valid", "test"), files, strict=False)
            if file is not None
        }
    except CorpusError as error:
        raise CorpusError(
            f"the corpus of bundle {bundle.path} is not where it was ({error}): name the file "
            "where it is now, or another text to evaluate it on",
            code="corpus.gone",
        ) from error
    return CorpusParts(**read)


def _changed(bundle: Bundle) -> CorpusError:
    where = " or ".join(file.path for file in _metadata(bundle).files if file)
    return CorpusError(
        f"{where} is not as it was when bundle {bundle.path} was trained on it: name a text to "
        "evaluate it on",
        code="corpus.changed",
    )
