"""A corpus as it was read: its documents and where they came from."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lorelm.corpus.reading_options import CorpusFile


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
