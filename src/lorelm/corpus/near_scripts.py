"""Texts that look like scripts but are not read as such: :func:`near_script_warning`.

They have cues in other forms than those of :mod:`lorelm.corpus.scripts`, such as ``Anna – speech``,
``**Anna:** speech``, ``<Anna> speech`` or ``Anna`` on a line of its own, or too few in a known one.
Lists of settings and changes have the same shape, so such lines are not read as cues. A warning
says how to write cues instead.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from lorelm.corpus.scripts import MIN_CUES, are_cues, is_heading
from lorelm.corpus.special_tokens import MAX_NAME_WORDS
from lorelm.corpus.structure import SENTENCE_END

_SAMPLE_LINES: Final = 20_000
"""Lines that are looked at: a script shows itself in fewer."""

_SAMPLE_CHARACTERS: Final = 200
"""Of a line: patterns take quadratic time in the length of rows of numbers or spaces."""

_MIN_NEAR_CUES: Final = 4
_MIN_SHARE: Final = 0.2
"""Of cues in a form that is not known, among the blocks or lines of the text."""

_MIN_SHARE_WITH_COLON: Final = 0.08
"""Of ``Name: speech``, which other texts have less often: in 140 novels, it is 0.016 at most. In
small letters, settings are written like this, too."""

_MIN_SPEECH_SHARE: Final = 0.5
"""Of speeches of several words: the values of settings are single ones."""

_SHOWN_CHARACTERS: Final = 40

# What need not be given back is possessive (*+), so that a row of marks takes no quadratic time.
_WORD: Final = r"[^\W\d_](?:[^\W_]|['’.-]|_(?=[^\W_]))*"
_NAME: Final = rf"(?P<name>{_WORD}(?: (?:{_WORD}|&|\d{{1,2}})){{0,{MAX_NAME_WORDS - 1}}}?)"
_TIME: Final = r"\d(?:[\d/.:, -]|T(?=\d))*+(?:[AaPp]\.?[Mm](?![^\W_])\.?)?"
_MARKDOWN: Final = r"#{1,6} +|(?:> ?)++"
_BEFORE: Final = (
    rf"^\s*(?:{_MARKDOWN}|[-*•–—] +|[\[(]?{_TIME}[\])]?[.)]? *(?:[-–] +)?)?"
    r"[*_<\[(]*+"
)
_MARKS: Final = r"[*_]*+(?:\s*\([^()]{1,40}\))?"
_SPEECH: Final = r"\s*(?P<speech>[\"'“‘«„(\[*_…¿¡]*+[^\W\d_].*)$"

_COLON: Final = re.compile(rf"{_BEFORE}{_NAME}{_MARKS}[\])>]?\s?[:：][*_]*+{_SPEECH}")
_OTHER_SIGN: Final = re.compile(
    rf"{_BEFORE}{_NAME}{_MARKS}"
    rf"(?:\s?[=|>)\]]|\s*—|\s[–-]{{1,2}}\s|-\s|\*\*|(?<=\*\*)|\t|\s{{3,}}+){_SPEECH}"
)
_STOP: Final = re.compile(
    rf"{_BEFORE}{_NAME}{_MARKS}(?:\s?;|\.|(?<=\.)|(?<=\.[*_])|(?<=\.[*_]{{2}}))\s{_SPEECH}"
)
_ALONE: Final = re.compile(
    rf"^\s*(?:{_MARKDOWN})?[*_]*+{_NAME}[*_]*+(?:\s*\([^()]{{1,40}}\))?[*_]*\s*$"
)
_LISTED: Final = re.compile(r"\s*(?:[-*+•]|\d{1,3}[.)])\s")
"""What headings have below them, as in a changelog, and names have not."""

# Of names, some words are small: Anne of Cleves, Ludwig van Beethoven.
_PARTICLES: Final = frozenset(("of", "the", "and", "von", "van", "der", "de", "la", "du", "und"))

NO_NAMES: Final = re.compile(
    r"(?:mrs?|ms|dr|st|prof|rev)\.?|(?:said|says|quoth|asked|answered|replied|spake|cried|and)\b.*"
    r"|(?:the )?(?:chapter|book|part|section|verse|chorus|refrain|bridge|intro|outro|hook"
    r"|pre-chorus|strophe|coda|interlude|ingredients|method|directions|notes?|ps|nb|page|date"
    r"|subject|from|to"
    r"|info|debug|error|(?:mon|tues|wednes|thurs|fri|satur|sun)day|today|tomorrow|morning|evening"
    r"|title|author|copyright|source|example|summary|answers?|questions?|tips?|warning"
    r"|pros|cons|strengths|weaknesses|opportunities|threats|actions?|risks|advantages|disadvantages"
    r"|vorteile|nachteile|stärken|schwächen|chancen|risiken|maßnahmen"
    r"|avantages|inconvénients|forces|faiblesses)\b.*",
    re.I,
)
"""What begins lines of songs, recipes, diaries, forms and prose where a script has a name."""


@dataclass(frozen=True, slots=True)
class _Cue:
    name: str
    line: str
    speech: str


def near_script_warning(lines: Sequence[str], source: str) -> str | None:
    """Say what to do where lines of a text that was not read as a script seem to name speakers."""
    lines = [line[:_SAMPLE_CHARACTERS].rstrip() for line in lines[:_SAMPLE_LINES]]
    with_colon = _beside(lines, _COLON)
    forms = (
        ([cue for cue in with_colon if not cue.name[0].islower()], _MIN_SHARE_WITH_COLON),
        (with_colon, _MIN_SHARE),
        (_beside(lines, _OTHER_SIGN), _MIN_SHARE),
        (_beside(lines, _STOP), _MIN_SHARE),
        (_above(lines), _MIN_SHARE),
    )
    found = [
        cues
        for cues, share in forms
        if are_cues([c.name for c in cues], lines, min_cues=_MIN_NEAR_CUES, min_share=share)
        and sum(" " in cue.speech for cue in cues) >= _MIN_SPEECH_SHARE * len(cues)
    ]
    if not found:
        return None
    cues = max(found, key=len)
    names = [name for name, _ in Counter(cue.name for cue in cues).most_common(2)]
    cue = max((cue for cue in cues if cue.name == names[0]), key=lambda cue: " " in cue.speech)
    wanted = _shortened(f"{cue.name[0].upper()}{cue.name[1:]}: {cue.speech}")
    shown = _shortened(cue.line)
    advice = [
        f"No speakers are recognised in {source}, although {len(cues):,} lines look like cues: "
        f"{shown!r}."
    ]
    if shown != wanted:
        advice.append(f"If {names[0]} and {names[1]} speak there, write each cue as {wanted!r}.")
    if shown == wanted or not are_cues([cue.name for cue in cues], lines):
        advice.append(
            f"A script has {MIN_CUES} cues or more, and at least three of ten paragraphs begin "
            "with one: give more of it, or leave out what nobody says."
        )
    return " ".join(advice)


def _beside(lines: Sequence[str], form: re.Pattern[str]) -> list[_Cue]:
    """Return the cues that stand before their speech."""
    # In wrapped prose, a name may end a sentence at the beginning of a line.
    found = (
        form.match(line)
        for before, line in pairwise(("", *lines))
        if form is not _STOP or not before or SENTENCE_END.search(before)
    )
    return [
        _Cue(cue["name"].rstrip("."), cue[0].strip(), cue["speech"])
        for cue in found
        if cue is not None and _is_name(cue["name"], may_be_small=form is _COLON)
    ]


def _above(lines: Sequence[str]) -> list[_Cue]:
    """Return the cues that stand alone above their speech."""
    texts = [line for line in lines if line]
    alone = [_name_alone(line) for line in texts]
    return [
        _Cue(name, line.strip(), below.strip())
        for name, line, below, name_below in zip(alone, texts, texts[1:], alone[1:], strict=False)
        if name and not name_below and not _LISTED.match(below)
    ]


def _name_alone(line: str) -> str:
    cue = _ALONE.match(line)
    is_name = cue is not None and _is_name(cue["name"], may_be_small=False)
    return cue["name"] if cue and is_name and not cue["name"].endswith(".") else ""


def _is_name(name: str, *, may_be_small: bool) -> bool:
    """Return whether words can be a name: capitalised, or one in small letters."""
    first, *others = name.split()
    if NO_NAMES.fullmatch(name) or is_heading(name) or len(name.rstrip(".")) < 2:
        return False
    is_small = may_be_small and not others
    return (first[0].isupper() or is_small) and all(
        word[0].isupper() or word in _PARTICLES or not word[0].isalpha() for word in others
    )


def _shortened(line: str) -> str:
    line = " ".join(line.split())
    if len(line) <= _SHOWN_CHARACTERS:
        return line
    return f"{line[:_SHOWN_CHARACTERS].rsplit(' ', 1)[0]}…"
