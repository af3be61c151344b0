"""What a person wishes of single words, as numbers to add to the logits of ids."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from lorelm.corpus.tokenizer import Tokenizer
from lorelm.corpus.vocabulary import EOS_ID, UNK_ID, Vocabulary
from lorelm.errors import SamplingError
from lorelm.typing import Floats32


class WordWishes:
    """Finds the ids of words as a person writes them.

    A word may have several ids: the comma that touches the word before it is another token than
    the one that does not.
    """

    def __init__(self, tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
        self._tokenizer = tokenizer
        self._vocabulary_size = len(vocabulary)
        self._ids: dict[str, list[int]] = defaultdict(list)
        for id_, token in enumerate(vocabulary.words):
            if id_ not in (UNK_ID, EOS_ID):
                self._ids[tokenizer.piece(token, None)].append(id_)

    def bias(self, logit_bias: Mapping[str | int, float], banned_words: Sequence[str]) -> Floats32:
        """What to add to the logits `[V]`, minus infinity for what is banned.

        Raises:
            SamplingError: a word to be made likelier is not known, or what is banned is no word.
        """
        bias_V = np.zeros(self._vocabulary_size, dtype=np.float32)
        for word, bias in logit_bias.items():
            bias_V[self._biased_ids(word)] += bias
        for word in banned_words:
            bias_V[self._banned_ids(word)] = -np.inf
        return bias_V

    def _biased_ids(self, word: str | int) -> list[int]:
        if isinstance(word, int) and 0 <= word < self._vocabulary_size:
            return [word]
        if word not in self._ids:
            raise SamplingError("logit_bias", f"the model does not know {word!r}")
        return self._ids[str(word)]

    def _banned_ids(self, word: str) -> list[int]:
        if len(self._tokenizer.tokenize(word)) > 1:
            raise SamplingError(
                "banned_words", f"must be single words, not {word!r}: give a phrase as a stop text"
            )
        return self._ids.get(word, [])


class Bias:
    """Adds the same to the logits at each step."""

    def __init__(self, bias_V: Floats32) -> None:
        self._bias_V = bias_V

    def __call__(self, logits_V: Floats32, _ids: Sequence[int]) -> Floats32:
        return logits_V + self._bias_V
