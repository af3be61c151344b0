"""What `lorelm tune` finds, against the recipe that it began with: three seeds each.

    python bench/tune.py [--data ../shared/data/lotr_scripts.csv] [--time-budget 30m] [--out FOLDER]

The tuning is the command, in a process of its own. Then both recipes are trained as `lorelm train`
does, by seeds that the tuning has not seen, one after the other in turn. A tuning that is in the
folder already goes on; with --time-budget 0 it is taken as it is.
"""

import argparse
import dataclasses
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from lorelm.corpus.readers import read_documents
from lorelm.training.recipe import Recipe
from lorelm.training.train import train

SEEDS = (100, 101, 102)


@dataclass(frozen=True, kw_only=True)
class Run:
    """Perplexities of one training, and how long it took."""

    valid: float
    test: float
    seconds: float


def trained(data: Path, recipe: Recipe, seed: int) -> Run:
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        bundle = train(
            read_documents(data), dataclasses.replace(recipe, seed=seed), out=Path(folder) / "model"
        )
    assert bundle is not None
    training = bundle.manifest.training
    assert training is not None
    return Run(
        valid=training.valid_perplexity,
        test=training.test_perplexity,
        seconds=time.perf_counter() - began,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/lotr_scripts.csv"))
    parser.add_argument("--time-budget", default="30m", help="0 takes the folder as it is")
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "tuned")
    flags = parser.parse_args()
    if flags.time_budget != "0":
        command = [sys.executable, "-m", "lorelm", "tune", str(flags.data), "--out", str(flags.out)]
        command += ["--recipe", flags.recipe, "--time-budget", flags.time_budget]
        began = time.perf_counter()
        subprocess.run(command, check=True)
        print(f"lorelm tune took {time.perf_counter() - began:,.0f} s\n", flush=True)
    recipes = {
        flags.recipe: Recipe.load(flags.recipe),
        "tuned": Recipe.load(str(flags.out / "best.toml")),
    }
    runs: dict[str, list[Run]] = {name: [] for name in recipes}
    print(f"{'recipe':12}{'seed':>6}{'valid perplexity':>18}{'test perplexity':>17}{'seconds':>9}")
    for seed in SEEDS:
        for name, recipe in recipes.items():
            run = trained(flags.data, recipe, seed)
            runs[name].append(run)
            print(
                f"{name:12}{seed:6}{run.valid:18.2f}{run.test:17.2f}{run.seconds:9.0f}", flush=True
            )
    for name, of in runs.items():
        valid, test = mean(run.valid for run in of), mean(run.test for run in of)
        seconds = mean(run.seconds for run in of)
        print(f"{name:12}{'mean':>6}{valid:18.2f}{test:17.2f}{seconds:9.0f}")


if __name__ == "__main__":
    main()
