"""From documents to a bundle: :func:`train`."""

import dataclasses
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch

from lorelm.bundle import Bundle, save_bundle
from lorelm.corpus.documents import CorpusParts, Documents
from lorelm.corpus.id_store import IdStore, delete_stored
from lorelm.corpus.preparation import Corpus, prepare_corpus
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.corpus.vocabulary import Vocabulary, VocabularyRules
from lorelm.errors import CheckpointError, CorpusError
from lorelm.runs.registry import registered
from lorelm.training.base_interpolation import interpolate_with_base
from lorelm.training.base_words import with_base_words, without_base_words
from lorelm.training.callbacks import CallbackList, TrainedModel, TrainingCallback
from lorelm.training.checkpoint import Checkpoint
from lorelm.training.device import resolve_precision
from lorelm.training.export import bundle_contents
from lorelm.training.initial_checkpoint import initial_model, sized_for
from lorelm.training.loop import CheckpointSettings, fit
from lorelm.training.options import TrainingOptions
from lorelm.training.pacing import Pacer, ReplannedError
from lorelm.training.plan import Plan, PlanOptions, plan_extension, plan_run
from lorelm.training.processes import check_same_everywhere
from lorelm.training.recipe import Recipe
from lorelm.training.run_context import Run, RunContext, begin_run
from lorelm.training.run_dir import locked_run_dir
from lorelm.training.schedule import TrainingHorizon
from lorelm.training.speed import fastest
from lorelm.training.start import ARCHITECTURE_FIELDS, known_words
from lorelm.training.threads import thread_count_kept
from lorelm.training.trainer import Trainer


def train(
    documents: Documents,
    recipe: Recipe,
    *,
    out: str | Path,
    options: TrainingOptions | None = None,
    valid: Documents | None = None,
    test: Documents | None = None,
    context: RunContext | None = None,
) -> Bundle | None:
    """Train a model, evaluate it on the test part, and save it as a bundle in the folder `out`.

    The manifest of the bundle has all metrics. Where several processes train together, only the
    main process evaluates and saves; the others return None.

    During training, the folder holds a checkpoint, and ``metrics.so-far.jsonl`` with a line per
    epoch, which becomes the bundle's ``metrics.jsonl``. It is locked for other runs.

    Args:
        recipe, options: of a new run; one that is resumed has its own.
        valid, test: these parts, instead of splitting `documents`.

    Raises:
        CorpusError: the corpus is too small, has no word for the tokenizer, or is too large for the
            requested n-gram model.
        BundleError: `out` holds something else, cannot be written, or another run uses it; or there
            is no model at `init`.
        CheckpointError: `out` holds an unfinished run and this is not its resumption, the
            checkpoint to resume is of another corpus, or the first one cannot be written.
        InputError: there is no such device, or a tracker cannot be written to.
        MissingExtraError: the package of a tracker is not installed.
        RecipeError: the loss diverged again and again, or the batch is too small for the number of
            processes, or the time budget for anything useful.
        TrainingStoppedError: `stop` was set, or Ctrl-C elsewhere.
        WorkerLostError: another process ended.
    """
    out, options, context = Path(out), options or TrainingOptions(), context or RunContext()
    is_resumed = context.resume is not None
    if context.resume is not None:
        recipe = Recipe.from_dict(context.resume.run["recipe"])
        options = TrainingOptions.of_run(context.resume.run)
    with thread_count_kept(), locked_run_dir(out, context.processes, is_resumed=is_resumed):
        parts = CorpusParts(documents=documents, valid=valid, test=test)
        bundle = _train(parts, recipe, begin_run(out, options, context))
        if bundle is not None:
            delete_stored(out)  # what Windows could not, as it was mapped into memory
        return bundle


def _train(parts: CorpusParts, recipe: Recipe, run: Run) -> Bundle | None:
    corpus = _prepare(parts, recipe, run)
    with _registered(corpus, run), _callbacks(run) as callback:
        recipe, corpus, trained = _fit(corpus, recipe, run, callback)
        if not run.context.processes.is_main_process:
            return None
        callback.on_evaluation(corpus)
        contents = bundle_contents(
            trained, corpus, recipe, run.options, callback, run.progress.begin
        )
        save_bundle(run.out, contents)
        bundle = Bundle.load(run.out)
        callback.on_end(bundle)
    return bundle


