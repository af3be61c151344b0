"""What a person can ask of a generation."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lorelm.errors import SamplingError
from lorelm.ngrams.fingerprints import WINDOW
from lorelm.ngrams.matches import TELLING_LENGTH
from lorelm.sampling import SamplingSettings, require_whole

MAX_LEN_LIMIT: Final = 10_000
NUM_SAMPLES_LIMIT: Final = 64
NOVEL_SPAN_MIN: Final = WINDOW
NOVEL_SPAN_LIMIT: Final = 50
NOVEL_SPAN_USUAL: Final = TELLING_LENGTH
SEED_LIMIT: Final = 2**53  # a JSON number in a browser is exact up to here


@dataclass(frozen=True, kw_only=True)
class GenerationSettings(SamplingSettings):
    """How to continue a prompt.

    Attributes:
        max_len: a sample ends after so many tokens.
        seed: sample number i (from 0) takes its random numbers from the seed `seed + i`; a random
            one is drawn where it is None.
        num_samples: how many continuations.
        stop: texts at which a sample ends; they are not part of it.
        novel_span: no so many tokens in a row, of prompt and sample, stand in the training text; 0
            lets the model copy.

    Raises:
        SamplingError: a value is out of its range.
    """

    max_len: int = 40
    seed: int | None = None
    num_samples: int = 1
    stop: Sequence[str] = ()
    novel_span: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_whole(self.max_len, "max_len", at_least=1, at_most=MAX_LEN_LIMIT)
        require_whole(self.num_samples, "num_samples", at_least=1, at_most=NUM_SAMPLES_LIMIT)
        if self.seed is not None:
            require_whole(self.seed, "seed", at_least=0, at_most=SEED_LIMIT - self.num_samples)
        if self.novel_span != 0:
            require_whole(
                self.novel_span,
                "novel_span",
                at_least=NOVEL_SPAN_MIN,
                at_most=NOVEL_SPAN_LIMIT,
            )
        if isinstance(self.stop, str) or not all(isinstance(s, str) and s for s in self.stop):
            raise SamplingError("stop", f"must be a list of texts, none empty, not {self.stop!r}")

    def seeds(self) -> list[int]:
        """The seed of each sample."""
        first = secrets.randbelow(2**32) if self.seed is None else self.seed
        return [first + i for i in range(self.num_samples)]
