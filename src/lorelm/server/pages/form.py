"""The form on the page: its controls, and what a person has filled in."""

import secrets
from collections.abc import Mapping
from typing import Final, Self

from lorelm.errors import SamplingError
from lorelm.generation.controls import (
    BLEND_SHARE,
    CONTROLS,
    NUM_ALTERNATIVES,
    SECOND_TEMPERATURE,
)
from lorelm.parameters import Parameter
from lorelm.server.api.requests import GenerateRequest
from lorelm.server.language import page_catalogue
from lorelm.server.pages.scene import speakers_of, turn_fields
from lorelm.server.request_model import (
    MAX_TEXT_CHARACTERS,
    Limits,
    limited,
    with_parameters,
)
from lorelm.server.state import server_state

FORM_FIELDS: Final = (
    "prompt",
    "model",
    *(each.name for each in CONTROLS),
)
"""The fields of the form for one text."""

_LABELS: Final = {
    "prompt": "Your text",
    **{each.name: each.label for each in (*CONTROLS, SECOND_TEMPERATURE, BLEND_SHARE)},
}


@with_parameters({each.name: each for each in (SECOND_TEMPERATURE, BLEND_SHARE)})
class WriteForm(GenerateRequest):
    """What the form sends: the fields of the API, who speaks next, and a second model.

    The second model is to compare with or, if nothing is compared, to blend with.
    """

    next_speaker: str | None = None
    compare: bool = False
    model_b: str | None = None

    blend_share: float | None = None  # made by with_parameters; declared for the code below

    @classmethod
    def from_form(cls, form: Mapping[str, str]) -> Self:
        """Read the fields of a form, which are all texts; a blank one is not given.

        Browsers send a line break as two characters, but count it as one.

        Raises:
            SamplingError: fields are unknown, no numbers, or out of range; it names them all.
        """
        if not form.get("compare"):
            unused = [name for name in form if name.endswith("_b") and name != "model_b"]
            form = {name: form[name] for name in form if name not in unused}
        fields = {
            name: value.replace("\r\n", "\n") for name, value in form.items() if value.strip()
        }
        return cls._validated({"prompt": ""} | fields, strict=False)

    def requests(self) -> list[GenerateRequest]:
        """Return one request, or two to compare, which have the same seed."""
        own = {"next_speaker", "compare", "model_b", "temperature_b", "blend_share"}
        fields = self.model_dump(exclude=own, exclude_none=True)
        fields["num_alternatives"] = NUM_ALTERNATIVES
        if self.next_speaker and speakers_of(server_state().find_model(self.model)):
            fields |= turn_fields(
                self.prompt, self.next_speaker, max_characters=MAX_TEXT_CHARACTERS
            )
        if not self.compare:
            if self.blend_share and self.model_b not in (None, self.model):
                fields["blend"] = {self.model_b: self.blend_share}
            return [GenerateRequest(**fields)]
        fields.setdefault("seed", secrets.randbelow(2**32))
        second = self.model_dump(include={"model_b", "temperature_b"}, exclude_none=True)
        changes = {name.removesuffix("_b"): value for name, value in second.items()}
        return [GenerateRequest(**fields), GenerateRequest(**(fields | changes))]


def controls(limits: Limits) -> list[Parameter]:
    """Return the parameters that have a control on the page, within what this server allows."""
    return [limited(each, limits) for each in CONTROLS]


def explained(error: Exception) -> list[tuple[str, str]]:
    """Return what is wrong for the person who filled in the form.

    Returns:
        Pairs of the label of a field, in the language of the page, and a sentence in English. The
        label is empty where no field is wrong.
    """
    if not isinstance(error, SamplingError):
        return [("", f"{error}.")]
    texts = page_catalogue()
    return [
        (texts.plain(_LABELS.get(each.field, each.field)), f"{each.message}.")
        for each in error.problems
    ]
