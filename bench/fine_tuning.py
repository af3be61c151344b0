"""What settings of the recipe `fine-tune` are worth, from a base model, on several seeds.

    python bench/fine_tuning.py ["" "epochs=12" "dropout=0.4 batch_size=32" ...]
        [--init english] [--corpora lotr ...] [--seeds 0 1 2]

Each argument is a set of changes to the recipe; "" is the recipe itself, and "init=none" the recipe
`default` from scratch. The figures are of the test part, as the model serves, in int8: mean of the
seeds and, in brackets, the lowest and the highest. Compare bits per character where vocabularies
differ. The seconds are of training alone.
"""

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from lorelm.bundle.metrics import Metrics
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe
from lorelm.training.train import train
from quality import CORPORA, BenchCorpus, mean_and_range


@dataclass(frozen=True, kw_only=True)
class Result:
    """One training."""

    metrics: Metrics
    valid_perplexity: float
    seconds: float


def run(corpus: BenchCorpus, changes: dict[str, object], init: str, seed: int) -> Result:
    """Train and evaluate."""
    init = str(changes.pop("init", init))
    name = "default" if init == "none" else "fine-tune"
    recipe = Recipe.load(name, **{"seed": seed} | changes)
    options = TrainingOptions(init=None if init == "none" else init)
    with tempfile.TemporaryDirectory() as folder:
        bundle = train(
            corpus.train,
            recipe,
            out=Path(folder) / "model",
            options=options,
            valid=corpus.valid,
            test=corpus.test,
        )
    assert bundle is not None
    manifest = bundle.manifest
    assert manifest.metrics is not None
    assert manifest.training is not None
    return Result(
        metrics=manifest.metrics,
        valid_perplexity=manifest.training.valid_perplexity,
        seconds=manifest.training.seconds,
    )


def parsed(changes: str) -> dict[str, object]:
    """Return the settings of "epochs=12 dropout=0.4"."""
    settings: dict[str, object] = {}
    for change in changes.split():
        name, value = change.split("=", 1)
        try:
            settings[name] = json.loads(value)  # a number, true or false
        except ValueError:
            settings[name] = value
    return settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("changes", nargs="*", default=[""])
    parser.add_argument("--init", default="english")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--corpora", nargs="+", choices=CORPORA, default=["lotr"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    flags = parser.parse_args()
    print("| corpus | changes | bits per character | perplexity | unknown | seconds |")
    print("|---|---|---|---|---|---|")
    for name in flags.corpora:
        corpus = CORPORA[name](flags.data)
        for changes in flags.changes:
            results = [run(corpus, parsed(changes), flags.init, seed) for seed in flags.seeds]
            bits = [each.metrics.bits_per_character or 0 for each in results]
            cells = (
                f"{corpus.title}",
                changes or "none",
                mean_and_range(bits, 3),
                mean_and_range([each.metrics.perplexity for each in results], 1),
                f"{mean(each.metrics.unknown_rate for each in results):.1%}",
                mean_and_range([each.seconds for each in results], 0),
            )
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
