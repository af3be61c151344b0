"""``lorelm runs watch``: the page of a run, from the files in its folder."""

import time
from contextlib import suppress
from typing import Final

import click

from lorelm.cli.terminal import show_address
from lorelm.runs.run import Run, find_run, read_run
from lorelm.server.watch import parts
from lorelm.server.watch.page import WatchServer
from lorelm.server.watch.watched_run import WatchedRun
from lorelm.training.recipe import describe_recipe

_SECONDS_BETWEEN_LOOKS: Final = 1.0


@click.command()
@click.argument("folder", metavar="RUN")
def watch(*, folder: str) -> None:
    """Show a run on a page of its own, until Ctrl-C.

    It may be one that was begun without --watch, from Python, or by another user, and it may be
    over. What is not in its folder is not shown: samples, speed and memory.
    """
    run = find_run(folder)
    watched = WatchedRun(parts.about(run.source, run.path, is_live=False))
    with WatchServer(watched) as server, suppress(KeyboardInterrupt):
        show_address(server.url)
        _put(watched, run)
        while True:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            before, run = run, read_run(run.path)
            if run != before:
                _put(watched, run)


_STAGES: Final = {"running": "training", "gone": "failed"}
"""Names of states on the page, where they differ."""


def _put(watched: WatchedRun, run: Run) -> None:
    num_epochs, seconds = run.num_epochs or 0, run.seconds or 0.0
    is_training = run.state == "running" and run.epochs
    seconds_left = (
        seconds / len(run.epochs) * (num_epochs - len(run.epochs)) if is_training else None
    )
    watched.put(
        progress={
            "stage": _STAGES.get(run.state, run.state),
            "share": len(run.epochs) / max(num_epochs, 1),
            "epochs": num_epochs,
            "seconds": seconds,
            "secondsLeft": seconds_left,
            "tokensPerSecond": run.epochs[-1]["tokens_per_second"] if run.epochs else None,
        }
    )
    watched.replace("epochs", [parts.epoch_row(row) for row in run.epochs])
    if run.recipe:
        watched.put(settings=parts.settings(run.recipe, describe_recipe(run.recipe)))
    if run.state == "finished":
        watched.put(end=parts.result(run, run.path))
    elif run.error is not None:
        watched.put(end={"message": run.error})
