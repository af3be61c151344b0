"""The numbers in the drawings: worked examples, and what the model `english` says.

`tests/docs/test_diagrams.py` compares the worked examples with the code that they are about.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Final

import numpy as np

import lorelm
from lorelm.corpus.vocabulary import EOS_ID, UNK_ID
from lorelm.ngrams.kneser_ney import KneserNey
from lorelm.runtime.neural_cache import CachedRuntime

MIN_P: Final = lorelm.GenerationSettings().min_p

# One neuron: what it reads (the last is for the bias), its weights, and the size of a step.
NEURON_INPUTS: Final = (2.0, 1.0, 1.0)
NEURON_WEIGHTS: Final = (0.5, -1.0, 0.0)
LEARNING_RATE: Final = 0.2

# LSTM: the sums of the gates i, f, g, o, and the cell state before the step.
GATE_SUMS: Final = (0.0, math.log(4), math.log(2), 0.0)
CELL_BEFORE: Final = 0.5

# Truncated BPTT: a stream, read in two columns, three steps at a time.
STREAM: Final = (
    "the",
    "fox",
    "ran",
    "<eos>",
    "the",
    "owl",
    "sat",
    "<eos>",
    "the",
    "hen",
    "sat",
    "<eos>",
)
NUM_COLUMNS: Final = 2
BPTT: Final = 3

SURPRISING: Final = "The dog put on his spectacles and read the newspaper."
PROMPT: Final = "He took off his"
SURE: Final = "She shook her"
SEEDED: Final = "She burst into"
SEEDS: Final = (1, 2, 5)
REMEMBERED: Final = (
    "The old man kept the lighthouse. Every night he climbed the stairs of the lighthouse and lit "
    "the lamp. Far out at sea the sailors saw the"
)
LAST_WORD: Final = " lighthouse"

# Kneser-Ney: as often francisco as fox, but after one word only.
COUNTED: Final = (
    *(3 * ("in", "san", "francisco")),
    *("the", "fox", "saw", "a", "fox", "near", "my", "fox"),
)
COUNTED_VOCABULARY: Final = ("<unk>", *sorted(set(COUNTED)))

# Quantisation: two numbers of a state, and the weights of one column.
STATE: Final = (0.6, -0.25)
LOUD: Final = 0.95
WEIGHTS: Final = (0.9, -0.3)

# Continuous batching: slots, and of each request the ids of its prompt and of its text.
NUM_SLOTS: Final = 3
REQUESTS: Final = {"A": (2, 2), "B": (2, 6), "C": (3, 2), "D": (2, 5), "E": (2, 3), "F": (3, 2)}


@dataclass(frozen=True, kw_only=True)
class Neuron:
    """What one neuron makes of its inputs, and how its loss depends on its weights."""

    total: float
    probability: float
    loss: float
    slopes: tuple[float, ...]


def neuron(weights: Sequence[float]) -> Neuron:
    """Work out one neuron by hand; the right answer is yes."""
    total = sum(x * weight for x, weight in zip(NEURON_INPUTS, weights, strict=True))
    p = 1 / (1 + math.exp(-total))
    slopes = tuple((p - 1) * x for x in NEURON_INPUTS)
    return Neuron(total=total, probability=p, loss=-math.log(p), slopes=slopes)


def stepped() -> tuple[float, ...]:
    """Return the weights after one step against their slopes."""
    slopes = neuron(NEURON_WEIGHTS).slopes
    pairs = zip(NEURON_WEIGHTS, slopes, strict=True)
    return tuple(weight - LEARNING_RATE * slope for weight, slope in pairs)


def lstm_step() -> dict[str, float]:
    """Return the gates, and the cell and hidden state after the step."""
    sigmoid = [1 / (1 + math.exp(-each)) for each in GATE_SUMS]
    i, f, g, o = sigmoid[0], sigmoid[1], math.tanh(GATE_SUMS[2]), sigmoid[3]
    c = f * CELL_BEFORE + i * g
    return {"i": i, "f": f, "g": g, "o": o, "c": c, "h": o * math.tanh(c)}


@cache
def model(*, has_cache: bool = False) -> lorelm.LanguageModel:
    return lorelm.load("english", cache=has_cache)


def bits(text: str, *, has_cache: bool = False) -> list[float]:
    """Return the surprise of each token of a text."""
    tokens = model(has_cache=has_cache).score(text)
    return [-token.log_probability / math.log(2) for token in tokens if token.log_probability]


def words_of(text: str) -> list[str]:
    """Return the tokens of a text as they are written."""
    return [token.text.strip() for token in model().score(text)]


def surprise(text: str) -> list[tuple[str, float]]:
    """Return the tokens of a text, each with its bits, to one place."""
    return [(word, round(each, 1)) for word, each in zip(words_of(text), bits(text), strict=True)]


def mean_surprise(text: str) -> float:
    """Return the bits of a token of a text on average, to two places."""
    return round(sum(bits(text)) / len(bits(text)), 2)


@dataclass(frozen=True, kw_only=True)
class NextWords:
    """What comes next: words from the likeliest on, without `<unk>`, which is never written.

    Attributes:
        words: with their probabilities, to a tenth of a per cent, and their ids.
        num_kept: how many of them min-p leaves.
    """

    words: Sequence[tuple[str, float, int]]
    num_kept: int


@cache
def next_words(prompt: str) -> NextWords:
    writer = model()
    logits_V, _ = writer.runtime.read([EOS_ID, *writer.prompts.read(prompt).ids])
    weights_V = np.exp(logits_V.astype(np.float64) - logits_V.max())
    weights_V[UNK_ID] = 0
    shares_V = weights_V / weights_V.sum()
    order_N = np.argsort(-shares_V)[:60]
    words = writer.vocabulary.decode(order_N)
    return NextWords(
        words=[
            (word, round(float(shares_V[id_]), 3), int(id_))
            for word, id_ in zip(words, order_N, strict=True)
        ],
        num_kept=int((shares_V >= MIN_P * shares_V.max()).sum()),
    )


def uniform(seed: int) -> float:
    """Return the number that picks the first token of a sample, to three places."""
    return round(float(np.random.Generator(np.random.Philox(seed)).random()), 3)


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What the neural cache makes of a text's next word.

    Attributes:
        words: what was read, each with its share of the cache in per cent.
        bits: of the next word, of the network alone and with the cache.
    """

    words: Sequence[tuple[str, int]]
    bits: tuple[float, float]


