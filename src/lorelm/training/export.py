"""The bundle of a trained model, with its evaluation: :func:`bundle_contents`."""

from lorelm.bundle import BundleContents
from lorelm.bundle.manifest import CorpusMetadata, Manifest, Metrics, TrainingMetadata
from lorelm.corpus.preparation import Corpus
from lorelm.corpus.token_keys import document_keys
from lorelm.errors import CorpusError, MissingExtraError
from lorelm.evaluation.baseline import NgramBaseline, ngram_log_probabilities
from lorelm.evaluation.cache import MAX_TARGETS, tune_cache
from lorelm.evaluation.evaluate import DEFAULTS
from lorelm.evaluation.measure import EvaluatedModel, generate_samples, measure
from lorelm.evaluation.memorisation import TrainingText
from lorelm.evaluation.perplexity import perplexity, predict
from lorelm.evaluation.spelling import SpellingModel
from lorelm.evaluation.text import HeldOutText
from lorelm.ngrams.fingerprints import FingerprintIndex
from lorelm.runtime.base import Runtime
from lorelm.runtime.onnx_runtime import OnnxRuntime
from lorelm.runtime.step_graph import PRECISIONS, Precision, build_step_graph
from lorelm.training.callbacks import TrainingCallback, metrics_lines
from lorelm.training.initial_checkpoint import numpy_weights
from lorelm.training.losses import validation_loss
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe
from lorelm.training.trainer import TrainedModel


def bundle_contents(
    trained: TrainedModel,
    corpus: Corpus,
    recipe: Recipe,
    options: TrainingOptions,
    callback: TrainingCallback,
) -> BundleContents:
    """Evaluate a trained model and return what its bundle is written from."""
    config = trained.model.config
    weights = numpy_weights(trained.model)
    is_small = options.serving_only or options.compact
    precisions: tuple[Precision, ...] = ("int8",) if is_small else PRECISIONS
    graphs = {each: build_step_graph(weights, config, each) for each in precisions}
    network = OnnxRuntime(graphs["int8"], config)
    # The n-gram baseline is weighed on the whole validation part, the cache on its beginning.
    valid = corpus.valid.stream if corpus.is_countable else corpus.valid.stream[:MAX_TARGETS]
    predicted = predict(network, valid, num_states=MAX_TARGETS)
    baseline = NgramBaseline.fit(corpus, predicted) if corpus.is_countable else None
    spelling = SpellingModel.of_training_part(corpus)
    manifest = Manifest(
        tokenizer=corpus.tokenizer.style,
        model=config,
        recipe=recipe.to_dict(),
        corpus=_corpus_metadata(corpus),
        training=_training_metadata(trained, corpus),
        ngram=baseline.metadata if baseline else None,
        cache=tune_cache(predicted, valid, baseline),
        metrics=_evaluate(network, corpus, spelling, baseline, callback),
    )
    return BundleContents(
        manifest=manifest,
        vocabulary=corpus.vocabulary,
        graphs=graphs,
        weights=None if options.serving_only else weights,
        weight_type="float16" if options.compact else "float32",
        spelling=spelling.characters,
        copies=_copy_index(corpus),
        ngram=baseline.model if baseline and options.with_ngram else None,
        metrics=metrics_lines(trained.epochs).encode(),
        curves=_curves(trained, corpus, baseline),
    )


def _evaluate(
    network: Runtime,
    corpus: Corpus,
    spelling: SpellingModel,
    baseline: NgramBaseline | None,
    callback: TrainingCallback,
) -> Metrics | None:
    """Return the metrics on the test part; None if it cannot be evaluated on."""
    index = None
    if corpus.is_countable:
        index = TrainingText(corpus.train.documents, corpus.tokenizer)
    model = EvaluatedModel(
        network=network,
        precision="int8",
        spelling=spelling,
        baseline=baseline,
        index=index,
    )
    try:
        text = HeldOutText.of_test_part(corpus)
        return measure(model, text, generate_samples(model, text, DEFAULTS.num_samples)).metrics
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


def _corpus_metadata(corpus: Corpus) -> CorpusMetadata:
    return CorpusMetadata(
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
