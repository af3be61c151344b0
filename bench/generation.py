"""Tokens a second of one-token-at-a-time generation, by what executes the model.

    python bench/generation.py [--seconds 1.5]

The model has the sizes of the classic recipe and random weights (the arithmetic does not care).
The baseline is what a notebook does: ``nn.LSTM`` called for one token, the next picked by argmax.
Each runtime is measured with the same loop, argmax included, for 1, 8 and 64 rows and for one and
two threads. All runs take turns and the best of three rounds counts, since the machine is shared;
compare the ratios, not the figures. A ratio is to PyTorch with as many threads.
"""

import argparse
import time
from collections.abc import Callable

from lorelm.model.config import ModelConfig
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.runtime.base import Runtime, State
from lorelm.runtime.onnx_runtime import OnnxRuntime
from lorelm.runtime.step_graph import PRECISIONS, build_step_graph

import numpy as np
import torch

CONFIG = ModelConfig(vocabulary_size=911, embedding_size=512, hidden_size=512, num_layers=2)
ROUNDS = 3

Step = Callable[[], None]


def pytorch_step(model: LSTMLanguageModel, num_threads: int) -> Step:
    """One token of a plain PyTorch loop."""
    state = model.initial_state(1)
    ids = torch.zeros(1, 1, dtype=torch.long)

    @torch.no_grad()
    def step() -> None:
        nonlocal ids, state
        torch.set_num_threads(num_threads)
        logits, state = model(ids, state)
        ids = logits[-1:, :, :].argmax(dim=-1)

    return step


def runtime_step(runtime: Runtime, num_rows: int) -> Step:
    """One token of each row."""
    state = State.zeros(CONFIG, num_rows)
    ids = np.zeros(num_rows, dtype=np.int64)

    def step() -> None:
        nonlocal ids, state
        logits, state = runtime.step(ids, state)
        ids = logits.argmax(axis=1)

    return step


def steps_per_second(step: Step, seconds: float) -> float:
    """How often `step` runs in a second, after a few runs to warm up."""
    for _ in range(5):
        step()
    count = 0
    started = now = time.perf_counter()
    while now - started < seconds:
        step()
        count += 1
        now = time.perf_counter()
    return count / (now - started)


def measure(seconds: float) -> dict[tuple[str, int, int], float]:
    """Tokens a second by (what, rows, threads)."""
    torch.manual_seed(0)
    model = LSTMLanguageModel(CONFIG).eval()
    weights = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    graphs = {precision: build_step_graph(weights, CONFIG, precision) for precision in PRECISIONS}
    steps = {("PyTorch nn.LSTM", 1, threads): pytorch_step(model, threads) for threads in (1, 2)}
    for precision, graph in graphs.items():
        for threads in (1, 2):
            runtime = OnnxRuntime(graph, CONFIG, num_threads=threads)
            for rows in (1, 8, 64):
                steps[precision, rows, threads] = runtime_step(runtime, rows)
    best = dict.fromkeys(steps, 0.0)
    for _ in range(ROUNDS):
        for key, step in steps.items():
            tokens_per_second = steps_per_second(step, seconds) * key[1]
            best[key] = max(best[key], tokens_per_second)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.5, help="per measurement and round")
    figures = measure(parser.parse_args().seconds)
    print(f"{'':16} {'rows':>4} {'threads':>7} {'tokens/s':>9} {'x PyTorch':>9}")
    for (what, rows, threads), tokens_per_second in figures.items():
        ratio = tokens_per_second / figures["PyTorch nn.LSTM", 1, threads]
        print(f"{what:16} {rows:4} {threads:7} {tokens_per_second:9,.0f} {ratio:9.1f}")


if __name__ == "__main__":
    main()
