"""The whole way from documents to a bundle: :func:`train`."""

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch

from lorelm.bundle import Bundle, BundleContents, save_bundle
from lorelm.bundle.manifest import CorpusFacts, Evaluation, Manifest, TrainingFacts
from lorelm.corpus.documents import Documents
from lorelm.corpus.id_store import IdStore
from lorelm.corpus.preparation import Corpus, prepare_corpus
from lorelm.corpus.token_keys import document_keys
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.errors import CheckpointError, CorpusError, MissingExtraError, RecipeError
from lorelm.evaluation.cache import tune_cache
from lorelm.evaluation.mixture import CountedModel
from lorelm.evaluation.perplexity import perplexity, score_stream
from lorelm.evaluation.spelling import SpellingModel
from lorelm.ngrams.fingerprints import FingerprintIndex
from lorelm.runtime.onnx_runtime import OnnxRuntime
from lorelm.runtime.step_graph import PRECISIONS, Precision, build_step_graph
from lorelm.training.budget import Plan, ThisMachine, TimeBudget, plan
from lorelm.training.checkpoint import Checkpoint
from lorelm.training.device import precision_to_go_on, resolve_device, resolve_precision
from lorelm.training.initial_weights import KNOWN_SIZES, initial_weights, known_model
from lorelm.training.judging import numpy_weights
from lorelm.training.listener import EpochReport, TrainingListener
from lorelm.training.loop import CheckpointSettings, fit
from lorelm.training.metrics import MetricsLog, epoch_figures, metrics_lines
from lorelm.training.processes import ALONE, Processes
from lorelm.training.recipe import Recipe
from lorelm.training.run_folder import held_run_folder
from lorelm.training.sizing import sized_to
from lorelm.training.tensorboard import TensorBoardLog
from lorelm.training.trainer import TrainedModel
from lorelm.training.validation import validation_loss


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """What is asked of a training run beside its recipe.

    Attributes:
        device: where to train: ``auto``, ``cpu``, ``cuda``.
        init: the path of a bundle whose weights to begin with; its sizes come before the recipe's.
        serving_only: leave the weights and the float32 graph out of the bundle.
        compact: leave the float32 graph out of the bundle, and write the weights in float16.
        with_ngram: put the n-gram model of the training part into the bundle, so that generating
            and scoring can use the mixture of both.
        time_budget_seconds: how long the run may take, from its beginning to the saved and judged
            model; the width and the epochs are fitted to it. None lets the recipe decide.
        checkpoint_seconds: between two checkpoints.
        checkpoint_steps: between two checkpoints, where they are to be counted in steps.
        tensorboard: the path of a folder to write the figures of each epoch to for TensorBoard.

    Raises:
        RecipeError: a number is out of its range.
    """

    device: str = "auto"
    init: str | None = None
    serving_only: bool = False
    compact: bool = False
    with_ngram: bool = False
    time_budget_seconds: float | None = None
    checkpoint_seconds: float = 30.0
    checkpoint_steps: int | None = None
    tensorboard: str | None = None

    def __post_init__(self) -> None:
        if not self.checkpoint_seconds >= 0:  # NaN is not
            raise RecipeError(
                f"checkpoint_seconds must be at least 0, not {self.checkpoint_seconds}"
            )


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
    stop: AbstractContextManager[threading.Event] | None = None,
    processes: Processes = ALONE,
    started: float | None = None,
) -> TrainingResult | None:
    """Trains a model, judges it on the test part and saves it as a bundle in the folder `out`.

    Where several processes train it, only the writer among them judges and saves, and tells the
    listener; the others return None.

    While training runs, the folder holds a checkpoint, and ``metrics.so-far.jsonl`` with a line an
    epoch, which is in the bundle as ``metrics.jsonl`` in the end. No other run may write to it
    meanwhile.

    Args:
        valid, test: these parts, if they are not to be split off `documents`.
        resume: the checkpoint to go on from, by its own recipe and options.
        stop: entered while steps are made; its event ends training with a checkpoint after the step
            in which it is set.
        processes: that train together; all of them are given the same arguments.
        started: when the time budget began to run, by `time.perf_counter`; None: now.

    Raises:
        CorpusError: the corpus is too small, has no word for the tokenizer, or is too large for the
            n-gram model that is asked for.
        BundleError: `out` holds something else, cannot be written, or another run writes to it; or
            there is no model to begin with at `init`.
        CheckpointError: `out` holds an unfinished run and this is not its resumption, `resume` is
            of another corpus, or the first checkpoint cannot be written.
        InputError: there is no such device, or no writing for TensorBoard.
        MissingExtraError: TensorBoard is asked for and not installed.
        RecipeError: the loss exploded, again and again, the batch is too small for so many
            processes, or the time budget for anything sensible.
        TrainingStoppedError: `stop` was set, or Ctrl-C elsewhere.
        WorkerLostError: another process ended.
    """
    out = Path(out)
    budget = _budget(options, started) if resume is None else None
    with held_run_folder(out, processes, is_resumed=resume is not None):
        return _train_in_held_folder(
            documents,
            recipe,
            out=out,
            options=options,
            valid=valid,
            test=test,
            listener=listener,
            resume=resume,
            stop=stop,
            processes=processes,
            budget=budget,
        )


