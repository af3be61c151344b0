"""Which documents train, which choose the best epoch, and which are kept for the test."""

import hashlib
import random
import re
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from typing import Final

from lorelm.corpus.documents import Documents
from lorelm.errors import CorpusError

TRAIN: Final = 0
VALID: Final = 1
TEST: Final = 2

TRAIN_SHARE: Final = 0.8
VALID_SHARE: Final = 0.1

HELD_OUT_LIMIT: Final = 10_000
"""Documents of each held-out part of a streamed corpus; more would cost time and tell no more."""


def words_of(text: str) -> str:
    """Return what two documents must share to count as the same: their words in lower case.

    These are words of the text, not its tokens, so that every tokenizer has the same parts and all
    models can be compared on one test part.
    """
    return " ".join(re.findall(r"\w+", text.casefold()))


def make_split(
    documents: Documents, *, seed: int, given: Collection[int] = ()
) -> Callable[[str], int | None]:
    """Return the function from a document's words (:func:`words_of`) to its part.

    Call it once a document, in their order; None leaves a document out. The parts of continuous
    text are known by position. Any other corpus in memory is shuffled, exactly 80/10/10
    (:class:`ShuffledSplit`). A streamed one is split by hashes (:class:`HashedSplit`): shuffling
    would keep all its keys in memory.

    Args:
        given: held-out parts that are files of their own: what would belong to them trains.

    Raises:
        CorpusError: there are fewer than three different documents.
    """
    if set(given) == {VALID, TEST}:
        return lambda words: TRAIN
    part_of: Callable[[str], int | None]
    if documents.parts:
        part_of = _by_position(documents, given)
    elif documents.is_streamed:
        part_of = HashedSplit(seed=seed, num_documents=documents.estimated_len()).part_of
    else:
        part_of = ShuffledSplit(list(map(words_of, documents.texts)), seed=seed).part_of
    return lambda words: TRAIN if (part := part_of(words)) in given else part


def assign_parts(
    documents: Documents, *, seed: int, given: Collection[int] = ()
) -> Iterator[tuple[str, int | None]]:
    """Yield each text with its part, the same for every tokenizer (see :func:`make_split`)."""
    part_of = make_split(documents, seed=seed, given=given)
    return ((text, part_of(words_of(text))) for text in documents.texts)


def _by_position(documents: Documents, given: Collection[int]) -> Callable[[str], int]:
    missing = {TRAIN, VALID, TEST} - {*documents.parts, *given}
    if missing:
        raise CorpusError(
            f"{documents.source} is too short to be split by position into training, validation "
            "and test: give a longer text, cut it at its paragraphs or lines (document, --document "
            "paragraph), or give parts of their own (valid and test, --valid and --test)",
            code="corpus.too_few_documents",
        )
    parts = iter(documents.parts)
    return lambda words: next(parts)


class ShuffledSplit:
    """80/10/10 split by document, at random; documents with equal keys stay in one part.

    If they could be in two parts, the test would ask for text that was learned by heart.

    Args:
        keys: one a document.

    Raises:
        CorpusError: there are fewer than three different ones.
    """

    def __init__(self, keys: Sequence[Hashable], *, seed: int) -> None:
        groups = list(Counter(keys).items())
        if len(groups) < 3:
            raise CorpusError(
                f"the corpus has {len(groups)} different document{'s' * (len(groups) != 1)}, and "
                "training, validation and test need one each: give a longer corpus or cut it finer "
                "(document, --document), or give parts of their own (valid and test, --valid and "
                "--test)",
                code="corpus.too_few_documents",
            )
        random.Random(seed).shuffle(groups)  # noqa: S311 - a split is no secret
        # A group that alone would fill more than a held-out part (a refrain, say) trains.
        groups.sort(key=lambda group: group[1] <= VALID_SHARE * len(keys))
        sizes = [size for _, size in groups]
        valid_from = min(max(1, _cut(sizes, TRAIN_SHARE)), len(groups) - 2)
        test_from = _cut(sizes, TRAIN_SHARE + VALID_SHARE)
        test_from = min(max(valid_from + 1, test_from), len(groups) - 1)
        self._parts: Final = {
            key: (place >= valid_from) + (place >= test_from)
            for place, (key, _) in enumerate(groups)
        }

    def part_of(self, key: Hashable) -> int:
        return self._parts[key]


class HashedSplit:
    """Splits a corpus that is read once, document by document, and not kept.

    A 64-bit hash of a document's words under the seed decides its part: as a fraction of 2^64,
    below `share` it is validation, below twice that test, and above training. So documents with
    the same words are in one part here too. Each held-out part ends with its
    :data:`HELD_OUT_LIMIT`-th document; after that, what would belong to it trains, but copies of
    its documents are left out.

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
        """Return the part of the next document; None leaves it out."""
        encoded = words.encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(encoded, digest_size=8, key=self._key).digest()
        number = int.from_bytes(digest, "little")
        place = number // self._threshold
        if place > 1:
            return TRAIN
        if self._sizes[place] >= HELD_OUT_LIMIT:
            return None if number in self._held_out[place] else TRAIN
        self._sizes[place] += 1
        self._held_out[place].add(number)
        return place + 1


def _cut(sizes: Sequence[int], share: float) -> int:
    """Return how many of the groups hold `share` of the documents."""
    wanted = int(share * sum(sizes))
    held = 0
    for count, size in enumerate(sizes):
        if held >= wanted:
            return count
        held += size
    return len(sizes)
