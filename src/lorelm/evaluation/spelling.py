"""What an unknown word costs: a model of how words are spelled."""

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
"""Of a training part that is not counted."""


class SpellingModel:
    """A Kneser-Ney model of the characters of words, each read from its first to its end.

    The ids are Unicode code points, so there is no character that it cannot spell; one that it has
    never seen costs about 20 bits. It learns from the distinct words of the training part, each
    once, since unknown words resemble the rare ones. (Order 5 takes 20.1 bits for an unknown word
    of `lotr_scripts.csv`, of 5.9 characters; order 3 takes 22.6, order 6 20.0.)
    """

    def __init__(self, characters: KneserNey) -> None:
        self.characters: Final = characters

    @classmethod
    def fit(cls, words: Iterable[str]) -> Self:
        """Learns from words as they are written."""
        return cls(
            KneserNey.fit(
                _code_points(sorted(set(words))),
                order=MAX_ORDER,
                vocabulary_size=_NUM_CODE_POINTS,
            )
        )

    @classmethod
    def of_training_part(cls, corpus: Corpus) -> Self:
        """Learns from the words of the training part, those beyond the vocabulary included.

        Of one too large to be counted, from its first 100,000 documents.
        """
        documents = islice(corpus.train.documents, None if corpus.is_countable else MAX_DOCUMENTS)
        distinct = {token for tokens in documents for token in tokens}
        return cls.fit(corpus.tokenizer.piece(token, None) for token in distinct)

    @classmethod
    def of_bundle(cls, bundle: Bundle) -> Self | None:
        """The spelling model that a bundle carries; None in one of an older version.

        Raises:
            BundleError: it is damaged.
        """
        characters = bundle.spelling()
        if characters is None:
            return None
        if characters.vocabulary_size != _NUM_CODE_POINTS or characters.order != MAX_ORDER:
            raise BundleError(
                f"the spelling model of bundle {bundle.path} is of something else: train it again"
            )
        return cls(characters)

    def bits(self, words: Sequence[str]) -> Floats:
        """What each word costs: -log2 of the probability of its characters and of its end."""
        if not words:
            return np.zeros(0)
        stream = _code_points(words)
        bits = -np.log2(self.characters.probabilities(stream))
        # The events of a word are its characters and the first mark after it.
        is_event = (stream[1:] != _WORD_END) | (stream[:-1] != _WORD_END)
        ends = np.cumsum([len(word) + 1 for word in words])
        sums: Floats = np.add.reduceat(bits[is_event], np.concatenate(([0], ends[:-1])))
        return sums


def _code_points(words: Iterable[str]) -> Ints:
    """The words end to end, marks around each: as many as hide what stands before it."""
    marks = [_WORD_END] * (MAX_ORDER - 1)
    return np.array([*marks, *(point for word in words for point in (*map(ord, word), *marks))])
