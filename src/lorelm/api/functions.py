"""The functions of ``import lorelm``: train, finish, evaluate, import and load models.

They do what the commands of the same names do. The model that ``lorelm.load``
returns, a :class:`~lorelm.generation.language_model.LanguageModel`, generates and scores text.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from lorelm.api.settings import Corpus, checked_settings, made, read_parts, refuse_unknown, take
from lorelm.bundle import Bundle
from lorelm.bundle.metrics import Metrics
from lorelm.corpus.documents import Documents, ReadingOptions
from lorelm.errors import InputError, MissingExtraError, Problem, RecipeError
from lorelm.evaluation.evaluate import EvaluationSettings, evaluate_bundle
from lorelm.evaluation.trained_corpus import reading_options_of
from lorelm.keywords import EvaluationKeywords, ReadingKeywords, TrainingKeywords
from lorelm.parameters import plain
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe

if TYPE_CHECKING:
    from lorelm.training.run_context import RunContext


def train(
    corpus: Corpus,
    *,
    out: str | Path,
    recipe: str | Path | None = None,
    valid: Corpus | None = None,
    test: Corpus | None = None,
    resume: bool = False,
    on_epoch: Callable[[Any], object] | None = None,
    **settings: Unpack[TrainingKeywords],
) -> Bundle:
    """Train a model, evaluate it on the test part, and save it as a bundle.

    Args:
        corpus: texts, one per document; a data frame of pandas, polars or Arrow, one document per
            row; the path of a file, a folder or a zip archive; a list of ``pathlib.Path``; or
            "shakespeare".
        out: directory of the bundle. A bundle that is there is replaced.
        recipe: name of a built-in recipe, or path of a TOML file. None takes "fine-tune", or
            "default" from scratch.
        valid, test: validation and test part, instead of splitting them off `corpus`.
        resume: continue the run in `out`, with the recipe and the options that it began with. Give
            the same corpus and reading options. Of other settings only `epochs` (in all) or
            `time_budget_seconds` (from now on), which extend it also if it is finished, and
            `early_stopping`, `device`, `threads`, trackers and the checkpoints' distance.
        on_epoch: called after each epoch with its
            :class:`~lorelm.training.callbacks.EpochReport`, such as
            ``lambda report: print(report.epoch, report.valid_perplexity)``.
        settings: of the recipe (:class:`~lorelm.training.recipe.Recipe`), such as ``epochs=3``; of
            the run (:class:`~lorelm.training.options.TrainingOptions`), such as
            ``init="none"``, which starts from scratch instead of the model english; and of reading
            (:class:`~lorelm.corpus.documents.ReadingOptions`), such as ``text_column="dialog"``.

    Notes on the corpus, and problems on the way, are warnings
    (:class:`~lorelm.errors.LoreLMWarning`).

    Returns:
        The bundle, with its metrics in ``bundle.manifest``.

    Raises:
        RecipeError: settings are unknown or out of range; it names them all.
        CorpusError: the corpus cannot be read, or is too small.
        BundleError: `out` cannot be written, or another run uses it.
        CheckpointError: `out` holds an unfinished run and `resume` is false; or `resume` is true
            and it holds none, or one of another corpus, or one that cannot be extended.
        MissingExtraError: PyTorch is not installed.

    Example:
        >>> texts = [f"The {who} {did}." for who in ("fox", "owl", "hen") for did in ("ran", "sat")]
        >>> bundle = lorelm.train(texts * 5, out="my-model", epochs=3)
    """
    _require_torch()
    from lorelm.training.callbacks import WarningCallback
    from lorelm.training.resumption import CHANGEABLE, resumed
    from lorelm.training.run_context import RunContext

    given = dict[str, Any](settings)
    reading_settings = take(given, ReadingOptions)
    context = RunContext(callback=WarningCallback(on_epoch))
    parts = [corpus, valid, test]
    if not resume:
        start_settings, options, reading = checked_settings(recipe, given, reading_settings)
        documents, *held_out = read_parts(parts, reading)
        assert documents is not None
        start = start_settings.choose(documents)
        options = replace(options, init=start.init)
        chosen = [start.documents, *held_out]
        return _train(chosen, start.recipe, options, out=out, context=context)
    others = [name for name in given if name not in CHANGEABLE]
    _refuse_with_resume([*(["recipe"] if recipe else []), *others])
    changes = {name: plain(value) for name, value in given.items()}
    context = replace(context, resume=resumed(Path(out), changes))
    return _go_on(read_parts(parts, ReadingOptions(**reading_settings)), out=out, context=context)


def finish(
    corpus: Corpus,
    *,
    out: str | Path,
    valid: Corpus | None = None,
    test: Corpus | None = None,
    **reading: Unpack[ReadingKeywords],
) -> Bundle:
    """Make a model of an unfinished run without further training: of its best epoch so far.

    What it has learned since its last epoch is validated too, and counts as an epoch.

    Args:
        corpus, valid, test, reading: as when the run was begun.
        out: directory of the run, and of the bundle.

    Raises:
        CorpusError: the corpus cannot be read.
        CheckpointError: `out` holds no unfinished run, one of another corpus, or one that has
            learned nothing yet.
        MissingExtraError: PyTorch is not installed.
    """
    _require_torch()
    from lorelm.training.callbacks import WarningCallback
    from lorelm.training.resumption import finished
    from lorelm.training.run_context import RunContext

    given = dict[str, Any](reading)
    known = ReadingOptions(**take(given, ReadingOptions))
    refuse_unknown(given)
    checkpoint = finished(Path(out))
    context = RunContext(callback=WarningCallback(), resume=checkpoint, finish=True)
    return _go_on(read_parts([corpus, valid, test], known), out=out, context=context)


def evaluate(
    bundle: Bundle | str | Path,
    corpus: Corpus | None = None,
    **settings: Unpack[EvaluationKeywords],
) -> Metrics:
    """Evaluate a bundle: perplexity, bits per character, n-gram baseline, copies.

    Args:
        bundle: or its path, or "english".
        corpus: texts, a data frame or a path, as for :func:`train`. Its test part is the text if
            the bundle was trained on it. None looks for the file that the bundle was trained on, in
            the current folder, beside the bundle and above it.
        settings: of :class:`~lorelm.evaluation.evaluate.EvaluationSettings`, such as
            ``num_samples=0``, and of reading. ``add_ngram=True`` changes the bundle on the disk.

    Raises:
        BundleError: the bundle is missing or damaged.
        CorpusError: the text cannot be read, or is a single document.

    Example:
        >>> lorelm.evaluate("english", ["The door was open.", "Good night."]).perplexity
    """
    given = dict[str, Any](settings)
    reading_settings = take(given, ReadingOptions)
    own_settings = take(given, EvaluationSettings)
    checked, reading, _ = made(
        InputError,
        lambda: EvaluationSettings(**own_settings),
        lambda: ReadingOptions(**reading_settings),
        lambda: refuse_unknown(given, EvaluationSettings),
    )
    loaded = bundle if isinstance(bundle, Bundle) else Bundle.load(bundle)
    if isinstance(corpus, str | os.PathLike):
        reading = reading_options_of(loaded, os.fspath(corpus), reading)
    [documents] = read_parts([corpus], reading)
    return evaluate_bundle(loaded, checked, documents=documents).metrics


def import_model(
    checkpoint: str | Path,
    vocabulary: str | Path | None = None,
    *,
    out: str | Path,
    tokenizer: str | None = None,
) -> Bundle:
    """Make a bundle of an LSTM language model that ``torch.save`` wrote. No code in it is run.

    Args:
        vocabulary: file of the words by their ids; None looks for them in the checkpoint.
        tokenizer: "classic" or "basic_english"; None guesses it.

    Raises:
        CheckpointError, InputError: a file is unsafe, damaged, or no such model.

    Example:
        >>> bundle = lorelm.import_model("old.pt", "vocab.pkl", out="my-model")
    """
    from lorelm.bundle.importing.importer import import_model as read

    model = read(Path(checkpoint), Path(vocabulary) if vocabulary else None, tokenizer=tokenizer)
    model.save(out)
    return Bundle.load(out)


def _require_torch() -> None:
    if find_spec("torch") is None:
        raise MissingExtraError("training a model", "train")


def _go_on(parts: Sequence[Documents | None], *, out: str | Path, context: "RunContext") -> Bundle:
    """Continue the run of a context by its own settings."""
    assert context.resume is not None
    run = context.resume.run
    options = TrainingOptions.of_run(run)
    return _train(parts, Recipe.from_dict(run["recipe"]), options, out=out, context=context)


def _train(
    parts: Sequence[Documents | None],
    recipe: Recipe,
    options: TrainingOptions,
    *,
    out: str | Path,
    context: "RunContext",
) -> Bundle:
    from lorelm.training.train import train as train_bundle

    documents, valid, test = parts
    assert documents is not None
    for note in [note for part in parts if part for note in part.notes]:
        context.callback.on_problem(note)
    bundle = train_bundle(
        documents, recipe, out=out, options=options, valid=valid, test=test, context=context
    )
    assert bundle is not None  # as it is in other processes only
    return bundle


def _refuse_with_resume(names: list[str]) -> None:
    if names:
        problems = [Problem(name, "leave it out: the run has its own settings") for name in names]
        raise RecipeError.of(problems, code="recipe.fixed_by_resume")
