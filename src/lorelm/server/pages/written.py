"""What models have written for the page: :class:`Written`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from lorelm.generation.reply import Reply
from lorelm.generation.task import Task
from lorelm.server.served_model import ServedModel


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a model has written, and at which temperature."""

    model: str
    temperature: float
    reply: Reply

    @classmethod
    def of(cls, served: ServedModel, task: Task) -> Self:
        """That of a task that is done."""
        return cls(
            model=served.name,
            temperature=task.settings.temperature,
            reply=served.model.wording.reply(task),
        )


def given_to_script(written: Sequence[Written] | None) -> dict[str, Any] | None:
    """A single sample, as the script puts it into the text; None where there are several."""
    if written is None or len(written) > 1 or len(written[0].reply.samples) > 1:
        return None
    [sample] = written[0].reply.samples
    return {
        "prompt": written[0].reply.prompt,
        "tokens": [asdict(token) for token in sample.tokens or ()],
        "copied_spans": [asdict(span) for span in sample.copied_spans or ()],
    }
