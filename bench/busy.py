"""Training beside busy processes: what choosing the number of threads is worth.

    python bench/busy.py [--data ../shared/data] [--epochs 3] [--rounds 2] [--neighbours 0 1 2]

The recipe ``default`` trains on the film dialogue, in processes that start one after the other,
alone and beside processes that compute without end at the same priority:

- *before*: two threads that spin 1,000 times, as LoreLM trained until 0.1;
- *one thread* and *all threads*: a fixed number, as with ``--threads``;
- *chosen*: as ``lorelm train`` does.

Seconds of training alone, the median of the rounds. The goal beside neighbours is 1.2 times the
better of one thread's time there and of a fair share: the time of all threads alone, stretched by
the number of busy threads for each core.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIANTS = {
    "before": ({"GOMP_SPINCOUNT": "1000"}, "all"),
    "one thread": ({}, "1"),
    "all threads": ({}, "all"),
    "chosen": ({}, "auto"),
}
_WAITING = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "KMP_BLOCKTIME", "OMP_NUM_THREADS")


@contextmanager
def neighbours(number: int) -> Iterator[None]:
    """Run processes that compute without end, at the same priority, for at most an hour."""
    endless = "import time\nend = time.time() + 3600\nwhile time.time() < end: pass"
    processes = [subprocess.Popen([sys.executable, "-c", endless]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def seconds_of_training(variant: str, data: Path, epochs: int) -> float:
    """Train in a process of its own."""
    variables, threads = VARIANTS[variant]
    kept = {name: value for name, value in os.environ.items() if name not in _WAITING}
    run = subprocess.run(
        [sys.executable, __file__, "--train", threads, "--data", data, "--epochs", str(epochs)],
        env=kept | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    seconds: float = json.loads(run.stdout)
    return seconds


def train(threads: str, data: Path, epochs: int) -> None:
    """Print the seconds of training, without validation."""
    from lorelm.machine.cores import available_cores
    from lorelm.training.recipe import Recipe
    from lorelm.training.threads import make_tuner
    from quality import films
    from training import CPU, TimedTraining, prepare

    corpus = prepare(films(data))
    tuner = make_tuner({"all": available_cores(), "auto": None}.get(threads, 1), CPU)
    recipe = Recipe.load("default", tokenizer="classic")
    training = TimedTraining(corpus, recipe, threads=tuner)
    next(training.epoch())  # imports and allocates
    print(json.dumps(sum(step.seconds for _ in range(epochs) for step in training.epoch())))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--neighbours", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--train", choices=["1", "all", "auto"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train:
        train(arguments.train, arguments.data, arguments.epochs)
        return
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, load {os.getloadavg()[0]:.1f} before")
    print(f"{'seconds beside':16}" + "".join(f"{name:>14}" for name in VARIANTS) + "   goal  ratio")
    alone = 0.0
    for number in arguments.neighbours:
        with neighbours(number):
            runs = {
                name: statistics.median(
                    seconds_of_training(name, arguments.data, arguments.epochs)
                    for _ in range(arguments.rounds)
                )
                for name in VARIANTS
            }
        alone = alone or runs["all threads"]
        fair_share = alone * max(1, (cores + number) / cores)
        goal = min(fair_share, runs["one thread"])
        print(
            f"{number:2} neighbours   "
            + "".join(f"{seconds:14.2f}" for seconds in runs.values())
            + f"{goal:7.2f}{runs['chosen'] / goal:7.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
