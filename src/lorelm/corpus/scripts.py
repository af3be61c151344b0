"""Scripts and plays: scenes of turns, recognised by their cues.

Three layouts are known: ``NAME: speech`` (or the speech on the lines below), ``NAME.`` in capitals
before the speech, and a cue in capitals on a line of its own, as in screenplays and Fountain
(https://fountain.io/syntax).
"""

import re
import statistics
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from lorelm.corpus.special_tokens import MAX_NAME_WORDS
from lorelm.corpus.structure import Turn, count_blocks, goes_on, would_not_fit

_NAME: Final = r"[^\W\d_][\w .'’&/#-]{0,38}?"
_CAPITALS: Final = r"[^\W\d_a-z][^\Wa-z]?[^a-z:!?,;\"()\[\]]{0,36}"
_TITLE: Final = r"(?:(?:MRS?|MS|DR|ST|PROF|REV|HON|CAPT|LT|COL|GEN|SGT|MME|MLLE|SRA?|FR|M)\.\s+)?"
_EXTENSION: Final = r"(?:\s*[(\[][^)\]]*[)\]])*"

_LAYOUTS: Final = (
    re.compile(rf"^\s*(?P<name>{_NAME}){_EXTENSION}\s*:(?:\s+(?P<speech>.*))?$"),
    re.compile(rf"^\s*(?P<name>{_TITLE}{_CAPITALS}?)\.{_EXTENSION}(?:\s+(?P<speech>.*))?$"),
    re.compile(rf"^\s*@?(?P<name>{_CAPITALS}?){_EXTENSION}\s*\^?\s*$(?P<speech>)"),
)
ON_ITS_OWN: Final = _LAYOUTS[2]
"""A cue of this layout needs a blank line before it and a speech below."""

_SCENE: Final = re.compile(
    r"^\W*(?:(?:INT|EXT|EST|I/E|INT\.?/EXT)[. ].*|(?:ACT|SCENE|PROLOGUE|EPILOGUE)\b.{0,80}"
    r"|(?:CUT|FADE|DISSOLVE|SMASH CUT|MATCH CUT)\b.{0,20}|[*#=~-]{3,}|(?:\*\s*){3,}|#{1,6} .*)$",
    re.I,
)
_DIRECTION: Final = re.compile(r"^\s*(?:\[.*\]?|\(.*\)|_.*_|\*.*\*)\s*$")

MIN_CUES: Final = 6
"""Of a script."""

_MIN_CUE_SHARE: Final = 0.3
"""Of the blocks between blank lines. A screenplay's other blocks are action."""
_MIN_RECURRING_SHARE: Final = 0.6
_JOINED_SHARE: Final = 0.5


def read_script(
    lines: Sequence[str], *, layout: re.Pattern[str] | None = None
) -> list[list[Turn]] | None:
    """Return the scenes of a script or a play, None if the text is none.

    What nobody says (action, stage directions) is a turn in square brackets without a speaker.
    Headings of scenes and transitions (``CUT TO:``) only mark where a scene begins.

    Args:
        layout: of the cues if it is known, as in Fountain.
    """
    layout = layout or _layout_of(lines)
    if layout is None:
        return None
    scenes: list[list[_Speech]] = [[]]
    for place, line in enumerate(lines):
        text = line.strip()
        follows_blank = place == 0 or not lines[place - 1].strip()
        cue = _cue(lines, place, layout)
        if _SCENE.match(text):
            scenes.append([])
        elif cue is not None:
            scenes[-1].append(_Speech(_name(cue), [cue["speech"]] if cue["speech"] else []))
        elif text and scenes[-1] and _goes_on(scenes[-1][-1], text, layout, follows_blank):
            scenes[-1][-1].lines.append(text)
        elif text:
            # After a direction within a speech, the speech goes on.
            interrupted = scenes[-1][-2:-1] if not follows_blank and text[0] != "[" else []
            speaker = interrupted[0].speaker if interrupted else ""
            scenes[-1].append(_Speech(speaker, [text]))
    return _turns(scenes)


def is_heading(text: str) -> bool:
    """Return whether a line is the heading of a scene or an act, or a transition."""
    return _SCENE.match(text) is not None


class _Speech(NamedTuple):
    """What one speaker says, or a direction of the script, while its lines are read."""

    speaker: str
    lines: list[str]


