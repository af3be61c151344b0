"""The bundle of a trained model, with its evaluation: :func:`bundle_contents`."""

from collections.abc import Callable
from typing import Final

from lorelm.bundle import BundleContents
from lorelm.bundle.manifest import CorpusMetadata, Manifest, TrainingMetadata
from lorelm.bundle.metrics import Metrics
from lorelm.corpus.preparation import Corpus
from lorelm.corpus.token_keys import document_keys
from lorelm.errors import CorpusError, MissingExtraError
from lorelm.evaluation.baseline import NgramBaseline, ngram_log_probabilities
from lorelm.evaluation.cache import MAX_TARGETS, tune_cache
from lorelm.evaluation.evaluate import DEFAULTS
from lorelm.evaluation.measure import EvaluatedModel, Stage, generate_samples, measure
from lorelm.evaluation.memorisation import TrainingText
from lorelm.evaluation.perplexity import Predictions, perplexity, predict
from lorelm.evaluation.spelling import SpellingModel
from lorelm.evaluation.text import HeldOutText
from lorelm.model.config import ModelConfig
from lorelm.ngrams.fingerprints import FingerprintIndex
from lorelm.ngrams.kneser_ney import KneserNey
from lorelm.runtime.base import Runtime
from lorelm.runtime.onnx_runtime import OnnxRuntime
from lorelm.runtime.step_graph import PRECISIONS, Precision, Weights, build_step_graph
from lorelm.training.callbacks import TrainedModel, TrainingCallback, metrics_lines
from lorelm.training.initial_checkpoint import numpy_weights
from lorelm.training.losses import validation_loss
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe

_IS_MIXED: Final = (
    "Counting predicts the validation part better than the network does, so the bundle carries the "
    "n-gram model too, and both are mixed wherever the model is used (--no-mixture: the network "
    "alone). More text, or more epochs, may help."
)


def bundle_contents(
    trained: TrainedModel,
    corpus: Corpus,
    recipe: Recipe,
    options: TrainingOptions,
    callback: TrainingCallback,
    on_stage: Callable[[str], object] = lambda _: None,
) -> BundleContents:
    """Evaluate a trained model and return what its bundle is written from.

    Args:
        on_stage: called at the beginning of each :class:`Stage`.
    """
    on_stage(Stage.GRAPHS)
    weights = numpy_weights(trained.model)
    graphs = _graphs(weights, trained.model.config, options)
    network = OnnxRuntime(graphs["int8"], trained.model.config)
    on_stage(Stage.VALIDATION)
    # The n-gram baseline is weighed on the whole validation part, the cache on its beginning.
    valid = corpus.valid.stream if corpus.is_countable else corpus.valid.stream[:MAX_TARGETS]
    predicted = predict(network, valid, num_states=MAX_TARGETS)
    on_stage(Stage.NGRAMS)
    model = _evaluated_model(network, corpus, predicted, callback)
    copies = _copy_index(corpus)
    on_stage(Stage.CACHE)
    manifest = _manifest(trained, corpus, recipe, model)
    manifest = manifest.model_copy(
        update={
            "cache": tune_cache(predicted, valid, model.baseline),
            "metrics": _evaluate(model, corpus, callback, on_stage),
        }
    )
    on_stage(Stage.SAVING)
    return BundleContents(
        manifest=manifest,
        vocabulary=corpus.vocabulary,
        graphs=graphs,
        weights=None if options.serving_only else weights,
        weight_type="float16" if options.compact else "float32",
        spelling=model.spelling.characters if model.spelling else None,
        copies=copies,
        ngram=_carried_ngram(model, options),
        metrics=metrics_lines(trained.epochs).encode(),
        curves=_curves(trained, corpus, model.baseline),
    )


def _manifest(
    trained: TrainedModel, corpus: Corpus, recipe: Recipe, model: EvaluatedModel
) -> Manifest:
    """Return the manifest without what the evaluation adds to it."""
    return Manifest(
        tokenizer=corpus.tokenizer.style,
        model=trained.model.config,
        recipe=recipe.to_dict(),
        corpus=_corpus_metadata(corpus, recipe),
        training=_training_metadata(trained, corpus),
        mixture=model.is_mixed,
        ngram=model.baseline.metadata if model.baseline else None,
    )


