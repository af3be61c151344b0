"""How fast this machine trains, evaluates and saves: :class:`Machine` measures it."""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from statistics import median
from typing import Final, Self

import numpy as np
import torch

from lorelm.corpus.preparation import Corpus, Part
from lorelm.corpus.token_keys import document_keys
from lorelm.evaluation.baseline import fit_orders
from lorelm.evaluation.cache import MAX_TARGETS, tune_cache
from lorelm.evaluation.measure import Stage
from lorelm.evaluation.memorisation import TrainingText
from lorelm.evaluation.perplexity import predict
from lorelm.ngrams.fingerprints import FingerprintIndex
from lorelm.runtime.onnx_runtime import OnnxRuntime
from lorelm.runtime.step_graph import build_step_graph
from lorelm.training.callbacks import TimeRange
from lorelm.training.initial_checkpoint import initial_model, numpy_weights
from lorelm.training.losses import validation_loss
from lorelm.training.processes import SINGLE_PROCESS, Processes
from lorelm.training.recipe import Recipe
from lorelm.training.threads import ThreadTuner
from lorelm.training.trainer import Trainer

_READ_TOKENS: Final = 5_000
"""As many as are read in the full number of rows."""
_HELD_OUT_TOKENS: Final = 1_000
_NGRAM_TOKENS: Final = 50_000
_MIN_UPDATES: Final = 3

# What evaluating and saving take, in multiples of what is measured.
_GENERATED_TOKENS: Final = 30_000
"""The 100 samples that are searched for copies, in held-out tokens."""
_LINE_TOKENS: Final = 110_000
_LINE_PASSES: Final = 30
"""The lines of `lorelm.evaluation.lines`, in held-out tokens, and in passes over a short text."""
_CACHE_GROWTH: Final = 1.2
"""The largest cache of the tuning is larger than the tokens of the measurement."""
_NGRAM_EXPONENT: Final = 1.2
"""Sorting n-grams slows down with their number: 0.25 µs a token of 230,000, 1.3 of 19 million."""
_LAST_SECONDS: Final = 1.3
"""Matplotlib's import and the plot, the summary, and the end of the process, on a free machine."""

# The reserve for a machine that becomes slower than it is.
_MARGIN: Final = 1.3
_FREE_MARGIN: Final = 1.7
"""Beside two busy processes a thread gets two thirds of a core, and has to share its caches."""


@dataclass(frozen=True, kw_only=True)
class TrainingSpeed:
    """How fast a recipe trains, in all processes together, on the machine as busy as it is.

    Attributes:
        processor_share: how much of the time the processor worked for the run, at best. On a
            machine that does nothing else, everything takes this share of the time.
    """

    seconds_per_update: float
    updates_per_epoch: int
    seconds_per_valid_token: float
    processor_share: float = 1.0

    def epoch_seconds(self, num_valid_tokens: int) -> float:
        """Return how long an epoch takes with its validation."""
        validation = num_valid_tokens * self.seconds_per_valid_token
        return self.updates_per_epoch * self.seconds_per_update + validation

    @property
    def expected(self) -> Self:
        """The speed halfway (in ratio) between that of the machine now and that of a free one."""
        factor = math.sqrt(self.processor_share)
        return replace(
            self,
            seconds_per_update=self.seconds_per_update * factor,
            seconds_per_valid_token=self.seconds_per_valid_token * factor,
            processor_share=factor,
        )


