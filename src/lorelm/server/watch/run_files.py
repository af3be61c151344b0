"""What the files of a training run say of it, for its page: :func:`put_run`."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from lorelm.runs.run import Run
from lorelm.server.watch import parts
from lorelm.server.watch.event_file import RunSink

_STAGES: Final = {"running": "training", "gone": "failed"}
"""Names of states on the page, where they differ."""


def put_run(sink: RunSink, run: Run, describe_recipe: Callable[[Mapping[str, Any]], str]) -> None:
    """Put what is known of a run: how far it is, its epochs, settings and end.

    Args:
        describe_recipe: says a recipe in words.
    """
    num_epochs, seconds = run.num_epochs or 0, run.seconds or 0.0
    is_training = run.state == "running" and run.epochs
    seconds_left = (
        seconds / len(run.epochs) * (num_epochs - len(run.epochs)) if is_training else None
    )
    sink.put(
        progress={
            "stage": _STAGES.get(run.state, run.state),
            "share": len(run.epochs) / max(num_epochs, 1),
            "epochs": num_epochs,
            "seconds": seconds,
            "secondsLeft": seconds_left,
            "tokensPerSecond": run.epochs[-1]["tokens_per_second"] if run.epochs else None,
        }
    )
    sink.replace("epochs", [parts.epoch_row(row) for row in run.epochs])
    if run.recipe:
        sink.put(settings=parts.settings(run.recipe, describe_recipe(run.recipe)))
    if run.state == "finished":
        sink.put(end=parts.result(run, run.path))
    elif run.error is not None:
        sink.put(end={"message": run.error})
