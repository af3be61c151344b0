"""What ``lorelm train`` reports of a run: to a page, --watch, or to a file, --events."""

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Self

import psutil

from lorelm.bundle import Bundle
from lorelm.cli.terminal import show_address
from lorelm.corpus.preparation import Corpus
from lorelm.errors import InputError, LoreLMError, TrainingStoppedError
from lorelm.machine.cores import available_cores
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.runs.run import read_run
from lorelm.server.watch import parts
from lorelm.server.watch.event_file import EventFile, RunSink
from lorelm.server.watch.page import WatchServer
from lorelm.server.watch.watched_run import WatchedRun
from lorelm.training.callbacks import EpochReport, Progress, TrainingCallback
from lorelm.training.recipe import Recipe, describe_recipe
from lorelm.training.threads import num_threads

_SECONDS_BETWEEN_LOOKS: Final = 1.0
_NUM_LOOKS_FOR_SPEED: Final = 10
_NUM_LOOKS_FOR_CHART: Final = 5

_MAX_USAGE_ROWS: Final = 600
"""Twice as many are thinned out to this number, so that a long run stays a short message."""


@contextmanager
def watch_page(out: Path, source: str) -> Iterator["RunReporter"]:
    """Yield a callback that shows a run on a page of its own, as long as the context is open.

    Args:
        out: the folder of the run.
        source: the name of the corpus.
    """
    run = WatchedRun(parts.about(source, out, is_live=True))
    # The server ends last: it sends the end of the run to the pages that are open.
    with WatchServer(run) as server, RunReporter(run, out) as reporter:
        show_address(server.url)
        yield reporter


@contextmanager
def event_file(path: Path, out: Path) -> Iterator["RunReporter"]:
    """Yield a callback that writes the same to a file.

    Raises:
        InputError: the file cannot be written.
    """
    try:
        events = EventFile(path)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror or error}): name another file (--events)",
            code="train.unwritable_events",
        ) from error
    with closing(events), RunReporter(events, out) as reporter:
        yield reporter


