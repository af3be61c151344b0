"""Options that several commands share, and those that are made from parameters."""

import dataclasses
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click
from click.core import ParameterSource

from lorelm.corpus.documents import DOCUMENT_UNITS, ReadingOptions
from lorelm.parameters import Parameter, parameters_of
from lorelm.runtime.step_graph import PRECISIONS

Command = Callable[..., Any]


class _Number(click.ParamType[Any]):
    """A number; anything else is passed on to the settings class, which reports all mistakes."""

    def __init__(self, kind: type) -> None:
        self.name = "integer" if kind is int else "float"
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self._kind(value)
        except ValueError:
            return value


class _WordAndNumber(click.ParamType[tuple[str, float]]):
    """A word and a number: Frodo=2."""

    name = "word=number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        word, _, number = str(value).rpartition("=")
        try:
            return word, float(number)
        except ValueError:
            self.fail(f"{value!r} is not a word and a number, such as Frodo=2")


def parameter_options(settings: type) -> Callable[[Command], Command]:
    """Add an option for each parameter that a settings class declares."""

    def add(command: Command) -> Command:
        for parameter in reversed([*parameters_of(settings).values()]):
            if parameter.flag is not None:
                command = _parameter_option(parameter)(command)
        return command

    return add


def _parameter_option(parameter: Parameter) -> Callable[[Command], Command]:
    flag = parameter.flag or parameter.name.replace("_", "-")
    is_repeated = parameter.kind in (list, dict)
    if is_repeated:
        parameter = replace(parameter, help=f"{parameter.help} May be repeated.")
    more: dict[str, Any] = {
        "metavar": parameter.metavar,
        "help": parameter.description,
        "multiple": is_repeated,
    }
    if parameter.kind is dict:
        more |= {"type": _WordAndNumber(), "callback": lambda _, __, pairs: dict(pairs)}
    elif parameter.choices:
        more["type"] = click.Choice(parameter.choices)
    elif parameter.kind in (int, float):
        more["type"] = _Number(parameter.kind)
    elif parameter.kind is bool and parameter.default is False:
        more["is_flag"] = True
    elif parameter.kind is bool:
        flag, more["default"] = f"{flag}/--no-{flag}", None
    if parameter.default is not None:
        more["default"] = parameter.default
    return click.option(f"--{flag}", parameter.name, **more)


def reading_options(command: Command) -> Command:
    """Add the options of reading a corpus; :func:`take_reading_options` collects them."""
    for option in reversed(
        (
            click.option("--text-column", metavar="NAME", help="Column of a table with the text."),
            click.option(
                "--speaker-column",
                metavar="NAME",
                help="Column to put before the text, as 'NAME: '.",
            ),
            click.option(
                "--document",
                type=click.Choice(DOCUMENT_UNITS),
                default="line",
                show_default=True,
                help="What one document of a plain text file is.",
            ),
            click.option(
                "--encoding", default="utf-8", show_default=True, help="Encoding of a text file."
            ),
        )
    ):
        command = option(command)
    return command


def take_reading_options(flags: dict[str, Any]) -> ReadingOptions:
    """Remove the reading options from the flags of a command and return them."""
    names = ("text_column", "speaker_column", "document", "encoding")
    return ReadingOptions(**{name: flags.pop(name) for name in names})


def refuse_reading_options(reason: str) -> None:
    """Refuse reading options that would have no effect.

    Raises:
        click.UsageError: the command line has one.
    """
    context = click.get_current_context()
    for field in dataclasses.fields(ReadingOptions):
        if context.get_parameter_source(field.name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{field.name.replace('_', '-')}: {reason}.")


precision_option = click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help="Precision of the model; int8 is faster.  [default: as served: int8, or float32 for an "
    "imported model]",
)


mixture_option = click.option(
    "--mixture", is_flag=True, help="Mix the network with the n-gram model of the bundle."
)


cache_option = click.option(
    "--cache",
    is_flag=True,
    help="Use the neural cache: words that occurred recently become likelier.",
)


history_option = click.option(
    "--history",
    envvar="LORELM_HISTORY",
    show_envvar=True,
    metavar="URL",
    help="sqlite:///PATH or postgresql+psycopg://USER@HOST/DATABASE.  "
    "[default: a file in your data folder]",
)


class _Time(click.ParamType[float]):
    """A time such as 1.5h; the value is in seconds."""

    name = "time"

    def __init__(self, units: tuple[str, str, str], example: str) -> None:
        self._units = units
        self._example = example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        match = re.fullmatch(
            rf"(\d{{1,9}}(?:\.\d{{1,9}})?)([{''.join(self._units)}])", str(value).strip()
        )
        if match is None or float(match[1]) == 0:
            first, second, third = self._units
            self.fail(
                f"{value!r} is not a time: write a number and {first}, {second} or {third}, such "
                f"as {self._example}"
            )
        return float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[match[2]]


TIME = _Time(("s", "m", "h"), "2m")
AGE = _Time(("m", "h", "d"), "30d")
