"""How long what comes after training takes on this machine: judging the model, and saving it."""

import time
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch

from lorelm.corpus.preparation import Corpus, Part
from lorelm.corpus.token_keys import document_keys
from lorelm.errors import MissingExtraError
from lorelm.evaluation.cache import MAX_EVENTS, tune_cache
from lorelm.evaluation.memorisation import TrainingText
from lorelm.evaluation.mixture import fit_orders
from lorelm.evaluation.perplexity import foretell
from lorelm.evaluation.spelling import MAX_DOCUMENTS, SpellingModel
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.ngrams.fingerprints import FingerprintIndex
from lorelm.runtime.onnx_runtime import OnnxRuntime
from lorelm.runtime.step_graph import Weights, build_step_graph
from lorelm.training.listener import EpochReport
from lorelm.training.metrics import epoch_figures
from lorelm.training.recipe import Recipe
from lorelm.training.trainer import new_model
from lorelm.training.validation import validation_loss

_FORETOLD_EVENTS: Final = 200
_TUNED_EVENTS: Final = 1_000
_COUNTED_TOKENS: Final = 50_000

_TUNING_GROWTH: Final = 1.9
"""An event among many has a full cache to look into: 5,600 likenesses, and 3,000 among the first
1,000 events."""

_COUNTING_EXPONENT: Final = 1.2
"""Counting sorts, in more memory than the processor's cache: 0.25 µs a token of 230,000, 1.3 of 19
million."""

_FILES_GROWTH: Final = 8
"""Making the other graph, hashing, writing and reading all files, beside making the int8 graph."""

_MARGIN: Final = 1.5
"""For what is not measured: intervals, samples, the last checkpoint; and for a machine that becomes
slower."""


@dataclass(frozen=True, kw_only=True)
class JudgingSpeed:
    """How fast a model of one size is judged and saved.

    Attributes:
        fixed_seconds: whatever the corpus: the step graphs, the plot, writing and reading files.
        foretelling_seconds: an event, in int8.
        validation_seconds: an event, in PyTorch.
        tuning_seconds: an event of those that the neural cache is tuned on.
        spelling_seconds: a document that the spelling model learns from.
        counting_seconds: the n-gram model and the indexes of the training part.
    """

    fixed_seconds: float
    foretelling_seconds: float
    validation_seconds: float
    tuning_seconds: float
    spelling_seconds: float
    counting_seconds: float

    def seconds(self, corpus: Corpus) -> float:
        """How long all of it takes, the validation that ends the training included."""
        num_valid, num_test = len(corpus.valid.stream), len(corpus.test.stream)
        num_spelled = corpus.train.num_documents
        if not corpus.is_countable:
            num_spelled = min(num_spelled, MAX_DOCUMENTS)
        # Foretold are the test part for the evaluation and for the figures, where intervals and
        # copies come to about half as much again, and the validation part for the mixture.
        return _MARGIN * (
            self.fixed_seconds
            + self.foretelling_seconds * (2.5 * num_test + num_valid)
            + self.validation_seconds * (num_test + num_valid)
            + self.tuning_seconds * min(num_valid, MAX_EVENTS)
            + self.spelling_seconds * num_spelled
            + (self.counting_seconds if corpus.is_countable else 0)
        )


def measure_judging_speed(corpus: Corpus, recipe: Recipe, *, device: torch.device) -> JudgingSpeed:
    """Judges an untrained model of the recipe's size on a little of the corpus.

    Raises:
        RecipeError: there is no memory for the model.
    """
    watch = _StopWatch()
    model = new_model(corpus, recipe, device).eval()
    graph = build_step_graph(numpy_weights(model), model.config, "int8")
    network = OnnxRuntime(graph, model.config)
    size_seconds = watch.lap()
    _draw_curves()
    fixed_seconds = watch.lap() + _FILES_GROWTH * size_seconds
    events = corpus.valid.stream[:_FORETOLD_EVENTS]
    foretell(network, events)
    foretelling_seconds = watch.lap() / len(events)
    events = corpus.valid.stream[:_TUNED_EVENTS]
    validation_loss(model, events)
    validation_seconds = watch.lap() / len(events)
    tune_cache(network, events)
    tuning_seconds = watch.lap() / len(events)
    if len(corpus.valid.stream) > _TUNED_EVENTS:
        of_cache = max(0.0, tuning_seconds - foretelling_seconds)
        tuning_seconds = foretelling_seconds + _TUNING_GROWTH * of_cache
    spelling_seconds, counting_seconds = _measure_counting(corpus)
    return JudgingSpeed(
        fixed_seconds=fixed_seconds,
        foretelling_seconds=foretelling_seconds,
        validation_seconds=validation_seconds,
        tuning_seconds=tuning_seconds,
        spelling_seconds=spelling_seconds,
        counting_seconds=counting_seconds,
    )


def numpy_weights(model: LSTMLanguageModel) -> Weights:
    """The tensors of a model by their names."""
    return {
        name: np.asarray(tensor.detach().cpu().numpy(), dtype=np.float32)
        for name, tensor in model.state_dict().items()
    }


class _StopWatch:
    def __init__(self) -> None:
        self._begun = time.perf_counter()

    def lap(self) -> float:
        """The seconds since the lap before."""
        before, self._begun = self._begun, time.perf_counter()
        return self._begun - before


def _draw_curves() -> None:
    report = EpochReport(
        epoch=1,
        train_loss=1.0,
        valid_loss=1.0,
        is_best=True,
        learning_rate=1.0,
        tokens_per_second=1.0,
        seconds=1.0,
    )
    try:
        from lorelm.evaluation.report.plots import render_curves
    except MissingExtraError:
        return
    render_curves([epoch_figures(report)], ngram=None)


def _measure_counting(corpus: Corpus) -> tuple[float, float]:
    """The seconds of the spelling model a document, and of all that is counted in the whole."""
    watch = _StopWatch()
    documents, num_tokens = [], 0
    for tokens in corpus.train.documents:
        documents.append(tokens)
        num_tokens += len(tokens) + 1
        if num_tokens >= _COUNTED_TOKENS:
            break
    reading = watch.lap()  # of a corpus larger than memory, whenever it is asked for
    few = replace(corpus, train=Part(documents=documents, stream=corpus.train.stream[:num_tokens]))
    SpellingModel.of_training_part(few)
    spelling = watch.lap() + reading
    FingerprintIndex.build(document_keys(documents, corpus.tokenizer))
    TrainingText(documents, corpus.tokenizer)
    indexing = watch.lap() + 2 * reading
    fit_orders(few)
    counting = 2 * watch.lap()  # for the bundle, and for the figures
    growth = (len(corpus.train.stream) / num_tokens) ** _COUNTING_EXPONENT
    return spelling / len(documents), (indexing + counting) * growth
