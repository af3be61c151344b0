"""Which documents train, which choose the best epoch, and which are kept for the test."""

import random
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

from lorelm.errors import CorpusError

TRAIN_SHARE: Final = 0.8
VALID_SHARE: Final = 0.1


@dataclass(frozen=True, kw_only=True)
class Split:
    """The places of the documents of each part, in the order of the corpus."""

    train: Sequence[int]
    valid: Sequence[int]
    test: Sequence[int]


def words_of(text: str) -> str:
    """What two documents must share to be the same for a split: their words, in small letters.

    It is of the text and not of its tokens, so that every tokenizer has the same parts and their
    models can be compared on one test part.
    """
    return " ".join(re.findall(r"\w+", text.casefold()))


def split_documents(keys: Sequence[Hashable], *, seed: int) -> Split:
    """Splits 80/10/10 by document, at random; documents with one key stay in one part.

    `keys` says what makes two documents the same (:func:`words_of`): were they let into two parts,
    the test would ask for what was learned by heart. The parts keep the order of the corpus, so
    that a line is still read after the line before it.

    Raises:
        CorpusError: there are fewer than three different documents.
    """
    places: dict[Hashable, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    groups = list(places.values())
    if len(groups) < 3:
        raise CorpusError(
            f"the corpus has {len(groups)} different document{'s' * (len(groups) != 1)}, and "
            "training, validation and test need one each: give a longer corpus, cut it finer "
            "(see --document), or name --valid and --test files"
        )
    random.Random(seed).shuffle(groups)  # noqa: S311 - a split is no secret
    # What fills more than a held-out part by itself (a refrain, say) trains.
    groups.sort(key=lambda group: len(group) <= VALID_SHARE * len(keys))
    valid_from = min(max(1, _cut(groups, TRAIN_SHARE)), len(groups) - 2)
    test_from = min(max(valid_from + 1, _cut(groups, TRAIN_SHARE + VALID_SHARE)), len(groups) - 1)
    return Split(
        train=_flat(groups[:valid_from]),
        valid=_flat(groups[valid_from:test_from]),
        test=_flat(groups[test_from:]),
    )


def _cut(groups: Sequence[Sequence[int]], share: float) -> int:
    """How many of the groups hold `share` of the documents."""
    wanted = int(share * sum(map(len, groups)))
    held = 0
    for count, group in enumerate(groups):
        if held >= wanted:
            return count
        held += len(group)
    return len(groups)


def _flat(groups: Sequence[Sequence[int]]) -> list[int]:
    return sorted(place for group in groups for place in group)
