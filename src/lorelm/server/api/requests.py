"""Request bodies of the JSON API."""

from typing import Annotated, Any, ClassVar, Final

from pydantic import AfterValidator, Field

from lorelm.generation.sequence import GenerationRequest
from lorelm.generation.settings import GenerationSettings
from lorelm.parameters import parameters_of
from lorelm.server.request_model import (
    MAX_TEXT_CHARACTERS,
    MAX_TURNS,
    ModelName,
    RequestModel,
    SpeakerName,
    check_turns,
    with_parameters,
)
from lorelm.server.served_model import ServedModel

_PARAMETERS: Final = parameters_of(GenerationSettings)
_STREAMED_ALTERNATIVES: Final = 3

_Seconds = Annotated[float | None, Field(gt=0, allow_inf_nan=False)]


class SceneTurn(RequestModel):
    """A line that was said before."""

    speaker: SpeakerName = Field(None, description="Who said it; none for a line of nobody.")
    text: str = Field(description="What was said.")


def _checked(turns: list[SceneTurn]) -> list[SceneTurn]:
    check_turns([turn.text for turn in turns])
    return turns


@with_parameters(_PARAMETERS)
class GenerateRequest(RequestModel):
    """A prompt, and how to continue it."""

    meanings: ClassVar = {"turns": "must be a list of objects with the fields speaker and text"}

    prompt: str = Field(
        max_length=MAX_TEXT_CHARACTERS,
        description="The text to continue; an empty one begins a new document. With a speaker, "
        "the beginning of this speaker's line.",
    )
    speaker: SpeakerName = Field(
        None,
        description="Who speaks. The sample is the rest of this speaker's line: single_turn is "
        "then true by default. One that the model does not know is read as any other.",
    )
    turns: Annotated[list[SceneTurn], AfterValidator(_checked)] | None = Field(
        None,
        description=f"What was said before, at most {MAX_TURNS} turns of {MAX_TEXT_CHARACTERS:,} "
        "characters in all. The prompt in the reply has them too.",
    )
    model: ModelName = None
    stream: bool | None = Field(
        None,
        description="Answer with server-sent events of the next tokens, each with "
        f"{_STREAMED_ALTERNATIVES} alternatives unless num_alternatives is given.",
    )
    timeout_seconds: _Seconds = Field(
        None,
        description="End after this time, with the text so far; at most the server's own limit.",
    )

    def generation_request(self, served: ServedModel) -> GenerationRequest:
        """Return the request to the engine.

        Raises:
            SamplingError: settings contradict each other or the model cannot honour one.
        """
        return served.model.request(
            served.model.prompts.read_scene(
                self.prompt,
                speaker=self.speaker,
                turns=[(turn.speaker or "", turn.text) for turn in self.turns or ()],
            ),
            self.settings(),
            deadline=served.deadline(self.timeout_seconds),
        )

    def settings(self) -> GenerationSettings:
        """Return the settings of this request.

        Raises:
            SamplingError: settings contradict each other; it names them all.
        """
        defaults: dict[str, Any] = {"single_turn": bool(self.speaker)}
        if self.stream:
            defaults["num_alternatives"] = _STREAMED_ALTERNATIVES
        return GenerationSettings(**(defaults | self.given()))


@with_parameters({"num_alternatives": _PARAMETERS["num_alternatives"]})
class ScoreRequest(RequestModel):
    """A text whose tokens are to be scored."""

    text: str = Field(
        max_length=MAX_TEXT_CHARACTERS, description="Read as the beginning of a document."
    )
    model: ModelName = None
    timeout_seconds: _Seconds = Field(None, description="Give up after this time.")


class CheckRequest(RequestModel):
    """A text to search for words that the model does not know."""

    text: str = Field(max_length=MAX_TEXT_CHARACTERS, description="Read as a prompt is.")
    model: ModelName = None
