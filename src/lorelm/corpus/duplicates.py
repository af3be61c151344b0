"""Documents that stand in a corpus more than once, word for word or nearly."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

NEAR_SIMILARITY: Final = 0.8
NEAR_MIN_WORDS: Final = 5


def count_exact_duplicates(documents: Sequence[Sequence[str]]) -> int:
    """How many documents have the same tokens as an earlier one."""
    return len(documents) - len({tuple(tokens) for tokens in documents})


def count_near_duplicates(documents: Sequence[Sequence[str]]) -> int:
    """How many documents share nearly all their words with another, different one.

    Two documents do when the Jaccard similarity of their sets of words is at least 0.8 (shared
    words over all words of both); those of fewer than five different words are not looked at.
    Exact: by the prefix principle (Chaudhuri et al. 2006, https://doi.org/10.1109/ICDE.2006.9),
    two sets that similar share one of the rarest words of each, so only those are indexed.
    """
    word_sets = [
        words
        for words in {frozenset(tokens) for tokens in documents}
        if len(words) >= NEAR_MIN_WORDS
    ]
    frequency = Counter(word for words in word_sets for word in words)
    index: defaultdict[str, list[int]] = defaultdict(list)
    near: set[int] = set()
    for place, words in enumerate(word_sets):
        rarest_first = sorted(words, key=lambda word: (frequency[word], word))
        prefix = rarest_first[: len(words) - math.ceil(NEAR_SIMILARITY * len(words)) + 1]
        candidates = {other for word in prefix for other in index[word]}
        for other in candidates:
            if _similarity(words, word_sets[other]) >= NEAR_SIMILARITY:
                near |= {place, other}
        for word in prefix:
            index[word].append(place)
    return len(near)


def _similarity(words: frozenset[str], other: frozenset[str]) -> float:
    shared = len(words & other)
    return shared / (len(words) + len(other) - shared)
