"""Find the words of a vocabulary in a foreign file: :func:`read_vocabulary`."""

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from lorelm.bundle.importing.pickled_file import is_pickled, naming, read_pickled_file
from lorelm.bundle.importing.stubs import Name, Record
from lorelm.bundle.importing.unpickler import MAX_PICKLE_BYTES, walk
from lorelm.errors import InputError

# Keys of a vocabulary in a file that holds more, the preferred ones first.
_KEYS: Final = (
    *("itos", "index_to_word", "idx_to_word", "idx2word", "index2word", "id2word", "ix_to_word"),
    *("int_to_vocab", "id_to_word", "i2w", "stoi", "word_to_index", "word_to_idx", "word2idx"),
    *("word2index", "word2id", "word_to_ix", "vocab_to_int", "word_to_id", "w2i"),
    *("vocab", "vocabulary", "words", "tokens"),
)
# Pickles of protocol 0 begin like a text.
_PICKLE_SUFFIXES: Final = (".pkl", ".pickle", ".p", ".pk", ".pt", ".pth", ".bin", ".ckpt")
_DECIMAL: Final = re.compile("[0-9]{1,9}")

_MAX_WORDS: Final = 1_000_000
_MAX_WORD: Final = 1_000
_MAX_CHARACTERS: Final = 20_000_000  # of all words; 450,000 words of English have four million
_MAX_CONTAINERS: Final = 100_000
_MAX_COMMAS: Final = _MAX_WORDS + _MAX_WORDS // 10  # in JSON, between values and within words

_BASIC_ENGLISH: Final = ("basic_english", "_basic_english_normalize")

Words = tuple[str | None, ...]
"""In the order of their ids; None where an id has no word."""


def read_vocabulary(path: Path, *, size: int) -> tuple[Words, str | None]:
    """Read the words of a pickle, a file of ``torch.save``, JSON, or a text with a word a line.

    A vocabulary of the model's size is preferred. Beside the words is the style of the tokenizer
    that the file names, None if it names none.

    Raises:
        InputError: it is unsafe, damaged, or holds no vocabulary. The message names the file.
    """
    if is_pickled(path) or path.suffix.lower() in _PICKLE_SUFFIXES:
        words, tokenizer = vocabulary_in(read_pickled_file(path).value, size=size)
    else:
        with naming(path):
            words, tokenizer = _of_text(_text(path), size, is_json=path.suffix == ".json")
    if not words:
        raise InputError(
            f"{path} holds no vocabulary: what is read are a list of words, a dict of words and "
            "their places, a Vocab of torchtext, and a text with a word a line",
            code="import.no_vocabulary",
        )
    return words, tokenizer


def vocabulary_in(
    value: Any, *, size: int, is_among_others: bool = False
) -> tuple[Words | None, str | None]:
    """Return the vocabulary in a value that was pickled, and the tokenizer that it names.

    If it is among other things, only lists and dicts of the right size or name count.
    """
    candidates = [
        (rank, words)
        for rank, part in walk(value, len(_KEYS), _parts)
        if (words := _words(part)) is not None
        and (not is_among_others or len(words) == size or rank < len(_KEYS))
    ]
    _, words = min(
        candidates,
        key=lambda each: (len(each[1]) != size, each[0], -len(each[1])),
        default=(0, ()),
    )
    if sum(len(word) for word in words if word is not None) > _MAX_CHARACTERS:
        words = ()
    return tuple(map(_text_of, words)) or None, tokenizer_in(value)


def tokenizer_in(value: Any) -> str | None:
    """Return the style of the tokenizer that a value names, None if it names none that we have."""
    for _, part in walk(value, 0, _parts):
        named = part.get("tokenizer") if isinstance(part, dict) else None
        if isinstance(part, Name):
            named = part.full.rpartition(".")[2]
        if named in _BASIC_ENGLISH:
            return "basic_english"
    return None