def _graphs(
    weights: Weights, config: ModelConfig, options: TrainingOptions
) -> dict[Precision, bytes]:
    is_small = options.serving_only or options.compact
    precisions: tuple[Precision, ...] = ("int8",) if is_small else PRECISIONS
    return {each: build_step_graph(weights, config, each) for each in precisions}


def _evaluated_model(
    network: Runtime, corpus: Corpus, predicted: Predictions, callback: TrainingCallback
) -> EvaluatedModel:
    """Return the network with all that it is compared with, and mixed with if that is better."""
    baseline = index = None
    is_mixed = False
    if corpus.is_countable:
        baseline = NgramBaseline.fit(corpus, predicted)
        is_mixed = baseline.beats(predicted.log_probabilities, corpus.valid.stream)
        index = TrainingText(corpus.train.documents, corpus.tokenizer)
    if is_mixed:
        callback.on_problem(_IS_MIXED)
    return EvaluatedModel(
        network=network,
        precision="int8",
        is_mixed=is_mixed,
        spelling=SpellingModel.of_training_part(corpus),
        baseline=baseline,
        index=index,
    )


def _carried_ngram(model: EvaluatedModel, options: TrainingOptions) -> KneserNey | None:
    """Return the n-gram model for the bundle, which no model that is worse goes without."""
    if model.baseline is None or not (options.with_ngram or model.is_mixed):
        return None
    return model.baseline.model


def _evaluate(
    model: EvaluatedModel,
    corpus: Corpus,
    callback: TrainingCallback,
    on_stage: Callable[[str], object],
) -> Metrics | None:
    """Return the metrics on the test part; None if it cannot be evaluated on."""
    try:
        text = HeldOutText.of_test_part(corpus)
        on_stage(Stage.SAMPLES)
        samples = generate_samples(model, text, DEFAULTS.num_samples)
        on_stage(Stage.METRICS)
        return measure(model, text, samples).metrics
    except CorpusError as error:
        callback.on_problem(f"the model cannot be evaluated: {error}")
        return None


def _training_metadata(trained: TrainedModel, corpus: Corpus) -> TrainingMetadata:
    return TrainingMetadata(
        best_epoch=trained.best.epoch,
        epochs=len(trained.epochs),
        seconds=round(trained.epochs[-1].seconds, 1),
        device=trained.model.fc.weight.device.type,
        valid_perplexity=trained.best.valid_perplexity,
        test_perplexity=perplexity(validation_loss(trained.model, corpus.test.stream)),
        ended=trained.ended,
        base_share=trained.base_share,
    )


def _copy_index(corpus: Corpus) -> FingerprintIndex | None:
    if not corpus.is_countable:
        return None
    return FingerprintIndex.build(document_keys(corpus.train.documents, corpus.tokenizer))


def _curves(trained: TrainedModel, corpus: Corpus, baseline: NgramBaseline | None) -> bytes | None:
    """Return the plot of the training metrics; None where Matplotlib is not installed."""
    try:
        from lorelm.evaluation.report.plots import render_curves
    except MissingExtraError:
        return None
    ngram = None
    if baseline is not None:
        loss = -ngram_log_probabilities(baseline.model, corpus.valid.stream).mean()
        ngram = baseline.model.order, perplexity(loss)
    return render_curves([report.metrics for report in trained.epochs], ngram=ngram)


def _corpus_metadata(corpus: Corpus, recipe: Recipe) -> CorpusMetadata:
    return CorpusMetadata(
        source=corpus.source,
        fingerprint=corpus.fingerprint,
        train_documents=corpus.train.num_documents,
        train_tokens=len(corpus.train.stream),
        valid_documents=corpus.valid.num_documents,
        valid_tokens=len(corpus.valid.stream),
        test_documents=corpus.test.num_documents,
        test_tokens=len(corpus.test.stream),
        sampled_tokens=corpus.sampled_tokens,
        seen_words=corpus.num_seen_words if recipe.vocabulary == "base" else None,
        files=tuple(file and file.without_folder for file in corpus.files),
    )
