"""A setting is declared once: a made-up one is found everywhere, in a process of its own."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest

from lorelm.corpus.documents import ReadingOptions
from lorelm.evaluation.evaluate import EvaluationSettings
from lorelm.generation.settings import GenerationSettings
from lorelm.parameters import Parameter, parameters_of, problems_of
from lorelm.training.recipe import Recipe

# Declares `warmth`, then imports and uses what is made from the declaration.
_WITH_WARMTH = """
import dataclasses, json, sys
from typing import Annotated

from lorelm.generation import settings
from lorelm.parameters import Parameter

warmth = Parameter(
    "How warm the text is.", min=0, max=9, label="Warmth", group="main", openai="warmth"
)
settings.GenerationSettings = dataclasses.make_dataclass(
    "GenerationSettings",
    [("warmth", Annotated[int, warmth], 3)],
    bases=(settings.GenerationSettings,),
    frozen=True,
    kw_only=True,
)

from click.testing import CliRunner
from lorelm.cli.main import lorelm
from lorelm.errors import SamplingError
from lorelm.generation.language_model import LanguageModel
from lorelm.server.app import create_app
from lorelm.server.settings import ServerSettings

used = []
request = LanguageModel.request
LanguageModel.request = lambda *args, **more: used.append(args[2].warmth) or request(*args, **more)
bundle = sys.argv[1]
client = create_app(ServerSettings(bundles=(bundle,))).test_client()
document = client.get("/openapi.json").get_json()["components"]["schemas"]


def run(*arguments):
    ended = CliRunner().invoke(lorelm, ["generate", bundle, "The", "--max-len=2", *arguments])
    return ended.output + str(ended.exception)


json.dump(
    {
        "help": CliRunner().invoke(lorelm, ["generate", "--help"], terminal_width=200).output,
        "flag": run("--warmth", "4"),
        "wrong flag": run("--warmth", "10"),
        "api": client.post("/api/generate", json={"prompt": "The", "warmth": 5}).status_code,
        "wrong api": client.post("/api/generate", json={"prompt": "The", "warmth": -1}).get_json(),
        "openai": client.post(
            "/v1/completions", json={"model": "tales", "prompt": "The", "warmth": 6}
        ).get_json(),
        "form": client.post("/", data={"prompt": "The", "warmth": "7"}).status_code,
        "wrong form": client.post("/", data={"prompt": "The", "warmth": "x"}).get_data(True),
        "page": client.get("/").get_data(True),
        "docs": client.get("/docs").get_data(True),
        "schemas": [
            document[name]["properties"]["warmth"]
            for name in ("GenerateRequest", "CompletionRequest")
        ],
        "used": used,
    },
    sys.stdout,
)
"""


@pytest.fixture(scope="module")
def faces(tiny_bundle: Path) -> dict[str, Any]:
    """What each face of LoreLM says and does with a made-up parameter."""
    ended = subprocess.run(
        [sys.executable, "-c", _WITH_WARMTH, str(tiny_bundle)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_a_new_parameter_is_a_flag(faces: dict[str, Any]) -> None:
    assert "--warmth INTEGER" in faces["help"]
    assert "How warm the text is.  [from 0 to 9; default 3]" in faces["help"]
    assert "warmth: must be a whole number from 0 to 9, not 10" in faces["wrong flag"]


def test_a_new_parameter_is_a_field_of_the_apis(faces: dict[str, Any]) -> None:
    assert faces["api"] == 200, faces["api"]
    assert "choices" in faces["openai"], faces["openai"]
    assert faces["wrong api"]["error"]["field"] == "warmth"
    for schema in faces["schemas"]:
        assert schema["description"] == "How warm the text is.  [from 0 to 9; default 3]"
        assert (schema["minimum"], schema["maximum"], schema["default"]) == (0, 9, 3)
    assert "<code>warmth</code>" in faces["docs"]


def test_a_new_parameter_has_a_control_on_the_page(faces: dict[str, Any]) -> None:
    assert '<label for="warmth">Warmth</label>' in faces["page"]
    assert 'id="warmth" name="warmth" type="number"' in faces["page"]
    assert faces["form"] == 200
    sentence = "must be a whole number from 0 to 9"
    assert f'Warmth: <span lang="en" dir="auto">{sentence}' in faces["wrong form"]


def test_a_new_parameter_reaches_the_model_from_every_face(faces: dict[str, Any]) -> None:
    assert faces["used"] == [4, 5, 6, 7]


def test_a_new_recipe_setting_is_a_flag_and_is_checked() -> None:
    import click
    from click.testing import CliRunner

    from lorelm.cli.options import parameter_options

    declared = dataclasses.make_dataclass(
        "Declared", [("wings", Annotated[int, Parameter("Number of wings.", min=2, max=6)])]
    )

    @click.command()
    @parameter_options(declared)
    def fly(wings: object) -> None:
        click.echo(problems_of(declared, {"wings": wings}))

    assert "Number of wings.  [from 2 to 6]" in CliRunner().invoke(fly, ["--help"]).output
    assert CliRunner().invoke(fly, ["--wings", "4"]).output == "[]\n"
    assert "from 2 to 6, not 'many'" in CliRunner().invoke(fly, ["--wings", "many"]).output


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"min": 1, "max": 64}, "from 1 to 64"),
        ({"min": 0.001, "max": 100, "also": 0}, "from 0.001 to 100, or 0"),
        ({"above": 0, "max": 1}, "above 0 and at most 1"),
        ({"min": 0, "below": 1}, "from 0 to below 1"),
        ({"above": 0, "below": 1}, "above 0 and below 1"),
        ({"min": 0}, "from 0 up"),
        ({"above": 0}, "above 0"),
        ({"max": 9}, "at most 9"),
        ({}, ""),
    ],
)
def test_ranges_are_said_in_words(bounds: dict[str, float], words: str) -> None:
    assert Parameter("Some.", **bounds).range == words


def test_a_wrong_value_is_shown_in_short() -> None:
    texts = Parameter("Some.", kind=list, max_items=4, max_characters=100)
    text = Parameter("Some.", kind=str, max_characters=2000)
    words = Parameter("Some.", kind=dict, min=0, max=1)
    for parameter, value in (
        (texts, ["x" * 5000]),
        (texts, ["x"] * 5000),
        (text, "x" * 5000),
        (text, ["x"] * 5000),
        (words, {"x" * 5000: 7}),
        (Parameter("Some.", choices=("a", "b"), kind=str), "x" * 5000),
    ):
        problem = parameter.problem_with(value) or ""
        assert "must be " in problem
        assert "x" in problem
        assert problem.count("x") < 80
        assert "…" in problem
    assert (text.problem_with(7) or "").endswith("characters, not 7")


def test_every_parameter_has_help_that_is_a_sentence() -> None:
    for settings in (GenerationSettings, Recipe, ReadingOptions, EvaluationSettings):
        for parameter in parameters_of(settings).values():
            assert re.fullmatch(r"[A-Z].*\.", parameter.help), parameter.name
