"""Observers of a tuning: :class:`TuningCallback`."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from lorelm.corpus.preparation import Corpus
from lorelm.errors import LoreLMWarning
from lorelm.training.callbacks import EpochReport
from lorelm.training.recipe import Recipe
from lorelm.training.tuning.trials import Candidate, TrialReport


@dataclass(frozen=True, kw_only=True)
class TuningStart:
    """What is known when the trials begin.

    Attributes:
        tuned: names of the settings that trials change.
        trial_seconds: how long the recipe's own settings train here; None without a time budget,
            where it is not measured.
        num_finished: trials of earlier runs, and of other processes.
    """

    corpus: Corpus
    recipe: Recipe
    tuned: tuple[str, ...]
    place: str
    trial_seconds: float | None
    num_finished: int


class TuningCallback:
    """Observes a tuning; this one does nothing. Override the events of interest."""

    def on_start(self, start: TuningStart) -> None:
        """The trials begin."""

    def on_trial_start(self, number: int, recipe: Recipe) -> None:
        """A trial of this process begins."""

    def on_epoch(self, number: int, report: EpochReport) -> None:
        """A trial was validated."""

    def on_trial(self, report: TrialReport, *, is_best: bool) -> None:
        """A trial of this process is over."""

    def on_finalists(self, found: Sequence[Candidate]) -> None:
        """The search is over, or stopped; these settings are the best, the winner first."""

    def on_evaluation(self, report: TrialReport) -> None:
        """The model of a trial is evaluated on the test part and saved."""

    def on_problem(self, message: str) -> None:
        """Something is not as it should be, and the tuning continues."""


class WarningTuningCallback(TuningCallback):
    """Makes warnings of the notes on the corpus and of problems, for a caller in Python.

    Args:
        on_trial: called after each trial.
    """

    def __init__(self, on_trial: Callable[[TrialReport], object] | None = None) -> None:
        self._on_trial: Final = on_trial

    def on_start(self, start: TuningStart) -> None:
        for note in start.corpus.notes:
            self.on_problem(note)

    def on_trial(self, report: TrialReport, *, is_best: bool) -> None:
        if self._on_trial is not None:
            self._on_trial(report)

    def on_problem(self, message: str) -> None:
        warnings.warn(message, LoreLMWarning, stacklevel=2)
