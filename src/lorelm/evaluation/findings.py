"""What the metrics mean, in plain sentences."""

from typing import Final

from lorelm.bundle.manifest import Metrics
from lorelm.ngrams.matches import MIN_COPY_LENGTH

# A few short documents ("No.") of any text stand in the training text all the same.
_MANY_SEEN: Final = 0.05
_MANY_UNKNOWN: Final = 0.1

# In fewer there may be no copied span by chance, and the interval would be sure of none.
_FEWEST_TOKENS: Final = 500


def findings(metrics: Metrics) -> list[str]:
    """A sentence on each question that was asked: better than counting, comparable, copying.

    On a text that the model was trained on there is none but that.
    """
    if metrics.seen_share is not None and metrics.seen_share > _MANY_SEEN:
        return [
            f"The model was trained on this text: {metrics.seen_share:.0%} of its tokens are in "
            "documents of the training text. These metrics flatter it; it is worth less."
        ]
    sentences = []
    if metrics.ngram_perplexity is not None:
        sentences.append(_on_counting(metrics, metrics.ngram_perplexity))
    if metrics.unknown_rate > _MANY_UNKNOWN and metrics.bits_per_character is not None:
        sentences.append(
            f"{metrics.unknown_rate:.0%} of the words are unknown and count as one easy token: to "
            "compare models, go by bits per character."
        )
    if metrics.copied_share is not None:
        sentences.append(_on_copying(metrics))
    if metrics.copied_lines_share and not metrics.human_copied_lines_share:
        sentences.append(
            "No whole line of the text by people is a line of the training text; of a test part, "
            "the split sees to that."
        )
    return sentences


def _on_counting(metrics: Metrics, ngram_perplexity: float) -> str:
    ratio = metrics.perplexity / ngram_perplexity
    assert metrics.ngram_ratio_interval is not None  # measured with the perplexity
    low, high = metrics.ngram_ratio_interval
    if high < 1:
        return (
            f"Better than counting: its perplexity is {1 - ratio:.0%} below the n-gram model's "
            f"(between {1 - high:.0%} and {1 - low:.0%})."
        )
    if low > 1:
        return (
            f"Not better than counting: its perplexity is {ratio - 1:.0%} above the n-gram "
            "model's. More text, or more epochs, may help."
        )
    return (
        f"As good as counting: its perplexity is {ratio:.2f} times the n-gram model's, between "
        f"{low:.2f} and {high:.2f}, so the difference may be chance."
    )


def _on_copying(metrics: Metrics) -> str:
    assert metrics.copied_share is not None
    assert metrics.human_copied_share is not None
    assert metrics.copied_excess_interval is not None
    share, human = (
        of[MIN_COPY_LENGTH] for of in (metrics.copied_share, metrics.human_copied_share)
    )
    if min(metrics.sample_tokens, metrics.tokens) < _FEWEST_TOKENS:
        return "There is too little text to say whether it copies more than people do."
    low, high = metrics.copied_excess_interval[MIN_COPY_LENGTH]
    measured = (
        f"{share:.1%} of its tokens are in spans of {MIN_COPY_LENGTH} or more from the training "
        f"text, {human:.1%} of the text by people"
    )
    if low > 0:
        return (
            f"It copies more than people do: {measured}; its longest copy has "
            f"{metrics.longest_copy} tokens. --novel-span {MIN_COPY_LENGTH} forbids it."
        )
    if high < 0:
        return f"It copies less than people do: {measured}."
    return f"It copies about as much as people do: {measured}, a difference that may be chance."
