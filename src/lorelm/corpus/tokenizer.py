"""The only tokenizers of the project: text to tokens, and tokens back to text.

Training, prompts, evaluation and the server all use :func:`make_tokenizer`, so every text is cut
in the same way.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Final

from lorelm.corpus.special_tokens import (
    NEWLINE,
    SOMEONE,
    UNK,
    UNKNOWN_NAME,
    speaker_name,
    speaker_token,
)
from lorelm.errors import CorpusError


def is_word(token: str) -> bool:
    """Return whether a token of :class:`WordsTokenizer` is a word, not a mark or a speaker."""
    return re.fullmatch(WordsTokenizer.WORD, token) is not None


class Tokenizer(ABC):
    """Cuts text into tokens and joins tokens to text.

    If there are speakers, a line that begins with a name and a colon begins with the token of that
    speaker. Other names than those given count if they are up to four words, capitalised::

        FRODO: I will take it!     <speaker FRODO>  I  will  take  it  ￭!

    Args:
        speakers: names of speakers; none if the model has no speakers.

    Attributes:
        style: its name in bundles and for :func:`make_tokenizer`.
    """

    style: str
    _has_line_breaks = False

    def __init__(self, speakers: Iterable[str] = ()) -> None:
        names = sorted(
            {*speakers, SOMEONE} if speakers else (), key=lambda name: (-len(name), name)
        )
        self.speakers: Final = frozenset(names)
        alternatives = "|".join([*map(re.escape, names), UNKNOWN_NAME])
        self._cue: Final = re.compile(rf"^[^\S\n]*({alternatives}):(?=\s|$)\s*", re.M)

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens of a text, without `<eos>`."""
        if not self.speakers:
            return self._cut(text)
        # The text before the first cue, then by turns a name and a speech.
        before, *turns = self._cue.split(text)
        tokens = self._cut(before)
        for name, speech in zip(turns[::2], turns[1::2], strict=True):
            if tokens and self._has_line_breaks:
                tokens.append(NEWLINE)
            tokens += [speaker_token(name), *self._cut(speech)]
        return tokens

    def find_cues(self, text: str) -> list[tuple[int, int]]:
        """Return where a text names a speaker before a line: begin, and end after the colon."""
        found = self._cue.finditer(text) if self.speakers else ()
        return [(cue.start(1), cue.end(1) + 1) for cue in found]

    @abstractmethod
    def _cut(self, text: str) -> list[str]:
        """Return the tokens of a text in which no speaker is named."""

    def tokenize_prompt(self, text: str) -> list[str]:
        """Return the tokens of a text to continue, for which a line break at its end counts."""
        return self.tokenize(text)

    def with_speakers(self, speakers: Iterable[str]) -> "Tokenizer":
        """Return a tokenizer of the same style that knows these speakers."""
        return type(self)(speakers)

    def chunks(self, text: str) -> list[str]:
        """Cut a text at white space: the tokens of the chunks, end to end, are those of the text.

        Most chunks are words, so a large corpus is tokenized faster with a cache of them.
        """
        return [text] if self.speakers else text.split()

    def piece(self, token: str, previous: str | None) -> str:
        """Return the text of a token, after the white space between it and `previous`.

        `previous` is None at the start of a text. A text is its pieces end to end, so it can be
        streamed token by token.
        """
        name = speaker_name(token)
        if name is not None:
            return f"{name}:" if previous in (None, NEWLINE) else f"\n{name}:"
        if previous is not None and token != NEWLINE and speaker_name(previous) is not None:
            return " " + self._piece(token, None)
        return self._piece(token, previous)

    @abstractmethod
    def _piece(self, token: str, previous: str | None) -> str:
        """Return the text of a token after one that is no speaker's."""

    def detokenize(self, tokens: Iterable[str], previous: str | None = None) -> str:
        """Return the text of `tokens` after a text whose last token is `previous`."""
        pieces = []
        for token in tokens:
            pieces.append(self.piece(token, previous))
            previous = token
        return "".join(pieces)


