"""What all requests have in common: they are checked field by field."""

from collections.abc import Mapping
from typing import ClassVar, Final, Self

from flask import request
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from lorelm.errors import SamplingError

MAX_TEXT_CHARACTERS: Final = 20_000
ONE_OR_MORE_TEXTS: Final = "must be a text or a list of texts"


class RequestModel(BaseModel):
    """The body of a request. A field that is null is one that was not given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    meanings: ClassVar[Mapping[str, str]] = {}
    """What a field must be, where it may be several things."""

    @classmethod
    def from_request(cls) -> Self:
        """Takes the JSON body of the current request, in which a number is a number.

        Raises:
            BadRequest: the body is not JSON.
            UnsupportedMediaType: it does not say that it is JSON.
            SamplingError: a field is missing, unknown or of the wrong kind; it names the field.
        """
        return cls._checked(_json_body(), strict=True)

    @classmethod
    def from_form(cls, form: Mapping[str, str]) -> Self:
        """Takes the fields of a form, all of them texts; a blank one is not given.

        Browsers send a line break as two characters, which they count as one.

        Raises:
            SamplingError: a field is unknown or no number; it names the field.
        """
        fields = {
            name: value.replace("\r\n", "\n") for name, value in form.items() if value.strip()
        }
        return cls._checked({"prompt": ""} | fields, strict=False)

    @classmethod
    def _checked(cls, fields: object, *, strict: bool) -> Self:
        try:
            return cls.model_validate(fields, strict=strict)
        except ValidationError as error:
            first = error.errors()[0]
            field = str(first["loc"][0]) if first["loc"] else "body"
            raise SamplingError(field, cls._explained(field, first)) from error

    @classmethod
    def _explained(cls, field: str, found: ErrorDetails) -> str:
        """What a person is told of an error that Pydantic found."""
        usual = found["msg"].replace("Input should be", "must be")
        kinds = (text for prefix, text in _EXPLANATIONS if found["type"].startswith(prefix))
        return cls.meanings.get(field) or next(kinds, usual)


def _json_body() -> object:
    try:
        return request.get_json()
    except UnsupportedMediaType as error:
        raise UnsupportedMediaType(
            "send the request as JSON, with the header Content-Type: application/json"
        ) from error
    except (BadRequest, RecursionError) as error:
        raise BadRequest("the body is not JSON: check its quotes, commas and braces") from error


_EXPLANATIONS: Final = (
    ("int_", "must be a whole number"),
    ("float_", "must be a number"),
    ("bool_", "must be true or false"),
    ("string_too_long", f"must be shorter than {MAX_TEXT_CHARACTERS:,} characters"),
    ("string_", "must be a text"),
    ("too_long", "has too many items"),
    ("list_", "must be a list of texts"),
    ("dict_", "must be an object that gives a number for each word"),
    ("missing", "is missing"),
    ("extra_", "is not a field of this request"),
    ("model_", "must be a JSON object"),
)


def as_list(texts: str | list[str] | None) -> list[str] | None:
    """A text that stands alone is a list of one."""
    return [texts] if isinstance(texts, str) else texts
