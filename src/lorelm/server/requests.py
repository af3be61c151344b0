"""What a request may ask for, checked field by field."""

from collections.abc import Mapping
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from lorelm.errors import SamplingError
from lorelm.generation.settings import GenerationSettings


class GenerateRequest(BaseModel):
    """A prompt and the settings of :class:`GenerationSettings`; null means not given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: str = Field(max_length=20_000)
    max_len: int | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    num_samples: int | None = None
    stop: list[str] | None = None
    novel_span: int | None = None

    @field_validator("stop", mode="before")
    @classmethod
    def _one_stop_is_a_list(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @classmethod
    def from_json(cls, body: object) -> Self:
        """Takes a decoded JSON body, in which a number is a number and a text a text.

        Raises:
            SamplingError: a field is missing, unknown or of the wrong kind; it names the field.
        """
        return cls._checked(body, strict=True)

    @classmethod
    def from_form(cls, form: Mapping[str, str]) -> Self:
        """Takes the fields of a form, all of them texts; a blank one is not given.

        Raises:
            SamplingError: a field is unknown or no number; it names the field.
        """
        fields = {name: value for name, value in form.items() if value.strip()}
        return cls._checked({"prompt": ""} | fields, strict=False)

    @classmethod
    def _checked(cls, fields: object, *, strict: bool) -> Self:
        try:
            return cls.model_validate(fields, strict=strict)
        except ValidationError as error:
            first = error.errors()[0]
            field = str(first["loc"][0]) if first["loc"] else "body"
            raise SamplingError(field, _explanation(first["type"], first["msg"])) from error

    def settings(self, *, max_len_limit: int, num_samples_limit: int) -> GenerationSettings:
        """The settings asked for.

        Raises:
            SamplingError: one is out of its range; it names the field.
        """
        given: dict[str, Any] = self.model_dump(exclude={"prompt"}, exclude_none=True)
        settings = GenerationSettings(**given)
        if settings.max_len > max_len_limit:
            raise SamplingError(
                "max_len", f"must be at most {max_len_limit} on this server, not {settings.max_len}"
            )
        if settings.num_samples > num_samples_limit:
            raise SamplingError(
                "num_samples",
                f"must be at most {num_samples_limit} on this server, not {settings.num_samples}",
            )
        return settings


_EXPLANATIONS: Final = (
    ("int_", "must be a whole number"),
    ("float_", "must be a number"),
    ("string_too_long", "must be shorter than 20,000 characters"),
    ("string_", "must be a text"),
    ("list_", "must be a text or a list of texts"),
    ("missing", "is missing"),
    ("extra_", "is not a field of this request"),
    ("model_", "must be a JSON object"),
)


def _explanation(kind: str, message: str) -> str:
    """What a person is told of an error that Pydantic found."""
    return next((text for prefix, text in _EXPLANATIONS if kind.startswith(prefix)), message)
