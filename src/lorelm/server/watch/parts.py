"""Parts of the page of a run, as its script takes them (``RunState`` in static/types.d.ts)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lorelm.evaluation.summary import describe_text, findings
from lorelm.machine.quoting import quoted
from lorelm.runs.run import Run

Facts = list[tuple[str, str]]
"""Names with what is said of them."""


def about(source: str, out: Path, *, is_live: bool) -> dict[str, object]:
    """Return what the template is rendered with.

    Args:
        is_live: the process that trains tells itself how it is doing; else only its files do.
    """
    resume = f"lorelm train --resume {quoted(out)}"
    return {"source": source, "out": str(out), "resume": resume, "is_live": is_live}


def epoch_row(metrics: Mapping[str, Any]) -> dict[str, object]:
    """Return an epoch from its line in ``metrics.jsonl``."""
    return {
        "epoch": metrics["epoch"],
        "train": metrics["train_loss_nats_per_token"],
        "valid": metrics["valid_loss_nats_per_token"],
        "perplexity": metrics["valid_perplexity"],
        "rate": metrics["learning_rate"],
        "speed": metrics["tokens_per_second"],
        "seconds": metrics["seconds"],
        "isBest": metrics["is_best"],
    }


def settings(recipe: Mapping[str, Any], description: str) -> Facts:
    """Return all settings of a recipe, after a description of it."""
    # Lists say how the recipe found the values of others.
    values = {name: value for name, value in recipe.items() if not isinstance(value, list)}
    shown = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in values.items()
    }
    return [("recipe", description), *shown.items()]


def result(run: Run, out: Path) -> dict[str, object]:
    """Return how good a finished model is, and what to do with it.

    Args:
        out: its folder, as the user gave it.
    """
    manifest, path = run.manifest, quoted(out)
    assert manifest is not None
    training, metrics = manifest.training, manifest.metrics
    mixed = " (mixed with the n-gram model)" if run.is_mixed else ""
    facts: Facts = []
    if training is not None:
        facts.append(("best epoch", f"{training.best_epoch} of {training.epochs}"))
    if run.test_perplexity is not None:
        facts.append(("test perplexity", f"{run.test_perplexity:.1f}{mixed}"))
    if run.bits_per_character is not None:
        facts.append(("bits per character", f"{run.bits_per_character:.3f}{mixed}"))
    return {
        "facts": facts,
        "findings": findings(metrics) if metrics else [],
        "text": describe_text(metrics) if metrics else "",
        "commands": [f"lorelm serve {path}", f'lorelm generate {path} "your words"'],
    }