@dataclass(frozen=True, kw_only=True)
class EvaluationSpeed:
    """How long everything after the last update takes, on the machine as busy as it is.

    Attributes:
        graph_seconds: to build a step graph.
        token_seconds: to predict a token of a held-out part.
        float_token_seconds: the same by PyTorch.
        cache_seconds: per token of the validation part, to tune the cache on.
        ngram_seconds: for the n-gram model and the indexes.
        processor_share: as of a :class:`TrainingSpeed`.
    """

    graph_seconds: float
    token_seconds: float
    float_token_seconds: float
    cache_seconds: float
    ngram_seconds: float
    processor_share: float = 1.0

    def stages(self, corpus: Corpus) -> dict[str, TimeRange]:
        """Return how long each stage takes, in their order."""
        num_valid, num_test = len(corpus.valid.stream), len(corpus.test.stream)
        num_tuned = min(num_valid, MAX_TARGETS)
        num_of_lines = min(_LINE_TOKENS, _LINE_PASSES * num_test)
        is_countable = corpus.is_countable
        seconds = {
            Stage.GRAPHS: 2 * self.graph_seconds,
            Stage.VALIDATION: (num_valid if is_countable else num_tuned) * self.token_seconds,
            Stage.NGRAMS: self.ngram_seconds if is_countable else 0.0,
            # And PyTorch predicts the test part.
            Stage.CACHE: num_tuned * self.cache_seconds + num_test * self.float_token_seconds,
            Stage.SAMPLES: (_GENERATED_TOKENS if is_countable else 0) * self.token_seconds,
            Stage.METRICS: (num_test + num_of_lines) * self.token_seconds,
            Stage.SAVING: _LAST_SECONDS / self.processor_share + 2 * self.graph_seconds,
        }
        return {
            stage: TimeRange(busy * self.processor_share, busy) for stage, busy in seconds.items()
        }

    def seconds(self, corpus: Corpus) -> float:
        """Return how long to reserve, so that it is enough on a machine that becomes slower."""
        whole = sum(self.stages(corpus).values(), start=TimeRange(0, 0))
        return max(_FREE_MARGIN * whole.low, _MARGIN * whole.high)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Measurements that a plan needs, with the same results in all processes of a run.

    They change neither weights nor random numbers of a run.

    Attributes:
        threads: chooses the number of threads; None: those that PyTorch has.
        max_seconds: for measuring one width, unless a few updates take longer.
    """

    device: torch.device
    processes: Processes = SINGLE_PROCESS
    threads: ThreadTuner | None = None
    max_seconds: float = 2.0

    def training_speed(self, corpus: Corpus, recipe: Recipe) -> TrainingSpeed:
        """Validate and update with a trainer that is then discarded, in all processes together.

        The time by the clock is the median of all updates. The processor time is that of the thread
        that makes them, and the least: caches and cores that are shared lengthen it, too.

        Raises:
            CorpusError: the training part is shorter than a batch.
            RecipeError: there is no memory for the model, or too few columns for the processes.
        """
        corpus = corpus.with_seen_words()
        with torch.random.fork_rng():
            model = initial_model(corpus, recipe, self.device)
            trainer = Trainer(model, corpus, recipe, processes=self.processes, threads=self.threads)
            validated = corpus.valid.stream[:_HELD_OUT_TOKENS]
            validation = self._stopwatch(lambda: validation_loss(trainer.averaged_model, validated))
            trainer.update()  # imports parts of PyTorch (a second) and allocates memory
            updates: list[_Timed] = []
            least, began = math.inf, self._now()
            while len(updates) < _MIN_UPDATES or self._now() - began < self.max_seconds:
                if trainer.is_epoch_over:
                    trainer.begin_epoch()
                is_trial = self.threads is not None and self.threads.is_measuring
                update = self._stopwatch(trainer.update)
                least = min(least, update.processor_seconds)
                if not self.processes.any(is_trial):  # of a number of threads
                    updates.append(update)
        typical = max(median(update.seconds for update in updates), 1e-6)
        share = least / typical
        return TrainingSpeed(
            seconds_per_update=typical,
            updates_per_epoch=trainer.updates_per_epoch,
            seconds_per_valid_token=validation.seconds / len(validated),
            processor_share=self.processes.number_from_main(min(share, 1.0)),
        )

    def evaluation_speed(self, corpus: Corpus, recipe: Recipe) -> EvaluationSpeed:
        """Evaluate an untrained model of the recipe's size in part, in the main process.

        Raises:
            RecipeError: there is no memory for the model.
        """
        return self.processes.broadcast_from_main(lambda: _evaluation_speed(corpus, recipe))

    def _now(self) -> float:
        """Return the time of the main process, when the device has finished its work."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()
        return self.processes.number_from_main(time.perf_counter())

    def _stopwatch(self, work: Callable[[], object]) -> "_Timed":
        """Do some work of all processes, and measure it."""
        started, processor_started = self._now(), time.thread_time()
        work()
        seconds, processor_seconds = self._now() - started, time.thread_time() - processor_started
        if self.device.type != "cpu":
            processor_seconds = seconds  # the thread waits for the device
        return _Timed(seconds=seconds, processor_seconds=processor_seconds)


