"""Settings of the studio: :class:`StudioSettings`."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lorelm.parameters import Parameter

MAX_UPLOAD_BYTES: Final = 1 << 30


@dataclass(frozen=True, kw_only=True)
class StudioSettings:
    """Settings of the studio.

    Attributes:
        folder: of its texts and models.
        history: URL of the database for texts that models write; None keeps none.
        password: of a studio that other machines can reach; None for this machine only.
        share_links: let writers make links that show one text to anyone who has the link.
        max_upload_bytes: size of the largest upload.
        training_parameters: all settings of a training, by their names.
        describe_recipe: says a recipe in words.
        can_train: whether PyTorch is installed.
        start: a random text, another one at each start.
    """

    folder: Path
    history: str | None = None
    password: str | None = None
    share_links: bool = False
    max_upload_bytes: int = MAX_UPLOAD_BYTES
    training_parameters: Mapping[str, Parameter] = field(default_factory=dict)
    describe_recipe: Callable[[Mapping[str, Any]], str] = str
    can_train: bool = True
    start: str = field(default_factory=lambda: secrets.token_hex(8))
