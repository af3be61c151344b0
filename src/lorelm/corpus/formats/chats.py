"""Messages of a chat as scenes of turns, whichever program exported them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from lorelm.corpus.structure import Content, Turn, cue_name
from lorelm.errors import CorpusError

SCENE_PAUSE: Final = timedelta(hours=4)
"""A longer pause between two messages begins a scene. A night is longer, a lunch is not."""


@dataclass(frozen=True, slots=True)
class Message:
    """What one person sent.

    Attributes:
        time: when; None if it is not known.
    """

    time: datetime | None
    speaker: str
    text: str


def chat_content(path: Path, chats: Iterable[Sequence[Message]], *, left_out: int = 0) -> Content:
    """Return the turns of chats; each chat is a work.

    Messages that one person sent without a pause are one turn, each on a line of its own.

    Args:
        left_out: how many messages were no words of a person.

    Raises:
        CorpusError: no message has a text.
    """
    works = [work for chat in chats if (work := _scenes(chat))]
    if not works:
        raise CorpusError(
            f"{path} holds no message with a word in it: is it the right file?",
            code="corpus.no_words",
        )
    notes = []
    if left_out:
        what = "1 message" if left_out == 1 else f"{left_out:,} messages"
        is_are = "is" if left_out == 1 else "are"
        notes.append(f"{what} without words of a person {is_are} left out.")
    return Content(kind="chat", works=works, source=path.name, notes=notes)


def parse_time(value: Any) -> datetime | None:
    """Return a time of ISO 8601, or of seconds or milliseconds since 1970; None if it is none."""
    try:
        if isinstance(value, str) and not value.isdigit():
            # Python knows six digits of a second; Discord writes seven.
            head, dot, tail = value.partition(".")
            digits = len(tail) - len(tail.lstrip("0123456789"))
            found = datetime.fromisoformat(head + dot + tail[: min(digits, 6)] + tail[digits:])
        else:
            seconds = float(value)
            # Milliseconds since 1970 exceed what seconds will be in the year 5138.
            found = datetime.fromtimestamp(seconds / 1000 if seconds > 1e11 else seconds, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _scenes(messages: Sequence[Message]) -> list[list[Turn]]:
    scenes: list[list[tuple[str, list[str]]]] = []
    before: datetime | None = None
    for message in messages:
        text = message.text.strip()
        if not text:
            continue
        pauses = bool(before and message.time and message.time - before > SCENE_PAUSE)
        before = message.time or before
        if pauses or not scenes:
            scenes.append([])
        speaker = cue_name(message.speaker)
        if not scenes[-1] or scenes[-1][-1][0] != speaker:
            scenes[-1].append((speaker, []))
        scenes[-1][-1][1].append(text)
    return [[Turn("\n".join(texts), speaker) for speaker, texts in scene] for scene in scenes]
