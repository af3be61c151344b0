"""The keyword arguments of the functions of ``import lorelm``, checked; and a corpus, read."""

import os
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from lorelm.corpus.documents import Documents, ReadingOptions
from lorelm.corpus.readers import is_frame, read_corpus
from lorelm.errors import CorpusError, InputError, Problem, RecipeError
from lorelm.parameters import hint, plain
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe
from lorelm.training.start import StartSettings

Corpus = str | os.PathLike[str] | Iterable[str] | Documents | Any
"""A path, a data frame, or texts. (Data frames have no common type.)"""


def checked_settings(
    recipe: str | Path | None, settings: dict[str, Any], reading: dict[str, Any]
) -> tuple[StartSettings, TrainingOptions, ReadingOptions]:
    """Return what settings of all three kinds make.

    Raises:
        RecipeError: settings are unknown or out of range; it names them all.
        BundleError: there is no model at `init`.
    """
    options = take(settings, TrainingOptions)
    overrides = take(settings, Recipe)
    start = StartSettings(
        init=options.get("init"), recipe=str(recipe) if recipe else None, changes=overrides
    )
    _, *found = made(
        RecipeError,
        start.check_recipe,
        lambda: TrainingOptions(**options),
        lambda: ReadingOptions(**reading),
        lambda: refuse_unknown(settings, Recipe, TrainingOptions),
    )
    start.check()
    return start, found[0], found[1]


def made(kind: type[InputError], *makers: Callable[[], Any]) -> list[Any]:
    """Return what functions make; report the mistakes of all of them in one error of this kind."""
    results, errors = [], []
    for make in makers:
        try:
            results.append(make())
        except InputError as error:
            if not error.problems:
                raise
            errors.append(error)
    if errors:
        code = errors[0].code if len(errors) == 1 else None
        raise kind.of([each for error in errors for each in error.problems], code=code)
    return results


def refuse_unknown(settings: dict[str, Any], *kinds: type) -> None:
    known = [field.name for kind in (*kinds, ReadingOptions) for field in fields(kind)]
    if settings:
        problems = [Problem(name, f"is not a setting: {hint(name, known)}") for name in settings]
        raise InputError.of(problems, code="setting.unknown")


def read_parts(corpora: list[Corpus | None], reading: ReadingOptions) -> list[Documents | None]:
    """Read the parts of a corpus.

    Raises:
        CorpusError: one cannot be read, or all are texts and there are options for reading files.
    """
    given = [each for each in corpora if each is not None]
    unused = [each.name for each in fields(reading) if getattr(reading, each.name) != each.default]
    if unused and not any(
        isinstance(each, str | os.PathLike | Documents) or is_frame(each) for each in given
    ):
        problems = [Problem(name, "has no effect: leave it out") for name in unused]
        raise CorpusError.of(problems, code="corpus.unused_options")
    return [None if each is None else read_corpus(each, reading) for each in corpora]


def take(settings: dict[str, Any], kind: type) -> dict[str, Any]:
    """Remove and return the settings that belong to a dataclass."""
    names = [each.name for each in fields(kind) if each.name in settings]
    return {name: plain(settings.pop(name)) for name in names}
