"""The keyword arguments for type checkers are those that the settings classes declare."""

import json
import typing
from collections.abc import Callable
from pathlib import Path

import pytest

import lorelm.keywords
from lorelm.corpus.documents import ReadingOptions
from lorelm.evaluation.evaluate import EvaluationSettings
from lorelm.generation.settings import GenerationSettings
from lorelm.keywords import (
    EvaluationKeywords,
    GenerationKeywords,
    ReadingKeywords,
    TrainingKeywords,
    TuningKeywords,
)
from lorelm.parameters import parameters_of
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe
from lorelm.training.tuning.options import TRAINING_OPTIONS, TuningOptions

HEADER = '''"""Keyword arguments of ``import lorelm``, for type checkers and editors.

Made from the declarations of the settings: python tests/test_keywords.py writes this file. A text
that names a file or a folder may be a path.
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Literal, TypedDict
'''
PATHS = ("init", "tensorboard")
CLASSES: dict[str, tuple[str, tuple[type, ...]]] = {
    "GenerationKeywords": ("Settings of a generation.", (GenerationSettings,)),
    "TrainingKeywords": (
        "Settings of a recipe, of a run, and of reading a corpus.",
        (Recipe, TrainingOptions, ReadingOptions),
    ),
    "ReadingKeywords": ("Settings of reading a corpus.", (ReadingOptions,)),
    "TuningKeywords": (
        "Settings of a tuning, its recipe and its training runs, and of reading a corpus.",
        (Recipe, TuningOptions, TrainingOptions, ReadingOptions),
    ),
    "EvaluationKeywords": (
        "Settings of an evaluation, and of reading a corpus.",
        (EvaluationSettings, ReadingOptions),
    ),
}

# Where a function takes some settings of a class only.
SOME = {("TuningKeywords", TrainingOptions): TRAINING_OPTIONS}


def shown(hint: object, *, takes_path: bool) -> str:
    """Return a type as code."""
    if typing.get_origin(hint) is typing.Literal:
        return f"Literal[{', '.join(json.dumps(each) for each in typing.get_args(hint))}]"
    if hint is str:
        return "str | PathLike[str]" if takes_path else "str"
    if hint is type(None):
        return "None"
    if isinstance(hint, type) and not typing.get_args(hint):
        return hint.__name__
    arguments = [shown(each, takes_path=False) for each in typing.get_args(hint)]
    origin = typing.get_origin(hint)
    if isinstance(origin, type) and issubclass(origin, typing.Collection):
        return f"{origin.__name__}[{', '.join(arguments)}]"
    return " | ".join(shown(each, takes_path=takes_path) for each in typing.get_args(hint))


def keywords_module() -> str:
    """Return the text of src/lorelm/keywords.py."""
    parts = [HEADER]
    for name, (help_, settings_classes) in CLASSES.items():
        lines = [f"class {name}(TypedDict, total=False):", f'    """{help_}"""', ""]
        for settings in settings_classes:
            hints = typing.get_type_hints(settings)
            parameters = parameters_of(settings)
            for each in map(parameters.__getitem__, SOME.get((name, settings), parameters)):
                hint = shown(hints[each.name], takes_path=each.name in PATHS)
                lines.append(f"    {each.name}: {hint}")
        parts.append("\n".join(lines) + "\n")
    return "\n\n".join(parts)


def test_the_keywords_are_the_declared_settings() -> None:
    """To write them: python tests/test_keywords.py."""
    assert Path(lorelm.keywords.__file__).read_text(encoding="utf-8") == keywords_module()


@pytest.mark.parametrize(
    ("function", "keywords"),
    [
        (lorelm.train, TrainingKeywords),
        (lorelm.tune, TuningKeywords),
        (lorelm.evaluate, EvaluationKeywords),
        (lorelm.LanguageModel.generate, GenerationKeywords),
        (lorelm.LanguageModel.stream, GenerationKeywords),
        (lorelm.LanguageModel.generate_many, GenerationKeywords),
    ],
)
def test_the_public_functions_take_them(function: Callable[..., object], keywords: type) -> None:
    assert typing.get_type_hints(function)["settings"] == typing.Unpack[keywords]


def test_finishing_takes_what_reading_takes() -> None:
    assert typing.get_type_hints(lorelm.finish)["reading"] == typing.Unpack[ReadingKeywords]


if __name__ == "__main__":
    path = Path(__file__).parents[1] / "src" / "lorelm" / "keywords.py"
    path.write_text(keywords_module(), encoding="utf-8")
