"""Every error that LoreLM raises on purpose.

The tree::

    LoreLMError                  catch this one to catch them all
    ├── InputError               something the user gave is wrong (also a ValueError)
    │   ├── CorpusError          a file of text, or what was read from it
    │   ├── RecipeError          a training setting
    │   ├── SamplingError        a generation setting; `.field` names it
    │   │   └── UnknownModelError    a request is for a model that is not served
    │   ├── BundleError          a trained model's folder
    │   ├── DraftError           a draft of a browser, or a link to a text
    │   │   ├── DraftConflictError   another tab or device has saved it meanwhile
    │   │   └── UnknownDraftError    this browser has no such draft
    │   ├── CheckpointError      the folder of an unfinished training run
    │   ├── KeyFileError         the file of a server's API keys, or the name of one
    │   └── CommandError         a command that was run in a process of its own has failed
    ├── TrainingStoppedError     Ctrl-C; a checkpoint is saved
    ├── WorkerLostError          another process of the same training run ended
    ├── StudyError               the trials of a tuning cannot be opened, read or written
    ├── MissingExtraError        a part of LoreLM that is not installed (also an ImportError)
    ├── ServerError              the server cannot start
    ├── HistoryError             the log of generations cannot be opened, read or written
    │   ├── HistoryURLError      what names it is of no use (an InputError too)
    │   └── UnwritableRecordError    one record can never be written
    ├── UnavailableError         the engine cannot serve it now; try again later
    │   ├── OverloadedError      too many requests are waiting
    │   ├── DeadlineError        the time was over before anything was written
    │   └── ShuttingDownError    it is about to stop
    ├── QuotaError               a client has used up what it may; `.retry_after` says until when
    ├── ClientDisconnectedError  the client has closed its connection
    └── FailedRequestError       something went wrong while a text was written

A message is one line that says what is wrong, where, and what to do about it. The command line
prints it after ``lorelm:`` and exits with 2; the server answers with a status in the 4xx range.
Programs and tests look at ``error.code``, which does not change with the wording.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self


class LoreLMError(Exception):
    """Base of all errors raised by LoreLM.

    Attributes:
        code: what went wrong, for programs and tests: the area, a dot, and the cause, as in
            ``bundle.hash_mismatch``. It stays the same when the wording of the message changes.
            Each class has a general one; ``code=`` gives a particular one where it is raised.
    """

    code: str = "lorelm"

    def __init__(self, *args: object, code: str | None = None) -> None:
        super().__init__(*args)
        if code is not None:
            self.code = code


class LoreLMWarning(UserWarning):
    """Something about a training run in Python that the command line would print."""


class Problem(NamedTuple):
    """What is wrong with one setting or field."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class InputError(LoreLMError, ValueError):
    """Something the user gave is wrong.

    Attributes:
        problems: one for each field that is wrong, where the input has fields.
    """

    code = "input"
    problems: Sequence[Problem] = ()

    @classmethod
    def of(cls, problems: Sequence[Problem], *, code: str | None = None) -> Self:
        """Return the error that reports all these problems."""
        error = cls("; ".join(str(each) for each in problems), code=code)
        error.problems = tuple(problems)
        return error


class CorpusError(InputError):
    """A corpus cannot be read or is of no use as it is.

    Attributes:
        columns: of a table, those that there are to choose from.
    """

    code = "corpus"

    def __init__(self, *args: object, code: str | None = None, columns: Sequence[str] = ()) -> None:
        super().__init__(*args, code=code)
        self.columns = columns


class RecipeError(InputError):
    """Training settings are unknown or out of range."""

    code = "recipe"


