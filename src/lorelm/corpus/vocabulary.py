"""The vocabulary: which words a model knows, and the id of each."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Self

import numpy as np

from lorelm.corpus.tokenizer import EOS, UNK
from lorelm.errors import CorpusError
from lorelm.typing import Ids

UNK_ID: Final = 0
EOS_ID: Final = 1


class Vocabulary:
    """An ordered list of distinct words; the id of a word is its place.

    `<unk>` (any word that is not in the list) has id 0 and `<eos>` (the end of a document) id 1.

    Raises:
        CorpusError: the list does not begin with these two, or repeats a word.
    """

    def __init__(self, words: Sequence[str]) -> None:
        if list(words[:2]) != [UNK, EOS]:
            raise CorpusError(
                f"a vocabulary begins with {UNK} and {EOS}; this one does not",
                code="vocabulary.special_tokens",
            )
        self.words: Final = tuple(words)
        self._ids: Final = {word: id_ for id_, word in enumerate(self.words)}
        if len(self._ids) != len(self.words):
            twice = next(word for word, count in Counter(words).items() if count > 1)
            raise CorpusError(
                f"a vocabulary holds each word once; this one repeats {twice!r}",
                code="vocabulary.repeated_word",
            )

    @classmethod
    def from_counts(
        cls, counts: Mapping[str, int], *, min_frequency: int, max_words: int | None = None
    ) -> Self:
        """Build the vocabulary of a training part, most frequent words first, ties by alphabet.

        Words of the held-out parts must not be counted: known words would make the test easier
        than other text is.

        Args:
            counts: how often each word occurs in the training part.
            min_frequency: of the words that are kept.
            max_words: keep the most frequent ones, if there are more.
        """
        kept = [w for w, count in counts.items() if count >= min_frequency and w != UNK]
        kept.sort(key=lambda word: (-counts[word], word))
        return cls([UNK, EOS, *kept[:max_words]])

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Parse what :meth:`to_json` wrote.

        Raises:
            CorpusError: the text is no JSON list of words, or no vocabulary.
        """
        wrong = "this JSON is something else"
        try:
            words = json.loads(text)
        except (ValueError, RecursionError) as error:
            words, wrong = None, str(error)
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise CorpusError(
                f"a vocabulary is a JSON list of words; {wrong}", code="vocabulary.not_json"
            )
        return cls(words)

    def to_json(self) -> str:
        return json.dumps(self.words, ensure_ascii=False, indent=0)

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.words == other.words

    def __hash__(self) -> int:
        return hash(self.words)

    def encode(self, tokens: Iterable[str]) -> Ids:
        """Return the id of each token, 0 for an unknown word."""
        return np.fromiter((self._ids.get(token, UNK_ID) for token in tokens), dtype=np.int64)

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Return the word of each id."""
        return [self.words[id_] for id_ in ids]


def unknown_rate(ids: Ids) -> float:
    """Return the share of `<unk>` among the words of a stream (`<eos>` is none)."""
    num_words = int((ids != EOS_ID).sum())
    return float((ids == UNK_ID).sum()) / num_words if num_words else 0.0
