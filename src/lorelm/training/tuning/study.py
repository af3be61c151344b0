"""The Optuna study of a tuning, which processes and machines may share: :func:`open_study`."""

import logging
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning, StorageInternalError
from optuna.pruners import SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from lorelm.errors import CorpusError, MissingExtraError, Problem, RecipeError, StudyError

STUDY_FILE: Final = "study.db"

_NAME: Final = "lorelm"
"""Name of the study in a file of SQLite; in a shared database it is that of the folder."""

_ABOUT: Final = "lorelm"
"""Name of the attribute of a study that says what is tuned."""

_HEARTBEAT_SECONDS: Final = 20
_GRACE_SECONDS: Final = 120
"""A trial without a heartbeat for this long is lost, and its settings are tried once more."""

_LOCK_SECONDS: Final = 60.0
"""Limit for waiting until other processes have written to SQLite."""

_CONNECT_SECONDS: Final = 5
_NUM_OPENINGS: Final = 20
"""Several processes that begin together create the tables together: all but one fail and repeat."""

_CREATOR_SECONDS: Final = 20.0
"""Limit for waiting until the creator of a study says what it is about: on a busy machine, two
seconds were too short, and the first trial was made twice."""

_SILENT_SECONDS: Final = 2.0
"""After this long, a warning explains the wait."""

_NUM_STARTUP_TRIALS: Final = 8
"""Trials at random settings, before the sampler knows enough. Optuna's 10 are a third of what half
an hour allows."""

_FIRST_COMPARISON: Final = 3
_REDUCTION: Final = 3
"""Of the trials that reach 3 twentieths of their epochs, the best third go on; of those that reach
9 twentieths, the best third again. Then the learning rate falls, near ones change places, and none
is ended (decision 32)."""

optuna.logging.set_verbosity(optuna.logging.ERROR)

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StudyPlace:
    """Where a study is recorded.

    Attributes:
        name: of the study, among others in the same database.
    """

    url: URL
    name: str

    @classmethod
    def of(cls, storage: str | None, out: Path) -> Self:
        """Return the place that a storage URL names; without one, a file in the folder `out`.

        Raises:
            RecipeError: the URL is none of SQLite or PostgreSQL.
        """
        if storage is None:
            url = URL.create("sqlite", database=str(out.absolute() / STUDY_FILE))
            return cls(url=url, name=_NAME)
        try:
            url = make_url(storage)
        except (ArgumentError, ValueError) as error:
            raise _wrong_url() from error  # which may contain a password
        if url.drivername in ("postgresql", "postgresql+psycopg"):
            url = url.set(drivername="postgresql+psycopg")
        elif url.drivername != "sqlite" or url.database in (None, "", ":memory:"):
            raise _wrong_url()
        return cls(url=url, name=out.absolute().name)

    def __str__(self) -> str:
        is_file = self.url.drivername == "sqlite"
        return str(self.url.database) if is_file else self.url.render_as_string()


def _wrong_url() -> RecipeError:
    problem = "must be sqlite:///PATH or postgresql://USER@HOST/DATABASE (--storage)"
    return RecipeError.of([Problem("storage", problem)], code="recipe.storage")


@contextmanager
def open_study(
    place: StudyPlace, about: Mapping[str, Any], *, first: Mapping[str, Any], seed: int
) -> Iterator[Study]:
    """Open the study at a place, or create it; close its connections at the end.

    Args:
        about: what is tuned, fit for JSON; only a study about the same is opened.
        first: the settings of the first trial of a new study.
        seed: of the sampler.

    Raises:
        CorpusError, RecipeError: the study is about another corpus, or another recipe.
        StudyError: the database cannot be opened, read or written, then or later.
        MissingExtraError: the driver for PostgreSQL is not installed.
    """
    with _wrap_storage_errors(place):
        storage = _open_storage(place)
        try:
            study = _find_study(storage, place, seed)
            # The process that created the study may have been killed before it said this.
            known = study.user_attrs.get(_ABOUT)
            if known is None:
                study.enqueue_trial(dict(first), skip_if_exists=True)
                study.set_user_attr(_ABOUT, dict(about))
            else:
                _check_same(known, about, place)
            yield study
        finally:
            storage.remove_session()
            storage.engine.dispose()


@contextmanager
def _wrap_storage_errors(place: StudyPlace) -> Iterator[None]:
    """Turn errors of a database into a `StudyError` with the reason."""
    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        raise StudyError(
            f"the trials in {place} cannot be read or written: {_reason(error)}; check the "
            "database and storage (--storage); the same command then goes on",
            code="study.unreachable",
        ) from error