class SamplingError(InputError):
    """One or more generation settings, or fields of a request, are wrong.

    Attributes:
        field: name of the first of them, as in flags, JSON and Python.
        message: what is wrong with it.
        problems: all of them.
    """

    code = "setting"

    def __init__(self, field: str, message: str, *, code: str | None = None) -> None:
        super().__init__(field, message, code=code)
        self.field = field
        self.message = message
        self.problems: Sequence[Problem] = (Problem(field, message),)

    @classmethod
    def of(cls, problems: Sequence[Problem], *, code: str | None = None) -> Self:
        error = cls(*problems[0], code=code)
        error.problems = tuple(problems)
        return error

    def __str__(self) -> str:
        return "; ".join(str(each) for each in self.problems)


class UnknownModelError(SamplingError):
    """A request is for a model that is not served."""

    code = "setting.unknown_model"

    def __init__(self, name: str, served: Sequence[str], *, field: str = "model") -> None:
        names = " and ".join(repr(each) for each in served)
        super().__init__(field, f"there is no {name!r} here, only {names}")


class BundleError(InputError):
    """A bundle is missing, damaged, or does not fit this version of LoreLM."""

    code = "bundle"


class DraftError(InputError):
    """A draft of a browser, or a link to a text, cannot be kept."""

    code = "draft"


class DraftConflictError(DraftError):
    """A draft was saved in another tab or device since the version that is to be replaced."""

    code = "draft.conflict"


class UnknownDraftError(DraftError):
    """A browser has no such draft or link."""

    code = "draft.unknown"


class CheckpointError(InputError):
    """A checkpoint is missing, damaged, of another corpus, or cannot be written."""

    code = "checkpoint"


class KeyFileError(InputError):
    """A file of API keys cannot be used, or has no such key."""

    code = "keys"


class CommandError(InputError):
    """A command that was run in a process of its own has failed.

    Attributes:
        stdout: what it had printed there.
    """

    code = "runs.command_failed"

    def __init__(self, message: str, *, stdout: str) -> None:
        super().__init__(message)
        self.stdout = stdout


class TrainingStoppedError(LoreLMError):
    """Training was stopped by Ctrl-C; the message says how to go on."""

    code = "training.stopped"


class WorkerLostError(LoreLMError):
    """Another process of the same training run ended; the message says how to go on."""

    code = "training.worker_lost"


class StudyError(LoreLMError):
    """The trials of a tuning cannot be opened, read or written; no message holds a password."""

    code = "study"


class MissingExtraError(LoreLMError, ImportError):
    """A part of LoreLM that is not installed is needed."""

    code = "missing_extra"

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(what, extra)

    def __str__(self) -> str:
        what, extra = self.args
        return (
            # Double quotes, for cmd on Windows knows no others.
            f'{what} needs more packages: pip install "lorelm[{extra}]" (in a clone: ".[{extra}]")'
        )


class ServerError(LoreLMError):
    """The server cannot start."""

    code = "server"


class HistoryError(LoreLMError):
    """The log of generations cannot be opened, read or written; no message holds a password."""

    code = "history"


class HistoryURLError(HistoryError, InputError):
    """What is to name a log of generations does not, or names an unsupported kind of database."""

    code = "history.url"


class UnwritableRecordError(HistoryError):
    """A record of a generation can never be written, however often it is tried."""

    code = "history.unwritable_record"


class UnavailableError(LoreLMError):
    """The engine cannot serve the request now; the client may try again later."""

    code = "engine"


class OverloadedError(UnavailableError):
    """Too many requests are waiting already."""

    code = "engine.overloaded"


class DeadlineError(UnavailableError):
    """The time was over before anything was written."""

    code = "engine.deadline"


class ShuttingDownError(UnavailableError):
    """The engine is about to stop."""

    code = "engine.shutting_down"


class QuotaError(LoreLMError):
    """A client has used up how much it may ask for in some time.

    Attributes:
        retry_after: seconds until it may ask again.
    """

    code = "quota"

    def __init__(self, message: str, *, code: str, retry_after: float) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class ClientDisconnectedError(LoreLMError):
    """The client closed its connection before the text was finished."""

    code = "request.client_disconnected"


class FailedRequestError(LoreLMError):
    """Something went wrong while a text was written: a fault of ours."""

    code = "request.failed"
