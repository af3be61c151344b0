"""Measured speeds of this machine: training by a recipe, and evaluating and saving a model."""

import time
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

import torch

from lorelm.corpus.preparation import Corpus, Part
from lorelm.corpus.token_keys import document_keys
from lorelm.errors import MissingExtraError
from lorelm.evaluation.baseline import fit_orders
from lorelm.evaluation.cache import MAX_TARGETS, tune_cache
from lorelm.evaluation.memorisation import TrainingText
from lorelm.evaluation.perplexity import predict
from lorelm.evaluation.spelling import MAX_DOCUMENTS, SpellingModel
from lorelm.ngrams.fingerprints import FingerprintIndex
from lorelm.runtime.onnx_runtime import OnnxRuntime
from lorelm.runtime.step_graph import build_step_graph
from lorelm.training.callbacks import EpochReport
from lorelm.training.initial_checkpoint import initial_model, numpy_weights
from lorelm.training.losses import validation_loss
from lorelm.training.processes import SINGLE_PROCESS, Processes
from lorelm.training.recipe import Recipe
from lorelm.training.trainer import Trainer

_WARM_UP_STEPS: Final = 2
"""The first step imports parts of PyTorch (a second) and allocates memory."""

_VALIDATED_TOKENS: Final = 1_000
_PREDICTED_TOKENS: Final = 200
_TUNED_TOKENS: Final = 1_000
_COUNTED_TOKENS: Final = 50_000

_TUNING_GROWTH: Final = 1.9
"""Tuning the neural cache on many tokens takes longer per token, because the cache is full: 5,600
similarities per token, against 3,000 among the first 1,000 tokens."""

_COUNTING_EXPONENT: Final = 1.2
"""Counting n-grams sorts, in more memory than the processor's cache: 0.25 µs per token of 230,000,
1.3 µs per token of 19 million."""

_FILES_GROWTH: Final = 8
"""Building the float32 graph, and hashing, writing and reading all files, in multiples of building
the int8 graph."""

_MARGIN: Final = 1.5
"""For parts that are not measured (intervals, samples, the last checkpoint), and for a machine that
becomes slower."""


@dataclass(frozen=True, kw_only=True)
class TrainingSpeed:
    """How fast a recipe trains, in all processes together."""

    seconds_per_update: float
    updates_per_epoch: int
    seconds_per_valid_token: float

    def seconds(self, *, epochs: int, num_valid_tokens: int) -> float:
        """Return how long some epochs take with their validations."""
        validation = num_valid_tokens * self.seconds_per_valid_token
        return epochs * (self.updates_per_epoch * self.seconds_per_update + validation)


def measure_training_speed(
    corpus: Corpus,
    recipe: Recipe,
    *,
    device: torch.device,
    max_seconds: float = 2.0,
    processes: Processes = SINGLE_PROCESS,
) -> TrainingSpeed:
    """Make updates for some seconds, at least one, with a trainer that is then discarded.

    The trainer of the run cannot be measured: its width, epochs and validation part are chosen by
    this measurement.

    Raises:
        CorpusError: the training part is shorter than a batch.
        RecipeError: there is no memory for the model, or too few columns for the processes.
    """
    trainer = Trainer(initial_model(corpus, recipe, device), corpus, recipe, processes=processes)

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return processes.number_from_main(time.perf_counter())

    started = now()
    validated = corpus.valid.stream[:_VALIDATED_TOKENS]
    validation_loss(trainer.averaged_model, validated)
    moments = [now()]
    validation_seconds = moments[0] - started
    while moments[-1] - moments[0] < max_seconds or len(moments) == 1:
        if trainer.is_epoch_over:
            trainer.begin_epoch()
        trainer.update()
        moments.append(now())
    measured = moments[min(_WARM_UP_STEPS, len(moments) - 2) :]
    return TrainingSpeed(
        seconds_per_update=max((measured[-1] - measured[0]) / (len(measured) - 1), 1e-6),
        updates_per_epoch=trainer.updates_per_epoch,
        seconds_per_valid_token=validation_seconds / len(validated),
    )


def estimate_training_seconds(
    corpus: Corpus, recipe: Recipe, *, device: torch.device, max_seconds: float = 2.0
) -> float:
    """Return how long all epochs of a recipe take on this machine.

    Raises:
        CorpusError: the training part is shorter than a batch.
    """
    speed = measure_training_speed(corpus, recipe, device=device, max_seconds=max_seconds)
    return speed.seconds(epochs=recipe.epochs, num_valid_tokens=len(corpus.valid.stream))


