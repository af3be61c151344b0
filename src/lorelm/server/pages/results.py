"""Generated texts for the page: :class:`Result`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from lorelm.errors import SamplingError
from lorelm.generation.reply import Reply
from lorelm.generation.sequence import GenerationRequest
from lorelm.history.record import Record
from lorelm.server.generate import page_client, start_generation
from lorelm.server.history.records import is_served_by, request_again
from lorelm.server.pages.form import FORM_FIELDS, NUM_ALTERNATIVES
from lorelm.server.served_models import ServedModel
from lorelm.server.state import server_state


@dataclass(frozen=True, kw_only=True)
class Result:
    """The texts that a model has generated at a temperature."""

    model: str
    temperature: float
    reply: Reply

    @classmethod
    def of(cls, served: ServedModel, request: GenerationRequest) -> Self:
        """Return the result of a finished request."""
        return cls(
            model=served.name,
            temperature=request.settings.temperature,
            reply=served.model.reply(request),
        )


def single_text(results: Sequence[Result] | None) -> dict[str, Any] | None:
    """Return a result that the page's script moves into the text; None if there are several."""
    if results is None or len(results) > 1 or len(results[0].reply.samples) > 1:
        return None
    [sample] = results[0].reply.samples
    return {
        "prompt": results[0].reply.prompt,
        "tokens": [asdict(token) for token in sample.tokens or ()],
        "copied_spans": [asdict(span) for span in sample.copied_spans or ()],
    }


def form_of(record: Record) -> dict[str, str]:
    """Return the fields of the form that would generate a record."""
    values = record.settings | {
        "prompt": record.prompt,
        "model": record.model,
        "seed": record.seed,
        "novel_span": record.settings.get("novel_span") or "",
    }
    return {name: str(value) for name, value in values.items() if name in FORM_FIELDS}


def regenerate(record: Record) -> Result:
    """Generate the text of a record again.

    Raises:
        SamplingError: the model that generated it is not served.
    """
    served = next((each for each in server_state().models if is_served_by(record, each)), None)
    if served is None:
        raise SamplingError(
            "model",
            f"{record.model!r}, in the version of this text (fingerprint {record.fingerprint}), "
            "is not served now, so the text cannot be generated again",
            code="history.model_not_served",
        )
    request = request_again(record, served, num_alternatives=NUM_ALTERNATIVES)
    start_generation(served, [request], page_client()).wait()
    return Result.of(served, request)
