"""Subtitles: SRT, WebVTT and ASS files, whose cues are joined to sentences and turns."""

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.formats.text import check_no_columns
from lorelm.corpus.structure import Content, Turn
from lorelm.errors import CorpusError, MissingExtraError

try:
    import pysubs2
except ImportError as error:
    raise MissingExtraError("reading SRT, VTT and ASS files", "formats") from error

_SCENE_PAUSE: Final = 5_000
"""Milliseconds. A longer pause between two cues begins a scene."""

_JOINED_PAUSE: Final = 2_000
"""A sentence goes on in the next cue if that one begins within this time."""

_VOICE: Final = re.compile(r"<v(?:\.[\w.-]*)?\s+([^>]+)>")
_TAG: Final = re.compile(r"</?[^<>]{0,200}>|\{\\[^{}]*\}")
_NAME: Final = re.compile(
    r"^-?\s*(?P<name>[^\W\d_a-z][^a-z:\n]{0,30}|[^\W\d_][\w.'’ -]{0,24}):\s+(?=\S)"
)
_DASH: Final = re.compile(r"^\s*[-–—‐]\s*(?=\S)")
_SENTENCE_END: Final = re.compile(r"[.!?…:♪\])][\"'”’»]*$")
_SOUND: Final = re.compile(r"^[\[(♪#][^\])]*[\])♪#]$")


def read(path: Path, text: str, options: ReadingOptions) -> Content:
    """Read the turns of subtitles; descriptions of sounds and music are left out.

    Raises:
        CorpusError: it is damaged or holds no cue.
    """
    check_no_columns(path, options)
    try:
        file = pysubs2.SSAFile.from_string(text, keep_html_tags=True)
    except (pysubs2.Pysubs2Error, ValueError, IndexError, KeyError) as error:
        raise CorpusError(
            f"{path} is damaged or no subtitles ({error}): save it again as SRT",
            code="corpus.damaged",
        ) from error
    events = sorted((e for e in file if not e.is_comment and not e.is_drawing), key=_start)
    cues = [cue for event in events for cue in _cues(event)]
    spoken = [cue for cue in cues if not _SOUND.match(cue.text)]
    scenes = list(_scenes(spoken))
    if not scenes:
        raise CorpusError(
            f"{path} holds no subtitle with a word in it: is it the right file?",
            code="corpus.no_words",
        )
    found = Content(kind="script", works=[scenes], source=path.name)
    if len(spoken) < len(cues):
        num_sounds = len(cues) - len(spoken)
        found = found.with_notes([f"{num_sounds:,} descriptions of sounds are left out."])
    return found


@dataclass(frozen=True, slots=True)
class _Cue:
    """What one person says in a cue; times are in milliseconds.

    Attributes:
        is_new: a dash says that another person speaks.
    """

    start: int
    end: int
    speaker: str
    text: str
    is_new: bool = False


def _start(event: pysubs2.SSAEvent) -> tuple[int, int]:
    return event.start, event.end


def _cues(event: pysubs2.SSAEvent) -> Iterator[_Cue]:
    """Yield a cue, or two where dashes begin two lines of it."""
    written = event.text.replace("\\N", "\n").replace("\\n", "\n").replace("\\h", " ")
    voice = _VOICE.search(written)
    speaker = voice[1].strip() if voice else event.name.strip()
    text = html.unescape(_TAG.sub("", written)).strip("\ufeff\u200e \n")
    lines = text.split("\n")
    starts = [n for n, line in enumerate(lines) if n == 0 or _DASH.match(line) or _NAME.match(line)]
    dashes = sum(_DASH.match(line) is not None for line in lines)
    for first, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        spoken = " ".join(" ".join(lines[first:end]).split())
        name = _NAME.match(spoken)
        if name:
            spoken = spoken[name.end() :]
        elif dashes > 1 or len(lines) == dashes == 1:
            spoken = _DASH.sub("", spoken)
        if any(map(str.isalnum, spoken)):
            yield _Cue(
                start=event.start,
                end=event.end,
                speaker=name["name"].strip(" -") if name else speaker,
                text=spoken,
                is_new=dashes > 1,
            )


def _scenes(cues: Iterable[_Cue]) -> Iterator[list[Turn]]:
    """Join cues that are one sentence, and begin a scene after a pause."""
    scene: list[list[_Cue]] = []
    for cue in cues:
        if scene and cue.start - scene[-1][-1].end > _SCENE_PAUSE:
            yield [_turn(held) for held in scene]
            scene = []
        if scene and _goes_on(scene[-1][-1], cue):
            speaker = cue.speaker or scene[-1][-1].speaker
            scene[-1].append(replace(cue, speaker=speaker))
        else:
            scene.append([cue])
    if scene:
        yield [_turn(held) for held in scene]


def _turn(cues: Sequence[_Cue]) -> Turn:
    return Turn(" ".join(cue.text for cue in cues), cues[-1].speaker)


def _goes_on(last: _Cue, cue: _Cue) -> bool:
    """Return whether a cue is of the same turn as the last one.

    Of somebody who is named, all that follows is one turn; else a sentence is.
    """
    if cue.is_new or cue.start - last.end > _JOINED_PAUSE:
        return False
    if cue.speaker and cue.speaker != last.speaker:
        return False
    if cue.speaker:
        return True
    return not _SENTENCE_END.search(last.text)
