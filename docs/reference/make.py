"""Write the pages of the reference that are made from the code.

python docs/reference/make.py
"""

import ast
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click
from click.testing import CliRunner
from werkzeug.http import HTTP_STATUS_CODES

from lorelm import errors
from lorelm.bundle import EMBEDDED_PATH
from lorelm.bundle.manifest import Manifest
from lorelm.cli.main import lorelm as lorelm_command
from lorelm.errors import LoreLMError
from lorelm.generation.settings import GenerationSettings
from lorelm.machine.folders import DATA_VARIABLE
from lorelm.parameters import parameters_of
from lorelm.server.api.docs import STREAM_EVENTS, openapi_document
from lorelm.server.app import create_app
from lorelm.server.errors import status_of
from lorelm.server.keys.key_file import KeyFile
from lorelm.server.settings import ServerSettings
from lorelm.server.state import server_state
from lorelm.training.recipe import BUILT_IN_RECIPES, Recipe
from lorelm.training.start import BASE_VARIABLE

HERE: Final = Path(__file__).parent

COMMANDS: Final = (
    *("studio", "serve", "generate", "train", "tune", "import", "inspect", "evaluate", "score"),
    *("pack", "unpack", "export", "push", "doctor"),
    *("runs", "runs show", "runs watch", "runs compare"),
    *("runs curves", "runs remove", "runs add"),
    *("history list", "history export", "history stats", "history prune", "history delete"),
    *("history links", "history backup", "history restore", "history upgrade"),
    *("keys add", "keys list", "keys change", "keys revoke"),
)
KINDS: Final = {"string": "text", "integer": "whole number", "boolean": "true or false"}