def _prepare(parts: CorpusParts, recipe: Recipe, run: Run) -> Corpus:
    """Return the corpus; one larger than memory is encoded once, by the main process."""
    processes = run.context.processes
    watch = run.budget.watch(f"preparing {parts.documents.source}") if run.budget else None
    store = IdStore(folder=run.out, is_main_process=processes.is_main_process, on_progress=watch)

    def prepare() -> Corpus:
        return prepare_corpus(
            parts,
            tokenizer=make_tokenizer(recipe.tokenizer),
            vocabulary=vocabulary,
            split_seed=recipe.split_seed,
            store=store,
        )

    vocabulary = _vocabulary(recipe, run)
    run.progress.begin(f"preparing {parts.documents.source}")
    corpus = processes.main_process_first(prepare) if parts.is_streamed else prepare()
    if run.options.with_ngram and not corpus.is_countable:
        raise CorpusError(
            f"{corpus.source} is too large for an n-gram model: leave out with_ngram "
            "(--ngram), or give a part of it",
            code="corpus.too_large_for_ngram",
        )
    check_same_everywhere(corpus, recipe, processes)
    return corpus


def _vocabulary(recipe: Recipe, run: Run) -> VocabularyRules | Vocabulary:
    """Return the rules by which the vocabulary is made; of a run that goes on, what they made.

    Without a base the rules make the same words again, and ids that are stored are used again.
    """
    if run.context.resume is not None and recipe.vocabulary == "base":
        return Vocabulary(run.context.resume.run["vocabulary"])
    return recipe.vocabulary_rules(known_words(run.initial, recipe.tokenizer))


def _registered(corpus: Corpus, run: Run) -> AbstractContextManager[None]:
    """List the run for ``lorelm runs``, in the main process."""
    if not run.context.processes.is_main_process:
        return nullcontext()
    return registered(run.out, corpus.source, on_problem=run.context.callback.on_problem)


def _fit(
    corpus: Corpus, recipe: Recipe, run: Run, callback: TrainingCallback
) -> tuple[Recipe, Corpus, TrainedModel]:
    """Train by a plan; return its recipe and corpus with the trained model."""
    resume, replan = run.context.resume, None
    run.progress.begin("measuring the speed of this machine")
    run = _on_fastest_device(corpus, recipe, run)
    plan = _resumed_plan(resume, corpus, recipe, run) if resume else _plan(corpus, recipe, run)
    if resume is None and run.budget is not None and "hidden_size" in _free_settings(recipe, run):
        replan = partial(_plan, corpus, recipe, run, as_busy=True)
    with run.context.stop as stop:
        while True:
            try:
                return _fit_by(plan, corpus, run, callback, stop, replan)
            except ReplannedError as replanned:
                plan, replan = replanned.plan, None


def _on_fastest_device(corpus: Corpus, recipe: Recipe, run: Run) -> Run:
    """Return the run on the GPU of Apple silicon, if it may choose and that trains faster."""
    may_choose = run.options.device == "auto" and run.context.processes.size == 1
    if run.device.type != "cpu" or not may_choose or not torch.backends.mps.is_available():
        return run
    sized = sized_for(recipe, len(corpus.train.stream), run.initial)
    mps = dataclasses.replace(run.machine, device=torch.device("mps"), threads=None)
    best = fastest([run.machine, mps], corpus, dataclasses.replace(sized, precision="float32"))
    return dataclasses.replace(run, device=best.device, threads=best.threads)


def _fit_by(
    plan: Plan,
    corpus: Corpus,
    run: Run,
    callback: TrainingCallback,
    stop: threading.Event | None,
    replan: Callable[[], Plan] | None,
) -> tuple[Recipe, Corpus, TrainedModel]:
    """Train by a plan.

    Raises:
        ReplannedError: the plan that `replan` makes is better.
    """
    options, resume = run.options, run.context.resume
    recipe, corpus = plan.recipe, plan.fitted(corpus)
    for warning in plan.warnings:
        callback.on_problem(warning)
    trained_on, weights = without_base_words(corpus, run.initial)
    trainer = Trainer(
        initial_model(trained_on, recipe, run.device, weights),
        trained_on,
        recipe,
        horizon=dataclasses.replace(plan.horizon, patience=options.early_stopping),
        processes=run.context.processes,
        threads=run.threads,
    )
    checkpoints = CheckpointSettings.of_run(run.out, _metadata(plan, corpus, run), options)
    evaluation = plan.evaluation or run.machine.evaluation_speed(corpus, recipe)
    run.progress.begin_training(trainer, evaluation.stages(corpus), is_timed=plan.is_timed)
    pacer = Pacer(plan, run.budget, run.machine, replan=replan, run=checkpoints.run)
    trained = fit(
        trainer,
        callback=callback,
        checkpoints=checkpoints,
        resume=resume.snapshot if resume else None,
        finish=run.context.finish,
        stop=stop,
        after_step=pacer.after_step,
    )
    trained = interpolate_with_base(trained, trained_on, weights)
    return recipe, corpus, with_base_words(trained, corpus, run.initial)


