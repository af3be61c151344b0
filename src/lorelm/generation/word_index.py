"""Words of a model as a person writes them: :class:`WordIndex`."""

from collections import abc, defaultdict
from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np

from lorelm.corpus.special_tokens import SOMEONE
from lorelm.corpus.tokenizer import Tokenizer
from lorelm.corpus.vocabulary import EOS_ID, UNK_ID, Vocabulary, by_straight, straight
from lorelm.errors import SamplingError
from lorelm.generation.logits import LogitBias
from lorelm.generation.spelling import Spellings
from lorelm.parameters import short

_NO_STAND_INS: Final[Mapping[int, str]] = MappingProxyType({})

_LONG: Final = 8
"""Letters of a word that may differ in two; shorter ones in one, and those of two letters in none.

With half of the letters "Gandalf" matched "candle", which nobody means.
"""


class WordIndex:
    """Ids of words by their spelling, and the words nearest to one that is unknown.

    A word may have several ids: a comma that touches the word before it is another token than one
    that does not. A word that is known with other quotation marks alone has the ids of that one.
    """

    def __init__(self, tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
        self._tokenizer = tokenizer
        self._vocabulary_size = len(vocabulary)
        self._ids: dict[str, list[int]] = defaultdict(list)
        for id_, token in enumerate(vocabulary.words):
            if id_ not in (UNK_ID, EOS_ID):
                self._ids[tokenizer.piece(token, None)].append(id_)

    def logit_bias(
        self,
        biases: Mapping[str | int, float],
        banned_words: abc.Sequence[str],
        *,
        stand_ins: Mapping[int, str] = _NO_STAND_INS,
    ) -> LogitBias:
        """Return the bias of words or ids; banned words get minus infinity.

        A banned word that is unknown is never written, unless another one stands in for it.

        Args:
            stand_ins: unknown tokens of the prompt, by the ids that they are read and written as.

        Raises:
            SamplingError: a word with a bias is unknown, or a banned word is not a single word.
        """
        bias_V = np.zeros(self._vocabulary_size, dtype=np.float32)
        for word, bias in biases.items():
            bias_V[self._biased_ids(word)] += bias
        for word in banned_words:
            bias_V[self.banned_ids(word)] = -np.inf
        banned = set(map(straight, banned_words))
        for id_, token in stand_ins.items():
            if straight(self._tokenizer.piece(token, None)) in banned:
                bias_V[id_] = -np.inf
        return LogitBias(bias_V)

    def required_ids(self, word: str) -> list[int]:
        """Return the ids of a word that a text is to contain; "ring" is also written "Ring".

        Raises:
            SamplingError: the model does not know it, or cuts it in several tokens; or it is the
                cue of a speaker, which begins a line and stands in no sentence.
        """
        if _is_cue(word):
            raise SamplingError(
                "must_contain",
                f"must be words of a sentence, and {short(word)} is the cue of a speaker: leave "
                "out its colon, or choose who speaks (speaker)",
                code="setting.not_a_word",
            )
        ids = [*self._ids_of(word)]
        capitalised = word[:1].upper() + word[1:]
        if capitalised != word:
            ids += self._ids_of(capitalised)
        if ids:
            return ids
        if len(self._tokenizer.tokenize(word)) > 1:
            raise SamplingError(
                "must_contain",
                f"must be single words, and the model cuts {short(word)} in several parts",
                code="setting.not_a_word",
            )
        near = " or ".join(map(repr, self.nearest(word)))
        raise SamplingError(
            "must_contain",
            f"the model does not know {short(word)}" + (f"; is it {near}?" if near else ""),
            code="setting.unknown_word",
        )

    def unknown(self, words: abc.Iterable[str]) -> list[str]:
        """Return the words that the model does not know, each once."""
        return [word for word in dict.fromkeys(words) if not self._ids_of(word)]

    def nearest(self, word: str, *, limit: int = 3) -> list[str]:
        """Return the nearest words, the nearest first; of equally near ones, the most frequent.

        To the name of a speaker with its colon, other speakers are near. Near are those that a
        slip makes of each other: letters inserted, deleted, replaced or swapped with their
        neighbour; case is ignored. A search among 24,000 words takes a millisecond.
        """
        index = self._speakers if _is_cue(word) else self._spellings
        num_letters = sum(map(str.isalnum, word))
        found = index.spellings.nearest(
            word.casefold(),
            limit=limit,
            max_distance=0 if num_letters < 3 else 1 if num_letters < _LONG else 2,
        )
        return [_spelled_like(word, index.by_letters[folded]) for folded in found]

    @cached_property
    def _spellings(self) -> "_FoldedWords":
        """Of each word."""
        return _fold(word for word in self._ids if not _is_cue(word))

    @cached_property
    def _speakers(self) -> "_FoldedWords":
        """Of the names of speakers."""
        return _fold(word for word in self._ids if _is_cue(word) and word != f"{SOMEONE}:")

    def _biased_ids(self, word: str | int) -> list[int]:
        if isinstance(word, int) and 0 <= word < self._vocabulary_size:
            return [word]
        ids = self._ids_of(str(word))
        if not ids:
            raise SamplingError(
                "logit_bias", f"the model does not know {short(word)}", code="setting.unknown_word"
            )
        return ids

    def banned_ids(self, word: str) -> list[int]:
        """Return the ids of a word that is not to be written; none if the model does not know it.

        Raises:
            SamplingError: it is not a single word.
        """
        if len(self._tokenizer.tokenize(word)) > 1:
            raise SamplingError(
                "banned_words",
                f"must be single words, not {short(word)}: give a phrase as a stop text",
                code="setting.not_a_word",
            )
        return self._ids_of(word)

    @cached_property
    def _by_straight(self) -> dict[str, str]:
        return by_straight(self._ids)

    def _ids_of(self, word: str) -> list[int]:
        known = word if word in self._ids else self._by_straight.get(straight(word))
        return [] if known is None else self._ids[known]


def _is_cue(word: str) -> bool:
    return len(word) > 1 and word.endswith(":")


class _FoldedWords(NamedTuple):
    """Words by their letters without their case, and these to be searched."""

    by_letters: Mapping[str, abc.Sequence[str]]
    spellings: Spellings


def _fold(words: abc.Iterable[str]) -> _FoldedWords:
    by_letters: dict[str, list[str]] = defaultdict(list)
    for word in words:
        if any(map(str.isalnum, word)):
            by_letters[word.casefold()].append(word)
    return _FoldedWords(dict(by_letters), Spellings([*by_letters]))


def _spelled_like(word: str, spellings: abc.Sequence[str]) -> str:
    """Return the spelling with the same case as the word, or the most frequent one."""
    is_capital = word[:1].isupper()
    return next((s for s in spellings if s[:1].isupper() == is_capital), spellings[0])
