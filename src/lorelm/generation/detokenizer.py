"""Ids to text, token by token: :class:`Detokenizer`."""

from collections.abc import Iterable, Sequence
from itertools import cycle
from typing import Protocol

from lorelm.corpus.special_tokens import OTHER_SPEAKER
from lorelm.corpus.tokenizer import Tokenizer


class Words(Protocol):
    """Tokens by their ids."""

    def __getitem__(self, id_: int, /) -> str: ...


class Detokenizer:
    """Incremental text of one sample, up to the first stop text.

    Every token becomes a text chunk once, with the white space before it; appended to the prompt
    as they are, the chunks read on. A stop text may span tokens, so a chunk that may begin one is
    uncertain until later tokens decide.

    Args:
        words: of the vocabulary, by id.
        prompt: the text that the sample continues.
        last_token: of the prompt; None if it has none.
        other_speakers: take turns where the model writes `<other speaker>`.
        stop: texts at which the sample ends; the first one to come up counts.

    Attributes:
        chunks: one per token, in order; after a stop text came up, only those before it.
        num_certain: how many of the first chunks will not be cut off by a stop text.
        is_stopped: whether a stop text came up.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        words: Words,
        *,
        prompt: str = "",
        last_token: str | None = None,
        other_speakers: Iterable[str] = (),
        stop: Sequence[str] = (),
    ) -> None:
        self.chunks: list[str] = []
        self.num_certain = 0
        self.is_stopped = False
        self.tokenizer = tokenizer
        self.words = words
        self._previous = last_token
        self._other_speakers = cycle(other_speakers)
        self._skips_space = prompt[-1:].isspace()
        self._matchers = [_StopMatcher(text) for text in stop]

    def extend(self, ids: Iterable[int]) -> None:
        """Append the chunks of further tokens."""
        for id_ in ids:
            token = self.words[id_]
            if token == OTHER_SPEAKER:
                token = next(self._other_speakers, token)
            chunk = self.tokenizer.piece(token, self._previous)
            if self._skips_space:  # The prompt already ends in white space.
                chunk = chunk.lstrip()
                self._skips_space = not chunk
            self._previous = token
            self.chunks.append(chunk)
            if self._matchers:
                self._match(chunk)
            else:
                self.num_certain += 1

    def flush(self) -> None:
        """Make all chunks certain: the sample has ended."""
        self.num_certain = len(self.chunks)

    def _match(self, chunk: str) -> None:
        lengths = [n for each in self._matchers if (n := each.feed(chunk)) is not None]
        if not lengths:
            self._release(max(matcher.num_matched for matcher in self._matchers))
            return
        self.is_stopped = True
        num_left = self._release(max(lengths))
        rest = "".join(self.chunks[self.num_certain :])[:num_left]
        self.chunks[self.num_certain :] = [rest] if rest else []
        self.flush()

    def _release(self, num_open: int) -> int:
        """Make the chunks certain that end before the last `num_open` characters.

        Returns:
            How many characters of the next chunk lie before those as well.
        """
        num_left = sum(map(len, self.chunks[self.num_certain :])) - num_open
        while self.num_certain < len(self.chunks):
            length = len(self.chunks[self.num_certain])
            if length > num_left:
                break
            num_left -= length
            self.num_certain += 1
        return num_left


class _StopMatcher:
    """Find one text in another that arrives in parts, looking at each character once.

    Knuth, Morris and Pratt 1977, https://doi.org/10.1137/0206024. Searching all uncertain text
    after each token took 0.5 ms for 16 long stop texts that nearly come up.

    Attributes:
        num_matched: length of the longest prefix of the text that the other one ends in.
    """

    def __init__(self, text: str) -> None:
        self.num_matched = 0
        self._text = text
        # Entry i: how many characters still match if i + 1 did and the next one does not.
        self._fallbacks = [0] * len(text)
        length = 0
        for place in range(1, len(text)):
            while length and text[place] != text[length]:
                length = self._fallbacks[length - 1]
            length += text[place] == text[length]
            self._fallbacks[place] = length

    def feed(self, part: str) -> int | None:
        """Return how far before the end of this part the text begins, once it is complete."""
        for place, letter in enumerate(part):
            while self.num_matched and letter != self._text[self.num_matched]:
                self.num_matched = self._fallbacks[self.num_matched - 1]
            self.num_matched += letter == self._text[self.num_matched]
            if self.num_matched == len(self._text):
                return len(self._text) + len(part) - place - 1
        return None
