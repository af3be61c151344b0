"""The whole way from documents to a bundle: :func:`train`."""

import dataclasses
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from lorelm.bundle import Bundle
from lorelm.bundle.bundle import CHECKPOINT, check_target, save_bundle
from lorelm.bundle.manifest import CorpusFacts, Evaluation, TrainingFacts
from lorelm.corpus.documents import Documents
from lorelm.corpus.preparation import Corpus, prepare_corpus
from lorelm.corpus.token_keys import document_keys
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.errors import CheckpointError, CorpusError
from lorelm.evaluation.mixture import CountedModel
from lorelm.evaluation.perplexity import perplexity, score_stream
from lorelm.evaluation.spelling import SpellingModel
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.ngrams.fingerprints import FingerprintIndex
from lorelm.runtime.onnx_runtime import OnnxRuntime
from lorelm.runtime.step_graph import PRECISIONS, Precision, Weights, build_step_graph
from lorelm.training.checkpoint import Checkpoint
from lorelm.training.device import resolve_device, resolve_precision
from lorelm.training.initial_weights import initial_weights
from lorelm.training.listener import EpochReport, TrainingListener
from lorelm.training.loop import CheckpointSettings, fit
from lorelm.training.metrics import MetricsLog, metrics_lines
from lorelm.training.recipe import Recipe
from lorelm.training.trainer import TrainedModel
from lorelm.training.validation import validation_loss


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """What is asked of a training run beside its recipe.

    Attributes:
        device: where to train: ``auto``, ``cpu``, ``cuda``.
        init: the path of a bundle whose weights to begin with.
        serving_only: leave the weights and the float32 graph out of the bundle.
        compact: leave the float32 graph out of the bundle, and write the weights in float16.
        with_ngram: put the n-gram model of the training part into the bundle, so that generating
            and scoring can use the mixture of both.
        checkpoint_seconds: between two checkpoints.
        checkpoint_steps: between two checkpoints, where they are to be counted in steps.
    """

    device: str = "auto"
    init: str | None = None
    serving_only: bool = False
    compact: bool = False
    with_ngram: bool = False
    checkpoint_seconds: float = 30.0
    checkpoint_steps: int | None = None


