"""Write the pages of the reference that are made from the code.

python docs/reference/make.py
"""

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from click.testing import CliRunner

from lorelm.bundle import EMBEDDED_PATH
from lorelm.bundle.manifest import Manifest
from lorelm.cli.main import lorelm
from lorelm.generation.settings import GenerationSettings
from lorelm.parameters import parameters_of
from lorelm.server.api.docs import openapi_document
from lorelm.server.app import create_app
from lorelm.server.settings import ServerSettings
from lorelm.server.state import server_state
from lorelm.training.recipe import BUILT_IN_RECIPES, Recipe

HERE: Final = Path(__file__).parent

COMMANDS: Final = (
    *("studio", "serve", "generate", "train", "tune", "import", "inspect", "evaluate", "score"),
    *("pack", "unpack", "export", "push", "doctor"),
    *("runs", "runs show", "runs watch", "runs compare"),
    *("runs curves", "runs remove", "runs add"),
    *("history list", "history export", "history stats", "history prune", "history links"),
    *("history backup", "history restore", "history upgrade"),
    *("keys add", "keys list", "keys change", "keys revoke"),
)
KINDS: Final = {"string": "text", "integer": "whole number", "boolean": "true or false"}


def commands_page() -> str:
    """Return what each command says of itself."""
    sections = []
    for command in COMMANDS:
        shown = CliRunner(env={"COLUMNS": "100"}).invoke(
            lorelm, [*command.split(), "--help"], prog_name="lorelm", terminal_width=100
        )
        sections.append(f"## lorelm {command}\n\n```text\n{shown.output.rstrip()}\n```\n")
    return "# Commands and their options\n\nWhat `lorelm COMMAND --help` says.\n\n" + "\n".join(
        sections
    )


def settings_page() -> str:
    """Return the settings of training, with their values in each recipe, and of generation."""
    recipes = {name: Recipe.load(name) for name in BUILT_IN_RECIPES}
    parameters = parameters_of(Recipe)
    training = [(f"`{name}`", each.description) for name, each in parameters.items()]
    values = [(f"`{name}`", *_values(recipes, name)) for name in parameters]
    generation = [
        (f"`{name}`", f"`--{each.option}`" if each.flag is not None else "", each.description)
        for name, each in parameters_of(GenerationSettings).items()
    ]
    return f"""# Settings

## Training

The settings of a [recipe](../guides/training.md#recipes). A TOML file has these names, Python takes
them as keyword arguments, and `lorelm train` as options: `hidden_size` is `--hidden-size`.

{_table(("setting", "what it does"), training)}
### Values in the recipes

A value in brackets is fitted to the size of the corpus, unless you set it.

{_table(("setting", *BUILT_IN_RECIPES), values)}
## Generation

The same in Python, in requests of the [HTTP API](http-api.md) and as options of `lorelm generate`.

{_table(("setting", "option", "what it does"), generation)}"""


def _values(recipes: Mapping[str, Recipe], name: str) -> list[str]:
    """Return the values of a setting in all recipes; brackets: fitted to the corpus."""
    shown = []
    for recipe in recipes.values():
        value = getattr(recipe, name)
        text = json.dumps(value) if not isinstance(value, str) else value or "none"
        text = "a list of slurs" if len(text) > 20 else text
        shown.append(f"({text})" if name in recipe.by_corpus_size else text)
    return shown


