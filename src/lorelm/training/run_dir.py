"""The output directory of a training run: locked by one run at a time, and kept if unfinished."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lorelm.bundle.layout import CHECKPOINT
from lorelm.bundle.writer import lock_output_dir
from lorelm.errors import BundleError, CheckpointError, TrainingStoppedError
from lorelm.training.checkpoint import Checkpoint, last_checkpoint
from lorelm.training.processes import Processes


@contextmanager
def locked_run_dir(out: Path, processes: Processes, *, is_resumed: bool) -> Iterator[None]:
    """Lock the directory of a run, from before its corpus is read until its bundle is saved.

    Only the main process locks it. Errors that end the run say how to continue it.

    Raises:
        BundleError: the directory holds something else, cannot be written, or another run uses it.
        CheckpointError: it holds an unfinished run and `is_resumed` is false.
        TrainingStoppedError: Ctrl-C.
    """
    with ExitStack() as stack:

        def lock() -> None:
            stack.enter_context(lock_output_dir(out))
            unfinished = None if is_resumed else Checkpoint.find(out)
            if unfinished is not None:
                raise CheckpointError(
                    f"{out} holds an unfinished run ({unfinished.snapshot.description}): go on "
                    f"with {unfinished.ways_on(out)}, choose another folder (out, --out), "
                    f"or delete {out / CHECKPOINT}",
                    code="checkpoint.unfinished_run",
                )

        processes.broadcast_from_main(lock)
        try:
            yield
        except KeyboardInterrupt:
            raise TrainingStoppedError(f"stopped{_how_to_resume(out)}") from None
        except BundleError as error:
            raise BundleError(f"{error}{_how_to_resume(out)}", code=error.code) from error


def _how_to_resume(out: Path) -> str:
    saved = last_checkpoint(out)
    return f"; {saved}" if saved else ""