def _free_settings(recipe: Recipe, run: Run) -> set[str]:
    """Return the settings that neither the user nor the initial checkpoint determines."""
    fixed = ARCHITECTURE_FIELDS if run.initial is not None else ()
    return set(recipe.by_corpus_size) - set(fixed)


def _plan(corpus: Corpus, recipe: Recipe, run: Run, *, as_busy: bool = False) -> Plan:
    """Return the recipe as it fits the machine, the corpus, the initial checkpoint and the time.

    Args:
        as_busy: expect the machine to stay as busy as it is now.
    """
    device, processes, budget = run.device, run.context.processes, run.budget
    sized = sized_for(recipe, len(corpus.train.stream), run.initial)
    precision = processes.broadcast_from_main(lambda: resolve_precision(recipe.precision, device))
    sized = dataclasses.replace(sized, precision=precision)
    if budget is None:
        return Plan(recipe=sized, horizon=TrainingHorizon(epochs=sized.epochs))
    return plan_run(
        corpus,
        sized,
        budget,
        run.machine,
        PlanOptions(
            free=_free_settings(recipe, run),
            is_fine_tuning=run.initial is not None,
            with_ngram=run.options.with_ngram,
            as_busy=as_busy,
        ),
    )


def _resumed_plan(resume: Checkpoint, corpus: Corpus, recipe: Recipe, run: Run) -> Plan:
    """Return the plan of the run that goes on, in a precision that this machine has."""
    if corpus.fingerprint != resume.run["corpus_fingerprint"]:
        raise CheckpointError(
            f"the corpus has changed since the run in {run.out} began: bring back the file as it "
            "was, or start over in another folder",
            code="checkpoint.other_corpus",
        )
    # "auto" is float32 on a machine that lacks the bfloat16 of the one where the run began.
    precision = "auto" if recipe.precision == "bfloat16" else recipe.precision
    precision = resolve_precision(precision, run.device)
    warnings = []
    if precision != resume.run["recipe"]["precision"]:
        warnings.append(
            "this processor has no bfloat16 arithmetic, with which the run was begun: it goes on "
            "in float32"
        )
    recipe = dataclasses.replace(recipe, precision=precision)
    plan = Plan.of_run(resume.run, recipe, warnings)
    metadata = resume.snapshot.metadata
    if run.budget is not None:
        plan = plan_extension(
            plan,
            corpus,
            run.budget,
            run.machine,
            num_epochs=len(metadata["epochs"]),
            seconds=metadata["seconds"],
        )
    if resume.snapshot.begins_extension:
        plan = dataclasses.replace(plan, notes=[*plan.notes, _extension_note(plan.recipe)])
    return plan


def _extension_note(recipe: Recipe) -> str:
    if recipe.schedule == "plateau":
        return "The run is extended; its learning rate goes on as it is."
    return (
        "The run is extended: the learning rate rises from zero to where a schedule of about "
        f"{recipe.epochs} epochs has it, and comes down again."
    )


@contextmanager
def _callbacks(run: Run) -> Iterator[TrainingCallback]:
    """Yield what observes the run, trackers first; nothing in a process other than the main one."""
    user = run.context.callback
    if not run.context.processes.is_main_process:
        yield TrainingCallback()
        return
    with ExitStack() as stack:
        trackers = [stack.enter_context(tracker) for tracker in run.trackers]
        yield CallbackList([*trackers, user, run.progress])


def _metadata(plan: Plan, corpus: Corpus, run: Run) -> dict[str, Any]:
    """Return what a checkpoint says of its run."""
    return {
        **plan.metadata,
        "id": run.id,
        "corpus_fingerprint": corpus.fingerprint,
        "vocabulary": corpus.vocabulary.words,
        "folder": str(Path.cwd()),  # which the paths in files and options may be relative to
        "files": [file and dataclasses.asdict(file) for file in corpus.files],
        "options": dataclasses.asdict(run.options),
    }