def http_page(document: Mapping[str, Any]) -> str:
    """Return the addresses of the HTTP API with their fields, from the OpenAPI document."""
    schemas = document["components"]["schemas"]
    parts = [
        f"## {method.upper()} {path}\n\n{operation['summary'].splitlines()[0]}\n"
        + _request(operation, schemas)
        + _answer(operation, schemas)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    return """# HTTP API

Every server describes itself: `/docs` is this page with the limits of that server, and
`/openapi.json` is the same for programs (OpenAPI 3.1). [Serving](../guides/serving.md) has
examples, streams, and what OpenAI's clients can do. Fields with * are required.

An error is JSON with a status of 4xx or 5xx: `error.message` is a sentence, `error.code` stays the
same when the wording changes, and `error.fields` names wrong fields. If the server requires a key,
send it as `Authorization: Bearer KEY`.

""" + "\n".join(parts)


def _request(operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    text = ""
    if queries := [
        each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"
    ]:
        text += f"\nQuery: {', '.join(f'`{name}`' for name in queries)}.\n"
    if body := operation.get("requestBody"):
        schema = schemas[_name(body["content"]["application/json"]["schema"])]
        rows = [
            (
                f"`{name}`" + (" *" if name in schema.get("required", ()) else ""),
                _kind(field),
                field.get("description", ""),
            )
            for name, field in schema["properties"].items()
        ]
        text += "\n" + _table(("field", "kind", "meaning"), rows)
    return text


def _answer(operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    content = operation["responses"]["200"]["content"]
    if "text/plain" in content:
        return "\nAnswers with text.\n"
    schema = schemas[_name(content["application/json"]["schema"])]
    fields = ", ".join(f"`{name}`" for name in schema.get("properties", ()))
    stream = ", or with events where `stream` is true" if "text/event-stream" in content else ""
    return f"\nAnswers with {fields}{stream}.\n"


def _name(schema: Mapping[str, Any]) -> str:
    return str(schema["$ref"]).rsplit("/", 1)[1]


def _kind(schema: Mapping[str, Any]) -> str:
    """Return the kind of a field in words."""
    if "$ref" in schema:
        return _name(schema)
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"] if each.get("type") != "null")
    if schema.get("type") == "array" and "items" in schema:
        return f"list of {_kind(schema['items'])}"
    kind = str(schema.get("type", "value"))
    return KINDS.get(kind, kind)


def metrics_page(exposition: str) -> str:
    """Return the metrics of a server, from what it answers at ``/metrics``."""
    helps = dict(line.split(" ", 3)[2:] for line in exposition.splitlines() if "# HELP" in line)
    kinds = dict(line.split(" ", 3)[2:] for line in exposition.splitlines() if "# TYPE" in line)
    rows = [
        (f"`{name}`", kinds[name], text)
        for name, text in helps.items()
        if name.startswith("lorelm_") and not name.endswith("_created")
    ]
    return (
        "# Metrics\n\nWhat a server answers at `/metrics`, for Prometheus. [Operations]"
        "(../guides/operations.md#metrics-dashboard-alerts) has a dashboard and alerts.\n\n"
        + _table(("metric", "kind", "meaning"), rows)
    )


def manifest_schema() -> str:
    """Return the JSON schema of ``manifest.json``."""
    schema = Manifest.model_json_schema()
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(_cell(cell) for cell in line)} |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|").replace("<", "&lt;")


def made_files() -> dict[str, Callable[[], str]]:
    """Return the files that this script writes, each with what makes its text."""
    document, exposition = _of_a_server()
    return {
        "cli.md": commands_page,
        "settings.md": settings_page,
        "http-api.md": lambda: http_page(document),
        "metrics.md": lambda: metrics_page(exposition),
        "manifest.schema.json": manifest_schema,
    }


def _of_a_server() -> tuple[dict[str, Any], str]:
    """Return the OpenAPI document and the metrics of a server with all its parts."""
    with tempfile.TemporaryDirectory() as folder:
        history = f"sqlite:///{folder}/history.db"
        app = create_app(ServerSettings(bundles=[EMBEDDED_PATH], history=history))
        try:
            with app.test_request_context():
                document = openapi_document()
            return document, app.test_client().get("/metrics").text
        finally:
            server_state(app).close()


if __name__ == "__main__":
    for name, text_of in made_files().items():
        (HERE / name).write_text(text_of(), encoding="utf-8")
