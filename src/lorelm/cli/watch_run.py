"""``lorelm runs watch``: the page of a run, from the files in its folder."""

import time
from contextlib import suppress
from typing import Final

import click

from lorelm.cli.terminal import show_address
from lorelm.runs.run import find_run, read_run
from lorelm.server.watch import parts
from lorelm.server.watch.page import WatchServer
from lorelm.server.watch.run_files import put_run
from lorelm.server.watch.watched_run import WatchedRun
from lorelm.training.recipe import describe_recipe

_SECONDS_BETWEEN_LOOKS: Final = 1.0


@click.command()
@click.argument("folder", metavar="RUN")
def watch(*, folder: str) -> None:
    """Show a run on a web page, until Ctrl-C.

    It may be one that was begun without --watch, from Python, or by another user, and it may be
    over. Samples, speed and memory are not in its folder, so they are not shown.
    """
    run = find_run(folder)
    watched = WatchedRun(parts.about(run.source, run.path, is_live=False))
    with WatchServer(watched) as server, suppress(KeyboardInterrupt):
        show_address(server.url)
        put_run(watched, run, describe_recipe)
        while True:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
            before, run = run, read_run(run.path)
            if run != before:
                put_run(watched, run, describe_recipe)
