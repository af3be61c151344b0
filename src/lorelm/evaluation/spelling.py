"""The spelling model, which prices unknown words by their characters."""

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final, Self

import numpy as np

from lorelm.bundle import Bundle
from lorelm.corpus.preparation import Corpus
from lorelm.errors import BundleError
from lorelm.ngrams.kneser_ney import MAX_ORDER, KneserNey
from lorelm.typing import Floats, Ints

_WORD_END: Final = 0
_NUM_CODE_POINTS: Final = 0x110000
MAX_DOCUMENTS: Final = 100_000
"""Limit for a training part that is too large for n-gram models."""


class SpellingModel:
    """A Kneser-Ney model of the characters of words.

    The ids are Unicode code points, so it can spell every character; one that it has never seen
    costs about 20 bits. It is fitted to the distinct words of the training part, each once, because
    unknown words resemble rare ones. (Order 5 takes 20.1 bits for an unknown word of
    `lotr_scripts.csv`, of 5.9 characters; order 3 takes 22.6, order 6 20.0.)
    """

    def __init__(self, characters: KneserNey) -> None:
        self.characters: Final = characters

    @classmethod
    def fit(cls, words: Iterable[str]) -> Self:
        """Fit to words as they are written."""
        return cls(
            KneserNey.fit(
                _code_points(sorted(set(words))),
                order=MAX_ORDER,
                vocabulary_size=_NUM_CODE_POINTS,
            )
        )

    @classmethod
    def of_training_part(cls, corpus: Corpus) -> Self:
        """Fit to the words of the training part, also those outside the vocabulary.

        Only the first 100,000 documents of a very large one are used.
        """
        documents = islice(corpus.train.documents, None if corpus.is_countable else MAX_DOCUMENTS)
        distinct = {token for tokens in documents for token in tokens}
        return cls.fit(corpus.tokenizer.piece(token, None) for token in distinct)

    @classmethod
    def of_bundle(cls, bundle: Bundle) -> Self | None:
        """Return the spelling model of a bundle; None in one of an older version.

        Raises:
            BundleError: it is damaged.
        """
        characters = bundle.spelling()
        if characters is None:
            return None
        if characters.vocabulary_size != _NUM_CODE_POINTS or characters.order != MAX_ORDER:
            raise BundleError(
                f"the spelling model of bundle {bundle.path} does not spell words: train it again",
                code="bundle.damaged_file",
            )
        return cls(characters)

    def bits(self, words: Sequence[str]) -> Floats:
        """Return -log2 of the probability of each word: of its characters and its end."""
        if not words:
            return np.zeros(0)
        stream = _code_points(words)
        bits = -np.log2(self.characters.probabilities(stream))
        # The targets of a word are its characters and the first end mark after it.
        is_target = (stream[1:] != _WORD_END) | (stream[:-1] != _WORD_END)
        ends = np.cumsum([len(word) + 1 for word in words])
        sums: Floats = np.add.reduceat(bits[is_target], np.concatenate(([0], ends[:-1])))
        return sums


def _code_points(words: Iterable[str]) -> Ints:
    """Join the words with enough end marks between them that no context reaches back."""
    marks = [_WORD_END] * (MAX_ORDER - 1)
    return np.array([*marks, *(point for word in words for point in (*map(ord, word), *marks))])
