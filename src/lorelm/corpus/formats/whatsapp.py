"""Chats that WhatsApp exported as text, on Android or iOS, in the date format of any country."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.formats.chats import Message, chat_content
from lorelm.corpus.formats.text import check_no_columns
from lorelm.corpus.structure import Content

_MARK: Final = "\u200e"
"""Left-to-right mark. On iOS it begins what WhatsApp itself writes in place of a message."""

_HALVES: Final = r"[ap]\.?\s?m\.?|上午|下午|午前|午後|오전|오후|[صم]"
_BEGINNING: Final = re.compile(
    rf"""^[\u200e\u200f\u202a\u202c]*(?P<bracket>\[)?
    (?P<date>\d{{1,4}}\s?[./년-]\s?\d{{1,2}}\s?[./월-]\s?\d{{1,4}})[.일]?
    ,?\s(?:(?:à|a\slas|às|at|um|om|kl\.?|klo)\s)?
    (?P<half_before>{_HALVES})?\s?
    (?P<hour>\d{{1,2}})[:.h](?P<minute>\d{{2}})(?:[:.](?P<second>\d{{2}}))?
    (?:\s?(?P<half_after>{_HALVES}))?(?:\sUhr)?
    (?(bracket)\]\s|\s[-–]\s)(?P<rest>.*)$""",
    re.X | re.I,
)
_AFTER_NOON: Final = re.compile(r"p|下午|午後|오후|م", re.I)
_SPEECH: Final = re.compile(r"^(?P<speaker>[^:\n\"“”«»]{1,60}?): ?(?P<text>.*)$", re.S)
_MIN_SHARE: Final = 0.25
_SAMPLE_LINES: Final = 200

# In the place of a picture, a recording, or a message that was taken back.
_PLACEHOLDER: Final = re.compile(
    r"""^(?:<[^<>\n]{3,60}>
    |\S.{0,120}\.\w{2,5}\s\([^()\n]{3,40}\)
    |(?:image|video|audio|sticker|gif|document|contact\ card|Bild|Video|Audio|Dokument|imagen|vídeo
      |imagem|image|immagine|vidéo|documento|document|adesivo)\ (?:omitted|weggelassen|ausgelassen
      |omitid[oa]|ocult[oa]|absente?|omess[oa]|omis[e]?|no\ incluid[oa])
    |(?:This\ message\ was\ deleted|You\ deleted\ this\ message|Diese\ Nachricht\ wurde\ gelöscht
      |Du\ hast\ diese\ Nachricht\ gelöscht|Se\ eliminó\ este\ mensaje|Eliminaste\ este\ mensaje
      |Ce\ message\ a\ été\ supprimé|Vous\ avez\ supprimé\ ce\ message
      |Questo\ messaggio\ è\ stato\ eliminato|Hai\ eliminato\ questo\ messaggio
      |Esta\ mensagem\ foi\ apagada|Mensagem\ apagada|Você\ apagou\ esta\ mensagem
      |Dit\ bericht\ is\ verwijderd|U\ hebt\ dit\ bericht\ verwijderd
      |(?:Missed|Verpasster)\ .{3,30}|null)\.?)$""",
    re.X | re.I,
)
_EDITED: Final = re.compile(r"\s*\u200e?<[^<>\n]{5,60}>$")
_ATTACHMENT: Final = re.compile(
    r"^\u200e?(?:<[^<>\n:]+: [^<>\n]+>|\S.{0,120}\.\w{2,5} \([^()\n]{3,40}\))\n"
)


def is_chat(text: str) -> bool:
    """Return whether a text is an export: it begins with a date, as many of its lines do."""
    lines = [line for line in text.split("\n", _SAMPLE_LINES)[:_SAMPLE_LINES] if line.strip()]
    dated = sum(_BEGINNING.match(_plain(line)) is not None for line in lines)
    is_first = bool(lines) and _BEGINNING.match(_plain(lines[0])) is not None
    spoken = sum(_is_spoken(line) for line in lines)
    return is_first and spoken >= 1 and dated >= max(2, _MIN_SHARE * len(lines))


def read(path: Path, text: str, options: ReadingOptions) -> Content:
    """Read the messages, without the notices of WhatsApp and the names of attached files."""
    check_no_columns(path, options)
    found: list[tuple[re.Match[str], list[str]]] = []
    for line in text.split("\n"):
        beginning = _BEGINNING.match(_plain(line))
        if beginning is not None:
            found.append((beginning, [beginning["rest"]]))
        elif found:
            found[-1][1].append(line)
    read_date = _DateFormat([beginning for beginning, _ in found])
    messages = []
    for beginning, lines in found:
        speech = _SPEECH.match("\n".join(lines))
        words = _words(speech["text"]) if speech else ""
        if speech and words:
            speaker = speech["speaker"].strip("~ \u200e\u202a\u202c\u200f")
            messages.append(Message(read_date(beginning), speaker, words))
    return chat_content(path, [messages], left_out=len(found) - len(messages))


def _plain(line: str) -> str:
    """Return a line with plain spaces; newer versions write narrow ones before AM and PM."""
    return line.replace("\u202f", " ").replace("\xa0", " ")


def _is_spoken(line: str) -> bool:
    beginning = _BEGINNING.match(_plain(line))
    return beginning is not None and _SPEECH.match(beginning["rest"]) is not None


def _words(text: str) -> str:
    """Return what a person wrote in a message; "" if nothing."""
    text = _ATTACHMENT.sub("", text)  # the caption of a picture stands below its name
    if text.startswith(_MARK) or _PLACEHOLDER.match(text.strip()):
        return ""
    return _EDITED.sub("", text).replace(_MARK, "").replace("\u2068", "").replace("\u2069", "")


class _DateFormat:
    """Reads dates once it is known which number is the day.

    Args:
        beginnings: all dates of the export, in their order.
    """

    def __init__(self, beginnings: Sequence[re.Match[str]]) -> None:
        dates = [_numbers(beginning) for beginning in beginnings]
        self._is_month_first = _is_month_first(dates, beginnings)

    def __call__(self, beginning: re.Match[str]) -> datetime | None:
        year, month, day = _date(_numbers(beginning), is_month_first=self._is_month_first)
        hour = int(beginning["hour"])
        half = beginning["half_before"] or beginning["half_after"]
        if half:
            hour = hour % 12 + (12 if _AFTER_NOON.search(half) else 0)
        try:
            return datetime(year, month, day, hour, int(beginning["minute"]), tzinfo=UTC)
        except ValueError:
            return None


def _numbers(beginning: re.Match[str]) -> tuple[int, int, int]:
    first, second, third = map(int, re.findall(r"\d+", beginning["date"]))
    return first, second, third


def _is_month_first(
    dates: Sequence[tuple[int, int, int]], beginnings: Sequence[re.Match[str]]
) -> bool:
    """Return whether the month is the first number, as in the United States.

    A number above 12 decides; else the order of the messages; else whether a slash and AM or PM
    are written.
    """
    if any(first > 12 for first, _, _ in dates):
        return False
    if any(second > 12 for _, second, _ in dates):
        return True
    backward = {
        is_first: _steps_back(_date(date, is_month_first=is_first) for date in dates)
        for is_first in (False, True)
    }
    if backward[True] != backward[False]:
        return backward[True] < backward[False]
    first = beginnings[0] if beginnings else None
    return first is not None and "/" in first["date"] and first["half_after"] is not None


def _steps_back(dates: Iterable[tuple[int, int, int]]) -> int:
    return sum(after < before for before, after in pairwise(dates))


def _date(numbers: tuple[int, int, int], *, is_month_first: bool) -> tuple[int, int, int]:
    """Return year, month and day."""
    first, second, third = numbers
    if first > 31:
        return first, second, third
    year = third + 2000 if third < 100 else third
    return (year, first, second) if is_month_first else (year, second, first)
