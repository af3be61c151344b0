"""Request bodies for drafts and links."""

import math
from typing import Annotated, Any, ClassVar, Final

from pydantic import AfterValidator, Field

from lorelm.server.request_model import RequestModel, problem

MAX_DRAFT_CHARACTERS: Final = 100_000
MAX_NAME_CHARACTERS: Final = 100

_SHAPE: Final = (
    'must be a list of texts and of tokens such as ["word", -1.5], with the token\'s '
    "log-probability and, if it is copied, the length of the copied span"
)

CONTENT_SCHEMA: Final = {
    "type": "array",
    "description": "The text in parts: what somebody typed as a text, a token of the model as a "
    "list of its text, its log-probability and, if it is copied, the length of the copied span.",
    "items": {
        "anyOf": [
            {"type": "string"},
            {
                "type": "array",
                "prefixItems": [{"type": "string"}, {"type": "number"}, {"type": "integer"}],
                "minItems": 2,
                "maxItems": 3,
            },
        ]
    },
}
"""JSON schema of the content of a draft."""


def _check_content(content: list[Any]) -> list[Any]:
    if not all(isinstance(part, str) or _is_token(part) for part in content):
        raise problem(_SHAPE)
    length = sum(len(part if isinstance(part, str) else part[0]) for part in content)
    if length > MAX_DRAFT_CHARACTERS:
        raise problem(
            f"is too long for a draft: {length:,} characters, of at most {MAX_DRAFT_CHARACTERS:,}"
        )
    return content


def _is_token(part: object) -> bool:
    match part:
        case [str(), score]:
            return _is_score(score)
        case [str(), score, copied]:
            return _is_score(score) and type(copied) is int and 0 <= copied <= MAX_DRAFT_CHARACTERS
    return False


def _is_score(value: object) -> bool:
    return type(value) in (int, float) and -math.inf < value <= 0  # type: ignore[operator]


def _check_name(name: str) -> str:
    """Return a name as one line."""
    line = " ".join(name.split())
    if not line or len(line) > MAX_NAME_CHARACTERS:
        raise problem(f"must be a name of at most {MAX_NAME_CHARACTERS} characters")
    return line


_Content = Annotated[
    list[Any],
    AfterValidator(_check_content),
    Field(
        description=f"{CONTENT_SCHEMA['description']} At most {MAX_DRAFT_CHARACTERS:,} characters.",
        json_schema_extra={"items": CONTENT_SCHEMA["items"]},
    ),
]
_Name = Annotated[
    str,
    AfterValidator(_check_name),
    Field(description=f"At most {MAX_NAME_CHARACTERS} characters."),
]
_ModelName = Annotated[
    str,
    Field(
        max_length=200,
        description="Name of the model that wrote parts of it, for people; any or none.",
    ),
]
_IsStarred = Annotated[bool, Field(description="Whether it has a star and comes first.")]


class NewTextRequest(RequestModel):
    """A text and its name."""

    meanings: ClassVar = {"content": _SHAPE}

    name: _Name
    content: _Content
    model: _ModelName = ""


class NewDraftRequest(NewTextRequest):
    """A text to keep as a new draft."""

    starred: _IsStarred = False


class SaveDraftRequest(RequestModel):
    """A text that replaces a version of a draft."""

    meanings: ClassVar = {"content": _SHAPE}

    content: _Content
    version: int = Field(
        ge=0, lt=2**63, description="The version that it replaces; if another one is kept: 409."
    )
    model: _ModelName = ""


class ChangeDraftRequest(RequestModel):
    """A new name, a star, or none any more; what is not given stays."""

    name: _Name | None = None
    starred: _IsStarred | None = None


class NewLinkRequest(NewTextRequest):
    """A text that everybody with the link can read."""
