"""Training: tokens a second, and seconds to a model of a certain worth, against a plain loop.

    OMP_NUM_THREADS=1 python bench/training.py [--data ../shared/data] [--max-epochs 60]

The corpus is the film dialogue on the split of ``bench/quality.py``. The baseline is what a
tutorial does with the settings of the recipe ``classic``: ``nn.Embedding``, ``nn.LSTM``,
``nn.Linear``, ``cross_entropy``, Adam, the loss asked for after each step, all in float32.

Tokens a second: the plain loop and the recipe ``classic`` in both precisions take turns step by
step, so that noise on a shared machine hits all alike; the median step counts.

Seconds to a validation perplexity: training alone, validation after each epoch not counted; by the
clock, and of the processor, which a busy machine stretches less (with one thread it is the time of
the work). The recipe ``default`` runs before and after the plain loop. Compare the ratios.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lorelm.corpus.documents import CorpusParts
from lorelm.corpus.preparation import Corpus, prepare_corpus
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.evaluation.perplexity import perplexity
from lorelm.model.config import ModelConfig
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.training.initial_checkpoint import initial_model
from lorelm.training.losses import validation_loss
from lorelm.training.recipe import Recipe
from lorelm.training.trainer import Trainer
from quality import BenchCorpus, films

import numpy as np
import torch
from torch import Tensor, nn

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one step took, by the clock and of the processor."""

    tokens: int
    seconds: float
    processor_seconds: float


class Stopwatch:
    """Measures a step from now on."""

    def __init__(self) -> None:
        self._started = time.perf_counter(), time.process_time()

    def stop(self, tokens: int) -> Step:
        return Step(
            tokens=tokens,
            seconds=time.perf_counter() - self._started[0],
            processor_seconds=time.process_time() - self._started[1],
        )


class PlainModel(nn.Module):
    """The model as a tutorial has it."""

    def __init__(self, vocabulary_size: int, recipe: Recipe) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, recipe.embedding_size)
        self.lstm = nn.LSTM(
            recipe.embedding_size, recipe.hidden_size, recipe.num_layers, dropout=recipe.dropout
        )
        self.fc = nn.Linear(recipe.hidden_size, vocabulary_size)
        self.dropout = nn.Dropout(recipe.dropout)

    def forward(
        self, ids_TB: Tensor, state: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        outputs_TBH, state = self.lstm(self.dropout(self.embedding(ids_TB)), state)
        return self.fc(self.dropout(outputs_TBH)), state


class PlainTraining:
    """The training loop as a tutorial has it, to be run step by step."""

    def __init__(self, corpus: Corpus, recipe: Recipe) -> None:
        torch.manual_seed(recipe.seed)
        self._corpus, self._recipe = corpus, recipe
        self._model = PlainModel(len(corpus.vocabulary), recipe)
        self._optimizer = torch.optim.Adam(self._model.parameters(), lr=recipe.learning_rate)
        self._schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self._optimizer, factor=recipe.learning_rate_decay, patience=0
        )
        num_steps = len(corpus.train.stream) // recipe.batch_size
        ids = torch.from_numpy(
            corpus.train.stream[: num_steps * recipe.batch_size].astype(np.int64)
        )
        self._ids_TB = ids.view(recipe.batch_size, num_steps).t().contiguous()

    def epoch(self) -> Iterator[Step]:
        """Trains on the training part; yields each step."""
        self._model.train()
        state = None
        for start in range(0, len(self._ids_TB) - 1, self._recipe.bptt):
            watch = Stopwatch()
            targets_TB = self._ids_TB[start + 1 : start + 1 + self._recipe.bptt]
            inputs_TB = self._ids_TB[start : start + len(targets_TB)]
            self._optimizer.zero_grad()
            logits_TBV, state = self._model(inputs_TB, state)
            state = (state[0].detach(), state[1].detach())
            loss = nn.functional.cross_entropy(logits_TBV.flatten(0, 1), targets_TB.flatten())
            loss.backward()
            nn.utils.clip_grad_norm_(self._model.parameters(), self._recipe.max_gradient_norm)
            self._optimizer.step()
            loss.item()
            yield watch.stop(inputs_TB.numel())

    def validate(self) -> float:
        """The perplexity of the validation part, measured as the Trainer does."""
        model = LSTMLanguageModel(
            ModelConfig(
                vocabulary_size=len(self._corpus.vocabulary),
                embedding_size=self._recipe.embedding_size,
                hidden_size=self._recipe.hidden_size,
                num_layers=self._recipe.num_layers,
            )
        )
        model.load_state_dict(self._model.state_dict())
        loss = validation_loss(model, self._corpus.valid.stream)
        self._schedule.step(loss)
        return perplexity(loss)


class TimedTrainer(Trainer):
    """A Trainer that times each update, without validation."""

    def update(self) -> None:
        watch = Stopwatch()
        super().update()
        self.last_step = watch.stop(self.step_tokens)


