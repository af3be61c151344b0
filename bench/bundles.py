"""Tokens a second of trained models, by their step and the sampler alone.

    python bench/bundles.py MODEL [MODEL ...] [--steps 100]

Each row samples with the default settings and goes on with what it sampled. The models take turns
and the best of four rounds counts, since the machine is shared; compare the ratios, which are to
the first model.
"""

import argparse
import time

from lorelm.bundle import Bundle
from lorelm.corpus.vocabulary import UNK_ID
from lorelm.generation.settings import GenerationSettings
from lorelm.runtime.base import Runtime
from lorelm.sampling import sample

import numpy as np

ROUNDS = 4


def measure(runtime: Runtime, num_rows: int, num_steps: int) -> tuple[float, float]:
    """Return tokens a second, and the share of the time that sampling takes."""
    batch, random = runtime.batch(num_rows), np.random.default_rng(0)
    settings = [GenerationSettings()] * num_rows
    ids_B = np.arange(2, 2 + num_rows)
    sampling = 0.0
    started = time.perf_counter()
    for _ in range(num_steps):
        logits_BV = batch.step(ids_B)
        logits_BV[:, UNK_ID] = -np.inf
        before = time.perf_counter()
        ids_B = sample(logits_BV, settings, uniforms_B=random.random(num_rows))
        sampling += time.perf_counter() - before
    seconds = time.perf_counter() - started
    return num_rows * num_steps / seconds, sampling / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help="folders, or english")
    parser.add_argument("--steps", type=int, default=100)
    flags = parser.parse_args()
    bundles = [Bundle.load(path) for path in flags.models]
    runtimes = [bundle.runtime() for bundle in bundles]
    print("| rows | model | words | tokens/s | ratio | sampling |")
    print("|---|---|---|---|---|---|")
    for num_rows in (1, 8, 64):
        rounds = [
            [measure(runtime, num_rows, flags.steps) for runtime in runtimes] for _ in range(ROUNDS)
        ]
        best = [max(each) for each in zip(*rounds, strict=True)]
        for name, bundle, (rate, share) in zip(flags.models, bundles, best, strict=True):
            cells = (
                f"{num_rows}",
                name,
                f"{len(bundle.vocabulary):,}",
                f"{rate:,.0f}",
                f"{rate / best[0][0]:.2f}",
                f"{share:.0%}",
            )
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
