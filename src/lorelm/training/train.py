"""The whole way from documents to a bundle: :func:`train`."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lorelm.bundle.bundle import METRICS_SO_FAR, check_target, save_bundle
from lorelm.bundle.manifest import CorpusFacts, Evaluation, TrainingFacts
from lorelm.corpus.documents import Documents
from lorelm.corpus.preparation import Corpus, prepare_corpus
from lorelm.corpus.token_keys import document_keys
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.errors import BundleError, RecipeError
from lorelm.evaluation.mixture import CountedModel
from lorelm.evaluation.perplexity import perplexity, score_stream
from lorelm.evaluation.spelling import SpellingModel
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.ngrams.fingerprints import FingerprintIndex
from lorelm.runtime.onnx_runtime import OnnxRuntime
from lorelm.runtime.step_graph import PRECISIONS, Weights, build_step_graph
from lorelm.training.loop import EpochReport, TrainedModel, TrainingListener, fit, resolve_device
from lorelm.training.recipe import Recipe
from lorelm.training.validation import validation_loss


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What came of a training run; the model itself is in the bundle at `path`.

    Attributes:
        interruption: what ended training before its last epoch, if anything did.
    """

    path: Path
    corpus: Corpus
    evaluation: Evaluation
    training: TrainingFacts
    interruption: KeyboardInterrupt | RecipeError | None


def train(
    documents: Documents,
    recipe: Recipe,
    *,
    out: str | Path,
    valid: Documents | None = None,
    test: Documents | None = None,
    device: str = "auto",
    serving_only: bool = False,
    with_ngram: bool = False,
    listener: TrainingListener | None = None,
) -> TrainingResult:
    """Trains a model, judges it on the test part and saves it as a bundle in the folder `out`.

    A line an epoch goes to ``metrics.so-far.jsonl`` in the same folder while training runs, and is
    in the bundle as ``metrics.jsonl`` in the end.

    Args:
        valid, test: these parts, where they are not to be split off `documents`.
        serving_only: leave the weights and the float32 graph out of the bundle.
        with_ngram: put the n-gram model of the training part into the bundle, so that generating
            and scoring can use the mixture of both.

    Raises:
        CorpusError: the corpus is too small, or has no word for the tokenizer.
        BundleError: `out` holds something else, or cannot be written.
        InputError: there is no such device.
        RecipeError: the loss exploded in the first epoch.
        KeyboardInterrupt: Ctrl-C in the first epoch.
    """
    out = Path(out)
    check_target(out)
    resolved_device = resolve_device(device)
    corpus = prepare_corpus(
        documents,
        tokenizer=make_tokenizer(recipe.tokenizer),
        min_frequency=recipe.min_frequency,
        split_seed=recipe.split_seed,
        valid=valid,
        test=test,
    )
    log = _MetricsLog(out, listener or TrainingListener())
    trained = fit(corpus, recipe, device=resolved_device, listener=log)
    weights = _weights(trained.model)
    graphs = {p: build_step_graph(weights, trained.model.config, p) for p in PRECISIONS}
    served = OnnxRuntime(graphs["int8"], trained.model.config)
    evaluation = _evaluate(trained, corpus, served)
    counted = CountedModel.fit(corpus, served)
    training = TrainingFacts(
        best_epoch=trained.best.epoch,
        epochs=len(trained.epochs),
        seconds=round(trained.epochs[-1].seconds, 1),
        device=resolved_device.type,
    )
    save_bundle(
        out,
        vocabulary=corpus.vocabulary,
        tokenizer=corpus.tokenizer,
        model=trained.model.config,
        graphs={"int8": graphs["int8"]} if serving_only else graphs,
        weights=None if serving_only else weights,
        recipe=recipe.to_dict(),
        corpus=_facts(corpus),
        evaluation=evaluation,
        training=training,
        spelling=SpellingModel.of_training_part(corpus).characters,
        copies=FingerprintIndex.build(document_keys(corpus.train.documents, corpus.tokenizer)),
        ngram=counted.model if with_ngram else None,
        ngram_facts=counted.facts,
        metrics=log.lines.encode(),
    )
    return TrainingResult(
        path=out,
        corpus=corpus,
        evaluation=evaluation,
        training=training,
        interruption=trained.interruption,
    )


class _MetricsLog(TrainingListener):
    """Writes a line an epoch and passes everything on.

    The folder and the file are made when there is something to write, so that a run that ends
    before its first epoch does leaves no trace.
    """

    def __init__(self, out: Path, listener: TrainingListener) -> None:
        self.lines = ""
        self._path = out / METRICS_SO_FAR
        self._listener = listener

    def on_start(self, corpus: Corpus, recipe: Recipe) -> None:
        self._listener.on_start(corpus, recipe)

    def on_step(self, *, num_tokens: int) -> None:
        self._listener.on_step(num_tokens=num_tokens)

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        line = {
            "epoch": report.epoch,
            "train_loss_nats_per_token": report.train_loss,
            "valid_loss_nats_per_token": report.valid_loss,
            "valid_perplexity": report.valid_perplexity,
            "is_best": report.is_best,
            "learning_rate": report.learning_rate,
            "tokens_per_second": report.tokens_per_second,
            "seconds": report.seconds,
        }
        self.lines += json.dumps(line) + "\n"
        try:
            self._path.parent.mkdir(exist_ok=True)
            self._path.write_text(self.lines, encoding="utf-8")
        except OSError as error:
            raise BundleError(f"{self._path} cannot be written: {error.strerror}") from error
        self._listener.on_epoch(report, model)


def _weights(model: LSTMLanguageModel) -> Weights:
    return {
        name: np.asarray(tensor.detach().cpu().numpy(), dtype=np.float32)
        for name, tensor in model.state_dict().items()
    }


def _evaluate(trained: TrainedModel, corpus: Corpus, served: OnnxRuntime) -> Evaluation:
    return Evaluation(
        valid_perplexity=trained.best.valid_perplexity,
        test_perplexity=perplexity(validation_loss(trained.model, corpus.test.stream)),
        int8_test_perplexity=score_stream(served, corpus.test.stream).perplexity,
        test_unknown_rate=corpus.test.unknown_rate,
    )


def _facts(corpus: Corpus) -> CorpusFacts:
    return CorpusFacts(
        source=corpus.source,
        fingerprint=corpus.fingerprint,
        train_documents=corpus.train.num_documents,
        train_tokens=len(corpus.train.stream),
        valid_documents=corpus.valid.num_documents,
        valid_tokens=len(corpus.valid.stream),
        test_documents=corpus.test.num_documents,
        test_tokens=len(corpus.test.stream),
        files=tuple(corpus.files),
    )
