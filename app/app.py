"""Serve the model in this folder: ``python app.py``, then open http://127.0.0.1:5000/.

The page and its API are those of the package ``lorelm``. This script imports the files that a
course's notebook leaves behind.
"""

import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from lorelm.bundle import EMBEDDED_PATH
from lorelm.bundle.importing.importer import IMPORTED_STYLES, import_model
from lorelm.cli.main import run
from lorelm.cli.serve import serve, serve_bundles
from lorelm.errors import BundleError
from model_files import find_checkpoint, find_vocabulary, no_checkpoint

import click

OPTIONS = [
    click.Option(
        ["--port"],
        type=click.IntRange(0, 65535),
        default=5000,
        show_default=True,
        envvar="PORT",
        show_envvar=True,
        help="0: any free one.",
    ),
    click.Option(
        ["--require-checkpoint"],
        is_flag=True,
        help="End with an error where this folder holds no checkpoint.",
    ),
    click.Option(
        ["--tokenizer"],
        type=click.Choice(IMPORTED_STYLES),
        help="How the notebook cut texts into words.  [default: guessed]",
    ),
    *(option for option in serve.params if option.name not in ("bundles", "port")),
]


def serve_folder(*, require_checkpoint: bool, tokenizer: str | None, **flags: Any) -> None:
    """Serves the checkpoint beside this file, or the model that LoreLM comes with.

    All options but the first three are those of lorelm serve: --proxy-hops 1 behind a proxy,
    --host 0.0.0.0 for others in the network.
    """
    checkpoint = find_checkpoint()
    if checkpoint is not None:
        with _temporary_folder() as folder:
            bundle = folder / checkpoint.stem
            import_model(checkpoint, find_vocabulary(), tokenizer=tokenizer).save(bundle)
            serve_bundles([bundle], **flags)
        return
    if require_checkpoint:
        raise BundleError(f"{no_checkpoint()}: put the notebook's there, or leave the flag out")
    notice = f"This is not your model but the one that LoreLM comes with: {no_checkpoint()}."
    serve_bundles([EMBEDDED_PATH], notices=[notice], **flags)


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """Make a folder that is deleted on exit, also where a signal ends the process."""
    folder = Path(tempfile.gettempdir()) / f"lorelm-app-{secrets.token_hex(8)}"

    def end(number: int, _frame: FrameType | None) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(128 + number)

    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, end)
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    run(
        click.Command(
            "app.py",
            params=OPTIONS,
            callback=serve_folder,
            help=serve_folder.__doc__,
            context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        )
    )