def _parts(rank: int, value: Any) -> Iterator[tuple[int, Any]]:
    """Yield what lies in a container, with the place in `_KEYS` of the last such key around it."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield _KEYS.index(key) if key in _KEYS else rank, part
    elif isinstance(value, list | tuple):
        yield from ((rank, part) for part in value)
    elif isinstance(value, Record) and not value.name.startswith("torch.nn."):
        yield from ((rank, part) for part in (value.arguments, value.state, value.items))


def _words(value: Any) -> tuple[str | bytes | None, ...] | None:
    """Return a value as words by their ids, None if it is no vocabulary."""
    if isinstance(value, list | tuple):
        return tuple(value) if len(value) > 1 and all(map(_is_word, value)) else None
    if isinstance(value, dict) and len(value) > 1:
        keys, values = list(value), list(value.values())
        numbers = [  # JSON has texts for keys
            int(key) if isinstance(key, str) and _DECIMAL.fullmatch(key) else key for key in keys
        ]
        for ids, words in ((values, keys), (numbers, values)):
            if all(map(_is_id, ids)) and all(map(_is_word, words)):
                return _by_id(ids, words)
    return None


def _by_id(ids: list[int], words: list[Any]) -> tuple[Any, ...] | None:
    """Return words in the order of their ids, None if many ids are missing, as in settings."""
    length = max(ids) + 1
    if len(set(ids)) != len(ids) or length > 2 * len(ids) or min(ids) > 1:
        return None
    placed = [None] * length
    for id_, word in zip(ids, words, strict=True):
        placed[id_] = word
    return tuple(placed)


def _is_id(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**31


def _is_word(value: Any) -> bool:
    return isinstance(value, str | bytes) and len(value) <= _MAX_WORD


def _text_of(word: str | bytes | None) -> str | None:
    if isinstance(word, bytes):
        return word.decode("utf-8", errors="replace")
    # A pickle may hold lone surrogates, which UTF-8 cannot encode.
    return None if word is None else word.encode("utf-8", errors="replace").decode("utf-8")


def _text(path: Path) -> str:
    if path.stat().st_size > MAX_PICKLE_BYTES:
        raise InputError(
            f"it has more than {MAX_PICKLE_BYTES / 1e6:,.0f} MB, and that is no vocabulary"
        )
    try:
        return path.read_bytes().decode("utf-8-sig")  # line ends as they are
    except UnicodeDecodeError as error:
        raise InputError("it is neither a pickle nor a text in UTF-8") from error


def _of_text(text: str, size: int, *, is_json: bool) -> tuple[Words | None, str | None]:
    """Return the vocabulary of JSON, or of a text with a word a line, the first maybe ``[PAD]``."""
    if is_json:
        return vocabulary_in(_json(text), size=size)
    if text.lstrip()[:1] in ("[", "{"):
        with contextlib.suppress(InputError):
            words, tokenizer = vocabulary_in(_json(text), size=size)
            if words is not None:
                return words, tokenizer
    lines = _lines(text)
    return _in_columns(lines) or lines, None


def _in_columns(lines: Words) -> Words | None:
    """Return the words of lines with a word, a tab and its id, None if there are other lines."""
    columns = [line.split("\t") for line in lines if line is not None]
    if not columns or any(
        len(column) != 2 or not _DECIMAL.fullmatch(column[1]) for column in columns
    ):
        return None
    return _by_id([int(id_) for _, id_ in columns], [word for word, _ in columns])


def _json(text: str) -> Any:
    if text.count("[") + text.count("{") > _MAX_CONTAINERS:
        raise InputError("it is JSON of too many lists for a vocabulary")
    if text.count(",") > _MAX_COMMAS:
        raise InputError(
            f"it is JSON of more than {_MAX_WORDS:,} values, and that is no vocabulary"
        )
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"as JSON, {error}") from error


def _lines(text: str) -> Words:
    r"""Return the words of a plain text, one a line.

    Only ``\n`` and ``\r\n`` end a line: words may hold other line breaks. Two empty lines are a
    word that is itself a line break; a single one is an id without a word.
    """
    if text.count("\n") > _MAX_WORDS:
        raise InputError(f"it has more than {_MAX_WORDS:,} lines, and that is no vocabulary")
    lines = text.replace("\r\n", "\n").split("\n")
    if lines[-1] == "":
        lines.pop()
    words: list[str | None] = []
    place = 0
    while place < len(lines):
        is_break = lines[place : place + 2] == ["", ""]
        words.append("\n" if is_break else lines[place] or None)
        place += 2 if is_break else 1
    return tuple(words)
