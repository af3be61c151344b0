"""From what a model gave each event to the metrics that people compare."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lorelm.bundle.manifest import Interval
from lorelm.evaluation.perplexity import perplexity
from lorelm.evaluation.spelling import SpellingModel
from lorelm.evaluation.text import HeldOutText
from lorelm.typing import Floats

NUM_RESAMPLES: Final = 2000
PERCENTILES: Final = (2.5, 97.5)


@dataclass(frozen=True, kw_only=True)
class Score:
    """How well a text was foretold; intervals are of 95 %, see :func:`resampled_totals`.

    Attributes:
        perplexity: over the closed vocabulary, an unknown word counted as the token `<unk>`.
        bits_per_character: with unknown words charged for their spelling, see
            :func:`target_bits`; None where there is no spelling model.
    """

    perplexity: float
    perplexity_interval: Interval
    bits_per_character: float | None
    bits_per_character_interval: Interval | None


def score(text: HeldOutText, log_probabilities: Floats, spelling: SpellingModel | None) -> Score:
    """The metrics of a text.

    Args:
        log_probabilities: natural logarithm of the probability of each event.
    """
    nats = -text.by_document(log_probabilities)
    bits = text.by_document(target_bits(text, log_probabilities, spelling)) if spelling else None
    return Score(
        perplexity=perplexity(nats.sum() / text.num_targets.sum()),
        perplexity_interval=_perplexities(ratio_interval(nats, text.num_targets)),
        bits_per_character=None if bits is None else bits.sum() / text.num_characters.sum(),
        bits_per_character_interval=(
            None if bits is None else ratio_interval(bits, text.num_characters)
        ),
    )


def target_bits(
    text: HeldOutText, log_probabilities: Floats, spelling: SpellingModel | None
) -> Floats:
    """The bits that it takes to write each event down, an unknown word with its spelling.

    In sum, and divided by the characters, they compare across vocabularies and tokenizers, which
    perplexities do not: a small vocabulary makes many words `<unk>`, and `<unk>` is easily
    foretold. With p the model of the tokens and s that of the spelling::

        bits per character = (sum over all events      of -log2 p(event)
                            + sum over unknown words   of -log2 s(word))
                           / (characters of all documents + 1 for the end of each)

    Worked by hand: the document "the orc", a vocabulary without "orc", p(the) = 1/4,
    p(<unk>) = 1/8, p(<eos>) = 1/2, and s(orc) = 1/1024. That is 2 + 3 + 1 + 10 = 16 bits for
    7 + 1 characters: 2 bits per character. The perplexity is 2 ** (6 / 3) = 4 whatever the unknown
    word was.
    """
    bits: Floats = -log_probabilities / math.log(2)
    if spelling is not None:
        bits[text.is_unknown] += spelling.bits(text.unknown_words)
    return bits


def ratio_interval(numerators: npt.ArrayLike, denominators: npt.ArrayLike) -> Interval:
    """The 95 % interval of the ratio of two totals over documents, from one value a document."""
    totals = resampled_totals(np.column_stack([numerators, denominators]).astype(np.float64))
    low, high = np.percentile(totals[:, 0] / totals[:, 1], PERCENTILES)
    return float(low), float(high)


def perplexity_ratio_interval(text: HeldOutText, logs: Floats, other_logs: Floats) -> Interval:
    """The 95 % interval of one model's perplexity over another's on the same events.

    Args:
        logs, other_logs: natural logarithm of the probability of each event under each model.
    """
    return _perplexities(ratio_interval(text.by_document(other_logs - logs), text.num_targets))


def share_difference_interval(
    share: tuple[npt.ArrayLike, npt.ArrayLike], other: tuple[npt.ArrayLike, npt.ArrayLike]
) -> Interval:
    """The 95 % interval of the difference of two shares, each over documents of its own.

    Args:
        share, other: for each document what is counted, and of how many.
    """
    drawn = [
        resampled_totals(np.column_stack(counts).astype(np.float64), seed=seed)
        for seed, counts in enumerate((share, other))
    ]
    shares = [totals[:, 0] / np.maximum(totals[:, 1], 1) for totals in drawn]
    low, high = np.percentile(shares[0] - shares[1], PERCENTILES)
    return float(low), float(high)


def resampled_totals(values_DK: Floats, *, seed: int = 0) -> Floats:
    """The bootstrap: totals `[NUM_RESAMPLES, K]` over documents drawn with replacement.

    The percentiles of what is computed from them are its interval (Efron & Tibshirani 1993, An
    Introduction to the Bootstrap, chapter 13). As many documents are drawn as there are. The draws
    depend on that number and the seed alone, so two models judged on the same documents are
    compared pair by pair.
    """
    num_documents = len(values_DK)
    random = np.random.default_rng(seed)
    draws = (
        np.bincount(random.integers(num_documents, size=num_documents), minlength=num_documents)
        for _ in range(NUM_RESAMPLES)
    )
    return np.array([draw @ values_DK for draw in draws], dtype=np.float64)


def _perplexities(nats_per_token: Interval) -> Interval:
    return perplexity(nats_per_token[0]), perplexity(nats_per_token[1])
