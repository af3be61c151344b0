"""Options that several commands share, and those that are made from parameters."""

import re
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any, Final

import click
from click.core import ParameterSource

from lorelm.corpus.documents import ReadingOptions
from lorelm.parameters import Parameter, parameters_of, short
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
    """A word and a number, as in the example of a parameter."""

    name = "word=number"

    def __init__(self, parameter: Parameter) -> None:
        self._parameter = parameter

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        word, _, number = str(value).rpartition("=")
        try:
            if word:
                return word, float(number)
        except ValueError:
            pass
        wanted = f"{self._parameter.metavar}, such as {self._parameter.example}"
        return self.fail(f"{short(value)} is not {wanted}")


class _TextFile(click.ParamType[str]):
    """A file of UTF-8 text, or - for standard input; the value is the text."""

    name = "filename"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        # Editors in Windows begin a file with a byte order mark, which utf-8-sig leaves out.
        file = click.File(encoding="utf-8-sig").convert(value, param, ctx)
        try:
            return file.read()
        except UnicodeDecodeError:
            return self.fail(f"{str(value)!r} is not UTF-8 text: save it as UTF-8", param, ctx)


TEXT_FILE = _TextFile()


def parameter_options(
    settings: type, names: Collection[str] | None = None
) -> Callable[[Command], Command]:
    """Add an option for each parameter that a settings class declares.

    Args:
        names: add these alone.
    """

    def add(command: Command) -> Command:
        for parameter in reversed([*parameters_of(settings).values()]):
            if parameter.flag is not None and (names is None or parameter.name in names):
                command = _parameter_option(parameter)(command)
        return command

    return add


def _parameter_option(parameter: Parameter) -> Callable[[Command], Command]:
    flag = parameter.option
    is_repeated = parameter.kind in (list, dict)
    if is_repeated:
        parameter = replace(parameter, help=f"{parameter.help} May be repeated.")
    more: dict[str, Any] = {
        "metavar": parameter.metavar,
        "help": parameter.description,
        "multiple": is_repeated,
        "envvar": parameter.envvar,
        "show_envvar": True,
    }
    if parameter.kind is dict:
        more |= {"type": _WordAndNumber(parameter), "callback": lambda _, __, pairs: dict(pairs)}
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


reading_options = parameter_options(ReadingOptions)


def take_reading_options(flags: dict[str, Any]) -> ReadingOptions:
    """Remove the reading options from the flags of a command and return them."""
    return ReadingOptions(**{name: flags.pop(name) for name in parameters_of(ReadingOptions)})


def refuse_reading_options(reason: str) -> None:
    """Refuse reading options that would have no effect.

    Raises:
        click.UsageError: the command line has one.
    """
    context = click.get_current_context()
    for name in parameters_of(ReadingOptions):
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name.replace('_', '-')}: {reason}.")


precision_option = click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help="Precision of the model; int8 is faster.  [default: as served: int8, or float32 for an "
    "imported model]",
)


mixture_option = click.option(
    "--mixture/--no-mixture",
    default=None,
    help="Mix the network with the n-gram model of the bundle.  [default: where counting "
    "alone predicted better than the network in training]",
)


cache_option = click.option(
    "--cache",
    is_flag=True,
    help="Use the neural cache: words that occurred recently become likelier.",
)


KEYS_VARIABLE: Final = "LORELM_KEYS"

HISTORY_VARIABLE: Final = "LORELM_HISTORY"

history_option = click.option(
    "--history",
    envvar=HISTORY_VARIABLE,
    show_envvar=True,
    metavar="URL",
    help="sqlite:///PATH or postgresql+psycopg://USER@HOST/DATABASE.  "
    "[default: a file in your data folder]",
)


class _Time(click.ParamType[float]):
    """A time such as 1.5h; the value is in seconds."""

    name = "time"

    def __init__(self, units: str, example: str) -> None:
        self._units = units
        self._example = example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        match = re.fullmatch(rf"(\d{{1,9}}(?:\.\d{{1,9}})?)([{self._units}])", str(value).strip())
        if match is None or float(match[1]) == 0:
            units = f"{', '.join(self._units[:-1])} or {self._units[-1]}"
            self.fail(
                f"{value!r} is not a time: write a number and {units}, such as {self._example}"
            )
        return float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[match[2]]


TIME = _Time("smh", "2m")
AGE = _Time("mhd", "30d")
EXPIRY = _Time("mhd", "30d, or a day such as 2027-06-30, or never")
