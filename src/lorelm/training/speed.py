"""How fast this machine trains, evaluates and saves: :class:`Machine` measures it."""

import time
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from statistics import median
from typing import Final

import torch

from lorelm.corpus.preparation import Corpus, Part
from lorelm.corpus.token_keys import document_keys
from lorelm.evaluation.baseline import fit_orders
from lorelm.evaluation.cache import tune_cache
from lorelm.evaluation.memorisation import TrainingText
from lorelm.evaluation.perplexity import predict
from lorelm.ngrams.fingerprints import FingerprintIndex
from lorelm.runtime.onnx_runtime import OnnxRuntime
from lorelm.runtime.step_graph import build_step_graph
from lorelm.training.initial_checkpoint import initial_model, numpy_weights
from lorelm.training.losses import validation_loss
from lorelm.training.processes import SINGLE_PROCESS, Processes
from lorelm.training.recipe import Recipe
from lorelm.training.threads import ThreadTuner
from lorelm.training.trainer import Trainer

_HELD_OUT_TOKENS: Final = 1_000
_NGRAM_TOKENS: Final = 50_000

# What evaluating and saving take, in multiples of what is measured.
_PASSES: Final = 2
"""Over a held-out token: tuning of the cache, metrics, losses."""
_GENERATED_TOKENS: Final = 4_000
"""The 100 samples that are searched for copies, as long as 4,000 held-out tokens."""
_GRAPHS: Final = 8
"""The float32 graph; and hashing, writing and reading all files."""
_NGRAM_EXPONENT: Final = 1.2
"""Sorting n-grams slows down with their number: 0.25 µs a token of 230,000, 1.3 of 19 million."""
_OTHER_SECONDS: Final = 1.0
"""Matplotlib's import and the plot."""
_MARGIN: Final = 1.5
"""For a machine that becomes slower."""


@dataclass(frozen=True, kw_only=True)
class TrainingSpeed:
    """How fast a recipe trains, in all processes together."""

    seconds_per_update: float
    updates_per_epoch: int
    seconds_per_valid_token: float

    def epoch_seconds(self, num_valid_tokens: int) -> float:
        """Return how long an epoch takes with its validation."""
        validation = num_valid_tokens * self.seconds_per_valid_token
        return self.updates_per_epoch * self.seconds_per_update + validation


@dataclass(frozen=True, kw_only=True)
class EvaluationSpeed:
    """How long everything after the last update takes, with a margin.

    Attributes:
        fixed_seconds: whatever the corpus.
        token_seconds: per token of the validation and the test part.
        ngram_seconds: for the n-gram model, the indexes, and samples to find copies in.
    """

    fixed_seconds: float
    token_seconds: float
    ngram_seconds: float

    def seconds(self, corpus: Corpus) -> float:
        num_tokens = len(corpus.valid.stream) + len(corpus.test.stream)
        ngrams = self.ngram_seconds if corpus.is_countable else 0
        return self.fixed_seconds + self.token_seconds * num_tokens + ngrams


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Measurements that a plan needs, with the same results in all processes of a run.

    Attributes:
        threads: chooses the number of threads; None: those that PyTorch has.
        max_seconds: for measuring one width, unless a single update takes longer.
    """

    device: torch.device
    processes: Processes = SINGLE_PROCESS
    threads: ThreadTuner | None = None
    max_seconds: float = 2.0

    def _now(self) -> float:
        """Return the time of the main process, when the device has finished its work."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return self.processes.number_from_main(time.perf_counter())

    def training_speed(self, corpus: Corpus, recipe: Recipe) -> TrainingSpeed:
        """Validate and update with a trainer that is then discarded, in all processes together.

        Raises:
            CorpusError: the training part is shorter than a batch.
            RecipeError: there is no memory for the model, or too few columns for the processes.
        """
        model = initial_model(corpus, recipe, self.device)
        trainer = Trainer(model, corpus, recipe, processes=self.processes, threads=self.threads)
        started = self._now()
        validated = corpus.valid.stream[:_HELD_OUT_TOKENS]
        validation_loss(trainer.averaged_model, validated)
        moments = [self._now()]
        valid_seconds = moments[0] - started
        while moments[-1] - moments[0] < self.max_seconds or len(moments) == 1:
            if trainer.is_epoch_over:
                trainer.begin_epoch()
            trainer.update()
            if self.threads is not None and self.threads.is_measuring:
                moments.clear()  # the number of threads is not yet the best
            moments.append(self._now())
        # The first update imports parts of PyTorch (a second) and allocates memory.
        typical = median(end - start for start, end in pairwise(moments))
        return TrainingSpeed(
            seconds_per_update=max(typical, 1e-6),
            updates_per_epoch=trainer.updates_per_epoch,
            seconds_per_valid_token=valid_seconds / len(validated),
        )

    def evaluation_speed(self, corpus: Corpus, recipe: Recipe) -> EvaluationSpeed:
        """Evaluate an untrained model of the recipe's size in part, in the main process.

        Raises:
            RecipeError: there is no memory for the model.
        """

        def measure() -> EvaluationSpeed:
            moments = [time.perf_counter()]
            model = initial_model(corpus, recipe, self.device)
            graph = build_step_graph(numpy_weights(model), model.config, "int8")
            network = OnnxRuntime(graph, model.config)
            moments.append(time.perf_counter())
            held_out = corpus.valid.stream[:_HELD_OUT_TOKENS]
            tune_cache(predict(network, held_out, num_states=len(held_out)), held_out)
            moments.append(time.perf_counter())
            num_fitted = _fit_some_ngrams(corpus)
            moments.append(time.perf_counter())
            building, tuning, fitting = (end - start for start, end in pairwise(moments))
            token = _MARGIN * tuning / len(held_out)
            growth = (len(corpus.train.stream) / num_fitted) ** _NGRAM_EXPONENT
            return EvaluationSpeed(
                fixed_seconds=_MARGIN * (_GRAPHS * building + _OTHER_SECONDS),
                token_seconds=_PASSES * token,
                ngram_seconds=_MARGIN * growth * fitting + _GENERATED_TOKENS * token,
            )

        return self.processes.broadcast_from_main(measure)


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
