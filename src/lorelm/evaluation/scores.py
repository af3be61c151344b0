"""From the predictions of a model to metrics with intervals, calibration, and length classes."""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lorelm.bundle.metrics import Interval
from lorelm.evaluation.perplexity import Predictions, perplexity
from lorelm.evaluation.spelling import SpellingModel
from lorelm.evaluation.text import HeldOutText
from lorelm.typing import Floats

NUM_RESAMPLES: Final = 2000
PERCENTILES: Final = (2.5, 97.5)
NUM_BINS: Final = 10

_Z: Final = 1.959964
"""A normal variable is within this many standard deviations with a probability of 95 %."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """How well a text is predicted, with 95 % intervals from :func:`resampled_totals`.

    Attributes:
        perplexity: over the closed vocabulary; an unknown word counts as the token `<unk>`.
        bits_per_character: unknown words cost their spelling too, see :func:`target_bits`; None
            without a spelling model.
    """

    perplexity: float
    perplexity_interval: Interval
    bits_per_character: float | None
    bits_per_character_interval: Interval | None


def score(text: HeldOutText, log_probabilities: Floats, spelling: SpellingModel | None) -> Score:
    """Score a text from the natural logarithm of the probability of each target token."""
    nats = -text.by_document(log_probabilities)
    bits_per_character = interval = None
    if spelling is not None:
        bits = text.by_document(target_bits(text, log_probabilities, spelling))
        bits_per_character = bits.sum() / text.num_characters.sum()
        interval = ratio_interval(bits, text.num_characters)
    return Score(
        perplexity=perplexity(nats.sum() / text.num_targets.sum()),
        perplexity_interval=_perplexities(ratio_interval(nats, text.num_targets)),
        bits_per_character=bits_per_character,
        bits_per_character_interval=interval,
    )


def target_bits(
    text: HeldOutText, log_probabilities: Floats, spelling: SpellingModel | None
) -> Floats:
    """Return the bits that encode each target token; an unknown word is also spelled out.

    Their sum, divided by the number of characters, compares across vocabularies and tokenizers.
    Perplexities do not: a small vocabulary turns many words into `<unk>`, which is easy to predict.
    With p the model of the tokens and s the spelling model::

        bits per character = (sum over all target tokens of -log2 p(token)
                            + sum over unknown words     of -log2 s(word))
                           / (characters of all documents + 1 for the end of each)

    Worked by hand: the document "the orc", a vocabulary without "orc", p(the) = 1/4,
    p(<unk>) = 1/8, p(<eos>) = 1/2, and s(orc) = 1/1024. That is 2 + 3 + 1 + 10 = 16 bits for
    7 + 1 characters: 2 bits per character. The perplexity is 2 ** (6 / 3) = 4, whatever the unknown
    word is.
    """
    bits: Floats = -log_probabilities / math.log(2)
    if spelling is not None:
        bits[text.is_unknown] += spelling.bits(text.unknown_words)
    return bits


def ratio_interval(numerators: npt.ArrayLike, denominators: npt.ArrayLike) -> Interval:
    """Return the 95 % interval of the ratio of two totals, from one value per document each."""
    totals = resampled_totals(np.column_stack([numerators, denominators]).astype(np.float64))
    return interval_of(totals[:, 0] / totals[:, 1])


def share_interval(count: float, total: int) -> Interval:
    """Return the 95 % interval of a share of independent cases (Wilson 1927).

    Worked by hand: 5 of 10 are 0.24 to 0.76, and 0 of 10 are 0 to 0.28.
    """
    share, of_z = count / total, _Z * _Z / total
    centre = (share + of_z / 2) / (1 + of_z)
    half = math.sqrt(share * (1 - share) * of_z + of_z * of_z / 4) / (1 + of_z)
    return max(0.0, centre - half), min(1.0, centre + half)


def perplexity_ratio_interval(text: HeldOutText, logs: Floats, other_logs: Floats) -> Interval:
    """Return the 95 % interval of one model's perplexity over another's on the same text."""
    return _perplexities(ratio_interval(text.by_document(other_logs - logs), text.num_targets))


def share_difference_interval(
    share: tuple[npt.ArrayLike, npt.ArrayLike], other: tuple[npt.ArrayLike, npt.ArrayLike]
) -> Interval:
    """Return the 95 % interval of the difference of two shares, each over its own documents.

    Args:
        share, other: for each document the counted tokens, and all of its tokens.
    """
    resampled = [
        resampled_totals(np.column_stack(counts).astype(np.float64), seed=seed)
        for seed, counts in enumerate((share, other))
    ]
    shares = [totals[:, 0] / np.maximum(totals[:, 1], 1) for totals in resampled]
    return interval_of(shares[0] - shares[1])


def resampled_totals(values_DK: Floats, *, seed: int = 0) -> Floats:
    """Return bootstrap totals `[NUM_RESAMPLES, K]` over documents drawn with replacement.

    The percentiles of a statistic of them are its interval (Efron & Tibshirani 1993, An
    Introduction to the Bootstrap, chapter 13). Each resample has as many documents as the text. The
    draws depend only on that number and the seed, so two models on the same documents are compared
    pair by pair.
    """
    num_documents = len(values_DK)
    random = np.random.default_rng(seed)
    draws = (
        np.bincount(random.integers(num_documents, size=num_documents), minlength=num_documents)
        for _ in range(NUM_RESAMPLES)
    )
    return np.array([draw @ values_DK for draw in draws], dtype=np.float64)


def interval_of(statistics: Floats) -> Interval:
    """Return the 95 % percentile interval of the resampled values of a statistic."""
    low, high = np.percentile(statistics, PERCENTILES)
    return float(low), float(high)


def _perplexities(nats_per_token: Interval) -> Interval:
    return perplexity(nats_per_token[0]), perplexity(nats_per_token[1])


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Top predictions in bins of confidence, 0 to 10 % first; an empty bin is left out.

    Attributes:
        confidence: mean probability of the top prediction, in each bin.
        accuracy: share of the top predictions that are the target token, in each bin.
        count: number of predictions in each bin.
        error: the expected calibration error, mean distance of `confidence` and `accuracy` over all
            predictions (Guo et al. 2017, https://arxiv.org/abs/1706.04599).
    """

    confidence: Floats
    accuracy: Floats
    count: Floats
    error: float


