"""What a person can ask of a generation."""

import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lorelm.errors import SamplingError
from lorelm.ngrams.fingerprints import WINDOW
from lorelm.ngrams.matches import TELLING_LENGTH
from lorelm.sampling import SamplingSettings, require_whole

MAX_LEN_LIMIT: Final = 10_000
NUM_SAMPLES_LIMIT: Final = 64
NUM_ALTERNATIVES_LIMIT: Final = 20
NOVEL_SPAN_MIN: Final = WINDOW
NOVEL_SPAN_LIMIT: Final = 50
NOVEL_SPAN_USUAL: Final = TELLING_LENGTH
LOGIT_BIAS_LIMIT: Final = 100
STOP_LIMIT: Final = 16
STOP_CHARACTERS_LIMIT: Final = 200
SEED_LIMIT: Final = 2**53  # a JSON number in a browser is exact up to here


@dataclass(frozen=True, kw_only=True)
class GenerationSettings(SamplingSettings):
    """How to continue a prompt.

    Attributes:
        max_len: a sample ends after so many tokens.
        min_len: the model does not end a sample before it has so many tokens.
        seed: sample number i (from 0) takes its random numbers from the seed `seed + i`; a random
            one is drawn where it is None.
        num_samples: how many continuations.
        stop: texts at which a sample ends; they are not part of it.
        logit_bias: is added to the logits of words: above 0 a word becomes likelier. A number in
            place of a word is an id of the vocabulary.
        banned_words: are never written, in exactly this spelling; what the model does not know is
            not written anyway.
        novel_span: no so many tokens in a row, of prompt and sample, stand in the training text; 0
            lets the model copy.
        num_alternatives: each token comes with its log-probability and those of the so many
            likeliest; None leaves both out.

    Raises:
        SamplingError: a value is out of its range.
    """

    max_len: int = 40
    min_len: int = 1
    seed: int | None = None
    num_samples: int = 1
    stop: Sequence[str] = ()
    logit_bias: Mapping[str | int, float] = field(default_factory=dict)
    banned_words: Sequence[str] = ()
    novel_span: int = 0
    num_alternatives: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require_whole(self.max_len, "max_len", at_least=1, at_most=MAX_LEN_LIMIT)
        require_whole(self.min_len, "min_len", at_least=1, at_most=self.max_len)
        require_whole(self.num_samples, "num_samples", at_least=1, at_most=NUM_SAMPLES_LIMIT)
        if self.seed is not None:
            require_whole(self.seed, "seed", at_least=0, at_most=SEED_LIMIT - self.num_samples)
        if self.novel_span != 0:
            require_whole(
                self.novel_span, "novel_span", at_least=NOVEL_SPAN_MIN, at_most=NOVEL_SPAN_LIMIT
            )
        if self.num_alternatives is not None:
            require_whole(
                self.num_alternatives,
                "num_alternatives",
                at_least=0,
                at_most=NUM_ALTERNATIVES_LIMIT,
            )
        _require_texts(self.stop, "stop")
        if len(self.stop) > STOP_LIMIT or any(len(s) > STOP_CHARACTERS_LIMIT for s in self.stop):
            # Each is looked for after each token.
            allowed = f"at most {STOP_LIMIT} texts of at most {STOP_CHARACTERS_LIMIT} characters"
            raise SamplingError("stop", f"must be {allowed}")
        _require_texts(self.banned_words, "banned_words")
        _require_biases(self.logit_bias)

    def seeds(self) -> list[int]:
        """The seed of each sample."""
        first = secrets.randbelow(2**32) if self.seed is None else self.seed
        return [first + i for i in range(self.num_samples)]


def _require_texts(value: object, name: str) -> None:
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    if not is_list or not all(isinstance(text, str) and text for text in value):  # type: ignore[attr-defined]
        raise SamplingError(name, f"must be a list of texts, none empty, not {value!r}")


def _require_biases(biases: object) -> None:
    if not isinstance(biases, Mapping):
        raise SamplingError("logit_bias", f"must give a number for each word, not {biases!r}")
    for word, bias in biases.items():
        is_number = isinstance(bias, (int, float)) and not isinstance(bias, bool)
        if not is_number or not math.isfinite(bias) or abs(bias) > LOGIT_BIAS_LIMIT:
            allowed = f"from -{LOGIT_BIAS_LIMIT} to {LOGIT_BIAS_LIMIT}"
            raise SamplingError("logit_bias", f"must be {allowed}, not {bias!r} for {word!r}")
