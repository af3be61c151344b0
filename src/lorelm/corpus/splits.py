"""Which documents train, which choose the best epoch, and which are kept for the test."""

import hashlib
import random
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

from lorelm.errors import CorpusError

TRAIN_SHARE: Final = 0.8
VALID_SHARE: Final = 0.1

HELD_OUT_LIMIT: Final = 10_000
"""Documents of each held-out part of a large corpus: more would cost time and tell nothing more."""


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


class HashedSplit:
    """Splits a corpus that is read once, document by document, and not kept.

    A 64-bit hash of a document's words (:func:`words_of`) under the seed says which part it
    belongs to: as a fraction of 2^64, below `share` validation, below twice that test, and training
    above. So documents with the same words are in one part here too. Each held-out part ends with
    its :data:`HELD_OUT_LIMIT`-th document; after that, what would belong to it trains, but copies
    of what is in it are left out.

    Args:
        num_documents: about how many will come: the held-out parts are spread over all of them.
    """

    def __init__(self, *, seed: int, num_documents: float) -> None:
        share = min(VALID_SHARE, HELD_OUT_LIMIT / num_documents)
        self._threshold: Final = int(share * 2**64)
        self._key: Final = seed.to_bytes(16, "little", signed=True)
        self._held_out: Final[tuple[set[int], set[int]]] = (set(), set())
        self._sizes: Final = [0, 0]

    def part_of(self, words: str) -> int | None:
        """The part of the next document: 0 training, 1 validation, 2 test; None leaves it out."""
        encoded = words.encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(encoded, digest_size=8, key=self._key).digest()
        number = int.from_bytes(digest, "little")
        place = number // self._threshold
        if place > 1:
            return 0
        if self._sizes[place] >= HELD_OUT_LIMIT:
            return None if number in self._held_out[place] else 0
        self._sizes[place] += 1
        self._held_out[place].add(number)
        return place + 1


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
