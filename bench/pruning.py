"""Which pruner `lorelm tune` should use: trainings of random settings, replayed in many orders.

    OMP_NUM_THREADS=1 python bench/pruning.py CURVES.jsonl [--data FILE] [--settings 32] [--seeds 0]

Each setting is trained to its end, and its curve is written to CURVES.jsonl, where those of an
earlier call are found again. Then each pruner sees the curves in 24 orders, the recipe first. What
counts: the share of the processor time that is left, and whether the best setting is still found.
"""

import argparse
import json
import math
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

from lorelm.corpus.preparation import Corpus, prepare_corpus
from lorelm.corpus.readers import read_documents
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.training.corpus_size import sized_to
from lorelm.training.initial_checkpoint import initial_model
from lorelm.training.loop import fit
from lorelm.training.recipe import Recipe
from lorelm.training.trainer import Trainer
from lorelm.training.tuning.space import Range, changed_recipe, own_parameters, search_space

import optuna
import torch

NUM_REPORTS = 20
NUM_ORDERS = 24

PRUNERS = {
    "none": optuna.pruners.NopPruner,
    **{
        f"median, after {start} trials, from {warm}/20 on": (
            lambda start=start, warm=warm: optuna.pruners.MedianPruner(start, warm)
        )
        for start in (1, 2, 5)
        for warm in (2, 4, 6)
    },
    "successive halving, 3 and 1/3": lambda: optuna.pruners.SuccessiveHalvingPruner(3, 3),
    "successive halving, 5 and 1/2": lambda: optuna.pruners.SuccessiveHalvingPruner(5, 2),
    "Hyperband, 3 and 1/3": lambda: optuna.pruners.HyperbandPruner(3, NUM_REPORTS, 3),
    "Hyperband, 5 and 1/2": lambda: optuna.pruners.HyperbandPruner(5, NUM_REPORTS, 2),
}


def settings(number: int, recipe: Recipe, space: Mapping[str, Range]) -> dict[str, Any]:
    """The recipe's own settings, then random ones."""
    if number == 0:
        return own_parameters(recipe, space)
    chance = random.Random(number)
    found: dict[str, Any] = {}
    for name, each in space.items():
        ends = (math.log(each.low), math.log(each.high)) if each.is_log else (each.low, each.high)
        value = chance.uniform(*ends)
        value = math.exp(value) if each.is_log else value
        found[name] = round(value) if each.is_whole else value
    return found


def train(corpus: Corpus, recipe: Recipe) -> dict[str, Any]:
    began = time.process_time()
    trainer = Trainer(initial_model(corpus, recipe, torch.device("cpu")), corpus, recipe)
    perplexities = [report.valid_perplexity for report in fit(trainer).epochs]
    return {"curve": perplexities, "seconds": time.process_time() - began}


def replay(
    runs: Sequence[Mapping[str, Any]], pruner: optuna.pruners.BasePruner
) -> tuple[float, float]:
    """Return the processor time that was used, and the lowest perplexity of a completed trial."""
    study = optuna.create_study(pruner=pruner)
    used, lowest = 0.0, math.inf
    for position, run in enumerate(runs):
        trial, curve = study.ask(), run["curve"]
        state, last = optuna.trial.TrialState.COMPLETE, 0
        for epoch, perplexity in enumerate(curve, start=1):
            used += run["seconds"] / len(curve)
            step = NUM_REPORTS * epoch // len(curve)
            if step == last:
                continue
            last = step
            trial.report(perplexity, step)
            if position > 0 and epoch < len(curve) and trial.should_prune():
                state = optuna.trial.TrialState.PRUNED
                break
        if state == optuna.trial.TrialState.PRUNED:
            study.tell(trial, state=state)
        else:
            study.tell(trial, min(curve))
            lowest = min(lowest, *curve)
    return used, lowest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("curves", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/lotr_scripts.csv"))
    parser.add_argument("--settings", type=int, default=32)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--hidden-size", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--dropout", type=float, default=0.5)
    flags = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    lines = flags.curves.read_text().splitlines() if flags.curves.exists() else []
    runs = {(run["number"], run["seed"]): run for run in map(json.loads, lines)}
    given = {"hidden_size": flags.hidden_size, "epochs": flags.epochs, "dropout": flags.dropout}
    recipe = Recipe.load("default", **given)
    corpus = prepare_corpus(
        read_documents(flags.data),
        tokenizer=make_tokenizer(recipe.tokenizer),
        vocabulary=recipe.vocabulary_rules(),
        split_seed=recipe.split_seed,
    ).without_test_part()
    recipe = sized_to(recipe, len(corpus.train.stream))
    space = search_space(recipe)
    for number in range(flags.settings):
        changed = changed_recipe(recipe, settings(number, recipe, space))
        for seed in flags.seeds:
            if (number, seed) not in runs:
                run = {"number": number, "seed": seed}
                run |= train(corpus, replace(changed, seed=seed))
                runs[number, seed] = run
                with flags.curves.open("a") as file:
                    file.write(json.dumps(run) + "\n")
    first = [runs[number, flags.seeds[0]] for number in range(flags.settings)]
    lowest = sorted(min(run["curve"]) for run in first)
    print(
        f"the recipe {min(first[0]['curve']):.1f}, the others {lowest[0]:.1f} to {lowest[-1]:.1f}"
    )
    whole = sum(run["seconds"] for run in first)
    orders = []
    for order in range(NUM_ORDERS):
        others = first[1:]
        random.Random(order).shuffle(others)
        orders.append([first[0], *others])
    print(f"\n{'pruner':40}{'time':>6}{'best found':>12}")
    for name, pruner in PRUNERS.items():
        ends = [replay(order, pruner()) for order in orders]
        found = sum(perplexity == lowest[0] for _, perplexity in ends)
        print(f"{name:40}{mean(used for used, _ in ends) / whole:6.0%}{found:6} of {NUM_ORDERS}")


if __name__ == "__main__":
    main()