def commands_page() -> str:
    """Return what each command says of itself."""
    sections = []
    for command in COMMANDS:
        shown = CliRunner(env={"COLUMNS": "100"}).invoke(
            lorelm_command, [*command.split(), "--help"], prog_name="lorelm", terminal_width=100
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
    generation, server = (
        [
            (f"`{name}`", f"`--{each.option}`" if each.flag is not None else "", each.description)
            for name, each in parameters_of(kind).items()
        ]
        for kind in (GenerationSettings, ServerSettings)
    )
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

{_table(("setting", "option", "what it does"), generation)}
## Server settings

Options of [`lorelm serve`](cli.md#lorelm-serve), which has more: address, models, keys, history.

{_table(("setting", "option", "what it does"), server)}
## Environment variables

An option on the command line goes before the variable. Traces have
[variables of their own](../guides/operations.md#traces) (`OTEL_*`).

{_table(("variable", "command", "meaning"), [*_variables()])}"""


def _variables() -> Iterator[tuple[str, str, str]]:
    """Yield each environment variable, the command that reads it, and its meaning."""
    yield f"`{DATA_VARIABLE}`", "all", "The data folder, of history, keys, runs and studio."
    yield f"`{BASE_VARIABLE}`", "`train`", "What training starts from without `--init`."
    found: dict[tuple[str, str], list[str]] = {}
    for name in COMMANDS:
        command: click.Command = lorelm_command
        for part in name.split():
            assert isinstance(command, click.Group)
            command = command.get_command(click.Context(command), part) or command
        for option in command.params:
            if isinstance(option, click.Option) and isinstance(option.envvar, str):
                meaning = f"`{option.opts[0]}`: {(option.help or '').split('  [')[0]}"
                found.setdefault((option.envvar, meaning), []).append(f"`{name}`")
    for (variable, meaning), commands in found.items():
        yield f"`{variable}`", ", ".join(commands), meaning


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
    events = [(f"`{name}`" if name else "no name", text) for name, text in STREAM_EVENTS]
    return f"""# HTTP API

Every server describes itself: `/docs` is this page with the limits of that server, and
`/openapi.json` is the same for programs (OpenAPI 3.1). [Serving](../guides/serving.md) has
examples, streams, and what OpenAI's clients can do. Fields with * are required.

If the server requires a key, send it as `Authorization: Bearer KEY`.

{(HERE / "http_answers.md.in").read_text(encoding="utf-8")}
{_table(("status", "code", "message or meaning"), _error_codes())}
## Streams

With `"stream": true`, `/api/generate` answers with server-sent events (`text/event-stream`), whose
data is JSON. OpenAI's endpoints have the events of OpenAI: chunks without a name, and at the end
`data: [DONE]`.

{_table(("event", "meaning"), events)}
""" + "\n".join([*parts, _types(schemas)])


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
    fields = ", ".join(
        f"`{name}` ({_kind(field, says_null=True)})"
        for name, field in schema.get("properties", {}).items()
    )
    stream = ", or with events where `stream` is true" if "text/event-stream" in content else ""
    return f"\nAnswers with {fields}{stream}.\n"


def _name(schema: Mapping[str, Any]) -> str:
    return str(schema["$ref"]).rsplit("/", 1)[1]


def _types(schemas: Mapping[str, Any]) -> str:
    """Return the types that the fields above name."""
    names = (
        *("Sample", "Token", "Alternative", "CopiedSpan", "Content", "SceneTurn"),
        *("StreamOptions", "Draft", "Link", "Model"),
    )
    text = "## Types\n\nWhat the names in capitals above have.\n"
    for name in names:
        fields = schemas[name].get("properties", {"": schemas[name]}).items()
        rows = [
            (f"`{field}`", _kind(each, says_null=True), each.get("description", ""))
            for field, each in fields
        ]
        text += f"\n### {name}\n\n" + _table(("field", "kind", "meaning"), rows)
    return text


def _kind(schema: Mapping[str, Any], *, says_null: bool = False) -> str:
    """Return the kind of a field in words."""
    if "$ref" in schema:
        return _name(schema)
    if "anyOf" in schema:
        kinds = [each for each in schema["anyOf"] if says_null or each.get("type") != "null"]
        return " or ".join(_kind(each, says_null=says_null) for each in kinds)
    if schema.get("type") == "array" and "items" in schema:
        return f"list of {_kind(schema['items'], says_null=says_null)}"
    if "properties" in schema:
        fields = (
            f"{name}: {_kind(each, says_null=says_null)}"
            for name, each in schema["properties"].items()
        )
        return f"object with {', '.join(fields)}"
    kind = str(schema.get("type", "value"))
    return KINDS.get(kind, kind)


_ANSWERED: Final = (
    *("SamplingError", "UnknownModelError", "DraftError", "DraftConflictError"),
    *("UnknownDraftError", "OverloadedError", "DeadlineError", "ShuttingDownError"),
    *("QuotaError", "HistoryError", "FailedRequestError"),
)
"""The errors that an API answers with; others end a command."""

_HTTP_ERRORS: Final = {
    400: "the body is not JSON",
    401: "a key is missing, unknown, revoked or expired",
    403: "the key, the browser or the other site may not do this",
    404: "there is no such address",
    405: "the address has other methods, which the header Allow names",
    413: "the body is longer than --max-body-bytes",
    415: "the header Content-Type does not say application/json",
    500: "a fault of the server, whose log has it; the body has the request_id",
}


def _error_codes() -> list[tuple[str, str, str]]:
    """Return status, code and meaning of each error, by status."""
    found: dict[tuple[str, str], list[str]] = {}
    for status, text in _HTTP_ERRORS.items():
        code = HTTP_STATUS_CODES[status].lower().replace(" ", "_")
        found[str(status), f"http.{code}"] = [text]
    for name in _ANSWERED:
        kind: type[LoreLMError] = getattr(errors, name)
        found[_status(name), kind.code] = [re.split(r"[;\n]", kind.__doc__ or "")[0]]
    for status, code, message in _particular_codes():
        found.setdefault((status, code), []).append(message)
    return [
        (status, f"`{code}`", "; or: ".join(dict.fromkeys(texts)))
        for (status, code), texts in sorted(found.items())
    ]


def _particular_codes() -> Iterator[tuple[str, str, str]]:
    """Yield those of each error that is raised with a code of its own, with its message there."""
    source = Path(errors.__file__).parent
    for folder in ("generation", "server/api", "server/openai", "server/keys", "history"):
        for path in sorted((source / folder).rglob("*.py")):
            for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                match call:
                    case ast.Call(
                        func=ast.Name(name), keywords=[ast.keyword("code", ast.Constant(code)), *_]
                    ) if name in _ANSWERED:
                        yield _status(name), str(code), _message(call.args[-1])


def _status(name: str) -> str:
    kind: type[LoreLMError] = getattr(errors, name)
    return str(status_of(kind.__new__(kind)))


def _message(argument: ast.expr) -> str:
    """Return a text in the source, with … for what is filled in."""
    match argument:
        case ast.Constant(text):
            return str(text)
        case ast.JoinedStr(parts):
            return "".join(_message(each) for each in parts)
        case ast.BinOp(left):
            return _message(left).rstrip("…") + "…"
    return "…"


def metrics_page(exposition: str) -> str:
    """Return the metrics of a server, from what it answers at ``/metrics``."""
    helps = dict(line.split(" ", 3)[2:] for line in exposition.splitlines() if "# HELP" in line)
    kinds = dict(line.split(" ", 3)[2:] for line in exposition.splitlines() if "# TYPE" in line)
    rows = [
        (f"`{name}`", kinds[name], _labels(name, exposition), text)
        for name, text in helps.items()
        if name.startswith("lorelm_") and not name.endswith("_created")
    ]
    return (
        "# Metrics\n\nWhat a server answers at `/metrics`, for Prometheus. [Operations]"
        "(../guides/operations.md#metrics-dashboard-alerts) has a dashboard and alerts.\n\n"
        + _table(("metric", "kind", "labels", "meaning"), rows)
    )


def _labels(name: str, exposition: str) -> str:
    """Return the names of the labels of a metric, without the bounds of a histogram."""
    found = re.search(rf"^{name}(?:_bucket)?{{(.*)}}", exposition, re.MULTILINE)
    labels = re.findall(r'(\w+)="', found[1]) if found else []
    return ", ".join(f"`{label}`" for label in labels if label != "le")


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
    """Return the OpenAPI document of a server, and its metrics after a request with a key."""
    with tempfile.TemporaryDirectory() as folder:
        keys = KeyFile(Path(folder) / "keys.json")
        settings = ServerSettings(
            bundles=[EMBEDDED_PATH],
            history=f"sqlite:///{folder}/history.db",
            share_links=True,
            keys=keys.path,
        )
        user, prometheus = (
            {"Authorization": f"Bearer {keys.add(name, metrics_only=name == 'prometheus')}"}
            for name in ("anna", "prometheus")
        )
        app = create_app(settings)
        try:
            with app.test_request_context():
                document = openapi_document()
            client = app.test_client()
            client.post("/api/generate", json={"prompt": "The", "max_len": 1}, headers=user)
            return document, client.get("/metrics", headers=prometheus).text
        finally:
            server_state(app).close()


if __name__ == "__main__":
    for name, text_of in made_files().items():
        (HERE / name).write_text(text_of(), encoding="utf-8")