DEFAULTS: Final = TrainingOptions()


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What came of a training run; the model itself is in the bundle at `path`."""

    path: Path
    corpus: Corpus
    evaluation: Evaluation
    training: TrainingFacts


def train(
    documents: Documents,
    recipe: Recipe,
    *,
    out: str | Path,
    options: TrainingOptions = DEFAULTS,
    valid: Documents | None = None,
    test: Documents | None = None,
    listener: TrainingListener | None = None,
    resume: Checkpoint | None = None,
    stop: threading.Event | None = None,
) -> TrainingResult:
    """Trains a model, judges it on the test part and saves it as a bundle in the folder `out`.

    While training runs, the folder holds a checkpoint, and ``metrics.so-far.jsonl`` with a line an
    epoch, which is in the bundle as ``metrics.jsonl`` in the end.

    Args:
        valid, test: these parts, where they are not to be split off `documents`.
        resume: the checkpoint to go on from; all other arguments are as they were.
        stop: ends training with a checkpoint after the step in which it is set.

    Raises:
        CorpusError: the corpus is too small, has no word for the tokenizer, or is too large for the
            n-gram model that is asked for.
        BundleError: `out` holds something else, or cannot be written.
        CheckpointError: `out` holds an unfinished run and this is not its resumption, or `resume`
            is of another corpus.
        InputError: there is no such device.
        RecipeError: the loss exploded, again and again.
        TrainingStoppedError: `stop` was set.
    """
    out = Path(out)
    check_target(out)
    if resume is None:
        refuse_unfinished(out)
    device = resolve_device(options.device)
    corpus = prepare_corpus(
        documents,
        tokenizer=make_tokenizer(recipe.tokenizer),
        min_frequency=recipe.min_frequency,
        split_seed=recipe.split_seed,
        valid=valid,
        test=test,
        store=out,
    )
    if options.with_ngram and not corpus.is_countable:
        raise CorpusError(
            f"{corpus.source} is too large for an n-gram model: leave out --ngram, or give a part "
            "of it"
        )
    recipe = dataclasses.replace(recipe, precision=resolve_precision(recipe.precision, device))
    initial = None
    if options.init is not None:
        known = Bundle.load(options.init)
        recipe = _sized_as(recipe, known)
        initial = initial_weights(known, corpus.vocabulary, corpus.tokenizer)
    run = _run_facts(recipe, corpus, options)
    if resume is not None:
        _check_same_run(resume, run, out)
    log = MetricsLog(
        out,
        listener or TrainingListener(),
        reports=[EpochReport(**r) for r in resume.snapshot.facts["epochs"]] if resume else (),
    )
    trained = fit(
        corpus,
        recipe,
        device=device,
        listener=log,
        initial_weights=initial,
        checkpoints=CheckpointSettings(
            out=out,
            run=run,
            seconds=options.checkpoint_seconds,
            steps=options.checkpoint_steps,
        ),
        resume=resume.snapshot if resume else None,
        stop=stop,
    )
    return _save(trained, corpus, recipe, out=out, options=options, device=device.type)


def _save(
    trained: TrainedModel,
    corpus: Corpus,
    recipe: Recipe,
    *,
    out: Path,
    options: TrainingOptions,
    device: str,
) -> TrainingResult:
    """Judges a trained model and makes a bundle of it."""
    weights = _weights(trained.model)
    kept: tuple[Precision, ...] = (
        ("int8",) if options.serving_only or options.compact else PRECISIONS
    )
    graphs = {p: build_step_graph(weights, trained.model.config, p) for p in kept}
    served = OnnxRuntime(graphs["int8"], trained.model.config)
    evaluation = _evaluate(trained, corpus, served)
    counted = CountedModel.fit(corpus, served) if corpus.is_countable else None
    training = TrainingFacts(
        best_epoch=trained.best.epoch,
        epochs=len(trained.epochs),
        seconds=round(trained.epochs[-1].seconds, 1),
        device=device,
    )
    save_bundle(
        out,
        vocabulary=corpus.vocabulary,
        tokenizer=corpus.tokenizer,
        model=trained.model.config,
        graphs=graphs,
        weights=None if options.serving_only else weights,
        weight_type="float16" if options.compact else "float32",
        recipe=recipe.to_dict(),
        corpus=_facts(corpus),
        evaluation=evaluation,
        training=training,
        spelling=SpellingModel.of_training_part(corpus).characters,
        copies=_copies(corpus),
        ngram=counted.model if counted and options.with_ngram else None,
        ngram_facts=counted.facts if counted else None,
        metrics=metrics_lines(trained.epochs).encode(),
    )
    return TrainingResult(path=out, corpus=corpus, evaluation=evaluation, training=training)


def _copies(corpus: Corpus) -> FingerprintIndex | None:
    if not corpus.is_countable:
        return None
    return FingerprintIndex.build(document_keys(corpus.train.documents, corpus.tokenizer))


def refuse_unfinished(out: Path) -> None:
    """Refuses a folder with an unfinished run, of which nothing is to be lost.

    Raises:
        CheckpointError: it holds one.
    """
    if (out / CHECKPOINT).is_file():
        where = Checkpoint.load(out).snapshot.description
        raise CheckpointError(
            f"{out} holds an unfinished run ({where}): go on with lorelm train --resume {out}, "
            f"give --out another folder, or delete {out / CHECKPOINT}"
        )


def _sized_as(recipe: Recipe, known: Bundle) -> Recipe:
    """The recipe with the sizes of the model to begin with."""
    model = known.manifest.model
    return dataclasses.replace(
        recipe,
        embedding_size=model.embedding_size,
        hidden_size=model.hidden_size,
        num_layers=model.num_layers,
        tied=model.tied,
    )


def _run_facts(recipe: Recipe, corpus: Corpus, options: TrainingOptions) -> dict[str, Any]:
    """What a checkpoint says of its run."""
    return {
        "recipe": recipe.to_dict(),
        "corpus_fingerprint": corpus.fingerprint,
        "files": [dataclasses.asdict(file) for file in corpus.files],
        "options": dataclasses.asdict(options),
    }


def _check_same_run(resume: Checkpoint, run: dict[str, Any], out: Path) -> None:
    """Refuses to go on with another corpus or recipe.

    Raises:
        CheckpointError: it is another.
    """
    if resume.run["corpus_fingerprint"] != run["corpus_fingerprint"]:
        raise CheckpointError(
            f"the corpus has changed since the run in {out} began: bring back the file as it "
            "was, or begin anew in another folder"
        )
    if resume.run["recipe"] != run["recipe"]:
        raise CheckpointError(f"the run in {out} has another recipe: begin anew in another folder")


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