def _reason(error: Exception) -> str:
    """Return the database's own words, in one line."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    message = str(cause.orig) if isinstance(cause, DBAPIError) else str(cause or error)
    return " ".join(message.split())


def _find_study(storage: RDBStorage, place: StudyPlace, seed: int) -> Study:
    """Create the study, or load it."""
    settings: dict[str, Any] = {
        "storage": storage,
        "study_name": place.name,
        "sampler": _NumberedSampler(seed),
        "pruner": SuccessiveHalvingPruner(
            min_resource=_FIRST_COMPARISON, reduction_factor=_REDUCTION
        ),
    }
    try:
        return optuna.create_study(**settings)
    except DuplicatedStudyError:
        study = optuna.load_study(**settings)
        _wait_for_creator(study, place)
        return study


def _wait_for_creator(study: Study, place: StudyPlace) -> None:
    """Wait until the process that creates the study says what it is about, unless it was killed."""
    start = time.monotonic()
    is_silent = True
    while (
        _ABOUT not in study.user_attrs and (waited := time.monotonic() - start) < _CREATOR_SECONDS
    ):
        if is_silent and waited >= _SILENT_SECONDS:
            is_silent = False
            _log.warning(
                "Waiting up to %.0f seconds for the process that creates the study in %s. If it "
                "was killed, this one then begins the study.",
                _CREATOR_SECONDS,
                place,
            )
        time.sleep(0.1)


def _open_storage(place: StudyPlace) -> RDBStorage:
    if place.url.drivername == "sqlite":
        engine: dict[str, Any] = {"connect_args": {"timeout": _LOCK_SECONDS}}
    else:
        connect = {"connect_timeout": _CONNECT_SECONDS}
        engine = {"pool_pre_ping": True, "connect_args": connect}
    for _ in range(_NUM_OPENINGS):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)  # the heartbeat
                return RDBStorage(
                    place.url.render_as_string(hide_password=False),
                    engine_kwargs=engine,
                    heartbeat_interval=_HEARTBEAT_SECONDS,
                    grace_period=_GRACE_SECONDS,
                    heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=1),
                )
        except ImportError as error:
            raise MissingExtraError("a study in PostgreSQL", "postgresql") from error
        except RuntimeError as error:
            raise StudyError(
                f"the trials in {place} were recorded by another version of Optuna: {error}",
                code="study.other_version",
            ) from error
        except (SQLAlchemyError, StorageInternalError) as error:
            # Another process has created a table, or its first row, meanwhile.
            reason = _reason(error).lower()
            if "already exists" not in reason and "unique" not in reason:
                raise
            time.sleep(0.1)
    raise StudyError(f"the tables in {place} cannot be created: try again", code="study.tables")


def _check_same(known: Mapping[str, Any], about: Mapping[str, Any], place: StudyPlace) -> None:
    remedy = "choose another folder (out, --out), or go on with what this one was begun with"
    if known["corpus"] != about["corpus"]:
        raise CorpusError(
            f"the trials in {place} are of another corpus, or it was read in another way: {remedy}",
            code="corpus.other_study",
        )
    for part in ("recipe", "tuned", "init"):
        if known[part] != about[part]:
            names = _differing(known[part], about[part]) or part
            raise RecipeError(
                f"the trials in {place} are of other settings ({names}): {remedy}",
                code="recipe.other_study",
            )


def _differing(known: object, other: object) -> str:
    """Return the names of the settings that differ, of two mappings."""
    if not isinstance(known, Mapping) or not isinstance(other, Mapping):
        return ""
    names = [*dict.fromkeys([*known, *other])]
    return ", ".join(name for name in names if known.get(name) != other.get(name))


class _NumberedSampler(BaseSampler):
    """Optuna's TPE, seeded anew by the number of each trial.

    Processes that share a study then propose different settings, and a tuning by one process can be
    repeated.
    """

    def __init__(self, seed: int) -> None:
        self._seed: Final = seed
        self._tpe = self._seeded(0)

    def _seeded(self, number: int) -> TPESampler:
        seed = (self._seed + number) % 2**32
        return TPESampler(
            n_startup_trials=_NUM_STARTUP_TRIALS, multivariate=True, constant_liar=True, seed=seed
        )

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._tpe = self._seeded(trial.number)
        self._tpe.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._tpe.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._tpe.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._tpe.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        self._tpe.after_trial(study, trial, state, values)
