"""The generation parameters. This is the one place where they are declared.

From here come the flags of ``lorelm generate``, the fields of ``/api/generate``, their counterparts
in OpenAI's APIs, the controls of the page, and the docs.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Self

from lorelm.errors import Problem, SamplingError
from lorelm.ngrams.fingerprints import WINDOW
from lorelm.ngrams.matches import MIN_COPY_LENGTH
from lorelm.parameters import Parameter, plain, problems_of
from lorelm.sampling import SamplingSettings

MAX_LEN_LIMIT: Final = 10_000
NUM_SAMPLES_LIMIT: Final = 64
MAX_REQUIRED_WORDS: Final = 4
MAX_MEMORY_CHARACTERS: Final = 2_000
SEED_LIMIT: Final = 2**53  # a JSON number in a browser is exact up to here


@dataclass(frozen=True, kw_only=True)
class GenerationSettings(SamplingSettings):
    """How to continue a prompt.

    Raises:
        SamplingError: values are out of their ranges; it names them all.
    """

    max_len: Annotated[
        int,
        Parameter(
            "Maximum number of tokens (words and punctuation marks) in a sample.",
            min=1,
            max=MAX_LEN_LIMIT,
            label="Length",
            group="main",
            openai="max_tokens",
        ),
    ] = 40
    min_len: Annotated[
        int,
        Parameter(
            "The model does not end a sample before it has this many tokens.",
            min=1,
            max=MAX_LEN_LIMIT,
        ),
    ] = 1
    temperature: Annotated[
        float,
        Parameter(
            "Below 1 sober, above 1 wild; 0 always takes the likeliest token.",
            min=0.001,
            max=100,
            also=0,
            label="Temperature",
            group="main",
            openai="temperature",
        ),
    ] = 1.0
    num_samples: Annotated[
        int,
        Parameter(
            "Number of continuations.",
            min=1,
            max=NUM_SAMPLES_LIMIT,
            label="Samples",
            group="main",
            openai="n",
        ),
    ] = 1
    top_k: Annotated[
        int,
        Parameter(
            "Keep only the k likeliest tokens; 0 keeps all.",
            min=0,
            max=10**9,
            label="Top k",
            openai="top_k",
        ),
    ] = 0
    top_p: Annotated[
        float,
        Parameter(
            "Keep only the likeliest tokens that together reach this probability; 1 keeps all.",
            above=0,
            max=1,
            label="Top p",
            openai="top_p",
        ),
    ] = 1.0
    min_p: Annotated[
        float,
        Parameter(
            "Keep only tokens with this share of the likeliest one's probability; 0 keeps all.",
            min=0,
            max=1,
            label="Min p",
            openai="min_p",
        ),
    ] = 0.04
    repetition_penalty: Annotated[
        float,
        Parameter(
            "Above 1, tokens that the prompt or the sample has become less likely.",
            min=0.01,
            max=100,
            label="Repetition",
            openai="repetition_penalty",
        ),
    ] = 1.0
    frequency_penalty: Annotated[
        float,
        Parameter(
            "Above 0, a token becomes less likely each time the sample has it.",
            min=-2,
            max=2,
            openai="frequency_penalty",
        ),
    ] = 0.0
    presence_penalty: Annotated[
        float,
        Parameter(
            "Above 0, tokens that the sample has become less likely.",
            min=-2,
            max=2,
            openai="presence_penalty",
        ),
    ] = 0.0
    logit_bias: Annotated[
        Mapping[str | int, float],
        Parameter(
            "Numbers that are added to the logits of words; above 0, a word becomes likelier.",
            min=-100,
            max=100,
            metavar="WORD=NUMBER",
            example="Frodo=2",
            openai="logit_bias",
        ),
    ] = field(default_factory=dict)
    banned_words: Annotated[
        Sequence[str],
        Parameter(
            "A word or words that are never generated, in exactly this spelling; an unknown one "
            "never is.",
            flag="banned-word",
            metavar="WORD",
        ),
    ] = ()
    # Not "contains": as the name of a control it would hide that method of the page's form.
    must_contain: Annotated[
        Sequence[str],
        Parameter(
            "A word or words that the next sentence is to contain; a sample says which it lacks.",
            max_items=MAX_REQUIRED_WORDS,
            max_characters=100,
            metavar="WORD",
            label="The next sentence contains",
            group="main",
            openai="must_contain",
        ),
    ] = ()
    blend: Annotated[
        Mapping[str | int, float],
        Parameter(
            "A model to blend with this one, and its share; or both models with their weights.",
            min=0,
            max=1,
            key="model",
            metavar="MODEL=SHARE",
            example="english=0.3",
            openai="blend",
        ),
    ] = field(default_factory=dict)
    seed: Annotated[
        int | None,
        Parameter(
            "The same seed gives the same text; sample i (from 0) uses seed + i.",
            min=0,
            max=SEED_LIMIT - 1,
            label="Seed",
            openai="seed",
        ),
    ] = None
    memory: Annotated[
        str | None,
        Parameter(
            "A few lines about the story, whose names and rarer words stay likelier.",
            max_characters=MAX_MEMORY_CHARACTERS,
            metavar="TEXT",
            label="Keep in mind",
            openai="memory",
        ),
    ] = None
    stop: Annotated[
        Sequence[str],
        Parameter(
            "A text or texts at which a sample ends; they are not part of it.",
            max_items=16,  # each is searched for after each token
            max_characters=200,
            metavar="TEXT",
            openai="stop",
        ),
    ] = ()
    single_turn: Annotated[
        bool,
        Parameter(
            "End with the line of the speaker; of a model without speakers, with any line.",
            openai="single_turn",
        ),
    ] = False
    novel_span: Annotated[
        int,
        Parameter(
            "Never repeat this many tokens in a row from the training text; 0 allows copies.",
            min=WINDOW,
            max=50,
            also=0,
            metavar="N",
            label=f"Nothing copied: no {MIN_COPY_LENGTH} tokens in a row from the training text",
            group="main",
            checked_value=MIN_COPY_LENGTH,
        ),
    ] = 0
    num_alternatives: Annotated[
        int | None,
        Parameter(
            "Give the log-probability of each token and of this many of the likeliest ones.",
            min=0,
            max=20,
            flag=None,
        ),
    ] = None

    def __post_init__(self) -> None:
        problems = problems_of(type(self), vars(self)) or [*self._conflicts()]
        if problems:
            raise SamplingError.of(problems)

    @classmethod
    def of(cls, **values: Any) -> Self:
        """Make settings of values whose names need not be right either.

        Raises:
            SamplingError: settings are unknown or out of their ranges; it names them all.
        """
        values = {name: plain(value) for name, value in values.items()}
        problems = problems_of(cls, values)
        if problems:
            raise SamplingError.of(problems)
        return cls(**values)

    def seeds(self) -> list[int]:
        """Return the seed of each sample."""
        first = secrets.randbelow(2**32) if self.seed is None else self.seed
        return [first + i for i in range(self.num_samples)]

    def _conflicts(self) -> list[Problem]:
        """Values that are allowed alone, but not together."""
        problems = []
        if self.min_len > self.max_len:
            problems.append(
                Problem("min_len", f"must be at most max_len, {self.max_len}, not {self.min_len}")
            )
        last_seed = SEED_LIMIT - self.num_samples
        if self.seed is not None and self.seed > last_seed:
            problems.append(Problem("seed", f"must be at most {last_seed:,}, not {self.seed}"))
        return problems
