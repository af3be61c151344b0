"""Declaration of a setting: its type, default, range and help, each written down once.

A settings class is a dataclass whose fields are annotated with a :class:`Parameter`::

    temperature: Annotated[float, Parameter("Below 1 …", min=0.001, max=100, also=0)] = 0.8

:func:`parameters_of` reads these declarations. Validation, the options of the command line, the
schemas of the HTTP APIs, the controls of the page and the docs are all made from what it returns.
"""

import dataclasses
import difflib
import math
import numbers
import os
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cache
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from lorelm.errors import Problem

_NOUNS: Final = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    list: "a list of texts, none empty",
    dict: "a number for each word",
}
_KINDS: Final = {Sequence: list, Mapping: dict, Literal: str}
_SHOWN_CHARACTERS: Final = 60


@dataclass(frozen=True)
class Parameter:
    """One setting, as every face of LoreLM sees it.

    Attributes:
        help: what it does, in one sentence; the same on the command line, in the APIs and on the
            page.
        min: lowest value, also of the numbers in a mapping.
        max: highest value.
        above: bound that a value must exceed, in place of `min`.
        below: bound that a value must stay under, in place of `max`.
        also: one value outside the range that is allowed too, usually 0 for "off".
        choices: the texts that are allowed; empty if any is.
        max_items: length of a list of texts.
        max_characters: length of a text, or of each one in a list.
        key: what a mapping has numbers for, in a word.
        flag: name on the command line, without its dashes; None leaves it out.
        metavar: what stands for the value in the command line's help.
        envvar: environment variable with the value, for one that may contain a password.
        example: a value on the command line, for messages.
        label: name on the page; empty if the page has no control for it.
        group: where the page shows it: always, or under "More settings".
        checked_value: the page has a checkbox, which sends this value.
        openai: name in OpenAI's API; None if that API does not take it.
        name: name of the field. This and what follows is taken from the field itself.
        kind: type of the value; None beside it is `is_optional`.
        default: value if none is given; None if there is no fixed one.
    """

    help: str
    _: KW_ONLY
    min: float | None = None
    max: float | None = None
    above: float | None = None
    below: float | None = None
    also: float | None = None
    choices: Sequence[str] = ()
    max_items: int | None = None
    max_characters: int | None = None
    key: str = "word"
    flag: str | None = ""
    metavar: str | None = None
    envvar: str | None = None
    example: str = ""
    label: str = ""
    group: Literal["main", "more"] = "more"
    checked_value: int | None = None
    openai: str | None = None
    name: str = ""
    kind: type = float
    is_optional: bool = False
    default: Any = None

    def problem_with(self, value: object) -> str | None:
        """Say what is wrong with a value; None if it is allowed."""
        if value is None and self.is_optional:
            return None
        shown = short(value)
        if self.kind is dict and isinstance(value, Mapping):
            wrong = [(word, each) for word, each in value.items() if not self._is_number(each)]
            if not wrong:
                return None
            shown = f"{short(wrong[0][1])} for {short(wrong[0][0])}"
        elif self._allows(value):
            return None
        return f"must be {self.requirement}, not {shown}"

    @property
    def requirement(self) -> str:
        """What a value must be, as in "a number from 0 to 1"."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        noun = _NOUNS[self.kind]
        if self.kind is dict:
            return f"a number {self.range} for each {self.key}"
        comma = "," if self.kind is list else " of" if self.kind is str else ""
        return f"{noun}{comma} {self.range}" if self.range else noun

    @property
    def range(self) -> str:
        """The allowed range in words; empty if there is none."""
        if self.max_items is not None:
            return f"at most {self.max_items} of at most {self.max_characters} characters"
        if self.max_characters is not None:
            return f"at most {_shown(self.max_characters)} characters"
        text = f"above {_shown(self.above)} and " if self.above is not None else ""
        if self.min is not None:
            text = f"from {_shown(self.min)} " + ("up" if self.max == self.below else "to ")
        if self.max is not None:
            text += ("at most " if self.min is None else "") + _shown(self.max)
        elif self.below is not None:
            text += f"below {_shown(self.below)}"
        text = text.removesuffix(" and ")
        return text if self.also is None else f"{text}, or {_shown(self.also)}"

    @property
    def description(self) -> str:
        """The help with range and default, as in "Top p. [above 0 and at most 1; default 1]"."""
        has_default = self.default is not None and self.kind in (int, float, str)
        notes = [self.range, f"default {_shown(self.default)}" if has_default else ""]
        text = "; ".join(note for note in notes if note)
        return f"{self.help}  [{text}]" if text else self.help

    @property
    def control(self) -> Literal["checkbox", "number", "text", "textarea"]:
        """The kind of its control on the page."""
        if self.checked_value is not None:
            return "checkbox"
        if self.kind is list:
            return "text"
        return "textarea" if self.kind is str else "number"

    @property
    def option(self) -> str:
        """Its name on the command line, without dashes."""
        return self.flag or self.name.replace("_", "-")

    def flag_for(self, value: object) -> str:
        """Return what gives it a value on the command line, as one argument."""
        if self.kind is bool:
            return f"--{self.option}" if value else f"--no-{self.option}"
        return f"--{self.option}={value}"

    @property
    def is_whole(self) -> bool:
        """Whether it is a whole number."""
        return self.kind is int

    @property
    def lowest(self) -> float | None:
        """The lower end of the range with `also`, for schemas and controls."""
        ends = [each for each in (self.min, self.above, self.also) if each is not None]
        return min(ends) if ends else None

    def _allows(self, value: object) -> bool:
        if self.kind in (int, float):
            return self._is_number(value)
        if self.kind is list:
            return (
                isinstance(value, Sequence)
                and not isinstance(value, str)
                and all(isinstance(text, str) and text for text in value)
                and (self.max_items is None or len(value) <= self.max_items)
                and all(len(text) <= (self.max_characters or math.inf) for text in value)
            )
        if self.kind is str and len(str(value)) > (self.max_characters or math.inf):
            return False
        return type(value) is self.kind and (not self.choices or value in self.choices)

    def _is_number(self, value: object) -> bool:
        accepted = int if self.kind is int else (int, float)
        if not isinstance(value, accepted) or isinstance(value, bool):
            return False
        return value == self.also or (
            -math.inf < value < math.inf
            and (self.min is None or value >= self.min)
            and (self.max is None or value <= self.max)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )


def short(value: object) -> str:
    """Return a value as messages show it: as in Python, and only the beginning of a long one."""
    shown = repr(value)
    return shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]}…"


@cache
def parameters_of(settings: type) -> Mapping[str, Parameter]:
    """Return the parameters that a settings class declares, by name and in their order."""
    hints = get_type_hints(settings, include_extras=True)
    found = {}
    for each in dataclasses.fields(settings):
        hint = hints[each.name]
        if get_origin(hint) is not Annotated:
            continue
        kind, parameter = get_args(hint)
        is_union = get_origin(kind) in (Union, types.UnionType)
        kinds = (
            [part for part in get_args(kind) if part is not types.NoneType] if is_union else [kind]
        )
        default = None if each.default is dataclasses.MISSING else each.default
        found[each.name] = replace(
            parameter,
            name=each.name,
            kind=_KINDS.get(get_origin(kinds[0]), kinds[0]),
            is_optional=kind is not kinds[0],
            default=default,
        )
    return types.MappingProxyType(found)


def problems_of(settings: type, values: Mapping[str, object], *, where: str = "") -> list[Problem]:
    """Return what is wrong with values: unknown names, and values that are not allowed.

    Args:
        where: place to name in the message on an unknown name.
    """
    parameters = parameters_of(settings)
    problems = [
        Problem(name, f"is not a setting{where}: {hint(name, parameters)}")
        for name in values
        if name not in parameters
    ]
    for name, parameter in parameters.items():
        problem = parameter.problem_with(values[name]) if name in values else None
        if problem:
            problems.append(Problem(name, problem))
    return problems


def plain(value: object) -> Any:
    """Return a number of NumPy as one of Python, and a path as a text; else the value itself."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, bool | int):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if isinstance(value, numbers.Real) else value


def hint(name: str, known: Iterable[str]) -> str:
    """Return what an unknown name may have been meant to be."""
    near = closest(name, known)
    return f"did you mean {near}?" if near else f"the settings are {', '.join(known)}"


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the name that an unknown one may have been meant to be; None if none is near."""
    return next(iter(difflib.get_close_matches(name, known, n=1)), None)


def _shown(value: Any) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:g}" if isinstance(value, float) else str(value)