def calibration(predictions: Predictions) -> Calibration:
    """Compare the confidence of a model with its accuracy."""
    bins = np.minimum((predictions.confidence * NUM_BINS).astype(int), NUM_BINS - 1)
    count = np.bincount(bins, minlength=NUM_BINS)
    confidence = np.bincount(bins, weights=predictions.confidence, minlength=NUM_BINS)
    correct = np.bincount(bins, weights=predictions.is_correct, minlength=NUM_BINS)
    used = count > 0
    return Calibration(
        confidence=confidence[used] / count[used],
        accuracy=correct[used] / count[used],
        count=count[used].astype(np.float64),
        error=float(np.abs(confidence - correct).sum() / count.sum()),
    )


@dataclass(frozen=True, kw_only=True)
class LengthClass:
    """The documents of similar length, and how well they are predicted.

    Attributes:
        shortest, longest: the bounds of the class in tokens, without `<eos>`.
        interval: of 95 %, of the perplexity; None for a single document.
    """

    shortest: int
    longest: int
    num_documents: int
    perplexity: float
    interval: Interval | None

    @property
    def name(self) -> str:
        """The bounds as text: "1", "2–3", "4–7"."""
        if self.shortest == self.longest:
            return f"{self.shortest:,}"
        return f"{self.shortest:,}–{self.longest:,}"


def length_classes(text: HeldOutText, log_probabilities: Floats) -> list[LengthClass]:
    """Group documents into classes of doubling length, shortest first; empty ones are left out."""
    nats, num_targets = -text.by_document(log_probabilities), text.num_targets
    doublings = np.floor(np.log2(num_targets - 1)).astype(int)
    classes = []
    for doubling in np.unique(doublings).tolist():
        losses, lengths = nats[doublings == doubling], num_targets[doublings == doubling]
        has_interval = len(losses) > 1
        classes.append(
            LengthClass(
                shortest=2**doubling,
                longest=2 ** (doubling + 1) - 1,
                num_documents=len(losses),
                perplexity=perplexity(losses.sum() / lengths.sum()),
                interval=_perplexities(ratio_interval(losses, lengths)) if has_interval else None,
            )
        )
    return classes
