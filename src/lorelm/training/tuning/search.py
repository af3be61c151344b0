"""The search: trial after trial, until the time or their number is over: :class:`Search`."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from lorelm.bundle.dir_lock import lock_dir
from lorelm.errors import BundleError
from lorelm.training.recipe import Recipe
from lorelm.training.tuning.attributes import SEED, trial_report
from lorelm.training.tuning.results import recipe_toml, write_results
from lorelm.training.tuning.runner import TrialRunner
from lorelm.training.tuning.space import own_parameters
from lorelm.training.tuning.trials import (
    OUT_OF_TIME,
    STOPPED,
    Candidate,
    TrialReport,
    candidates,
    finalists,
    next_run,
    winner,
)

_NUM_KEPT: Final = 5
"""Trials whose weights are kept: the finalists, and some that may become finalists."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """The trials of a study, which other processes may add to at the same time.

    Attributes:
        limit: on the number of settings to try, in all processes together.
        num_finalists: how many of the best settings get a second run.
        folder: for ``best.toml`` and ``trials.csv``.
        left_out: settings that ``best.toml`` does not state.
    """

    study: Study
    runner: TrialRunner
    limit: float
    num_finalists: int
    folder: Path
    left_out: Collection[str] = ()

    @property
    def recipe(self) -> Recipe:
        """The recipe that is tuned."""
        return self.runner.recipe

    def reports(self) -> list[TrialReport]:
        """Return the trials of all processes so far."""
        trials = self.study.get_trials(deepcopy=False)
        return [trial_report(trial, self.recipe) for trial in trials]

    def winner(self) -> Candidate | None:
        """Return the best settings so far."""
        return winner(candidates(self.reports()), self.recipe, self.num_finalists)

    def finalists(self) -> list[Candidate]:
        """Return the winner, and the best of the others."""
        ranked = candidates(self.reports())
        best = winner(ranked, self.recipe, self.num_finalists)
        others = finalists(ranked, self.recipe, max(1, self.num_finalists))
        return [] if best is None else [best, *(each for each in others if each != best)]

    def run(self) -> None:
        """Train one trial after the other; the recipe's own settings come first.

        Raises:
            KeyboardInterrupt: the trial that was running comes first when the search goes on.
        """
        self._enqueue_own()
        while self._train_next():
            pass

    def _train_next(self) -> bool:
        """Train one trial; return False if there is none to train."""
        begun: list[Trial] = []
        with ExitStack() as turn:
            # Until its trial has begun, no other process in this folder chooses one.
            turn.enter_context(wait_for_lock(lambda: lock_dir(self.folder)))
            found = self._next()
            if found is None:
                return False
            if isinstance(found, Candidate):
                self._enqueue_repetition(found)

            def train(trial: Trial) -> float:
                turn.close()
                begun.append(trial)
                return self.runner(trial)

            try:
                self.study.optimize(train, n_trials=1, callbacks=[self._after_trial])
            except UpdateFinishedTrialError:
                # This process slept for so long that others gave its trial up.
                self.runner.callback.on_problem("a trial was interrupted for too long, and is lost")
            except KeyboardInterrupt:
                self._enqueue_stopped(begun)
                raise
        return True

    def write(self) -> None:
        """Write the table of the trials and the best recipe; delete weights that are not needed."""
        # Read and written in one turn: another process may end a trial and write in between.
        with wait_for_lock(lambda: lock_dir(self.folder)):
            reports = self.reports()
            ranked = candidates(reports)
            best = winner(ranked, self.recipe, self.num_finalists)
            write_results(
                self.folder,
                reports,
                tuple(self.runner.space),
                None if best is None else recipe_toml(best, self.left_out, self.source),
            )
        kept = {run.number for each in ranked[:_NUM_KEPT] for run in each.runs}
        kept |= {
            run.number for each in ranked if each.first.recipe == self.recipe for run in each.runs
        }
        self.runner.weights.delete(
            report.number for report in reports if report.is_complete and report.number not in kept
        )

    @property
    def source(self) -> str:
        """The name of the corpus."""
        return self.runner.corpus.source

    def _next(self) -> "str | Candidate | None":
        return next_run(
            self.reports(),
            self.recipe,
            limit=self.limit,
            num_finalists=self.num_finalists,
            trainings_left=self.runner.pace.trainings_left,
        )

    def _enqueue_own(self) -> None:
        """Let the recipe's own settings be the next trial, unless they are known."""
        with wait_for_lock(lambda: lock_dir(self.folder)):
            is_known = any(
                report.recipe == self.recipe and report.problem not in (OUT_OF_TIME, STOPPED)
                for report in self.reports()
            )
            if not is_known:
                self.study.enqueue_trial(own_parameters(self.recipe, self.runner.space))

    def _enqueue_repetition(self, candidate: Candidate) -> None:
        number = candidate.first.number
        [trial] = [each for each in self.study.get_trials(deepcopy=False) if each.number == number]
        self.study.enqueue_trial(trial.params, user_attrs={SEED: candidate.first.recipe.seed + 1})

    def _enqueue_stopped(self, begun: Sequence[Trial]) -> None:
        stopped = {trial.number for trial in begun}
        for trial in self.study.get_trials(deepcopy=False, states=[TrialState.FAIL]):
            if trial.number in stopped and trial.params.keys() == self.runner.space.keys():
                seed = trial.user_attrs.get(SEED, self.recipe.seed)
                self.study.enqueue_trial(trial.params, user_attrs={SEED: seed})

    def _after_trial(self, study: Study, trial: FrozenTrial) -> None:
        report = trial_report(trial, self.recipe)
        if report.is_complete:
            self.runner.pace.durations.append(report.seconds)
        ranked = candidates(self.reports())
        is_best = bool(ranked) and ranked[0].first.number == report.number
        self.runner.callback.on_trial(report, is_best=is_best)
        self.write()


@contextmanager
def wait_for_lock(lock: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    """Enter a lock of a folder, as soon as no other process holds it.

    Raises:
        BundleError: the folder cannot be locked for another reason.
    """
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(lock())
                break
            except BundleError as error:
                if error.code != "bundle.locked":
                    raise
                time.sleep(0.1)
        yield
