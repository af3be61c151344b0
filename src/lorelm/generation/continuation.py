"""The text of a sample as it grows: :class:`Continuation`."""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from lorelm.corpus.tokenizer import Tokenizer


class Piece(NamedTuple):
    """What one token adds to the text.

    Attributes:
        text: with the white space before it; cut off where a stop text begins in it.
        place: of the token, from 0.
    """

    text: str
    place: int


class Continuation:
    """Puts the tokens of a sample together to text, up to the first stop text.

    A stop text may go across tokens, so a token whose text may be the beginning of one is held
    back until that is known.

    Args:
        prompt: the text that is gone on with; behind it, the continuation reads on as it is.
        last_token: of the prompt; None where it has none.
        stop: the texts at which it ends.
    """

    def __init__(
        self, tokenizer: Tokenizer, prompt: str, last_token: str | None, stop: Sequence[str]
    ) -> None:
        self.is_stopped = False
        self._tokenizer = tokenizer
        self._previous = last_token
        self._watches = [_Watch(text) for text in stop]
        self._skips_space = prompt[-1:].isspace()
        self._held: deque[Piece] = deque()
        self._num_tokens = 0

    def add(self, token: str) -> list[Piece]:
        """Adds a token; returns the pieces that are sure to belong to the text."""
        text = self._tokenizer.piece(token, self._previous)
        if self._skips_space:  # the prompt has it
            text = text.lstrip()
            self._skips_space = not text
        self._previous = token
        piece = Piece(text, self._num_tokens)
        self._num_tokens += 1
        if not self._watches:
            return [piece]
        self._held.append(piece)
        held_length = sum(len(piece.text) for piece in self._held)
        ends = [end for watch in self._watches if (end := watch.look(text)) is not None]
        if ends:
            self.is_stopped = True
            return self._cut_at(held_length - max(ends))
        return self._release(held_length - max(watch.num_matched for watch in self._watches))

    def rest(self) -> list[Piece]:
        """The pieces that were held back: the text ends here, and no stop text came up."""
        pieces = list(self._held)
        self._held.clear()
        return pieces

    def _release(self, length: int) -> list[Piece]:
        """The pieces that lie within so many characters of the held text."""
        pieces = []
        while self._held and len(self._held[0].text) <= length:
            length -= len(self._held[0].text)
            pieces.append(self._held.popleft())
        return pieces

    def _cut_at(self, length: int) -> list[Piece]:
        """The held pieces up to so many characters, the last one cut off there."""
        pieces = self._release(length)
        length -= sum(len(piece.text) for piece in pieces)
        if length > 0:
            cut = self._held[0]
            pieces.append(cut._replace(text=cut.text[:length]))
        self._held.clear()
        return pieces


class _Watch:
    """Looks for one text in another that comes in parts, each character once.

    (Knuth, Morris and Pratt 1977, https://doi.org/10.1137/0206024.) Looking through what is held
    back after each token took 0.5 ms for 16 long stop texts that nearly come up.

    Attributes:
        num_matched: how many of its first characters the other text ends in.
    """

    def __init__(self, text: str) -> None:
        self.num_matched = 0
        self._text = text
        self._fallbacks = [0] * len(text)
        """For each number of characters that match, one less: how many do if the next does not."""
        length = 0
        for place in range(1, len(text)):
            while length and text[place] != text[length]:
                length = self._fallbacks[length - 1]
            length += text[place] == text[length]
            self._fallbacks[place] = length

    def look(self, part: str) -> int | None:
        """Goes on with a part; where the text comes up, how far before the part's end it begins."""
        for place, letter in enumerate(part):
            while self.num_matched and letter != self._text[self.num_matched]:
                self.num_matched = self._fallbacks[self.num_matched - 1]
            self.num_matched += letter == self._text[self.num_matched]
            if self.num_matched == len(self._text):
                return len(self._text) + len(part) - place - 1
        return None