class RunReporter(TrainingCallback):
    """Reports a run to a sink, as long as the context is open.

    The training thread counts tokens and hands over what an epoch brings. A thread looks at speed,
    memory and processor once a second, whether a page is open or not.
    """

    wants_samples = True

    def __init__(self, run: RunSink, out: Path) -> None:
        self._run: Final = run
        self._out: Final = out
        self._began: Final = time.monotonic()
        self._usage: Final = _Usage()
        self._is_over: Final = threading.Event()
        self._looking: Final = threading.Thread(
            target=self._look_until_over, name="lorelm-watch-usage", daemon=True
        )
        self._looks: deque[tuple[float, int]] = deque(maxlen=_NUM_LOOKS_FOR_SPEED)
        self._stage = "preparing"
        self._num_cores: Final = available_cores()
        self._num_threads = num_threads()
        self._share = 0.0
        self._loss: float | None = None
        self._seconds_left: float | None = None
        self._end: dict[str, object] = {}
        self._epochs = self._num_tokens = 0

    def __enter__(self) -> Self:
        self._run.replace("usage", [])  # of an earlier process of the run
        self._run.put(end=None)
        self._put_progress()
        self._looking.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: Any
    ) -> None:
        self._is_over.set()
        self._looking.join()
        if isinstance(error, TrainingStoppedError | KeyboardInterrupt):
            self._stage = "stopped"
        elif error is not None:
            self._stage = "failed"
        if error is not None:
            message = str(error) if isinstance(error, LoreLMError) else type(error).__name__
            self._end = {"message": message}
        # In one event: the page closes its stream when it has the end.
        self._run.put(end=self._end, progress=self._progress)

    def on_start(self, corpus: Corpus, recipe: Recipe) -> None:
        self._epochs = recipe.epochs
        self._stage = "training"
        settings = recipe.to_dict()
        self._looks.clear()
        self._run.replace("epochs", [])
        self._run.put(
            corpus=_corpus_facts(corpus),
            settings=parts.settings(settings, describe_recipe(settings)),
        )
        self._run.append("messages", *corpus.notes)
        self._put_progress()

    def on_restore(self, epochs: Sequence[EpochReport], *, epoch_tokens: int) -> None:
        self._run.replace("epochs", [parts.epoch_row(report.metrics) for report in epochs])
        self._looks.clear()
        self._put_progress()

    def on_progress(self, progress: Progress) -> None:
        self._share, left, self._loss = progress.share, progress.left, progress.loss
        self._seconds_left = None if left is None else left.middle

    def on_step(self, *, num_tokens: int) -> None:
        self._num_tokens += num_tokens
        self._num_threads = num_threads()  # PyTorch's, of the thread that trains

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        self._run.append("epochs", parts.epoch_row(report.metrics))
        self._put_progress()

    def on_sample(self, epoch: int, text: str) -> None:
        self._run.append("samples", {"epoch": epoch, "text": text.strip()})

    def on_evaluation(self, corpus: Corpus) -> None:
        self._stage = "evaluating"
        self._put_progress()

    def on_problem(self, message: str) -> None:
        self._run.append("messages", message)

    def on_end(self, bundle: Bundle) -> None:
        self._stage = "finished"
        self._end = parts.result(read_run(self._out), self._out)

    def _speed(self, num_looks: int) -> float | None:
        """Return the tokens per second over the last looks; None: it does not train."""
        looks = [*self._looks][-num_looks:]
        if self._stage != "training" or len(looks) < 2:
            return None
        (began, before), (ended, after) = looks[0], looks[-1]
        return (after - before) / (ended - began)

    def _put_progress(self) -> None:
        self._run.put(progress=self._progress)

    @property
    def _progress(self) -> dict[str, object]:
        is_over = self._stage in ("finished", "stopped", "failed")
        return {
            "stage": self._stage,
            "share": self._share,
            "epochs": self._epochs,
            "seconds": time.monotonic() - self._began,
            "secondsLeft": None if is_over else self._seconds_left,
            "tokensPerSecond": self._speed(_NUM_LOOKS_FOR_SPEED),
            "threads": self._num_threads,
            "cores": self._num_cores,
        }

    def _look_until_over(self) -> None:
        rows: list[tuple[float | None, ...]] = []
        while not self._is_over.wait(_SECONDS_BETWEEN_LOOKS):
            now = time.monotonic()
            self._looks.append((now, self._num_tokens))
            self._put_progress()
            speed = self._speed(_NUM_LOOKS_FOR_CHART) or 0.0
            row = (now - self._began, speed, *self._usage.look(), self._loss)
            rows.append(row)
            if len(rows) < 2 * _MAX_USAGE_ROWS:
                self._run.append("usage", row)
            else:
                rows = rows[::2]
                self._run.replace("usage", rows[:])


class _Usage:
    """Memory in megabytes, and how many cores are busy, of this process."""

    def __init__(self) -> None:
        self._process: Final = psutil.Process()
        self._last = self._clocks()

    def look(self) -> tuple[float, float]:
        before, self._last = self._last, self._clocks()
        cores = (self._last[1] - before[1]) / max(self._last[0] - before[0], 1e-3)
        return self._process.memory_info().rss / 1e6, cores

    def _clocks(self) -> tuple[float, float]:
        times = self._process.cpu_times()
        return time.monotonic(), times.user + times.system


def _corpus_facts(corpus: Corpus) -> list[tuple[str, str]]:
    parts = (("training", corpus.train), ("validation", corpus.valid), ("test", corpus.test))
    return [
        *(
            (name, f"{part.num_documents:,} documents, {len(part.stream):,} tokens")
            for name, part in parts
        ),
        ("vocabulary", f"{len(corpus.vocabulary):,} words, tokenizer “{corpus.tokenizer.style}”"),
    ]
