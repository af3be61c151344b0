"""The bundle of a trained model, with its evaluation: :func:`bundle_contents`."""

from lorelm.bundle import BundleContents
from lorelm.bundle.manifest import CorpusMetadata, Manifest, TrainingMetadata
from lorelm.corpus.preparation import Corpus
from lorelm.corpus.token_keys import document_keys
from lorelm.errors import MissingExtraError
from lorelm.evaluation.baseline import NgramBaseline
from lorelm.evaluation.cache import tune_cache
from lorelm.evaluation.perplexity import perplexity
from lorelm.evaluation.spelling import SpellingModel
from lorelm.ngrams.fingerprints import FingerprintIndex
from lorelm.runtime.onnx_runtime import OnnxRuntime
from lorelm.runtime.step_graph import PRECISIONS, Precision, build_step_graph
from lorelm.training.callbacks import metrics_lines
from lorelm.training.initial_checkpoint import numpy_weights
from lorelm.training.losses import validation_loss
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe
from lorelm.training.trainer import TrainedModel


def bundle_contents(
    trained: TrainedModel, corpus: Corpus, recipe: Recipe, options: TrainingOptions
) -> BundleContents:
    """Evaluate a trained model and return what its bundle is written from."""
    model = trained.model
    weights = numpy_weights(model)
    is_small = options.serving_only or options.compact
    kept: tuple[Precision, ...] = ("int8",) if is_small else PRECISIONS
    graphs = {precision: build_step_graph(weights, model.config, precision) for precision in kept}
    network = OnnxRuntime(graphs["int8"], model.config)
    baseline = NgramBaseline.fit(corpus, network) if corpus.is_countable else None
    manifest = Manifest(
        tokenizer=corpus.tokenizer.style,
        model=model.config,
        recipe=recipe.to_dict(),
        corpus=_corpus_metadata(corpus),
        training=TrainingMetadata(
            best_epoch=trained.best.epoch,
            epochs=len(trained.epochs),
            seconds=round(trained.epochs[-1].seconds, 1),
            device=model.fc.weight.device.type,
            valid_perplexity=trained.best.valid_perplexity,
            test_perplexity=perplexity(validation_loss(model, corpus.test.stream)),
        ),
        ngram=baseline.facts if baseline else None,
        cache=tune_cache(network, corpus.valid.stream, baseline),
    )
    return BundleContents(
        manifest=manifest,
        vocabulary=corpus.vocabulary,
        graphs=graphs,
        weights=None if options.serving_only else weights,
        weight_type="float16" if options.compact else "float32",
        spelling=SpellingModel.of_training_part(corpus).characters,
        copies=_copy_index(corpus) if corpus.is_countable else None,
        ngram=baseline.model if baseline and options.with_ngram else None,
        metrics=metrics_lines(trained.epochs).encode(),
        curves=_curves(trained, corpus, baseline),
    )


def _copy_index(corpus: Corpus) -> FingerprintIndex:
    return FingerprintIndex.build(document_keys(corpus.train.documents, corpus.tokenizer))


def _curves(trained: TrainedModel, corpus: Corpus, baseline: NgramBaseline | None) -> bytes | None:
    """Return the plot of the training metrics; None where Matplotlib is not installed."""
    try:
        from lorelm.evaluation.report.plots import render_curves
    except MissingExtraError:
        return None
    ngram = None
    if baseline is not None:
        loss = -baseline.log_probabilities(corpus.valid.stream).mean()
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