def _train_in_held_folder(
    documents: Documents,
    recipe: Recipe,
    *,
    out: Path,
    options: TrainingOptions,
    valid: Documents | None,
    test: Documents | None,
    listener: TrainingListener | None,
    resume: Checkpoint | None,
    stop: AbstractContextManager[threading.Event] | None,
    processes: Processes,
    budget: TimeBudget | None,
) -> TrainingResult | None:
    device = processes.own_device(resolve_device(options.device))
    known = known_model(options.init) if options.init is not None and resume is None else None
    on_progress = budget.watch(f"preparing {documents.source}") if budget else None
    corpus = _prepared(
        documents, valid, test, recipe=recipe, out=out, processes=processes, on_progress=on_progress
    )
    if options.with_ngram and not corpus.is_countable:
        raise CorpusError(
            f"{corpus.source} is too large for an n-gram model: leave out --ngram, or give a part "
            "of it"
        )
    initial = None
    _check_same_everywhere(corpus, recipe, processes)
    if resume is None:
        planned = _planned(
            recipe, corpus, options, budget, device=device, known=known, processes=processes
        )
        if known is not None:
            initial = initial_weights(known, corpus.vocabulary, corpus.tokenizer)
    else:
        precision = precision_to_go_on(recipe.precision, device)
        planned = dataclasses.replace(
            Plan.from_facts(resume.run), recipe=dataclasses.replace(recipe, precision=precision)
        )
        _check_same_corpus(resume, corpus, out)
    recipe = planned.recipe
    corpus = planned.fitted(corpus)
    run = resume.run if resume else _run_facts(planned, corpus, options)
    epochs = resume.snapshot.facts["epochs"] if resume else ()
    reports = [EpochReport(**report) for report in epochs]
    with _told(listener, out, options, processes, reports) as told, stop or nullcontext() as event:
        for warning in planned.warnings:
            told.on_problem(warning)
        if resume and recipe.precision != resume.run["recipe"]["precision"]:
            told.on_problem(
                "this processor has no bfloat16 arithmetic, with which the run was begun: it goes "
                "on in float32"
            )
        trained = fit(
            corpus,
            recipe,
            device=device,
            listener=told,
            initial_weights=initial,
            seconds=planned.training_seconds,
            max_epochs=planned.max_epochs,
            checkpoints=CheckpointSettings(
                out=out,
                run=run,
                seconds=options.checkpoint_seconds,
                steps=options.checkpoint_steps,
            ),
            resume=resume.snapshot if resume else None,
            stop=event,
            processes=processes,
        )
    if not processes.is_writer:
        return None
    return _save(trained, corpus, recipe, out=out, options=options, device=device.type)


def _prepared(
    documents: Documents,
    valid: Documents | None,
    test: Documents | None,
    *,
    recipe: Recipe,
    out: Path,
    processes: Processes,
    on_progress: Callable[[float], None] | None,
) -> Corpus:
    """The corpus; one that is larger than memory is numbered once, by the writer."""

    def prepare() -> Corpus:
        return prepare_corpus(
            documents,
            tokenizer=make_tokenizer(recipe.tokenizer),
            min_frequency=recipe.min_frequency,
            split_seed=recipe.split_seed,
            valid=valid,
            test=test,
            store=IdStore(folder=out, is_writer=processes.is_writer, on_progress=on_progress),
        )

    is_streamed = any(part.is_streamed for part in (documents, valid, test) if part is not None)
    return processes.writer_first(prepare) if is_streamed else prepare()


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
    weights = numpy_weights(trained.model)
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
    manifest = Manifest(
        tokenizer=corpus.tokenizer.style,
        model=trained.model.config,
        recipe=recipe.to_dict(),
        corpus=_facts(corpus),
        evaluation=evaluation,
        training=training,
        ngram=counted.facts if counted else None,
        cache=tune_cache(served, corpus.valid.stream, counted),
    )
    contents = BundleContents(
        manifest=manifest,
        vocabulary=corpus.vocabulary,
        graphs=graphs,
        weights=None if options.serving_only else weights,
        weight_type="float16" if options.compact else "float32",
        spelling=SpellingModel.of_training_part(corpus).characters,
        copies=_copies(corpus),
        ngram=counted.model if counted and options.with_ngram else None,
        metrics=metrics_lines(trained.epochs).encode(),
        curves=_curves(trained, corpus, counted),
    )
    save_bundle(out, contents)
    return TrainingResult(path=out, corpus=corpus, evaluation=evaluation, training=training)