class ClassicTokenizer(Tokenizer):
    """Lower-case words and nothing else.

    Text is lower-cased, and every run of characters outside ``[a-z0-9']`` separates words. Case and
    punctuation are lost.
    """

    style = "classic"

    _WORD = re.compile(r"[a-z0-9']+")

    def _cut(self, text: str) -> list[str]:
        return self._WORD.findall(text.lower())

    def _piece(self, token: str, previous: str | None) -> str:
        return token if previous is None else " " + token


class BasicEnglishTokenizer(Tokenizer):
    """Lower-case words and the punctuation of sentences, as torchtext's ``basic_english`` cuts.

    As torchtext 0.18, ``torchtext.data.utils._basic_english_normalize``: the text is lower-cased,
    the replacements below are made in this order, and the rest is split on white space. Double
    quotation marks, semicolons and colons are lost. Many imported models use it.
    """

    style = "basic_english"

    _REPLACEMENTS = (
        ("'", " '  "),
        ('"', ""),
        (".", " . "),
        ("<br />", " "),
        (",", " , "),
        ("(", " ( "),
        (")", " ) "),
        ("!", " ! "),
        ("?", " ? "),
        (";", " "),
        (":", " "),
    )
    _CLOSING = frozenset(".,)!?")
    _APOSTROPHE = "'"
    _CONTRACTED = frozenset(("s", "t", "m", "d", "ll", "re", "ve", "em"))
    """Follow the apostrophe in it's, don't, I'm, he'd, we'll, they're, I've, get 'em."""

    def chunks(self, text: str) -> list[str]:
        return [text] if " />" in text else super().chunks(text)  # "<br />" has a space in it

    def _cut(self, text: str) -> list[str]:
        text = text.lower()
        for old, new in self._REPLACEMENTS:
            text = text.replace(old, new)
        return text.split()

    def _piece(self, token: str, previous: str | None) -> str:
        if previous is None or token in self._CLOSING or previous == "(":
            return token
        if token == self._APOSTROPHE and previous not in self._CLOSING:
            return token
        if previous == self._APOSTROPHE and token in self._CONTRACTED:
            return token
        return " " + token


class WordsTokenizer(Tokenizer):
    """Words with their case, punctuation and line breaks, and the spacing between them.

    A token is a word (letters and digits, apostrophes inside it included), a run of one
    punctuation character, or a line break. If two tokens touch without white space, the
    punctuation carries the mark ``￭`` on that side (of two, the right one does)::

        Speak, speak.          Speak  ￭,  speak  ￭.
        'tis well-known        '￭  tis  well  ￭-￭  known
        (he said) "no"         (￭  he  said  ￭)  "￭  no  ￭"

    So the model learns spacing (an opening quotation mark differs from a closing one), and it is
    never guessed: ``detokenize(tokenize(text)) == normalize(text)`` for every text.
    """

    style = "words"
    _has_line_breaks = True

    MARK: Final = "￭"

    # Python's \w leaves out combining marks, which would cut words of many scripts in pieces;
    # building the full class from unicodedata takes 0.2 s at start-up, so the blocks are named.
    _MARKS = (
        "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0900-\u0963"
        "\u0966-\u0dff\u0e31-\u0e4e\u200c\u200d"
    )
    _LETTERS = rf"(?:[^\W_]|[{_MARKS}])+"
    WORD: Final = rf"{_LETTERS}(?:['’]{_LETTERS})*"
    _TOKEN = re.compile(
        rf"(?P<unk><unk>)|(?P<word>{WORD})|(?P<space>\s+)|(?P<other>(.)\5*)",
        re.DOTALL,
    )

    def normalize(self, text: str) -> str:
        """Return the text as it survives tokenizing.

        A run of white space becomes a line break if it holds one, and a space otherwise; both ends
        are stripped. The mark itself becomes ``■``.
        """
        before, *turns = self._cue.split(text) if self.speakers else [text]
        speeches = [
            f"{name}: {speech}" for name, speech in zip(turns[::2], turns[1::2], strict=True)
        ]
        return "\n".join(filter(None, map(self._normalize_speech, (before, *speeches))))

    def _normalize_speech(self, text: str) -> str:
        text = text.replace(self.MARK, "■").strip()
        return re.sub(r"\s+", lambda space: _shortest(space.group()), text)

    def _cut(self, text: str) -> list[str]:
        tokens: list[str] = []
        touches_previous = False  # no white space between the last token and the next
        previous_is_word = False
        for match in self._TOKEN.finditer(text.replace(self.MARK, "■").strip()):
            piece, kind = match.group(), match.lastgroup
            if kind == "space":
                touches_previous = False
                if _shortest(piece) == NEWLINE:
                    tokens.append(NEWLINE)
                continue
            if kind != "other":
                if touches_previous and previous_is_word:
                    tokens.append(self.MARK)
                elif touches_previous:
                    tokens[-1] += self.MARK
                previous_is_word = True
                tokens.append(piece)
            else:
                tokens.append(self.MARK + piece if touches_previous else piece)
                previous_is_word = False
            touches_previous = True
        return tokens

    def chunks(self, text: str) -> list[str]:
        return (
            [text] if "\n" in text or "\r" in text else super().chunks(text)
        )  # line breaks are tokens

    def tokenize_prompt(self, text: str) -> list[str]:
        tokens = self.tokenize(text)
        ends_in_line_break = _shortest(text[len(text.rstrip()) :]) == NEWLINE
        return [*tokens, NEWLINE] if tokens and ends_in_line_break else tokens

    def _piece(self, token: str, previous: str | None) -> str:
        if token == NEWLINE:
            return NEWLINE
        text = token.replace(self.MARK, "")
        if previous is None or previous == NEWLINE:
            return text
        if token.startswith(self.MARK) or previous.endswith(self.MARK):
            return text
        return " " + text


