"""What others can learn of a training text from the files of its model: :func:`revealed`."""

from collections.abc import Container

from lorelm.bundle.bundle import Bundle
from lorelm.bundle.layout import COPIES, NGRAM


def revealed(bundle: Bundle, files: Container[str], *, ngram_hint: str = "") -> list[str]:
    """Return what can be learned from some of the files of a bundle, in sentences for the user.

    Args:
        files: the names of those that are given away.
        ngram_hint: how to leave out the n-gram model, if that is possible.
    """
    found = [
        f"the {len(bundle.vocabulary):,} words of the vocabulary, names among them",
        "the weights, which may have learned passages by heart",
    ]
    if COPIES in files:
        found.append(
            "fingerprints of the training text: not the text, but a sentence that someone has can "
            "be looked up in it (--no-fingerprints leaves them out; copies are then not marked)"
        )
    if NGRAM in files and bundle.manifest.ngram is not None:
        found.append(
            f"how often up to {bundle.manifest.ngram.order} words follow each other: most of the "
            f"training text can be put together from that{ngram_hint}"
        )
    return found
