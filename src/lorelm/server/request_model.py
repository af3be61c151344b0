"""Base of all request bodies, and the request fields that are made from parameters."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Final, Self, TypeVar

from flask import request
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    create_model,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from lorelm.errors import Problem, SamplingError
from lorelm.parameters import Parameter
from lorelm.server.state import server_state

MAX_TEXT_CHARACTERS: Final = 20_000
MAX_TURNS: Final = 500
_MAX_NAME_CHARACTERS: Final = 100

ModelName = Annotated[str | None, Field(description="Name of the model; the first one by default.")]
SpeakerName = Annotated[str | None, Field(max_length=_MAX_NAME_CHARACTERS)]
Limits = Mapping[str, float]
"""The highest values that this server allows, by the names of parameters."""

_JSON_TYPES: Final[dict[type, Any]] = {list: str | list[str], dict: dict[str, float]}
"""The types of parameters in JSON, where they differ."""


class RequestModel(BaseModel):
    """The body of a request. A field that is null counts as not given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    meanings: ClassVar[Mapping[str, str]] = {}
    """What a field must be, where Pydantic's own message would list several kinds."""

    parameters: ClassVar[Mapping[str, Parameter]] = {}
    """The parameters among the fields, by the names that they have in this request."""

    @classmethod
    def from_request(cls) -> Self:
        """Read the JSON body of the current request, in which numbers must be numbers.

        Raises:
            BadRequest: the body is not JSON.
            UnsupportedMediaType: the header does not say that it is JSON.
            SamplingError: fields are missing, unknown, of the wrong kind or out of range; it names
                them all.
        """
        return cls._validated(_json_body(), strict=True)

    def given(self) -> dict[str, Any]:
        """Return the parameters that this request gives, by their own names."""
        values = ((each.name, getattr(self, field)) for field, each in self.parameters.items())
        return {name: value for name, value in values if value is not None}

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, fields: object) -> object:
        if not isinstance(fields, Mapping):
            return fields
        return {name: value for name, value in fields.items() if value is not None}

    @classmethod
    def _validated(cls, fields: object, *, strict: bool) -> Self:
        limits = server_state().settings.limits
        try:
            return cls.model_validate(fields, strict=strict, context=limits)
        except ValidationError as error:
            problems: dict[str, Problem] = {}
            for found in error.errors():
                field, place = _field_and_place(found)
                # A field of several kinds has an error for each of them.
                problems.setdefault(place, Problem(place, cls._message(field, found, limits)))
            raise SamplingError.of(list(problems.values())) from error

    @classmethod
    def _message(cls, field: str, found: ErrorDetails, limits: Limits) -> str:
        kind = found["type"]
        if kind == "parameter":
            return found["msg"]
        if field in cls.meanings:
            return cls.meanings[field]
        if field in cls.parameters:
            text = "a text or " if cls.parameters[field].kind is list else ""
            return f"must be {text}{limited(cls.parameters[field], limits).requirement}"
        pydantics = found["msg"].replace("Input should be", "must be")
        ours = next((text for prefix, text in _MESSAGES if kind.startswith(prefix)), None)
        return ours.format_map(found.get("ctx", {})) if ours else pydantics


Model = TypeVar("Model", bound=RequestModel)


def check_turns(texts: Sequence[str]) -> None:
    """Check the length of turns together; for validators of a request.

    Raises:
        PydanticCustomError: there are too many, or they are too long.
    """
    if len(texts) > MAX_TURNS or sum(map(len, texts)) > MAX_TEXT_CHARACTERS:
        raise problem(
            f"must be at most {MAX_TURNS} with at most {MAX_TEXT_CHARACTERS:,} characters in all: "
            "leave out the first ones"
        )


def limited(parameter: Parameter, limits: Limits) -> Parameter:
    """Return a parameter within what this server allows."""
    limit = limits.get(parameter.name)
    if limit is None:
        return parameter
    most = min(limit, parameter.max or limit)
    default = None if parameter.default is None else min(parameter.default, most)
    return replace(parameter, max=most, default=default)


def with_parameters(parameters: Mapping[str, Parameter]) -> Callable[[type[Model]], type[Model]]:
    """Add a field to a request for each parameter, by the name that it has there."""

    def decorate(model: type[Model]) -> type[Model]:
        fields: dict[str, Any] = {}
        for name, each in parameters.items():
            kind = _JSON_TYPES.get(each.kind, each.kind)
            schema = schema_of(each)
            fields[name] = (
                Annotated[kind, AfterValidator(_validator(each))] | None,
                Field(None, description=schema.pop("description"), json_schema_extra=schema),
            )
        made = create_model(
            model.__name__,
            __base__=model,
            __doc__=model.__doc__,
            __module__=model.__module__,
            **fields,
        )
        made.parameters = {**model.parameters, **parameters}
        return made

    return decorate


def schema_of(parameter: Parameter) -> dict[str, Any]:
    """Return what the JSON schema of a field says besides its type."""
    bounds = {
        "minimum": parameter.lowest if parameter.above is None else None,
        "exclusiveMinimum": parameter.above,
        "maximum": parameter.max,
        "default": parameter.default,
    }
    is_number = parameter.kind in (int, float)
    stated = {name: value for name, value in bounds.items() if is_number and value is not None}
    return {"description": parameter.description, **stated}


def _validator(parameter: Parameter) -> Callable[[Any, ValidationInfo], Any]:
    def validate(value: Any, info: ValidationInfo) -> Any:
        value = [value] if parameter.kind is list and isinstance(value, str) else value
        wrong = limited(parameter, info.context or {}).problem_with(value)
        if wrong is not None:
            raise problem(wrong)
        return value

    return validate


def problem(text: str) -> PydanticCustomError:
    """Return the error for a validator to raise, which says what a field must be."""
    return PydanticCustomError("parameter", "{problem}", {"problem": text})


def _field_and_place(found: ErrorDetails) -> tuple[str, str]:
    """Return the name of a field and where it is, such as "turns.text" and "turns[3].text"."""
    match found["loc"]:
        case [str(field), int(number), str(inner), *_]:
            return f"{field}.{inner}", f"{field}[{number}].{inner}"
        case [str(field), int(number)] if found["type"].startswith("model_"):
            return f"{field}[]", f"{field}[{number}]"
        case [field, *_]:
            return str(field), str(field)
    return "body", "body"


def _json_body() -> object:
    try:
        return request.get_json()
    except UnsupportedMediaType as error:
        raise UnsupportedMediaType(
            "send the request as JSON, with the header Content-Type: application/json"
        ) from error
    except (BadRequest, RecursionError) as error:
        raise BadRequest("the body is not JSON: check its quotes, commas and braces") from error


_MESSAGES: Final = (
    ("int_", "must be a whole number"),
    ("float_", "must be a number"),
    ("bool_", "must be true or false"),
    ("string_too_long", "must have at most {max_length:,} characters"),
    ("string_", "must be a text"),
    ("too_long", "has too many items"),
    ("list_", "must be a list of texts"),
    ("dict_", "must be an object that gives a number for each word"),
    ("missing", "is missing"),
    ("extra_", "is not a field of this request"),
    ("model_", "must be a JSON object"),
)
