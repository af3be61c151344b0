"""The vocabulary: which words a model knows, and the id of each."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np

from lorelm.corpus.special_tokens import EOS, OTHER_SPEAKER, SOMEONE, UNK, speaker_name
from lorelm.corpus.tokenizer import WordsTokenizer
from lorelm.errors import CorpusError
from lorelm.typing import Ids

UNK_ID: Final = 0
EOS_ID: Final = 1

MIN_TURNS: Final = 8
"""Turns of a speaker in the training part to have a token; the rest share `<other speaker>`."""


_QUOTATION_MARKS: Final = str.maketrans("‘’‚‛ʼ′＇´“”„‟″＂", "'" * 8 + '"' * 6)
"""Also what stands for them: the letter apostrophe, primes, wide forms and the acute accent."""


def letters(spelling: str) -> str:
    """Return a word whatever its case and the form of its apostrophes."""
    return straight(spelling).casefold()


def straight(text: str) -> str:
    """Return a text with straight quotation marks and apostrophes, whatever form they have."""
    return text.translate(_QUOTATION_MARKS)


def by_straight(words: Iterable[str]) -> dict[str, str]:
    """Return words by their form with straight quotation marks; of several, the first."""
    found: dict[str, str] = {}
    for word in words:
        found.setdefault(straight(word), word)
    return found


def _sign(token: str) -> str:
    """Return a sign with straight quotation marks and no mark of spacing; nothing for a word."""
    return "" if any(map(str.isalnum, token)) else straight(token).replace(WordsTokenizer.MARK, "")


@dataclass(frozen=True, kw_only=True)
class VocabularyRules:
    """Which words a vocabulary has.

    Attributes:
        min_frequency: words that the training part has less often are left out, unless they are
            known.
        max_words: the most frequent ones are kept, if there are more; None: all.
        excluded: words that are left out, with their possessives, however frequent they are and
            whatever their case.
        known: words of the model to start from, the most frequent first; they are kept even if the
            training part has none of them. A word that differs from one of them only in case or
            in its apostrophes counts as known, for it takes the vector of that one.
    """

    min_frequency: int = 1
    max_words: int | None = None
    excluded: Sequence[str] = ()
    known: Sequence[str] = ()

    def apply(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Return the words that are kept with their counts, the most frequent first."""
        known = set(map(letters, self.known))
        kept = {w: n for w, n in counts.items() if n >= self.min_frequency or letters(w) in known}
        ordered = dict(sorted(kept.items(), key=_frequent_first))
        ordered |= {word: 0 for word in self.known if word not in ordered}
        excluded = set(map(letters, self.excluded))
        allowed = [
            (w, n) for w, n in ordered.items() if letters(w).removesuffix("'s") not in excluded
        ]
        return dict(allowed[: self.max_words])


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
    def from_counts(cls, counts: Mapping[str, int], rules: VocabularyRules) -> Self:
        """Build the vocabulary of a training part, most frequent words first, ties by alphabet.

        Words of the held-out parts must not be counted: known words would make the test easier
        than other text is.

        Args:
            counts: how often each word occurs in the training part.
        """
        speakers = {word: n for word, n in counts.items() if speaker_name(word) is not None}
        words = {word: n for word, n in counts.items() if word not in speakers and word != UNK}
        # Words alone are limited by number: without their speakers, turns would run together.
        kept = rules.apply(words)
        if speakers:
            kept |= {name: n for name, n in speakers.items() if n >= MIN_TURNS}
            kept[OTHER_SPEAKER] = sum(n for name, n in speakers.items() if name not in kept)
        return cls([UNK, EOS, *(word for word, _ in sorted(kept.items(), key=_frequent_first))])

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
        return isinstance(word, str) and (self._id_of(word) != UNK_ID or word == UNK)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.words == other.words

    def __hash__(self) -> int:
        return hash(self.words)

    def encode(self, tokens: Iterable[str]) -> Ids:
        """Return the id of each token, 0 for an unknown word."""
        return np.fromiter(map(self._id_of, tokens), dtype=np.int64)

    def known_form(self, token: str) -> str:
        """Return a token as the vocabulary has it, whatever the form of its quotation marks.

        Phones and Word write “don’t” where a corpus may have "don't", and the other way round. A
        sign may have other spaces around it: “tired — she” is read as “tired—she”. A token that is
        unknown in all forms stays as it is.
        """
        if token in self._ids:
            return token
        return self._by_straight.get(straight(token)) or self._signs.get(_sign(token), token)

    @cached_property
    def _by_straight(self) -> dict[str, str]:
        return by_straight(self.words)

    @cached_property
    def _signs(self) -> dict[str, str]:
        """Signs by their form without marks of spacing; of several, the most frequent one."""
        return {_sign(word): word for word in reversed(self.words) if _sign(word)}

    def _id_of(self, token: str) -> int:
        id_ = self._ids.get(token)
        if id_ is None:
            is_speaker = speaker_name(token) is not None
            return self._ids.get(OTHER_SPEAKER, UNK_ID) if is_speaker else UNK_ID
        return id_

    @cached_property
    def speakers(self) -> dict[str, int]:
        """The id of the token of each speaker, by name; of all others by :data:`SOMEONE`."""
        names = map(speaker_name, self.words)
        return {name: id_ for id_, name in enumerate(names) if name is not None}

    @property
    def speaker_names(self) -> list[str]:
        """The speakers that have a token of their own, the most frequent first."""
        return [name for name in self.speakers if name != SOMEONE]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Return the word of each id."""
        return [self.words[id_] for id_ in ids]


def _frequent_first(counted: tuple[str, int]) -> tuple[int, str]:
    """Return a key by which words that were not seen stay in their order, after the others."""
    word, count = counted
    return -count, word if count else ""


def unknown_rate(ids: Ids) -> float:
    """Return the share of `<unk>` among the words of a stream (`<eos>` is none)."""
    num_words = int((ids != EOS_ID).sum())
    return float((ids == UNK_ID).sum()) / num_words if num_words else 0.0
