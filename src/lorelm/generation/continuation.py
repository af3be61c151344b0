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
        self._stop = stop
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
        if not self._stop:
            return [piece]
        self._held.append(piece)
        held_text = "".join(piece.text for piece in self._held)
        end = _first_place(held_text, self._stop)
        if end >= 0:
            self.is_stopped = True
            return self._cut_at(end)
        return self._release(len(held_text) - _longest_beginning(held_text, self._stop))

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


def _first_place(text: str, stop: Sequence[str]) -> int:
    """Where the first of the stop texts begins; -1 where none does."""
    return min((place for s in stop if (place := text.find(s)) >= 0), default=-1)


def _longest_beginning(text: str, stop: Sequence[str]) -> int:
    """How many of the last characters may be the beginning of a stop text."""
    return max(
        (n for s in stop for n in range(1, min(len(s) - 1, len(text)) + 1) if text.endswith(s[:n])),
        default=0,
    )