@contextmanager
def _told(
    listener: TrainingListener | None,
    out: Path,
    options: TrainingOptions,
    processes: Processes,
    reports: Sequence[EpochReport],
) -> Iterator[TrainingListener]:
    """All that are told how training goes; nobody where another process writes."""
    if not processes.is_writer:
        yield TrainingListener()
        return
    listener = listener or TrainingListener()
    board = TensorBoardLog(Path(options.tensorboard), listener) if options.tensorboard else None
    with board or nullcontext():
        yield MetricsLog(out, board or listener, reports=reports)


def _curves(trained: TrainedModel, corpus: Corpus, counted: CountedModel | None) -> bytes | None:
    """The plot of how training went; None where Matplotlib is not installed."""
    try:
        from lorelm.evaluation.report.plots import render_curves
    except MissingExtraError:
        return None
    ngram = None
    if counted is not None:
        loss = -counted.log_probabilities(corpus.valid.stream).mean()
        ngram = counted.model.order, perplexity(loss)
    return render_curves([epoch_figures(report) for report in trained.epochs], ngram=ngram)


def _copies(corpus: Corpus) -> FingerprintIndex | None:
    if not corpus.is_countable:
        return None
    return FingerprintIndex.build(document_keys(corpus.train.documents, corpus.tokenizer))


def _budget(options: TrainingOptions, started: float | None) -> TimeBudget | None:
    if options.time_budget_seconds is None:
        return None
    started = time.perf_counter() if started is None else started
    return TimeBudget(seconds=options.time_budget_seconds, started=started)


def _planned(
    recipe: Recipe,
    corpus: Corpus,
    options: TrainingOptions,
    budget: TimeBudget | None,
    *,
    device: torch.device,
    known: Bundle | None,
    processes: Processes,
) -> Plan:
    """The recipe as it fits the machine, the corpus, the model to begin with, and the time.

    Raises:
        RecipeError: nothing sensible fits into the time.
    """
    sized = processes.by_writer(partial(_sized, recipe, corpus, device, known))
    if budget is None:
        return Plan(recipe=sized)
    return plan(
        corpus,
        sized,
        budget,
        ThisMachine(
            device=device,
            processes=processes,
            measured_seconds=min(2.0, budget.seconds / 200),
        ),
        may_change_width="hidden_size" in recipe.by_corpus_size and known is None,
        may_change_epochs="epochs" in recipe.by_corpus_size,
        must_be_counted=options.with_ngram,
    )


def _sized(recipe: Recipe, corpus: Corpus, device: torch.device, known: Bundle | None) -> Recipe:
    """The recipe as it fits the machine, the corpus, and the model to begin with."""
    recipe = dataclasses.replace(recipe, precision=resolve_precision(recipe.precision, device))
    recipe = sized_to(recipe, len(corpus.train.stream), is_fine_tuning=known is not None)
    return recipe if known is None else _sized_as(recipe, known)


def _sized_as(recipe: Recipe, known: Bundle) -> Recipe:
    """The recipe with the sizes of the model to begin with."""
    model = known.manifest.model
    return dataclasses.replace(recipe, **{name: getattr(model, name) for name in KNOWN_SIZES})


def _run_facts(planned: Plan, corpus: Corpus, options: TrainingOptions) -> dict[str, Any]:
    """What a checkpoint says of its run."""
    return {
        **planned.facts,
        "corpus_fingerprint": corpus.fingerprint,
        "folder": str(Path.cwd()),  # which the paths in files and options may be relative to
        "files": [file and dataclasses.asdict(file) for file in corpus.files],
        "options": dataclasses.asdict(options),
    }


def _check_same_everywhere(corpus: Corpus, recipe: Recipe, processes: Processes) -> None:
    """Refuses to train in a process that has something else than the writer.

    Raises:
        CorpusError: another corpus.
        RecipeError: another recipe.
    """
    own = corpus.fingerprint, recipe.to_dict()
    fingerprint, settings = processes.by_writer(lambda: own)
    if corpus.fingerprint != fingerprint:
        raise CorpusError("the corpus differs from machine to machine: copy the same file to all")
    if recipe.to_dict() != settings:
        raise RecipeError(
            "the recipe differs from machine to machine: give all of them the same options"
        )


def _check_same_corpus(resume: Checkpoint, corpus: Corpus, out: Path) -> None:
    """Refuses to go on with another corpus.

    Raises:
        CheckpointError: it is another.
    """
    if resume.run["corpus_fingerprint"] != corpus.fingerprint:
        raise CheckpointError(
            f"the corpus has changed since the run in {out} began: bring back the file as it "
            "was, or begin anew in another folder"
        )


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
