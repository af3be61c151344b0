"""Where a run goes on, and how far: :func:`resumed`, :func:`finished`.

Both return a checkpoint: that of a run that was interrupted, or one made of the bundle that a
finished run has become. An extended run is the same run with another end. Its schedule is computed
anew for the whole length, from where the run is.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch

from lorelm.bundle import Bundle
from lorelm.bundle.atomic_dir import resolve_dir
from lorelm.bundle.layout import MANIFEST, WEIGHTS, graph_name
from lorelm.corpus.windows import num_windows
from lorelm.errors import CheckpointError, RecipeError
from lorelm.parameters import parameters_of, problems_of
from lorelm.training.base_words import has_base_words, weights_of_seen_words
from lorelm.training.callbacks import EpochReport
from lorelm.training.checkpoint import Checkpoint, Snapshot
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import EARLIER, Recipe
from lorelm.training.schedule import BEGINNING, LearningRate

CHANGEABLE: Final = (
    *("epochs", "time_budget_seconds", "early_stopping", "device", "threads", "tensorboard"),
    *("tracker", "checkpoint_seconds", "checkpoint_steps"),
)
"""The settings that may be given anew when a run goes on."""


def resumed(out: Path, changes: Mapping[str, Any]) -> Checkpoint:
    """Return where the run in a folder goes on, with another end if `changes` say so.

    Args:
        changes: of :data:`CHANGEABLE`. `epochs` counts those that are over; `time_budget_seconds`
            is from now on.

    Raises:
        CheckpointError: there is no run, its checkpoint is damaged, or it is finished and cannot be
            extended.
        RecipeError: `changes` are out of range, exclude each other, or are over already.
    """
    changes = {name: value for name, value in changes.items() if value is not None}
    problems = problems_of(Recipe, {n: v for n, v in changes.items() if n == "epochs"})
    problems += problems_of(TrainingOptions, {n: v for n, v in changes.items() if n != "epochs"})
    if problems:
        raise RecipeError.of(problems, code="recipe.settings")
    is_longer = not changes.keys().isdisjoint(("epochs", "time_budget_seconds"))
    checkpoint = Checkpoint.find(out)
    if checkpoint is None and is_longer and (resolve_dir(out) / MANIFEST).is_file():
        checkpoint = _checkpoint_of(Bundle.load(out))
    return _extended(checkpoint or Checkpoint.load(out), changes)


def finished(out: Path) -> Checkpoint:
    """Return the checkpoint of a run that is to end where it is.

    Raises:
        CheckpointError: there is none, it is damaged, or the run has learned nothing yet.
    """
    checkpoint = Checkpoint.load(out)
    if not checkpoint.snapshot.best_so_far():
        raise CheckpointError(
            f"the run in {out} has learned nothing yet that a model could be made of: go on with "
            f"{checkpoint.ways_on(out)}",
            code="checkpoint.nothing_learned",
        )
    return checkpoint


def _extended(checkpoint: Checkpoint, changes: Mapping[str, Any]) -> Checkpoint:
    """Return the checkpoint of the same run with another end."""
    epochs, seconds = changes.get("epochs"), changes.get("time_budget_seconds")
    if epochs is not None and seconds is not None:
        raise RecipeError(
            "a run is extended to a number of epochs or by a time: give either epochs (--epochs) "
            "or time_budget_seconds (--time-budget)",
            code="recipe.two_ends",
        )
    metadata = checkpoint.snapshot.metadata
    run = dict(checkpoint.run)
    run["options"] = run["options"] | {
        name: changes[name] for name in CHANGEABLE if name in changes and name != "epochs"
    }
    num_epochs = len(metadata["epochs"])
    ends_by_epochs = "training_seconds" in run and run["training_seconds"] is None
    has_that_end = ends_by_epochs and run["recipe"]["epochs"] == epochs
    if seconds is None and (epochs is None or has_that_end):
        return dataclasses.replace(checkpoint, run=run)
    if epochs is not None and epochs <= num_epochs:
        raise RecipeError(
            f"epochs, --epochs: is the number of all epochs, and {num_epochs} are over already: "
            f"give {num_epochs + 1} or more",
            code="recipe.epochs_over",
        )
    fitted = set(run["recipe"].get("fitted", ())) - {"epochs"}
    if epochs is not None:
        run["recipe"] = run["recipe"] | {"epochs": epochs, "fitted": sorted(fitted)}
        run["options"]["time_budget_seconds"] = None
        run |= {"training_seconds": None, "max_epochs": None}
    else:
        run["recipe"] = run["recipe"] | {"fitted": sorted({*fitted, "epochs"})}
        run.pop("training_seconds", None)  # to be planned
    begun = {"num_epochs": num_epochs, **{n: metadata[n] for n in ("num_updates", "seconds")}}
    metadata = metadata | {"is_over": False, "begun": begun}
    return Checkpoint(run=run, snapshot=dataclasses.replace(checkpoint.snapshot, metadata=metadata))


def _checkpoint_of(bundle: Bundle) -> Checkpoint:
    """Return the checkpoint of a finished run: the weights of its best epoch.

    Adam's moments are not in a bundle. They are estimated anew during the warm-up.

    Raises:
        CheckpointError: the bundle does not hold what training needs.
    """
    manifest, path = bundle.manifest, bundle.path
    try:
        epochs = [EpochReport.of_metrics(line) for line in bundle.training_metrics()]
    except KeyError:
        epochs = []
    settings = manifest.recipe or {}
    if (
        not parameters_of(Recipe).keys() <= {*settings, *EARLIER}
        or not manifest.corpus
        or not epochs
    ):
        raise CheckpointError(
            f"bundle {path} does not say how it was trained: begin a new run with its weights "
            "(init, --init)",
            code="checkpoint.not_extendable",
        )
    if not {WEIGHTS, graph_name("float32")} <= manifest.files.keys():
        raise CheckpointError(
            f"bundle {path} is serving_only (--serving-only) or compact (--compact) and lacks the "
            "weights as they were trained: train it again without that",
            code="checkpoint.not_extendable",
        )
    recipe = Recipe.from_dict(settings)
    options = TrainingOptions(
        init=str(path) if has_base_words(bundle) else None,  # gives them back at the end
        with_ngram=bundle.has_ngram and not manifest.mixture,
    )
    return Checkpoint(
        run={
            "recipe": settings,
            "options": dataclasses.asdict(options),
            "corpus_fingerprint": manifest.corpus.fingerprint,
            "vocabulary": bundle.vocabulary.words,
            "judged_tokens": manifest.corpus.sampled_tokens,
            "files": [file and dataclasses.asdict(file) for file in manifest.corpus.files],
            "folder": None,
        },
        snapshot=_snapshot_of(bundle, recipe, epochs),
    )


def _snapshot_of(bundle: Bundle, recipe: Recipe, epochs: list[EpochReport]) -> Snapshot:
    """Return the state after the last epoch, with the weights of the best one."""
    assert bundle.manifest.corpus is not None
    learning_rate = LearningRate(recipe)
    for report in epochs:
        learning_rate.on_validation(report.valid_loss)
    num_tokens = bundle.manifest.corpus.train_tokens
    updates_per_epoch = num_windows(num_tokens, recipe.batch_size, recipe.bptt)
    tensors = {
        f"{kind}.{name}": torch.tensor(array)
        for kind in ("model", "average", "best")
        for name, array in weights_of_seen_words(bundle).items()
    }
    state = torch.zeros(recipe.num_layers, recipe.batch_size, recipe.hidden_size)
    generator = torch.Generator().manual_seed(recipe.seed + len(epochs))
    tensors |= {"state.h": state, "state.c": state.clone(), "epoch_nats": torch.zeros(())}
    return Snapshot(
        tensors=tensors | {"random": generator.get_state()},
        metadata={
            "epochs": [dataclasses.asdict(report) for report in epochs],
            "window": 0,
            "num_updates": updates_per_epoch * len(epochs),
            "learning_rate": learning_rate.state,
            "epoch_tokens": 0,
            "epoch_seconds": 0.0,
            "seconds": epochs[-1].seconds,
            "is_over": True,
            "begun": dict(BEGINNING),
        },
    )
