"""JSON and JSONL files: chats, lists of texts, and tables of objects."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.formats.chat_exports import read_chat
from lorelm.corpus.structure import Content, Turn
from lorelm.errors import CorpusError

_SAMPLE_LINES: Final = 20


def is_json(text: str) -> bool:
    """Return whether a text looks like one JSON value, or like one a line."""
    beginning = text.lstrip()[:1]
    return beginning in ("{", "[") and (is_json_lines(text) or _is_value(text))


def is_json_lines(text: str) -> bool:
    """Return whether the first lines are objects of JSON, each for itself."""
    lines = [line for line in text.split("\n", _SAMPLE_LINES)[:_SAMPLE_LINES] if line.strip()]
    return len(lines) > 1 and all(
        line.lstrip().startswith("{") and _is_value(line) for line in lines
    )


def read(path: Path, text: str, options: ReadingOptions) -> Content:
    """Read a JSON file.

    Raises:
        CorpusError: it is damaged, or there is no list of texts, rows or messages in it.
    """
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise CorpusError(
            f"{path} is damaged in line {error.lineno} ({error.msg}): save it again; if each of "
            "its lines is an object, give it the ending .jsonl",
            code="corpus.damaged",
        ) from error
    except (RecursionError, ValueError) as error:
        raise CorpusError(
            f"{path} nests lists without end, or has numbers without end, as no text does: is it "
            "the right file?",
            code="corpus.json",
        ) from error
    return _content(path, data, options)


def read_lines(path: Path, text: str, options: ReadingOptions) -> Content:
    """Read a JSONL file: a chat, or a table with a row a line.

    Raises:
        CorpusError: a line is no JSON object, or the columns are not there.
    """
    if is_json_lines(text) and not _names_columns(options):
        try:
            chat = read_chat(path, [json.loads(line) for line in text.split("\n") if line.strip()])
        except (ValueError, RecursionError):
            chat = None  # reading it as a table says what is wrong
        if chat is not None:
            return _clean(chat)
    from lorelm.corpus.tables import read_json_lines

    return read_json_lines(path, text, options)


def _content(path: Path, data: Any, options: ReadingOptions) -> Content:
    if not _names_columns(options):
        chat = read_chat(path, data)
        if chat is not None:
            return _clean(chat)
    rows = _rows(data)
    if rows and all(isinstance(row, str) for row in rows):
        return _clean(Content(kind="lines", works=[[[*map(Turn, rows)]]], source=path.name))
    if rows and all(isinstance(row, Mapping) for row in rows):
        from lorelm.corpus.tables import table_content, to_frame

        return table_content(path, to_frame(path, rows), options)
    raise CorpusError(
        f"{path} is JSON, but no list of texts, of objects with a text, or of messages: write it "
        "as such a list",
        code="corpus.json",
    )


def _rows(data: Any) -> list[Any]:
    """Return the list in the data: they are one, or hold one, or are one object."""
    if isinstance(data, Mapping):
        lists = [value for value in data.values() if isinstance(value, list) and value]
        return lists[0] if len(lists) == 1 else []
    return data if isinstance(data, list) else []


def _names_columns(options: ReadingOptions) -> bool:
    return bool(options.text_column or options.speaker_column or options.scene_column)


def _is_value(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _clean(content: Content) -> Content:
    """Return a content without NUL characters and halves of characters, which JSON can hold."""
    return content.map_turns(lambda turn: Turn(_clean_text(turn.text), _clean_text(turn.speaker)))


def _clean_text(text: str) -> str:
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
