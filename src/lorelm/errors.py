"""Every error that LoreLM raises on purpose.

The tree::

    LoreLMError                  catch this one to catch them all
    ├── InputError               something the user gave is wrong (also a ValueError)
    │   ├── CorpusError          a file of text, or what was read from it
    │   ├── RecipeError          a training setting
    │   ├── SamplingError        a generation setting; `.field` names it
    │   │   └── UnknownModelError    a request is for a model that is not served
    │   ├── BundleError          a trained model's folder
    │   └── CheckpointError      the folder of an unfinished training run
    ├── TrainingStoppedError     Ctrl-C; a checkpoint is saved
    ├── WorkerLostError          another process of the same training run ended
    ├── MissingExtraError        a part of LoreLM that is not installed (also an ImportError)
    ├── ServerError              the server cannot start
    ├── HistoryError             the log of generations cannot be opened, read or written
    │   ├── HistoryURLError      what names it is of no use (an InputError too)
    │   └── UnwritableRecordError    one record can never be written
    ├── UnavailableError         the engine cannot do it now; later, it may
    │   ├── OverloadedError      too many requests are waiting
    │   ├── DeadlineError        the time was over before anything was written
    │   └── ShuttingDownError    it is about to stop
    ├── AbandonedError           nobody waits for the text any more
    └── FailedRequestError       something went wrong while a text was written

A message is one line that says what is wrong, where, and what to do about it. The command line
prints it after ``lorelm:`` and exits with 2; the server answers with a status in the 4xx range.
"""

from collections.abc import Sequence


class LoreLMError(Exception):
    """Base of all errors raised by LoreLM."""


class InputError(LoreLMError, ValueError):
    """Something the user gave is wrong."""


class CorpusError(InputError):
    """A corpus cannot be read or is of no use as it is."""


class RecipeError(InputError):
    """A training setting is unknown or out of range."""


class SamplingError(InputError):
    """A generation setting is out of range.

    Attributes:
        field: the name of the setting, as in flags, JSON and Python.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(field, message)
        self.field = field
        self.message = message

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


class UnknownModelError(SamplingError):
    """A request is for a model that is not served."""

    def __init__(self, name: str, served: Sequence[str]) -> None:
        names = " and ".join(repr(each) for each in served)
        super().__init__("model", f"there is no {name!r} here, only {names}")


class BundleError(InputError):
    """A bundle is missing, damaged, or does not fit this version of LoreLM."""


class CheckpointError(InputError):
    """A checkpoint is missing, damaged, of another corpus, or cannot be written."""


class TrainingStoppedError(LoreLMError):
    """Training was stopped by Ctrl-C; the message says how to go on."""


class WorkerLostError(LoreLMError):
    """Another process of the same training run ended; the message says how to go on."""


class MissingExtraError(LoreLMError, ImportError):
    """A part of LoreLM that is not installed is needed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(what, extra)

    def __str__(self) -> str:
        what, extra = self.args
        return (
            f"{what} needs more packages: pip install 'lorelm[{extra}]' (in a clone: '.[{extra}]')"
        )


class ServerError(LoreLMError):
    """The server cannot start."""


class HistoryError(LoreLMError):
    """The log of generations cannot be opened, read or written; no message holds a password."""


class HistoryURLError(HistoryError, InputError):
    """What is to name a log of generations does not, or names an unsupported kind of database."""


class UnwritableRecordError(HistoryError):
    """A record of a generation can never be written, however often it is tried."""


class UnavailableError(LoreLMError):
    """The engine cannot do now what is asked for; later, it may."""


class OverloadedError(UnavailableError):
    """Too many requests are waiting already."""


class DeadlineError(UnavailableError):
    """The time was over before anything was written."""


class ShuttingDownError(UnavailableError):
    """The engine is about to stop."""


class AbandonedError(LoreLMError):
    """Nobody waits for the text any more."""


class FailedRequestError(LoreLMError):
    """Something went wrong while a text was written: a fault of ours."""
