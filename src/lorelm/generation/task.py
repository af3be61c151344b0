"""What is to be done for a prompt: :class:`Task`."""

from collections.abc import Sequence
from dataclasses import dataclass

from lorelm.generation.draft import Draft
from lorelm.generation.settings import GenerationSettings
from lorelm.typing import Ids


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A text as the model reads it.

    Attributes:
        text: as it was written.
        tokens: of it; one that the model does not know has the id of `<unk>`.
        unknown_words: the words that it does not know, each once, as they are written.
        is_in_ids: whether it was given as ids; the text is then made of them.
        has_eos: whether it was given with the `<eos>` in front that every prompt is read after.
    """

    text: str
    tokens: Sequence[str]
    ids: Ids
    unknown_words: Sequence[str]
    is_in_ids: bool = False
    has_eos: bool = False

    @property
    def last_token(self) -> str | None:
        return self.tokens[-1] if self.tokens else None


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """A prompt, how to go on with it, and the drafts that do, one a sample.

    A plain generator or an engine writes the drafts.
    """

    prompt: Prompt
    settings: GenerationSettings
    drafts: Sequence[Draft]
