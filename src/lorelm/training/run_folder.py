"""The folder of a training run: held by one run at a time, and kept where that is unfinished."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from lorelm.bundle.atomic_dir import resolve_dir
from lorelm.bundle.layout import CHECKPOINT
from lorelm.bundle.quoting import quoted
from lorelm.bundle.writer import lock_output_dir
from lorelm.errors import BundleError, CheckpointError, TrainingStoppedError
from lorelm.training.checkpoint import Checkpoint, last_checkpoint
from lorelm.training.processes import Processes


@contextmanager
def held_run_folder(out: Path, processes: Processes, *, is_resumed: bool) -> Iterator[None]:
    """Holds the folder of a run, from before its corpus is read to after its bundle is saved.

    Only the writer among the processes holds it. What ends the run says what is kept of it.

    Raises:
        BundleError: the folder holds something else, cannot be written, or is held by another run.
        CheckpointError: it holds an unfinished run that is not to be gone on with.
        TrainingStoppedError: Ctrl-C.
    """
    with ExitStack() as held:
        processes.by_writer(partial(_hold, held, out, is_resumed=is_resumed))
        try:
            yield
        except KeyboardInterrupt:
            raise TrainingStoppedError(f"stopped{_kept(out)}") from None
        except BundleError as error:
            raise BundleError(f"{error}{_kept(out)}") from error


def unfinished_run(out: Path) -> Checkpoint | None:
    """The last checkpoint of the run in a folder, if it holds an unfinished one.

    Raises:
        CheckpointError: it is damaged.
    """
    return Checkpoint.load(out) if (resolve_dir(out) / CHECKPOINT).is_file() else None


def _hold(held: ExitStack, out: Path, *, is_resumed: bool) -> None:
    held.enter_context(lock_output_dir(out))
    if not is_resumed:
        _refuse_unfinished(out)


def _refuse_unfinished(out: Path) -> None:
    """Refuses a folder with an unfinished run, of which nothing is to be lost.

    Raises:
        CheckpointError: it holds one.
    """
    unfinished = unfinished_run(out)
    if unfinished is not None:
        where = unfinished.snapshot.description
        raise CheckpointError(
            f"{out} holds an unfinished run ({where}): go on with lorelm train --resume "
            f"{quoted(out)}, give --out another folder, or delete {out / CHECKPOINT}"
        )


def _kept(out: Path) -> str:
    kept = last_checkpoint(out)
    return f"; {kept}" if kept else ""