@dataclass(frozen=True, kw_only=True)
class EvaluationSpeed:
    """How fast a model of one size is evaluated and saved.

    Attributes:
        fixed_seconds: whatever the held-out parts: graphs, plot, spelling model, files.
        valid_token_seconds: for predicting a token in int8 and in PyTorch.
        test_token_seconds: the same, with intervals and copies.
        tuning_seconds: per token that the neural cache is tuned on.
        counting_seconds: for the n-gram model and the indexes of the training part.
    """

    fixed_seconds: float
    valid_token_seconds: float
    test_token_seconds: float
    tuning_seconds: float
    counting_seconds: float

    def seconds(self, corpus: Corpus) -> float:
        """Return how long everything after the last update takes."""
        num_valid, num_test = len(corpus.valid.stream), len(corpus.test.stream)
        return (
            self.fixed_seconds
            + self.valid_token_seconds * num_valid
            + self.test_token_seconds * num_test
            + self.tuning_seconds * min(num_valid, MAX_TARGETS)
            + (self.counting_seconds if corpus.is_countable else 0)
        )


def measure_evaluation_speed(
    corpus: Corpus, recipe: Recipe, *, device: torch.device
) -> EvaluationSpeed:
    """Evaluate an untrained model of the recipe's size on a part of the corpus.

    Raises:
        RecipeError: there is no memory for the model.
    """
    watch = _StopWatch()
    model = initial_model(corpus, recipe, device).eval()
    graph = build_step_graph(numpy_weights(model), model.config, "int8")
    network = OnnxRuntime(graph, model.config)
    fixed = _FILES_GROWTH * watch.lap()
    _render_curves()
    fixed += watch.lap()
    predicted = corpus.valid.stream[:_PREDICTED_TOKENS]
    predict(network, predicted)
    predicting = watch.lap() / len(predicted)
    tuned = corpus.valid.stream[:_TUNED_TOKENS]
    validation_loss(model, tuned)
    validation = watch.lap() / len(tuned)
    tune_cache(network, tuned)
    tuning = watch.lap() / len(tuned)
    if len(corpus.valid.stream) > _TUNED_TOKENS:
        tuning = predicting + _TUNING_GROWTH * max(0.0, tuning - predicting)
    spelling, counting = _measure_counting(corpus)
    return EvaluationSpeed(
        fixed_seconds=_MARGIN * (fixed + spelling),
        valid_token_seconds=_MARGIN * (predicting + validation),
        # Intervals and copies take about half as long as predicting.
        test_token_seconds=_MARGIN * (1.5 * predicting + validation),
        tuning_seconds=_MARGIN * tuning,
        counting_seconds=_MARGIN * counting,
    )


class _StopWatch:
    def __init__(self) -> None:
        self._began = time.perf_counter()

    def lap(self) -> float:
        """Return the seconds since the last lap."""
        before, self._began = self._began, time.perf_counter()
        return self._began - before


def _render_curves() -> None:
    try:
        from lorelm.evaluation.report.plots import render_curves
    except MissingExtraError:
        return
    names = [name for name in EpochReport.__dataclass_fields__ if name != "is_best"]
    render_curves([EpochReport(is_best=True, **dict.fromkeys(names, 1)).metrics], ngram=None)


def _measure_counting(corpus: Corpus) -> tuple[float, float]:
    """Return the seconds of the spelling model, and of counting n-grams and indexing."""
    watch = _StopWatch()
    mean_length = len(corpus.train.stream) / corpus.train.num_documents
    documents = list(islice(corpus.train.documents, max(1, round(_COUNTED_TOKENS / mean_length))))
    num_tokens = sum(len(tokens) + 1 for tokens in documents)
    reading = watch.lap()  # repeated for each use of a corpus on disk
    sample = Part(documents=documents, stream=corpus.train.stream[:num_tokens])
    few = replace(corpus, train=sample)
    SpellingModel.of_training_part(few)
    spelling = watch.lap() + reading
    FingerprintIndex.build(document_keys(documents, corpus.tokenizer))
    TrainingText(documents, corpus.tokenizer)
    indexing = watch.lap() + 2 * reading
    fit_orders(few)
    growth = (len(corpus.train.stream) / num_tokens) ** _COUNTING_EXPONENT
    num_spelled = corpus.train.num_documents
    if not corpus.is_countable:
        num_spelled = min(num_spelled, MAX_DOCUMENTS)
    return spelling / len(documents) * num_spelled, (indexing + watch.lap()) * growth