def memory() -> Memory:
    writer = model(has_cache=True)
    runtime = writer.runtime
    assert isinstance(runtime, CachedRuntime)
    _, state = runtime.read([EOS_ID, *writer.prompts.read(REMEMBERED).ids])
    past = state.past[0]
    assert past is not None
    similarity_N = runtime._theta * (past.h_NH @ state.hidden[-1][0]).astype(np.float64)
    share_N = np.exp(similarity_N - similarity_N.max())
    share_N /= share_N.sum()
    shares = [round(100 * float(share)) for share in share_N]
    alone, together = (bits(REMEMBERED + LAST_WORD, has_cache=has)[-1] for has in (False, True))
    return Memory(
        words=list(zip(words_of(REMEMBERED), shares, strict=True)),
        bits=(round(alone, 1), round(together, 1)),
    )


@dataclass(frozen=True, kw_only=True)
class Counted:
    """Kneser-Ney probability of a word after another, in parts: bigrams, unigrams, all alike."""

    parts: tuple[float, float, float]

    @property
    def total(self) -> float:
        return sum(self.parts)


def counted(word: str, context: str) -> Counted:
    """Work out the probability of a word after another one by hand, in counts."""
    discounts = (0.0, 0.5, 1.0, 1.5)  # a text as small as this allows no estimate
    pairs = list(pairwise(COUNTED))
    distinct = set(pairs)
    after = [pair for pair in distinct if pair[0] == context]
    total = sum(pairs.count(pair) for pair in after)
    backoff = sum(discounts[min(3, pairs.count(pair))] for pair in after) / total
    count = pairs.count((context, word))
    contexts = {each: sum(pair[1] == each for pair in distinct) for each in COUNTED}
    backoff_1 = sum(discounts[min(3, n)] for n in contexts.values()) / len(distinct)
    unigram = (contexts[word] - discounts[min(3, contexts[word])]) / len(distinct)
    return Counted(
        parts=(
            (count - discounts[min(3, count)]) / total,
            backoff * unigram,
            backoff * backoff_1 / len(COUNTED_VOCABULARY),
        )
    )


def fitted() -> KneserNey:
    """Return the model of LoreLM for the same text."""
    stream = np.array([COUNTED_VOCABULARY.index(word) for word in COUNTED])
    return KneserNey.fit(stream, order=2, vocabulary_size=len(COUNTED_VOCABULARY))


def quantised(values: Sequence[float], largest: float, levels: int) -> list[int]:
    """Return numbers as integers, of which `levels` stands for the largest."""
    return [round(value / (largest / levels)) for value in values]


Timeline = list[list[tuple[str, bool] | None]]
"""For each step and slot, the name of a request, and whether the step reads its prompt."""


def steps_of(name: str) -> list[tuple[str, bool]]:
    """Return the steps of a request: the one that reads the last id writes the first token."""
    num_read, num_written = REQUESTS[name]
    return [(name, True)] * (num_read - 1) + [(name, False)] * num_written


def continuous() -> Timeline:
    """Give a free slot to the next request, as the engine does between two steps."""
    waiting, timeline = deque(steps_of(name) for name in REQUESTS), []
    slots: list[list[tuple[str, bool]]] = [[] for _ in range(NUM_SLOTS)]
    while waiting or any(slots):
        slots = [slot or (waiting.popleft() if waiting else []) for slot in slots]
        timeline.append([slot.pop(0) if slot else None for slot in slots])
    return timeline


def static() -> Timeline:
    """Begin a batch when the one before is finished."""
    timeline: Timeline = []
    names = list(REQUESTS)
    for first in range(0, len(names), NUM_SLOTS):
        batch = [steps_of(name) for name in names[first : first + NUM_SLOTS]]
        for step in range(max(map(len, batch))):
            timeline.append([steps[step] if step < len(steps) else None for steps in batch])
    return timeline
