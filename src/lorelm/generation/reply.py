"""What a model has to say to a prompt: :class:`Reply`."""

from collections.abc import Sequence
from dataclasses import dataclass

from lorelm.generation.draft import FinishReason


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """What might have stood in a token's place.

    Attributes:
        text: as it would have read on, with the white space before it; empty for the end of the
            document.
        log_probability: natural logarithm of the model's probability.
    """

    text: str
    log_probability: float


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token of a text, and how likely the model held it.

    Attributes:
        text: with the white space before it.
        log_probability: natural logarithm of the model's own probability, over its whole
            vocabulary, before temperature and every other setting; None where it was not asked for.
        alternatives: the likeliest tokens in its place, the likeliest first; it may be among them.
    """

    text: str
    log_probability: float | None = None
    alternatives: Sequence[Alternative] = ()


@dataclass(frozen=True, kw_only=True)
class CopiedSpan:
    """A span of at least six tokens that stands in the training text.

    Attributes:
        start, end: the characters of the sample's text that belong to it, from 0, `end` excluded.
        num_tokens: its length, the part in the prompt included.
    """

    start: int
    end: int
    num_tokens: int


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One continuation of a prompt.

    Attributes:
        text: the continuation alone; put behind the prompt as it is, it reads on.
        finish_reason: "eos", the model ended the document; "stop", a stop text came up; "length",
            neither did within `max_len` tokens; "timeout", nor within the time there was.
        seed: gives this sample again, with the same prompt and settings.
        num_tokens: how many tokens were generated.
        tokens: those of the text with their log-probabilities; None where they were not asked for.
        copied_spans: where it stands word for word in the training text; None where the model has
            no index of that.
    """

    text: str
    finish_reason: FinishReason
    seed: int
    num_tokens: int
    tokens: Sequence[Token] | None
    copied_spans: Sequence[CopiedSpan] | None


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the model has to say to a prompt.

    Attributes:
        unknown_words: words of the prompt that the model does not know and reads as `<unk>`.
        samples: as many continuations as were asked for.
    """

    prompt: str
    unknown_words: Sequence[str]
    samples: Sequence[Sample]

    @property
    def text(self) -> str:
        """The first continuation alone."""
        return self.samples[0].text
