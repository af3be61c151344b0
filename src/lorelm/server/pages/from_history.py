"""What was written before, written once more."""

from lorelm.errors import SamplingError
from lorelm.history.record import Record
from lorelm.server.api.views import client_is_gone
from lorelm.server.history.log import Asker
from lorelm.server.history.records import is_served_by, task_again
from lorelm.server.pages.form import FORM_FIELDS, NUM_ALTERNATIVES
from lorelm.server.pages.written import Written
from lorelm.server.served_models import ServedModels
from lorelm.version import VERSION


def form_of(record: Record) -> dict[str, str]:
    """The form as it would be filled in for a record; what it has no control for is left out."""
    values = record.settings | {
        "prompt": record.prompt,
        "model": record.model,
        "seed": record.seed,
        "novel_span": record.settings.get("novel_span") or "",
    }
    return {name: str(value) for name, value in values.items() if name in FORM_FIELDS}


def write_again(record: Record, models: ServedModels, asker: Asker) -> tuple[list[Written], str]:
    """Writes the text of a record once more; also says whether it is the same.

    Raises:
        SamplingError: the model that wrote it is not served.
    """
    served = next((each for each in models if is_served_by(record, each)), None)
    if served is None:
        raise SamplingError(
            "model",
            f"{record.model!r}, as it was when it wrote this (fingerprint {record.fingerprint}), "
            "is not served now, so the text cannot be made again",
        )
    task = task_again(record, served, num_alternatives=NUM_ALTERNATIVES)
    served.begin([task], asker, is_abandoned=client_is_gone()).wait()
    written = Written.of(served, task)
    is_same = written.reply.text == record.text
    note = "Made again, word for word." if is_same else f"Made again, and it differs{_why(record)}."
    return [written], note


def _why(record: Record) -> str:
    if record.version == VERSION:
        return ""
    return f": version {record.version} of LoreLM wrote it"
