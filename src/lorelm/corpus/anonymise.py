"""Stand-ins for personal data: names of speakers, addresses, numbers and links."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from lorelm.corpus.structure import Content, Turn

# Repetitions are bounded: a long line without end would take quadratic time.
_LINK: Final = re.compile(
    r"\b(?:https?://|www\.)[^\s<>\"'”’)\]]+"
    r"|(?<![\w.-])(?:[a-z0-9-]{1,63}\.){1,5}[a-z]{2,12}/[^\s<>\"')\]]*",
    re.I,
)
_ADDRESS: Final = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")
_ACCOUNT: Final = re.compile(r"\b[A-Z]{2}\d{2}(?:\s?[A-Z0-9]{4}){2,7}(?:\s?[A-Z0-9]{1,4})?\b")
_NUMBER: Final = re.compile(r"(?<![\w.])[+(]?\d(?:[\s()./-]{0,3}\d){5,}(?!\w)")
_YEARS: Final = re.compile(r"[12]\d{3}\s?[-–/]\s?[12]\d{3}")

_MIN_NAME_CHARACTERS: Final = 3
"""Of a part of a name that is replaced alone: "Al" and "J." are also other words."""

_NAME_PART: Final = re.compile(r"[^\W\d_][\w'’-]*")


def anonymised(content: Content) -> Content:
    """Replace personal data by stand-ins: PERSON A, EMAIL, NUMBER and LINK.

    Names are those of the speakers, whole or a part of them, also where others write them. A name
    in small letters is replaced unless the texts write it mostly so: "will" is a word.
    """
    replacer = _Replacer(content.turns)
    changed = content.map_turns(replacer.turn)
    source = replacer.names(content.source)
    notes = [replacer.names(note) for note in content.notes]
    return replace(changed, source=source, notes=notes).with_notes([replacer.note])


class _Replacer:
    """Replaces the personal data of a corpus and counts them."""

    def __init__(self, turns: Iterable[Turn]) -> None:
        turns = list(turns)
        self.stand_ins: Mapping[str, str] = {
            name: f"PERSON {_letters(number)}"
            for number, name in enumerate(dict.fromkeys(t.speaker for t in turns if t.speaker))
        }
        self._counts: Counter[str] = Counter()
        self._by_name = self._parts(Counter(w for t in turns for w in _NAME_PART.findall(t.text)))
        # The longest first, so that a whole name goes before its parts.
        names = sorted(self._by_name, key=len, reverse=True)
        joined = "|".join(map(re.escape, names))
        self._name = re.compile(rf"(?<!\w)@?(?:{joined})(?!\w)") if names else None

    @property
    def note(self) -> str:
        found = [f"names of {_counted(len(self.stand_ins), 'speaker')}"] if self.stand_ins else []
        found += [_counted(count, kind) for kind, count in self._counts.items()]
        replaced = ", ".join(found) if found else "no personal data"
        return (
            f"Replaced by stand-ins: {replaced}. Names of others, places and what people tell are "
            "as they were."
        )

    def turn(self, turn: Turn) -> Turn:
        text = self._replaced("link", "LINK", _LINK, turn.text)
        text = self._replaced("e-mail address", "EMAIL", _ADDRESS, text)
        text = self.names(text)  # before numbers, because some people are known by theirs alone
        text = self._replaced("number", "NUMBER", _ACCOUNT, text)
        text = _NUMBER.sub(self._number, text)
        return Turn(text, self.stand_ins.get(turn.speaker, ""))

    def names(self, text: str) -> str:
        """Return a text in which the names of speakers are replaced."""
        if self._name is None:
            return text
        return self._name.sub(lambda found: self._by_name[found[0].removeprefix("@")], text)

    def _parts(self, words: Counter[str]) -> dict[str, str]:
        """Return the stand-in of each name, of each part of one, and of these in other letters."""
        by_name: dict[str, str] = {}
        for name, stand_in in self.stand_ins.items():
            parts = [part for part in _NAME_PART.findall(name) if len(part) >= _MIN_NAME_CHARACTERS]
            for part in (name, *parts):
                titled = part.title() if part.isupper() else part
                for written in (part, titled, part.upper()):
                    by_name.setdefault(written, stand_in)
                if words[part.lower()] <= words[titled]:
                    by_name.setdefault(part.lower(), stand_in)
        return by_name

    def _replaced(self, kind: str, stand_in: str, pattern: re.Pattern[str], text: str) -> str:
        text, count = pattern.subn(stand_in, text)
        if count:
            self._counts[kind] += count
        return text

    def _number(self, found: re.Match[str]) -> str:
        if _YEARS.fullmatch(found[0]):
            return found[0]
        self._counts["number"] += 1
        return "NUMBER"


def _counted(number: int, kind: str) -> str:
    """Return a number with its noun: "1 link", "2 e-mail addresses"."""
    plural = f"{kind}es" if kind.endswith("s") else f"{kind}s"
    return f"{number:,} {kind if number == 1 else plural}"


def _letters(number: int) -> str:
    """Return A to Z, then AA, AB and so on."""
    letters = ""
    number += 1
    while number:
        number, place = divmod(number - 1, 26)
        letters = chr(ord("A") + place) + letters
    return letters
