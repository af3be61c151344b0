"""The command ``lorelm``: run a subcommand, and turn errors into one line and an exit code."""

import gc
import importlib
import os
import sys
from typing import TYPE_CHECKING, Final

import click

from lorelm.cli.terminal import printable
from lorelm.errors import InputError, LoreLMError, TrainingStoppedError, WorkerLostError
from lorelm.version import VERSION

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS: Final = {
    "studio": "Open the studio: drop a text, watch a model learn, write with it, share it.",
    "serve": "Serve the models in the folders BUNDLE as a web page; without any, the embedded "
    "model.",
    "generate": "Continue PROMPT with the model in the folder BUNDLE.",
    "train": "Train a model on PATH and save it as a bundle.",
    "tune": "Search for the settings with which a model learns PATH best, and save that model.",
    "import": "Make a bundle of CHECKPOINT, an LSTM language model that torch.save wrote.",
    "inspect": "Print what PATH holds, how long training would take, and whether it is enough "
    "text.",
    "evaluate": "Measure the model in BUNDLE on FILE, against an n-gram model and for copies.",
    "score": "Print number of tokens, perplexity and unknown rate of FILE under the model in "
    "BUNDLE.",
    "runs": "List your training runs, the newest first.",
    "pack": "Make one file of the model BUNDLE, to keep or to give to others.",
    "unpack": "Make a folder of FILE, which lorelm pack made.",
    "export": "Write the model in the folder BUNDLE as a web site that needs no server.",
    "push": "Put the model BUNDLE on the Hugging Face Hub as USER/MODEL.",
    "history": "List, export, back up and delete texts; list drafts; list and revoke links.",
    "keys": "Make, list, change and revoke API keys of `lorelm serve --keys FILE`.",
    "doctor": "Say whether LoreLM works here, what is slow, and what to do about it.",
}
"""The commands, with the first sentence of their help: to list them, none is imported.

A test compares the sentences with those of the commands.
"""

_MOVED: Final = {"compare": "runs compare"}
"""Earlier names of commands, which still work."""


class _LazyGroup(click.Group):
    """Group that imports a command when it is used, so that each loads only what it needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _MOVED:
            click.echo(f"lorelm {cmd_name} is now lorelm {_MOVED[cmd_name]}.", err=True)
        elif cmd_name not in COMMANDS:
            return None
        name = "import_" if cmd_name == "import" else cmd_name  # a keyword of Python
        command = getattr(importlib.import_module(f"lorelm.cli.{name}"), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem

        names = [name for name in COMMANDS if name.startswith(incomplete)]
        return [
            *(CompletionItem(name, help=COMMANDS[name]) for name in names),
            *click.Command.shell_complete(self, ctx, incomplete),
        ]


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(VERSION, prog_name="lorelm")
def lorelm() -> None:
    """Train a small language model on your own text and serve it.

    \b
    lorelm serve                          a web page for the model that comes with LoreLM
    lorelm train my.csv --out my-model    a model of your own text
    lorelm serve my-model                 a web page for it
    lorelm import old.pt --vocab vocab.pkl --out my-model
                                          the same for a model that you have
    """  # noqa: D301 - the character itself is what click looks for


def main() -> None:
    """Run the command line."""
    run(lorelm)


def run(command: click.Command) -> None:
    """Run a command with the arguments of this process.

    Exit codes: 0, success; 1, something is missing or in the way on this machine; 2, the input is
    wrong; 130, Ctrl-C.
    """
    _choose_encodings()
    try:
        command.main(standalone_mode=False)
    except TrainingStoppedError as error:
        _say(error)
        sys.exit(130)
    except LoreLMError as error:
        _say(error)
        sys.exit(2 if isinstance(error, ValueError) else 1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("lorelm: stopped", err=True)
        sys.exit(130)
    finally:
        # Skip the garbage collection at exit, which takes a second with PyTorch imported; a time
        # budget has no such second.
        gc.freeze()


def _choose_encodings() -> None:
    """Write UTF-8 to files and other programs, and what it has to a terminal of few characters.

    On Windows, Python writes the code page of the system to files, which lacks most characters.
    """
    for stream in (sys.stdout, sys.stderr):
        is_chosen = stream.isatty() or "PYTHONIOENCODING" in os.environ
        encoding = None if is_chosen else "utf-8"
        stream.reconfigure(encoding=encoding, errors="replace")  # type: ignore[union-attr]


def _say(error: LoreLMError) -> None:
    """Print an error, in a line for each wrong setting.

    Of several processes that torchrun started on this machine, which fail alike, only the first
    prints; but when one is lost, that may be the first.
    """
    if os.environ.get("LOCAL_RANK", "0") == "0" or isinstance(error, WorkerLostError):
        problems = error.problems if isinstance(error, InputError) else ()
        for message in problems or (error,):
            click.echo(f"lorelm: {printable(str(message))}", err=True)
