"""The form on the page: what it asks for, and what a person has put into it."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import Field

from lorelm.errors import SamplingError
from lorelm.generation.settings import NUM_SAMPLES_LIMIT, GenerationSettings
from lorelm.server.api.requests import GenerateRequest
from lorelm.server.settings import ServerSettings

_USUAL: Final = GenerationSettings()

NUM_ALTERNATIVES: Final = 5
"""So many other words are shown for each one that was written."""


class WriteForm(GenerateRequest):
    """What the form sends: the fields of the API, and what to compare with."""

    compare: bool = False
    model_b: str | None = None
    temperature_b: float | None = Field(None, allow_inf_nan=False)

    def requests(self) -> list[GenerateRequest]:
        """What is to be written: one request, or two beside each other with the same seed.

        Raises:
            SamplingError: the second one's temperature is out of its range.
        """
        fields = self.model_dump(exclude={"compare", "model_b", "temperature_b"})
        fields["num_alternatives"] = NUM_ALTERNATIVES
        if self.compare and self.seed is None:
            fields["seed"] = secrets.randbelow(2**32)
        requests = [GenerateRequest(**fields)]
        if self.compare:
            self._check_second_temperature()
            changes = {"model": self.model_b, "temperature": self.temperature_b}
            given = {name: value for name, value in changes.items() if value is not None}
            requests.append(GenerateRequest(**(fields | given)))
        return requests

    def _check_second_temperature(self) -> None:
        if self.temperature_b is None:
            return
        try:
            GenerationSettings(temperature=self.temperature_b)
        except SamplingError as error:
            raise SamplingError("temperature_b", error.message) from error


@dataclass(frozen=True, kw_only=True)
class Control:
    """A number that the form asks for.

    Attributes:
        usual: what it is unless a person changes it; None: empty.
    """

    name: str
    label: str
    help: str
    least: float
    most: float | None
    usual: float | None
    is_whole: bool = False


def controls(limits: ServerSettings) -> list[Control]:
    """The numbers that the form asks for, those that most people want first."""
    return [
        Control(
            name="max_len",
            label="Length",
            help="words and marks, at most",
            least=1,
            most=limits.max_tokens_limit,
            usual=min(_USUAL.max_len, limits.max_tokens_limit),
            is_whole=True,
        ),
        Control(
            name="temperature",
            label="Temperature",
            help="0.5 sober, 0.8 usual, 1.2 wild",
            least=0,
            most=100,
            usual=_USUAL.temperature,
        ),
        Control(
            name="num_samples",
            label="Samples",
            help="so many to choose from",
            least=1,
            most=min(limits.num_samples_limit, NUM_SAMPLES_LIMIT),
            usual=1,
            is_whole=True,
        ),
        Control(
            name="top_k",
            label="Top k",
            help="only the k likeliest words; 0: all",
            least=0,
            most=None,
            usual=_USUAL.top_k,
            is_whole=True,
        ),
        Control(
            name="top_p",
            label="Top p",
            help="only the likeliest that make up this share; 1: all",
            least=0.001,
            most=1,
            usual=_USUAL.top_p,
        ),
        Control(
            name="min_p",
            label="Min p",
            help="none below this share of the likeliest; 0: all",
            least=0,
            most=1,
            usual=_USUAL.min_p,
        ),
        Control(
            name="repetition_penalty",
            label="Repetition",
            help="above 1, the same words come less often",
            least=0.01,
            most=100,
            usual=_USUAL.repetition_penalty,
        ),
        Control(
            name="seed",
            label="Seed",
            help="the same seed writes the same; empty: any",
            least=0,
            most=None,
            usual=None,
            is_whole=True,
        ),
    ]


FORM_FIELDS: Final = (
    *("prompt", "model", "novel_span"),
    *(control.name for control in controls(ServerSettings())),
)
"""What the form says of one text."""


def explained(error: Exception, labels: Mapping[str, str]) -> str:
    """What a person is told who has filled in the form."""
    if isinstance(error, SamplingError):
        return f"{labels.get(error.field, error.field)}: {error.message}."
    return f"{error}."
