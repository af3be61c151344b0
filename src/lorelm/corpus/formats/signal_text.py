"""Chats of Signal as text: by signal-export (``chat.md``) and by signalbackup-tools."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.formats.chats import Message, chat_content
from lorelm.corpus.formats.text import check_no_columns
from lorelm.corpus.structure import Content

# "[2023-01-02 12:34:56] Anna: text", and "[Jan 02, 2023 12:34:56] <Anna> text" with "***" where
# nobody speaks.
_BEGINNING: Final = re.compile(
    r"^\[(?:(?P<iso>\d{4}-\d\d-\d\d),? (?P<time>\d\d:\d\d(?::\d\d)?)\] (?P<sender>[^:\n]{1,80}):"
    r"|(?P<words>\w{3} \d\d, \d{4} \d\d:\d\d:\d\d)\] (?:\*\*\*|<(?P<user>[^\n]{1,80}?)>))"
    r" ?(?P<rest>.*)$"
)
_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"
_EXTRAS: Final = re.compile(
    r"^(?:\(- .* -\)|\(\( .* \)\)|> .*)$|!?\[[^\]\n]*\]\(\./[^)\n]*\) *", re.M
)
_DELETED: Final = "(This message was deleted)"
_MIN_MESSAGES: Final = 2
_SAMPLE_LINES: Final = 200


def is_chat(text: str) -> bool:
    """Return whether a text begins with a message, and has another one near."""
    lines = text.lstrip().split("\n", _SAMPLE_LINES)[:_SAMPLE_LINES]
    found = [_BEGINNING.match(line) is not None for line in lines]
    return found[0] and sum(found) >= _MIN_MESSAGES


def read(path: Path, text: str, options: ReadingOptions) -> Content:
    """Read the messages, without reactions, quotes, stickers and names of files."""
    check_no_columns(path, options)
    found: list[tuple[re.Match[str], list[str]]] = []
    for line in text.split("\n"):
        beginning = _BEGINNING.match(line)
        if beginning is not None:
            found.append((beginning, [beginning["rest"]]))
        elif found:
            found[-1][1].append(line)
    messages = []
    for beginning, lines in found:
        words = _EXTRAS.sub("", "\n".join(lines)).strip()
        speaker = beginning["sender"] or beginning["user"]
        if speaker and words and words != _DELETED:
            messages.append(Message(_time(beginning), speaker, words))
    return chat_content(path, [messages], left_out=len(found) - len(messages))


def _time(beginning: re.Match[str]) -> datetime | None:
    try:
        if beginning["iso"]:
            return datetime.fromisoformat(f"{beginning['iso']} {beginning['time']}+00:00")
        # Not by strptime, whose month names depend on the machine.
        month, day, year, time = beginning["words"].replace(",", "").split()
        hour, minute, second = map(int, time.split(":"))
        number = _MONTHS.index(month) // 3 + 1
        return datetime(int(year), number, int(day), hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
