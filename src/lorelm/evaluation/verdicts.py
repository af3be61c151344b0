"""What the figures mean, in plain sentences."""

from typing import Final

from lorelm.bundle.manifest import Figures

# A span of this length is seldom chance: 1 % of the tokens of held-out film dialogue are in one.
_TELLING_LENGTH: Final = 8


def verdicts(figures: Figures) -> list[str]:
    """A sentence on each question that was asked: better than counting, comparable, copying."""
    sentences = []
    if figures.ngram_perplexity is not None:
        sentences.append(_on_counting(figures, figures.ngram_perplexity))
    if figures.unknown_rate > 0.1:
        sentences.append(
            f"{figures.unknown_rate:.0%} of the words are unknown and count as one easy token: go "
            "by bits per character, not by perplexity."
        )
    if figures.copied_share is not None and figures.human_copied_share is not None:
        sentences.append(
            _on_copying(
                figures.copied_share[_TELLING_LENGTH], figures.human_copied_share[_TELLING_LENGTH]
            )
        )
    return sentences


def _on_counting(figures: Figures, ngram_perplexity: float) -> str:
    ratio = figures.perplexity / ngram_perplexity
    assert figures.ngram_ratio_interval is not None  # measured with the perplexity
    low, high = figures.ngram_ratio_interval
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


def _on_copying(share: float, human: float) -> str:
    if share > 2 * human + 0.02:
        return (
            f"It copies: {share:.0%} of its tokens stand in spans of {_TELLING_LENGTH} or more in "
            f"the training text, {human:.0%} of held-out text; --novel-span {_TELLING_LENGTH} "
            "forbids it."
        )
    return (
        f"It does not copy more than people do: {share:.1%} of its tokens stand in spans of "
        f"{_TELLING_LENGTH} or more in the training text, {human:.1%} of held-out text."
    )