def fastest(machines: Sequence[Machine], corpus: Corpus, recipe: Recipe) -> Machine:
    """Return the machine that trains a recipe fastest; the first one if no other can."""
    best, *others = machines
    least = best.training_speed(corpus, recipe).seconds_per_update
    for other in others:
        with suppress(RuntimeError):  # PyTorch has not every operation on every device
            seconds = other.training_speed(corpus, recipe).seconds_per_update
            if seconds < least:
                best, least = other, seconds
    return best


@dataclass(frozen=True, kw_only=True)
class _Timed:
    """How long some work took, by the clock and of the processor, in this thread."""

    seconds: float
    processor_seconds: float


def _evaluation_speed(corpus: Corpus, recipe: Recipe) -> EvaluationSpeed:
    with torch.random.fork_rng():
        model = initial_model(corpus, recipe, torch.device("cpu"))
    weights = numpy_weights(model)
    graph = build_step_graph(weights, model.config, "int8")  # imports onnx
    network = OnnxRuntime(graph, model.config)
    processor_started = time.thread_time()
    moments = [time.perf_counter()]
    build_step_graph(weights, model.config, "int8")
    moments.append(time.perf_counter())
    read = np.resize(corpus.valid.stream[:_READ_TOKENS], _READ_TOKENS)  # repeats a short one
    held_out = read[:_HELD_OUT_TOKENS]
    predicted = predict(network, read, num_states=len(held_out))
    predicted = replace(predicted, log_probabilities=predicted.log_probabilities[: len(held_out)])
    moments.append(time.perf_counter())
    validation_loss(model, held_out)
    moments.append(time.perf_counter())
    tune_cache(predicted, held_out)
    moments.append(time.perf_counter())
    num_fitted = _fit_some_ngrams(corpus)
    moments.append(time.perf_counter())
    building, predicting, validating, tuning, fitting = (
        end - start for start, end in pairwise(moments)
    )
    share = (time.thread_time() - processor_started) / max(moments[-1] - moments[0], 1e-6)
    growth = (len(corpus.train.stream) / num_fitted) ** _NGRAM_EXPONENT
    return EvaluationSpeed(
        graph_seconds=building,
        token_seconds=predicting / len(read),
        float_token_seconds=validating / len(held_out),
        cache_seconds=_CACHE_GROWTH * tuning / len(held_out),
        ngram_seconds=growth * fitting,
        processor_share=min(share, 1.0),
    )


def _fit_some_ngrams(corpus: Corpus) -> int:
    """Fit n-gram models and indexes to the first documents; return their number of tokens."""
    num_documents = corpus.train.num_documents * _NGRAM_TOKENS // len(corpus.train.stream)
    documents = list(islice(corpus.train.documents, max(1, num_documents)))
    num_tokens = sum(len(tokens) + 1 for tokens in documents)
    part = Part(documents=documents, stream=corpus.train.stream[:num_tokens])
    FingerprintIndex.build(document_keys(documents, corpus.tokenizer))
    TrainingText(documents, corpus.tokenizer)
    fit_orders(replace(corpus, train=part))
    return num_tokens
