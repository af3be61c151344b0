"""Biases of single words, as numbers to add to the logits of their ids."""

from collections import abc, defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from lorelm.corpus.tokenizer import Tokenizer
from lorelm.corpus.vocabulary import EOS_ID, UNK_ID, Vocabulary
from lorelm.errors import SamplingError
from lorelm.typing import Floats32

if TYPE_CHECKING:
    from lorelm.generation.sequence import Sequence


class LogitBias:
    """Add the same numbers to the logits `[V]` of every token."""

    def __init__(self, bias_V: Floats32) -> None:
        self.bias_V = bias_V

    @classmethod
    def ban(cls, words: abc.Sequence[str], vocabulary: Vocabulary) -> "LogitBias":
        """Return the bias that keeps words of the vocabulary from being generated."""
        bias_V = np.zeros(len(vocabulary), dtype=np.float32)
        bias_V[vocabulary.encode(words)] = -np.inf
        return cls(bias_V)

    def __call__(self, logits_V: Floats32, _sequence: "Sequence") -> Floats32:
        return logits_V + self.bias_V


class WordIndex:
    """Ids of words as a person writes them.

    A word may have several: a comma that touches the word before it is another token than one that
    does not.
    """

    def __init__(self, tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
        self._tokenizer = tokenizer
        self._vocabulary_size = len(vocabulary)
        self._ids: dict[str, list[int]] = defaultdict(list)
        for id_, token in enumerate(vocabulary.words):
            if id_ not in (UNK_ID, EOS_ID):
                self._ids[tokenizer.piece(token, None)].append(id_)

    def logit_bias(
        self, biases: Mapping[str | int, float], banned_words: abc.Sequence[str]
    ) -> LogitBias:
        """Return the bias of words or ids; banned words get minus infinity.

        Raises:
            SamplingError: a word with a bias is unknown, or a banned word is not a single word.
        """
        bias_V = np.zeros(self._vocabulary_size, dtype=np.float32)
        for word, bias in biases.items():
            bias_V[self._biased_ids(word)] += bias
        for word in banned_words:
            bias_V[self._banned_ids(word)] = -np.inf
        return LogitBias(bias_V)

    def _biased_ids(self, word: str | int) -> list[int]:
        if isinstance(word, int) and 0 <= word < self._vocabulary_size:
            return [word]
        if word not in self._ids:
            raise SamplingError(
                "logit_bias", f"the model does not know {word!r}", code="setting.unknown_word"
            )
        return self._ids[str(word)]

    def _banned_ids(self, word: str) -> list[int]:
        if len(self._tokenizer.tokenize(word)) > 1:
            raise SamplingError(
                "banned_words",
                f"must be single words, not {word!r}: give a phrase as a stop text",
                code="setting.not_a_word",
            )
        return self._ids.get(word, [])
