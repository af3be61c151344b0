"""Scripts and plays with cues by formatting, as in Word: no colons, no blank lines.

Known are a name that stands out, or stands before a tab, at the beginning of its speech; a name in
capitals, in bold, or of a style for characters, in a paragraph above its speech; and a table of
names and speeches.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, takewhile
from typing import Final, NamedTuple

from lorelm.corpus.near_scripts import NO_NAMES
from lorelm.corpus.scripts import ON_ITS_OWN, is_heading
from lorelm.corpus.special_tokens import MAX_NAME_WORDS

CUE_STYLES: Final = ("character", "parenthetical")
"""Of screenplays: a paragraph of one of them belongs to the one below."""

_HEADING_STYLES: Final = ("heading", "title", "subtitle", "scene")
_MIN_CUE_SHARE: Final = 0.5
"""Of what is no direction and no heading. Less are the chapters of a novel that are named after
those who tell them."""

_MIN_ASKED_SHARE: Final = 0.1
"""Of speeches with a question or exclamation mark, below bold names. In twelve plays and films, it
is 0.32 to 0.55; below the bold headings of reports and recipes there are few."""

_MAX_FORESEEN_SHARE: Final = 0.9
"""Of three or more bold names, those that always follow the one before are the headings of a form:
breakfast, lunch, dinner. In ten plays, it is 0.37 to 0.46. Two people always take turns."""

_NUM_SHOWN: Final = 6
"""Of bold names, in the note about them."""

_AROUND_NAME: Final = " \t\n.:,-–—"
_NAME: Final = re.compile(r"[^\W\d_][\w .'’&/#-]{0,38}(?:\s*\([^()]*\))?")
_ASKED: Final = re.compile("[?!？！]")
_IN_BRACKETS: Final = re.compile(r"\(.*\)|\[.*\]", re.S)


class Run(NamedTuple):
    """Text of one formatting.

    Attributes:
        stands_out: it is bold, underlined, or in capitals by its formatting.
    """

    text: str
    stands_out: bool = False
    is_italic: bool = False


@dataclass(frozen=True, kw_only=True)
class Paragraph:
    """A paragraph of a formatted text.

    Attributes:
        style: its name in small letters.
        is_name_cell: it is all that stands in the first cell of a row of two.
    """

    runs: Sequence[Run]
    style: str = ""
    is_name_cell: bool = False

    @cached_property
    def text(self) -> str:
        """With tabs and line breaks."""
        return "".join(run.text for run in self.runs)

    @property
    def is_italic(self) -> bool:
        """Whether all its words are."""
        return all(run.is_italic or not run.text.strip() for run in self.runs)

    @property
    def is_heading(self) -> bool:
        """Whether its style or its words say so."""
        return self.style.startswith(_HEADING_STYLES) or is_heading(self.text.strip())


class _Cue(NamedTuple):
    """A name that may be a speaker's, with the speech beside it; "" where that stands below.

    Attributes:
        is_plain: only its formatting tells it from emphasis, so it must recur.
        is_alone: neither capitals nor a style nor a speech beside it tell it from a heading.
    """

    name: str
    speech: str
    is_plain: bool = False
    is_alone: bool = False


def with_colons(paragraphs: Sequence[Paragraph], notes: list[str]) -> list[str]:
    """Write the paragraphs as a plain script has them: ``NAME: speech``, ``[direction]``.

    Empty if too few have a name that recurs; else it may still be no script.

    Args:
        notes: takes which bold words are guessed to be names, in a sentence for the user.
    """
    paragraphs = [paragraph for paragraph in paragraphs if paragraph.text.strip()]
    cues = [_cue(paragraph) for paragraph in paragraphs]
    recurs = _recur(cues)
    if not _are_names(paragraphs, cues, recurs):
        cues = [None if cue and cue.is_alone else cue for cue in cues]
        recurs = _recur(cues)
    if not any(recurs):
        return []
    first = recurs.index(True)  # What stands before is a title, or the head of the table.
    for place, cue in enumerate(cues):
        if place < first or (cue and cue.is_plain and not recurs[place]):
            cues[place] = None
    if bold := Counter(cue.name for cue in cues if cue and cue.is_alone):
        names = ", ".join(name for name, _ in bold.most_common(_NUM_SHOWN))
        more = ", …" if len(bold) > _NUM_SHOWN else ""
        notes.append(
            f"Bold names are read as speakers: {names}{more}. If they are headings, choose "
            "document (--document) 'paragraph'."
        )
    written = list(_written(paragraphs, cues))
    num_cues = sum(cue is not None for cue in cues)
    num_others = sum(not text.startswith(("[", "(", "#")) for text in written) - num_cues
    return written if num_cues * (1 - _MIN_CUE_SHARE) >= num_others * _MIN_CUE_SHARE else []


def _recur(cues: Sequence[_Cue | None]) -> list[bool]:
    """Return of each cue whether its name comes again."""
    counts = Counter(cue.name for cue in cues if cue)
    return [cue is not None and counts[cue.name] > 1 for cue in cues]


def _are_names(
    paragraphs: Sequence[Paragraph], cues: Sequence[_Cue | None], recurs: Sequence[bool]
) -> bool:
    """Return whether what is bold and alone in its paragraph names speakers, and is no heading."""
    alone = [
        (cue.name, " ".join(_below(paragraphs, cues, place + 1)))
        for place, cue in enumerate(cues)
        if cue and cue.is_alone and recurs[place]
    ]
    names = [name for name, _ in alone]
    # A chorus, or a man called Friday, speaks beside people.
    if sum(not NO_NAMES.fullmatch(name) for name in set(names)) < 2:
        return False
    followers = {name: Counter(b for a, b in pairwise(names) if a == name) for name in names}
    foreseen = sum(max(found.values(), default=0) for found in followers.values())
    is_form = len(followers) > 2 and foreseen >= _MAX_FORESEEN_SHARE * (len(names) - 1)
    asked = sum(bool(_ASKED.search(speech)) for _, speech in alone)
    return not is_form and asked >= _MIN_ASKED_SHARE * len(alone)


def _written(paragraphs: Sequence[Paragraph], cues: Sequence[_Cue | None]) -> Iterator[str]:
    place = 0
    while place < len(paragraphs):
        cue = cues[place]
        if cue is None:
            yield _without_cue(paragraphs[place])
            place += 1
            continue
        below = [] if cue.speech else _below(paragraphs, cues, place + 1)
        yield f"{cue.name}: {' '.join([cue.speech, *below]).strip()}"
        place += 1 + len(below)


def _cue(paragraph: Paragraph) -> _Cue | None:
    if paragraph.is_heading or paragraph.is_italic:
        return None
    text = paragraph.text.strip()
    if (
        paragraph.is_name_cell
        or paragraph.style.startswith(CUE_STYLES[0])
        or ("\t" not in text and ON_ITS_OWN.match(text))
    ):
        return _named(text, "")
    before, tab, after = text.partition("\t")
    standing_out = _standing_out(paragraph)
    is_marked = before.isupper() or len(before.strip()) <= len(standing_out.rstrip())
    if tab and is_marked and (cue := _named(before, after)):
        return cue
    cue = _named(standing_out, text[len(standing_out) :])
    return cue and cue._replace(is_plain=True, is_alone=not cue.speech)


def _named(name: str, speech: str) -> _Cue | None:
    name = " ".join(name.strip(_AROUND_NAME).split())
    is_name = _NAME.fullmatch(name) and name[0].isupper()
    if not is_name or len(name.split("(")[0].split()) > MAX_NAME_WORDS:
        return None
    return _Cue(name, _plain(speech.lstrip(_AROUND_NAME)))


def _standing_out(paragraph: Paragraph) -> str:
    """Return the beginning of a paragraph that is formatted otherwise than the rest."""
    runs = takewhile(lambda run: run.stands_out or not run.text.strip(), paragraph.runs)
    return "".join(run.text for run in runs).lstrip()


def _below(paragraphs: Sequence[Paragraph], cues: Sequence[_Cue | None], place: int) -> list[str]:
    """Return the paragraph below a name, after directions in parentheses for its speaker."""
    found = []
    while place < len(paragraphs) and cues[place] is None and not paragraphs[place].is_heading:
        paragraph = paragraphs[place]
        text = _plain(paragraph.text)
        is_direction = paragraph.is_italic or _IN_BRACKETS.fullmatch(text)
        found.append(f"({text.strip('[]()')})" if is_direction else text)
        if not is_direction:
            break
        place += 1
    return found


def _without_cue(paragraph: Paragraph) -> str:
    text = _plain(paragraph.text)
    if paragraph.is_heading:
        return f"# {text}"
    return f"[{text.strip('[]()')}]" if paragraph.is_italic else text


def _plain(text: str) -> str:
    """Return a text with its line breaks, but without tabs."""
    return "\n".join(" ".join(line.split()) for line in text.strip().split("\n"))
