"""Files of a tuning: ``best.toml``, ``trials.csv``, and plots."""

import csv
import io
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from lorelm.bundle.atomic_dir import replace_file, wrap_write_errors
from lorelm.training.tuning.trials import Candidate, TrialReport

BEST_RECIPE: Final = "best.toml"
TRIALS: Final = "trials.csv"


def write_results(
    folder: Path, reports: Sequence[TrialReport], names: Sequence[str], best: str | None
) -> None:
    """Write the table of all trials, and the best recipe.

    Args:
        names: of the settings that are tuned.
        best: the text of the best recipe; None if there is none yet.

    Raises:
        BundleError: they cannot be written.
    """
    files = {TRIALS: trials_table(reports, names)}
    if best is not None:
        files[BEST_RECIPE] = best
    for name, text in files.items():
        path = folder / name
        with wrap_write_errors(path):
            replace_file(path, text.encode())


def recipe_toml(candidate: Candidate, without: Collection[str], source: str) -> str:
    """Return the recipe of a candidate's best run, as ``lorelm train --recipe`` takes it.

    Args:
        without: settings to leave out.
        source: of the corpus.
    """
    run = candidate.best_run
    seeds = f" (mean over {len(candidate.runs)} seeds)" if len(candidate.runs) > 1 else ""
    lines = [
        f"# Found by lorelm tune on {json.dumps(source)}, trial {candidate.first.number}: "
        f"validation perplexity {candidate.mean_perplexity:.1f}{seeds}.",
    ]
    for name, value in run.recipe.to_dict().items():
        if name not in without and not isinstance(value, list):
            lines.append(f"{name} = {json.dumps(value)}")
    return "\n".join(lines) + "\n"


def trials_table(reports: Sequence[TrialReport], names: Sequence[str]) -> str:
    """Return a row for each trial that is over, as CSV."""
    before = ("trial", "state", "valid_perplexity", "epochs", "seconds", "seed")
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*before, *names, "problem", "place"])
    for each in reports:
        if each.state in ("running", "waiting"):
            continue
        perplexity = each.valid_perplexity and round(each.valid_perplexity, 3)
        head = [each.number, each.state, perplexity, each.epochs, round(each.seconds, 1)]
        settings = [getattr(each.recipe, name) for name in ("seed", *names)]
        writer.writerow([*head, *settings, each.problem, each.place])
    return file.getvalue()
