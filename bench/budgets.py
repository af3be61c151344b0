"""Time budgets and estimates on a machine that others use, too.

    python bench/budgets.py budgets [--seconds 60 180 600] [--neighbours 1] [--patterns first last]
    python bench/budgets.py estimates [--neighbours 0 1 2]

A neighbour is a process that computes without end, of equal priority. Both need a machine where
nothing else runs. They train in a temporary folder.

budgets: the first corpus by `--time-budget`, on an idle machine, and beside a neighbour that
comes and goes: in the 1st and 3rd quarter of the time ("first"), or in the 2nd and 4th ("last"). A
run must end within its budget. Its perplexity (of the whole validation part) is compared with that
of an idle run that gets as much processor time: its budget is shortened in proportion.

estimates: what `lorelm inspect` says before, and what `lorelm train` takes then.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from busy import neighbours
from lorelm.bundle import Bundle
from lorelm.evaluation.perplexity import perplexity, predict
from lorelm.evaluation.trained_corpus import find_trained_corpus

import polars

PATTERNS = {"first": (0, 2), "last": (1, 3)}
"""The quarters of the time in which there are neighbours."""


@contextmanager
def coming_and_going(number: int, quarters: tuple[int, ...], seconds: float) -> Iterator[None]:
    """Run neighbours in some quarters of a time, and end them at its end at the latest."""
    is_over = threading.Event()

    def run() -> None:
        started = time.monotonic()
        for quarter in range(4):
            left = started + (quarter + 1) * seconds / 4 - time.monotonic()
            with neighbours(number if quarter in quarters else 0):
                if is_over.wait(max(left, 0)):
                    return

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run of ``lorelm train``."""

    seconds: float
    processor_seconds: float
    bundle: Bundle

    @property
    def perplexity(self) -> float:
        """Of the network on the whole validation part; the run may have used a sample of it."""
        valid = find_trained_corpus(self.bundle).valid.stream
        predicted = predict(self.bundle.runtime(), valid)
        return perplexity(-predicted.log_probabilities.mean())


def train(path: Path, *options: str) -> Run:
    out = Path(tempfile.mkdtemp(dir=path.parent)) / "model"
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "lorelm", "train", str(path), "--out", str(out), *options],
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    if status:
        sys.exit(errors.decode())
    processor_seconds = usage.ru_utime + usage.ru_stime
    return Run(seconds=seconds, processor_seconds=processor_seconds, bundle=Bundle.load(out))


def inspect(path: Path) -> list[float]:
    """What ``lorelm inspect`` says: the least and the most seconds."""
    command = [sys.executable, "-m", "lorelm", "inspect", str(path), "--json"]
    ended = subprocess.run(command, capture_output=True, check=True)
    found: list[float] = json.loads(ended.stdout)["training_seconds"]
    return found


def budget_row(name: str, budget: float, run: Run, equal: float | None) -> str:
    training, recipe = run.bundle.manifest.training, run.bundle.manifest.recipe
    assert training is not None
    assert recipe is not None
    compared = "" if equal is None else f"{run.perplexity / equal - 1:+.1%}"
    verdict = "" if run.seconds <= budget else "  TOO LATE"
    return (
        f"{name:22}{budget:8.0f}{run.seconds:9.1f}{run.processor_seconds:11.1f}"
        f"{recipe['hidden_size']:7}{training.epochs:8}{run.perplexity:12.1f}{compared:>9}{verdict}"
    )


def compare_budgets(path: Path, budgets: list[float], number: int, patterns: list[str]) -> None:
    print(
        f"{'':22}{'budget':>8}{'seconds':>9}{'processor':>11}{'width':>7}{'epochs':>8}"
        f"{'perplexity':>12}{'against':>9}"
    )
    for budget in budgets:
        idle = train(path, "--time-budget", f"{budget:g}s")
        print(budget_row("idle", budget, idle, None), flush=True)
        for name in patterns:
            with coming_and_going(number, PATTERNS[name], budget):
                busy = train(path, "--time-budget", f"{budget:g}s")
            shorter = budget * min(busy.processor_seconds / idle.processor_seconds, 1)
            equal = train(path, "--time-budget", f"{shorter:.1f}s")
            print(budget_row(f"{number} neighbour(s), {name}", budget, busy, equal.perplexity))
            print(budget_row("  idle, equal time", shorter, equal, None), flush=True)


def compare_estimates(paths: list[Path], numbers: list[int]) -> None:
    print(f"{'':26}{'neighbours':>11}{'estimate, seconds':>21}{'seconds':>9}")
    for path in paths:
        for number in numbers:
            with neighbours(number):
                low, high = inspect(path)
                seconds = train(path).seconds
            estimate = f"{low:.0f} to {high:.0f}"
            print(f"{path.name:26}{number:11}{estimate:>21}{seconds:9.0f}", flush=True)


def corpora(data: Path, folder: Path, names: list[str]) -> Iterator[Path]:
    """Yield files in a folder, where the bundles in it find them again."""
    for name in names:
        path = folder / name
        if (data / name).exists():
            path.write_bytes((data / name).read_bytes())
        else:  # a title or an author, such as Ivanhoe.txt
            books = polars.read_parquet(data / "books" / "books.parquet")
            is_named = (polars.col("title") == path.stem) | (polars.col("author") == path.stem)
            path.write_text("\n\n".join(books.filter(is_named)["text"]), encoding="utf-8")
        yield path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["budgets", "estimates"])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument(
        "--corpora",
        nargs="+",
        default=["lotr_scripts.csv", "tinyshakespeare.txt", "Ivanhoe.txt"],
    )
    parser.add_argument("--seconds", type=float, nargs="+", default=[60, 180, 600])
    parser.add_argument("--neighbours", type=int, nargs="+")
    parser.add_argument("--patterns", nargs="+", choices=PATTERNS, default=list(PATTERNS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = list(corpora(arguments.data, Path(folder), arguments.corpora))
        if arguments.what == "budgets":
            number = (arguments.neighbours or [1])[0]
            compare_budgets(paths[0], arguments.seconds, number, arguments.patterns)
        else:
            compare_estimates(paths, arguments.neighbours or [0, 1, 2])


if __name__ == "__main__":
    main()
