"""Training: tokens a second, and seconds to a model of a certain worth.

    python bench/training.py [--precision float32] [--text novel.txt] [--seeds 0 1 2]
    python bench/training.py --plain-epochs 60

Tokens a second: a plain loop and the recipe ``classic`` in both precisions take turns step by step,
so that noise on a shared machine hits all alike; the median step counts. The plain loop is what a
tutorial does with the settings of ``classic``: ``nn.Embedding``, ``nn.LSTM``, ``nn.Linear``,
``cross_entropy``, Adam, the loss asked for after each step, all in float32.

Seconds: the recipe ``default``, and the one before it (zero biases, all dropout from the start,
every word computed in every step, three times the epochs), to a validation perplexity and to the
end. Training alone, validation after each epoch not counted; by the clock, and of the processor.
Both use all cores that are free. Compare the ratios.

The corpus is the film dialogue on the split of ``bench/quality.py``, or a text. With
``ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2 ATEN_CPU_CAPABILITY=avx2`` and
``--precision float32`` a newer processor computes as one that has only AVX2.
"""

import argparse
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lorelm.corpus.documents import CorpusParts
from lorelm.corpus.preparation import Corpus, prepare_corpus
from lorelm.corpus.readers import read_documents
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.corpus.vocabulary import VocabularyRules
from lorelm.evaluation.perplexity import perplexity
from lorelm.machine.cores import available_cores
from lorelm.model.config import ModelConfig
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.training.corpus_size import sized_to
from lorelm.training.device import has_bfloat16
from lorelm.training.initial_checkpoint import initial_model
from lorelm.training.losses import validation_loss
from lorelm.training.recipe import TRAINING_PRECISIONS, Recipe
from lorelm.training.threads import ThreadTuner, make_tuner
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
        loss = validation_loss(self._copy(), self._corpus.valid.stream)
        self._schedule.step(loss)
        return perplexity(loss)

    def test_perplexity(self) -> float:
        """Of the last epoch on the test part."""
        return perplexity(validation_loss(self._copy(), self._corpus.test.stream))

    def _copy(self) -> LSTMLanguageModel:
        model = LSTMLanguageModel(
            ModelConfig(
                vocabulary_size=len(self._corpus.vocabulary),
                embedding_size=self._recipe.embedding_size,
                hidden_size=self._recipe.hidden_size,
                num_layers=self._recipe.num_layers,
            )
        )
        model.load_state_dict(self._model.state_dict())
        return model


class TimedTrainer(Trainer):
    """A Trainer that times each update, without validation."""

    def update(self) -> None:
        watch = Stopwatch()
        super().update()
        self.last_step = watch.stop(self.step_tokens)


class TimedTraining:
    """A training run by a TimedTrainer."""

    def __init__(
        self,
        corpus: Corpus,
        recipe: Recipe,
        *,
        threads: ThreadTuner | None = None,
        has_zero_biases: bool = False,
    ) -> None:
        model = initial_model(corpus, recipe, CPU)
        if has_zero_biases:
            nn.init.zeros_(model.fc.bias)
        self._trainer = TimedTrainer(model, corpus, recipe, threads=threads)
        self._trainer.start_clock()

    def epoch(self) -> Iterator[Step]:
        """Trains for an epoch; yields each step."""
        report = None
        while report is None:
            report = self._trainer.step()
            yield self._trainer.last_step

    def validate(self) -> float:
        """The perplexity of the validation part, measured at the end of the epoch."""
        return self._trainer.epochs[-1].valid_perplexity

    def test_perplexity(self) -> float:
        """Of the best epoch on the test part."""
        best = self._trainer.result().model
        return perplexity(validation_loss(best, self._trainer.corpus.test.stream))


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
    """How long it took to a perplexity, infinite if it was not reached, and to the end.

    Attributes:
        seconds, processor_seconds: to the perplexity, and to the end.
    """

    epochs: int
    seconds: tuple[float, float]
    processor_seconds: tuple[float, float]
    best_perplexity: float
    test_perplexity: float

    def row(self, name: str) -> str:
        pairs = zip(self.seconds, self.processor_seconds, strict=True)
        times = "".join(f"{clock:10,.1f}{processor:10,.1f}" for clock, processor in pairs)
        return (
            f"{name:22}{times}{self.epochs:8}{self.best_perplexity:9.1f}{self.test_perplexity:9.1f}"
        )


