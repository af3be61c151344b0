"""The functions of ``import lorelm``: train, evaluate, import and load models.

They do what the commands of the same names do. The model that ``lorelm.load``
returns, a :class:`~lorelm.generation.language_model.LanguageModel`, generates and scores text.
"""

import os
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from lorelm.bundle import Bundle
from lorelm.bundle.manifest import Metrics
from lorelm.corpus.documents import Documents, ReadingOptions
from lorelm.corpus.readers import read_corpus
from lorelm.errors import InputError, MissingExtraError, Problem, RecipeError
from lorelm.evaluation.evaluate import EvaluationSettings, evaluate_bundle
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe, given_settings

Corpus = str | os.PathLike[str] | Iterable[str] | Documents | Any
"""A path, a data frame, or texts. (Data frames have no common type.)"""


def train(
    corpus: Corpus,
    *,
    out: str | Path,
    recipe: str | None = None,
    valid: Corpus | None = None,
    test: Corpus | None = None,
    resume: bool = False,
    **settings: Any,
) -> Bundle:
    """Train a model, evaluate it on the test part, and save it as a bundle.

    Args:
        corpus: texts, one per document; a data frame of pandas, polars or Arrow, one document per
            row; the path of a CSV, TSV, JSONL, Parquet or plain text file; or "shakespeare".
        out: directory of the bundle. A bundle that is there is replaced.
        recipe: name of a built-in recipe, or path of a TOML file. None takes "default", or
            "fine-tune" with `init`.
        valid, test: validation and test part, instead of splitting them off `corpus`.
        resume: continue the unfinished run in `out`, with the recipe and the options that it began
            with. Give the same corpus and reading options, and no other settings.
        settings: of the recipe (:class:`~lorelm.training.recipe.Recipe`), such as ``epochs=3``; of
            the run (:class:`~lorelm.training.options.TrainingOptions`), such as
            ``init="shakespeare"``; and of reading
            (:class:`~lorelm.corpus.documents.ReadingOptions`), such as ``text_column="dialog"``.

    Returns:
        The bundle, with its metrics in ``bundle.manifest``.

    Raises:
        RecipeError: settings are unknown or out of range; it names them all.
        CorpusError: the corpus cannot be read, or is too small.
        BundleError: `out` cannot be written, or another run uses it.
        CheckpointError: `out` holds an unfinished run and `resume` is false; or `resume` is true
            and it holds none, or one of another corpus.
        MissingExtraError: PyTorch is not installed.

    Example:
        >>> bundle = lorelm.train(["The fox ran.", "The owl sat."], out="my-model", epochs=3)
    """
    try:
        from lorelm.training.checkpoint import Checkpoint
        from lorelm.training.train import RunContext
        from lorelm.training.train import train as train_bundle
    except ImportError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError("training a model", "train") from error
    reading = ReadingOptions(**_take(settings, ReadingOptions))
    context = RunContext(resume=Checkpoint.load(Path(out)) if resume else None)
    if context.resume is not None:
        _refuse_with_resume([*(["recipe"] if recipe else []), *settings])
        checked = Recipe.from_dict(context.resume.run["recipe"])
        options = TrainingOptions.of_run(context.resume.run)
    else:
        checked, options = _checked_settings(recipe, settings)
    bundle = train_bundle(
        read_corpus(corpus, reading),
        checked,
        out=out,
        options=options,
        context=context,
        valid=None if valid is None else read_corpus(valid, reading),
        test=None if test is None else read_corpus(test, reading),
    )
    assert bundle is not None  # as it is in other processes only
    return bundle


def evaluate(bundle: Bundle | str | Path, corpus: Corpus | None = None, **settings: Any) -> Metrics:
    """Evaluate a bundle: perplexity, bits per character, n-gram baseline, copies.

    Args:
        bundle: or its path, or "shakespeare".
        corpus: texts, a data frame or a path, as for :func:`train`. Its test part is the text if
            the bundle was trained on it. None reads again the file that the bundle was trained on.
        settings: of :class:`~lorelm.evaluation.evaluate.EvaluationSettings`, such as
            ``num_samples=0``, and of reading.

    Raises:
        BundleError: the bundle is missing or damaged.
        CorpusError: the text cannot be read, or is a single document.

    Example:
        >>> lorelm.evaluate("shakespeare", ["To be, or not to be.", "Good night."]).perplexity
    """
    reading = ReadingOptions(**_take(settings, ReadingOptions))
    checked = EvaluationSettings(**_take(settings, EvaluationSettings))
    if settings:
        unknown = [Problem(name, "is not a setting of an evaluation") for name in settings]
        raise InputError.of(unknown, code="evaluation.unknown_setting")
    return evaluate_bundle(
        bundle if isinstance(bundle, Bundle) else Bundle.load(bundle),
        checked,
        documents=None if corpus is None else read_corpus(corpus, reading),
    ).metrics


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


def _refuse_with_resume(names: list[str]) -> None:
    if names:
        problems = [Problem(name, "leave it out: the run has its own settings") for name in names]
        raise RecipeError.of(problems, code="recipe.fixed_by_resume")


def _checked_settings(
    recipe: str | None, settings: dict[str, Any]
) -> tuple[Recipe, TrainingOptions]:
    """Return the recipe and the options that settings make.

    Raises:
        RecipeError: settings are unknown or out of range.
        BundleError: there is no model at `init`.
    """
    from lorelm.training.initial_checkpoint import check_initial_checkpoint

    options = _take(settings, TrainingOptions)
    name = recipe or ("fine-tune" if options.get("init") else "default")
    checked = Recipe.load(name, **settings)
    if options.get("init") is not None:
        check_initial_checkpoint(options["init"], given_settings(name, **settings))
    return checked, TrainingOptions(**options)


def _take(settings: dict[str, Any], kind: type) -> dict[str, Any]:
    """Remove and return the settings that belong to a dataclass."""
    names = [each.name for each in fields(kind) if each.name in settings]
    return {name: settings.pop(name) for name in names}
