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
    """An ordered list of distinct words; a word's place is its id.

    `<unk>` (any word that is not in the list) has id 0 and `<eos>` (the end of a document) id 1.

    Raises:
        CorpusError: the list does not begin with these two, or holds a word twice.
    """

    def __init__(self, words: Sequence[str]) -> None:
        if list(words[:2]) != [UNK, EOS]:
            raise CorpusError(f"a vocabulary begins with {UNK} and {EOS}; this one does not")
        self.words: Final = tuple(words)
        self._ids: Final = {word: id_ for id_, word in enumerate(self.words)}
        if len(self._ids) != len(self.words):
            twice = next(word for word, count in Counter(words).items() if count > 1)
            raise CorpusError(f"a vocabulary holds each word once; this one repeats {twice!r}")

    @classmethod
    def from_training_part(cls, documents: Iterable[Sequence[str]], *, min_frequency: int) -> Self:
        """The words seen at least `min_frequency` times in the tokenized training documents.

        The most frequent word comes first; words of one frequency stand in alphabetical order.
        Call it with the training part alone: words taken from the test part would make the test
        easier than the world is.
        """
        counts = Counter(token for tokens in documents for token in tokens)
        return cls.from_counts(counts, min_frequency=min_frequency)

    @classmethod
    def from_counts(
        cls, counts: Mapping[str, int], *, min_frequency: int, max_words: int | None = None
    ) -> Self:
        """The same from how often each word stands in the training part.

        Args:
            max_words: the most frequent so many are kept, where there are more.
        """
        kept = [w for w, count in counts.items() if count >= min_frequency and w != UNK]
        kept.sort(key=lambda word: (-counts[word], word))
        return cls([UNK, EOS, *kept[:max_words]])

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what :meth:`to_json` wrote.

        Raises:
            CorpusError: the text is not a JSON list of words that makes a vocabulary.
        """
        try:
            words = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"a vocabulary is a JSON list of words; {error}") from error
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise CorpusError("a vocabulary is a JSON list of words; this JSON is something else")
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
        """The id of each token; 0 for a word that is not known."""
        return np.fromiter((self._ids.get(token, UNK_ID) for token in tokens), dtype=np.int64)

    def decode(self, ids: Iterable[int]) -> list[str]:
        """The word of each id."""
        return [self.words[id_] for id_ in ids]


def unknown_rate(ids: Ids) -> float:
    """The share of the words in a stream (`<eos>` is none) that the vocabulary does not hold."""
    num_words = int((ids != EOS_ID).sum())
    return float((ids == UNK_ID).sum()) / num_words if num_words else 0.0