def reach(training: Training, target: float, epochs: int) -> Reached:
    """Train for some epochs; note when the validation perplexity is first at most `target`."""
    best, clock, processor = float("inf"), 0.0, 0.0
    reached = (float("inf"), float("inf"))
    for _ in range(epochs):
        for step in training.epoch():
            clock += step.seconds
            processor += step.processor_seconds
        best = min(best, training.validate())
        if best <= target:
            reached = min(reached, (clock, processor))
    return Reached(
        epochs=epochs,
        seconds=(reached[0], clock),
        processor_seconds=(reached[1], processor),
        best_perplexity=best,
        test_perplexity=training.test_perplexity(),
    )


def before(recipe: Recipe) -> Recipe:
    """The recipe ``default`` as it was, for a corpus as small as the films or as a novel."""
    is_small = recipe.hidden_size == 300
    return replace(
        recipe,
        dropout=0.6 if is_small else 0.3,
        epochs=36 if is_small else 12,
        batch_size=16,
        max_gradient_norm=0.25,
        dropout_ramp=0.0,
        sampled_words=0,
    )


def prepare(films: BenchCorpus) -> Corpus:
    return prepare_corpus(
        CorpusParts(documents=films.train, valid=films.valid, test=films.test),
        tokenizer=make_tokenizer(films.tokenizer),
        vocabulary=VocabularyRules(min_frequency=3),
        split_seed=42,
    )


def print_speeds(corpus: Corpus, epochs: int, precisions: Sequence[str]) -> None:
    classic, plain = Recipe.load("classic"), "plain loop"
    trainings: dict[str, Training] = {plain: PlainTraining(corpus, classic)}
    for precision in precisions:
        recipe = replace(classic, precision=precision)
        trainings[f"recipe classic, {precision}"] = TimedTraining(corpus, recipe)
    speeds = tokens_per_second(trainings, epochs)
    print(f"{'':34}{'tokens/s':>10}{'x plain':>9}")
    for name, speed in speeds.items():
        print(f"{name:34}{speed:10,.0f}{speed / speeds[plain]:9.2f}", flush=True)


def print_times(corpus: Corpus, recipe: Recipe, target: float, seeds: Sequence[int]) -> None:
    print(f"\nseconds to {target:g} (processor), to the end (processor), epochs, validation, test")
    runs: dict[str, list[Reached]] = {"default": [], "before": []}
    for seed in seeds:
        for name, of in runs.items():
            seeded = replace(recipe if name == "default" else before(recipe), seed=seed)
            training = TimedTraining(
                corpus, seeded, threads=make_tuner(None, CPU), has_zero_biases=name == "before"
            )
            of.append(reach(training, target, seeded.epochs))
            print(of[-1].row(f"{name}, seed {seed}"), flush=True)
    for what, number in ((f"to {target:g}", 0), ("to the end", 1)):
        clocks, processors = (
            [[getattr(run, kind)[number] for run in of] for of in runs.values()]
            for kind in ("seconds", "processor_seconds")
        )
        print(
            f"{what}: {sum(clocks[1]) / sum(clocks[0]):.2f} times as fast as before by the clock, "
            f"{sum(processors[1]) / sum(processors[0]):.2f} by processor"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--text", type=Path, help="instead of the films; then no tokens a second")
    parser.add_argument("--precision", default="auto", choices=TRAINING_PRECISIONS)
    parser.add_argument("--epochs", type=int, default=3, help="to measure tokens a second in")
    parser.add_argument("--perplexity", type=float, default=90.6, help="to be reached")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--plain-epochs", type=int, default=0, help="of the plain loop")
    arguments = parser.parse_args()
    tokenizer = "words" if arguments.text else "classic"
    recipe = Recipe.load("default", tokenizer=tokenizer, precision=arguments.precision)
    if arguments.text:
        parts = CorpusParts(documents=read_documents(arguments.text))
        corpus = prepare_corpus(
            parts,
            tokenizer=make_tokenizer(tokenizer),
            vocabulary=VocabularyRules(min_frequency=3),
            split_seed=42,
        )
    else:
        corpus = prepare(films(arguments.data))
    recipe = sized_to(recipe, len(corpus.train.stream))
    print(
        f"{len(corpus.train.stream):,} tokens, a vocabulary of {len(corpus.vocabulary):,}, "
        f"{available_cores()} core(s), load {os.getloadavg()[0]:.1f}, "
        f"{torch.backends.cpu.get_cpu_capability()}\n"
    )
    if not arguments.text:
        has_both = arguments.precision != "float32" and has_bfloat16(CPU)
        print_speeds(corpus, arguments.epochs, ["float32", "bfloat16"][: 1 + has_both])
    print_times(corpus, recipe, arguments.perplexity, arguments.seeds)
    if arguments.plain_epochs:
        plain = PlainTraining(corpus, Recipe.load("classic"))
        print(reach(plain, arguments.perplexity, arguments.plain_epochs).row("plain loop"))


if __name__ == "__main__":
    main()