class TimedTraining:
    """A training run by a TimedTrainer."""

    def __init__(self, corpus: Corpus, recipe: Recipe) -> None:
        self._trainer = TimedTrainer(initial_model(corpus, recipe, CPU), corpus, recipe)

    def epoch(self) -> Iterator[Step]:
        """Trains for an epoch; yields each step."""
        report = None
        while report is None:
            report = self._trainer.step()
            yield self._trainer.last_step

    def validate(self) -> float:
        """The perplexity of the validation part, measured at the end of the epoch."""
        return self._trainer.epochs[-1].valid_perplexity


Training = PlainTraining | TimedTraining


def tokens_per_second(trainings: dict[str, Training], epochs: int) -> dict[str, float]:
    """Of the median step of each; they take turns step by step."""
    speeds: dict[str, list[float]] = {name: [] for name in trainings}
    for epoch in range(epochs + 1):
        # The last window of an epoch is short.
        turns = zip(*(training.epoch() for training in trainings.values()), strict=False)
        for steps in list(turns)[:-1]:
            for name, step in zip(trainings, steps, strict=True):
                if epoch:  # the first one warms up
                    speeds[name].append(step.tokens / step.seconds)
    return {name: statistics.median(of) for name, of in speeds.items()}


@dataclass(frozen=True, kw_only=True)
class Reached:
    """How long it took to reach a perplexity, or that it was not reached."""

    epochs: int
    seconds: float
    processor_seconds: float
    best_perplexity: float
    is_reached: bool

    def row(self, name: str) -> str:
        sign = "" if self.is_reached else "> "
        return (
            f"{name:34}{self.epochs:7}{sign + format(self.seconds, ',.1f'):>10}"
            f"{sign + format(self.processor_seconds, ',.1f'):>11}{self.best_perplexity:17.1f}"
        )


def reach(training: Training, target: float, max_epochs: int) -> Reached:
    """Train until the validation perplexity is at most `target`, or for `max_epochs`."""
    steps: list[Step] = []
    epochs, best = 0, float("inf")
    while best > target and epochs < max_epochs:
        steps += training.epoch()
        epochs += 1
        best = min(best, training.validate())
    return Reached(
        epochs=epochs,
        seconds=sum(step.seconds for step in steps),
        processor_seconds=sum(step.processor_seconds for step in steps),
        best_perplexity=best,
        is_reached=best <= target,
    )


def prepare(films: BenchCorpus) -> Corpus:
    return prepare_corpus(
        CorpusParts(documents=films.train, valid=films.valid, test=films.test),
        tokenizer=make_tokenizer(films.tokenizer),
        min_frequency=3,
        split_seed=42,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--epochs", type=int, default=3, help="to measure tokens a second in")
    parser.add_argument("--perplexity", type=float, default=90.6, help="to be reached")
    parser.add_argument("--max-epochs", type=int, default=60, help="of the plain loop")
    arguments = parser.parse_args()
    corpus = prepare(films(arguments.data))
    classic = Recipe.load("classic")
    print(
        f"{len(corpus.train.stream):,} tokens, a vocabulary of {len(corpus.vocabulary):,}, "
        f"{torch.get_num_threads()} thread(s)\n"
    )
    plain = "plain loop"
    speeds = tokens_per_second(
        {plain: PlainTraining(corpus, classic)}
        | {
            f"recipe classic, {precision}": TimedTraining(
                corpus, Recipe.load("classic", precision=precision)
            )
            for precision in ("float32", "bfloat16")
        },
        arguments.epochs,
    )
    print(f"{'':34}{'tokens/s':>10}{'x plain':>9}")
    for name, speed in speeds.items():
        print(f"{name:34}{speed:10,.0f}{speed / speeds[plain]:9.2f}", flush=True)

    def default() -> Reached:
        recipe = Recipe.load("default", tokenizer="classic")
        return reach(TimedTraining(corpus, recipe), arguments.perplexity, recipe.epochs)

    print(
        f"\nto validation perplexity {arguments.perplexity:<9}{'epochs':>7}{'seconds':>10}"
        f"{'processor':>11}{'best perplexity':>17}"
    )
    runs = [default()]
    print(runs[0].row("recipe default"), flush=True)
    baseline = reach(PlainTraining(corpus, classic), arguments.perplexity, arguments.max_epochs)
    print(baseline.row("plain loop"), flush=True)
    runs.append(default())
    print(runs[1].row("recipe default again"))
    more = "" if baseline.is_reached else " or more"
    by_clock = baseline.seconds / statistics.mean(run.seconds for run in runs)
    by_processor = baseline.processor_seconds / statistics.mean(r.processor_seconds for r in runs)
    print(f"recipe default is {by_clock:.1f} times as fast{more}, {by_processor:.1f} by processor")


if __name__ == "__main__":
    main()
