"""The form of a training as arguments of ``lorelm``: :func:`training_arguments`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lorelm.errors import InputError, Problem
from lorelm.parameters import Parameter
from lorelm.server.studio.entries import Text
from lorelm.server.studio.errands import reading_flags
from lorelm.translations import gettext_noop

_CHECKPOINT_SECONDS: Final = 10
"""A pause on Windows, and a crash anywhere, loses that much."""

MAX_MINUTES: Final = 7 * 24 * 60


@dataclass(frozen=True)
class Length:
    """How long a training takes, as the form offers it."""

    value: str
    label: str
    help: str
    minutes: float | None


# The recipe trains for 92 s on 25,000 words of the films, and for 138 s on a novel of 83,000
# (docs/results.md), so Quick has time for seven of the films' eight epochs, which costs 0.5 %
# (decision 12), and for about half of the novel's.
LENGTHS: Final = (
    Length(
        "quick",
        gettext_noop("Quick"),
        gettext_noop(
            "2 minutes, to see whether the text is read correctly. Up to about 20,000 words, the "
            "model writes almost as well as with the recipe; with more, less well."
        ),
        2,
    ),
    Length(
        "good",
        gettext_noop("Good"),
        gettext_noop("15 minutes, enough for most of the quality of a text up to a novel’s size"),
        15,
    ),
    Length(
        "best",
        gettext_noop("Best"),
        gettext_noop("an hour, for a large text; the training of a small one ends sooner"),
        60,
    ),
    Length(
        "recipe",
        gettext_noop("As the recipe says"),
        gettext_noop(
            "the usual number of passes over a text of this length, however long they take on "
            "this machine. With more than about 20,000 words, the model writes better than with "
            "Quick."
        ),
        None,
    ),
)

OWN_TIME: Final = "own"


def training_arguments(
    text: Text, out: Path, form: Mapping[str, str], parameters: Mapping[str, Parameter]
) -> list[str]:
    """Return the arguments of ``lorelm train`` that a form asks for.

    Args:
        parameters: the settings that the form has under "All settings".

    Raises:
        InputError: values are not allowed; it names them all.
    """
    return [
        "train",
        *map(str, text.files),
        *("--out", str(out)),
        *("--checkpoint-seconds", str(_CHECKPOINT_SECONDS)),
        *_common(text, form, parameters),
    ]


def tuning_arguments(
    text: Text, out: Path, form: Mapping[str, str], parameters: Mapping[str, Parameter]
) -> list[str]:
    """Return the arguments of ``lorelm tune`` that a form asks for.

    Raises:
        InputError: values are not allowed, or there is no time for the search.
    """
    common = _common(text, form, parameters)
    if not any(each.startswith("--time-budget") for each in common):
        raise InputError.of(
            [Problem("length", "is missing: a search for settings needs a time")],
            code="studio.training_form",
        )
    return ["tune", *map(str, text.files), "--out", str(out), *common]


def minutes_of(form: Mapping[str, str]) -> float | None:
    """Return the time that a form gives, in minutes; None leaves it to the recipe.

    Raises:
        InputError: it is no time.
    """
    chosen = form.get("length", "recipe")
    if chosen != OWN_TIME and not form.get("minutes", "").strip():
        return next((each.minutes for each in LENGTHS if each.value == chosen), None)
    try:
        minutes = float(form.get("minutes", "").strip().replace(",", "."))
    except ValueError:
        minutes = 0.0
    if not 0 < minutes <= MAX_MINUTES:
        problem = Problem("minutes", f"must be a number above 0 and at most {MAX_MINUTES:,}")
        raise InputError.of([problem], code="studio.training_form")
    return minutes


def _common(
    text: Text, form: Mapping[str, str], parameters: Mapping[str, Parameter]
) -> Sequence[str]:
    minutes = minutes_of(form)
    budget = [] if minutes is None else [f"--time-budget={60 * minutes:g}s"]
    flags, problems = [], []
    for parameter in parameters.values():
        given = form.get(f"setting_{parameter.name}", "").strip()
        if not given:
            continue
        value = _parsed(parameter, given)
        problem = parameter.problem_with(value)
        if problem:
            problems.append(Problem(parameter.name, problem))
        else:
            flags.append(parameter.flag_for(value))
    if problems:
        raise InputError.of(problems, code="studio.training_form")
    return [*budget, *reading_flags(text.options), *flags]


def _parsed(parameter: Parameter, given: str) -> object:
    """Return the value that a text stands for; the text itself if it stands for none."""
    if parameter.kind is bool:
        return {"yes": True, "no": False}.get(given, given)
    if parameter.kind in (int, float):
        try:
            number: object = parameter.kind(given)
        except ValueError:
            return given
        return number
    return given