class SubwordTokenizer(WordsTokenizer):
    """Words as :class:`WordsTokenizer` cuts them, each in the longest pieces that are known.

    A piece that continues a word carries the mark on its left, as punctuation does::

        unlikely.              un  ￭like  ￭ly  ￭.

    So every word of known letters has tokens, and scripts without spaces between words, such as
    Thai and Chinese, have sensible ones. Longest match first, as WordPiece (Schuster and Nakajima
    2012), needs nothing but the pieces: the vocabulary of a bundle is all that is stored.

    Args:
        pieces: :func:`lorelm.corpus.subwords.learn_pieces` finds them.
    """

    style = "subword"

    def __init__(self, speakers: Iterable[str] = (), pieces: Iterable[str] = ()) -> None:
        super().__init__(speakers)
        self.pieces: Final = frozenset(pieces)
        self._longest: Final = max(map(len, self.pieces), default=1)

    def with_speakers(self, speakers: Iterable[str]) -> "SubwordTokenizer":
        return type(self)(speakers, self.pieces)

    def _cut(self, text: str) -> list[str]:
        return [piece for token in super()._cut(text) for piece in self._pieces(token)]

    def _pieces(self, token: str) -> list[str]:
        """Return the pieces of a word; a letter that no piece has is a token, which is unknown."""
        if token in self.pieces or self.MARK in token or token in (UNK, NEWLINE):
            return [token]
        found, begin = [], 0
        while begin < len(token):
            mark = self.MARK if begin else ""
            end = min(len(token), begin + self._longest)
            while end > begin + 1 and mark + token[begin:end] not in self.pieces:
                end -= 1
            found.append(mark + token[begin:end])
            begin = end
        return found


def _shortest(space: str) -> str:
    return NEWLINE if "\n" in space or "\r" in space else " "


_TOKENIZERS: Final[dict[str, type[Tokenizer]]] = {
    tokenizer.style: tokenizer
    for tokenizer in (WordsTokenizer, SubwordTokenizer, ClassicTokenizer, BasicEnglishTokenizer)
}

TOKENIZER_STYLES: Final = tuple(_TOKENIZERS)


def make_tokenizer(
    style: str, speakers: Iterable[str] = (), *, words: Iterable[str] = ()
) -> Tokenizer:
    """Return the tokenizer of a style that knows some speakers.

    Args:
        words: of the vocabulary of a model; for a corpus, :func:`prepare_corpus` learns them.

    Raises:
        CorpusError: there is no such style.
    """
    if style not in _TOKENIZERS:
        raise CorpusError(
            f"there is no tokenizer called {style!r}; choose one of {', '.join(TOKENIZER_STYLES)}",
            code="corpus.unknown_tokenizer",
        )
    if style == SubwordTokenizer.style:
        return SubwordTokenizer(speakers, words)
    return _TOKENIZERS[style](speakers)