def _goes_on(speech: _Speech, text: str, layout: re.Pattern[str], follows_blank: bool) -> bool:
    """Return whether a line belongs to the speech or direction above it."""
    if speech.speaker and text.startswith("["):
        return False
    if not follows_blank:
        return bool(speech.speaker) or not _is_closed(speech)
    # A cue on its own has one block of speech; with the other layouts, more paragraphs may follow.
    return bool(speech.speaker) and layout is not ON_ITS_OWN and not _DIRECTION.match(text)


def _is_closed(direction: _Speech) -> bool:
    """Return whether it is a direction in square brackets that has come to its end."""
    return direction.lines[0].startswith("[") and direction.lines[-1].endswith("]")


def are_cues(
    names: Sequence[str],
    lines: Sequence[str],
    *,
    min_cues: int = MIN_CUES,
    min_share: float = _MIN_CUE_SHARE,
) -> bool:
    """Return whether there are enough cues for a script, most of them of names that recur.

    Args:
        names: of the cues among the lines.
        min_share: of the blocks of text, or of the lines without blank ones between the turns.
    """
    counts = Counter(names)
    recurring = [count for count in counts.values() if count > 1]
    num_blocks = count_blocks(lines)
    # Without blank lines between the turns, each line is a block.
    num_lines = sum(bool(line.strip()) for line in lines)
    num_units = num_blocks if num_blocks >= 0.8 * len(names) else num_lines
    return (
        len(names) >= min_cues
        and len(recurring) >= 2
        and sum(recurring) >= _MIN_RECURRING_SHARE * len(names)
        and len(names) >= min_share * num_units
    )


def _layout_of(lines: Sequence[str]) -> re.Pattern[str] | None:
    """Return the layout whose cues begin most blocks of text, if it is a script at all."""
    found = []
    for layout in _LAYOUTS:
        cues = [_cue(lines, place, layout) for place in range(len(lines))]
        names = [_name(cue) for cue in cues if cue is not None]
        if are_cues(names, lines):
            found.append((len(names), layout))
    return max(found, key=lambda pair: pair[0])[1] if found else None


def _cue(lines: Sequence[str], place: int, layout: re.Pattern[str]) -> re.Match[str] | None:
    line = lines[place]
    cue = layout.match(line)
    if cue is None or len(cue["name"].split()) > MAX_NAME_WORDS or _SCENE.match(line.strip()):
        return None
    if layout is _LAYOUTS[0]:
        return cue if cue["name"][0].isupper() else None
    if sum(map(str.isalpha, cue["name"])) < 2:
        return None
    if layout is ON_ITS_OWN:
        has_speech = place + 1 < len(lines) and lines[place + 1].strip()
        return cue if has_speech and not (place and lines[place - 1].strip()) else None
    return cue


def _name(cue: re.Match[str]) -> str:
    return " ".join(cue["name"].strip(" .#-").split())


def _turns(scenes: Sequence[Sequence[_Speech]]) -> list[list[Turn]]:
    speeches = [lines for scene in scenes for speaker, lines in scene if speaker]
    joins = " " if _is_wrapped(speeches) else "\n"
    found = []
    for scene in scenes:
        turns = []
        for speaker, lines in scene:
            text = joins.join(lines)
            if speaker and text:
                turns.append(Turn(text, speaker))
            elif text:
                turns.append(Turn(f"[{_without_brackets(' '.join(lines))}]"))
        if turns:
            found.append(turns)
    return found


def _without_brackets(direction: str) -> str:
    """Return a direction without the signs around all of it."""
    found = re.fullmatch(r"\[([^\[\]]*)\]?|\(([^()]*)\)|_([^_]*)_|\*([^*]*)\*", direction)
    return next(filter(None, found.groups()), direction) if found else direction


def _is_wrapped(speeches: Sequence[Sequence[str]]) -> bool:
    """Return whether the lines of a speech are wrapped prose, and no verse."""
    pairs = [pair for lines in speeches for pair in pairwise(lines)]
    if not pairs:
        return True
    width = statistics.quantiles([len(line) for pair in pairs for line in pair], n=50)[-1]
    wrapped = [after for line, after in pairs if would_not_fit(line, after, 0.92 * width)]
    return len(wrapped) >= _JOINED_SHARE * len(pairs) and goes_on(wrapped)
