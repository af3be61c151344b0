"""The pages of the commands and of the settings."""

import json
from collections.abc import Iterator, Mapping
from typing import Final

import click
from click.testing import CliRunner
from markdown_table import table

from lorelm.cli.main import lorelm as lorelm_command
from lorelm.generation.settings import GenerationSettings
from lorelm.machine.folders import DATA_VARIABLE
from lorelm.parameters import parameters_of
from lorelm.server.settings import ServerSettings
from lorelm.training.recipe import BUILT_IN_RECIPES, Recipe
from lorelm.training.start import BASE_VARIABLE

COMMANDS: Final = (
    *("studio", "serve", "generate", "train", "tune", "import", "inspect", "evaluate", "score"),
    *("pack", "unpack", "export", "push", "doctor"),
    *("runs", "runs show", "runs watch", "runs compare"),
    *("runs curves", "runs remove", "runs add"),
    *("history list", "history export", "history stats", "history prune", "history delete"),
    *("history drafts", "history links", "history backup", "history restore", "history upgrade"),
    *("keys add", "keys list", "keys change", "keys revoke"),
)


def commands_page() -> str:
    """Return what each command says of itself."""
    sections = []
    for command in COMMANDS:
        shown = CliRunner(env={"COLUMNS": "80"}).invoke(
            lorelm_command, [*command.split(), "--help"], prog_name="lorelm", terminal_width=80
        )
        assert shown.exit_code == 0, shown.output
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
    return f"""# Settings

## Training

The settings of a [recipe](../guides/training.md#recipes). A TOML file has these names, Python takes
them as keyword arguments, and `lorelm train` as options: `hidden_size` is `--hidden-size`.

{table(("setting", "what it does"), training)}
### Values in the recipes

A value in brackets is fitted to the size of the corpus, unless you set it.

{table(("setting", *BUILT_IN_RECIPES), values)}
## Generation

The same in Python, in requests of the [HTTP API](http-api.md) and as options of `lorelm generate`.

{table(("setting", "option", "what it does"), _options(GenerationSettings))}
## Server settings

Options of [`lorelm serve`](cli.md#lorelm-serve), which has more: address, models, keys, history.

{table(("setting", "option", "what it does"), _options(ServerSettings))}
## Environment variables

An option on the command line goes before the variable. Traces have
[variables of their own](../guides/operations.md#traces) (`OTEL_*`).

{table(("variable", "command", "meaning"), [*_variables()])}"""


def _options(settings: type) -> list[tuple[str, str, str]]:
    """Return name, option and meaning of each setting."""
    return [
        (f"`{name}`", f"`--{each.option}`" if each.flag is not None else "", each.description)
        for name, each in parameters_of(settings).items()
    ]


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
