"""Statistics of a corpus before anything is trained on it."""

import math
import statistics
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, compress
from typing import Final

from lorelm.corpus.documents import CorpusParts, Documents
from lorelm.corpus.preparation import split_parts, tokenize_documents
from lorelm.corpus.special_tokens import UNK
from lorelm.corpus.tokenizer import Tokenizer
from lorelm.corpus.vocabulary import UNK_ID, Vocabulary, VocabularyRules

CUT_OFFS: Final = (1, 2, 3, 5)
NEAR_SIMILARITY: Final = 0.8
NEAR_MIN_WORDS: Final = 5
_SHARED: Final = 2 * NEAR_SIMILARITY / (1 + NEAR_SIMILARITY)
"""Least share of its words that a set has in common with a larger one that is similar."""

# With fewer, the default recipe lost to Kneser-Ney on one corpus of three: see decision 7.
MIN_TRAIN_TOKENS: Final = 1_000
MAX_UNKNOWN_RATE: Final = 0.5

_ALL_WORDS: Final = VocabularyRules()


@dataclass(frozen=True, kw_only=True)
class CutOff:
    """The vocabulary at one `min_frequency`.

    Attributes:
        vocabulary_size: words of the training part that are kept, `<unk>` and `<eos>` included.
        unknown_rate: share of unknown words in the held-out parts.
    """

    min_frequency: int
    vocabulary_size: int
    unknown_rate: float


@dataclass(frozen=True, kw_only=True)
class CorpusStatistics:
    """What ``lorelm inspect`` shows; lengths are in tokens, without `<eos>`."""

    num_documents: int
    num_test_documents: int
    num_tokens: int
    num_train_tokens: int
    num_distinct_words: int
    longest_document: int
    median_document: float
    num_exact_duplicates: int
    num_near_duplicates: int
    cut_offs: Sequence[CutOff]
    speakers: Mapping[str, int]


def corpus_statistics(
    documents: Documents | CorpusParts,
    tokenizer: Tokenizer,
    *,
    split_seed: int,
    rules: VocabularyRules = _ALL_WORDS,
) -> CorpusStatistics:
    """Measure a corpus, split as training would split it (:func:`prepare_corpus`).

    Args:
        rules: of the vocabulary, whatever their cut-off.

    Raises:
        CorpusError: there are fewer than three different documents, or a part has no word for the
            tokenizer.
    """
    split = split_parts(documents, split_seed=split_seed)
    tokenizer = tokenizer.with_speakers(CorpusParts.of(documents).speakers)
    train, *held_out_parts = (tokenize_documents(part, tokenizer) for part in split)
    tokens = [*train, *chain.from_iterable(held_out_parts)]
    train_counts = Counter(chain.from_iterable(train))
    held_out = Counter(chain.from_iterable(tokens[len(train) :]))
    lengths = [len(document) for document in tokens]
    return CorpusStatistics(
        num_documents=len(tokens),
        num_test_documents=len(held_out_parts[1]),
        num_tokens=sum(lengths),
        num_train_tokens=train_counts.total(),
        num_distinct_words=len((train_counts | held_out).keys() - {UNK}),
        longest_document=max(lengths),
        median_document=statistics.median(lengths),
        num_exact_duplicates=count_exact_duplicates(tokens),
        num_near_duplicates=count_near_duplicates(tokens),
        cut_offs=[
            _cut_off(train_counts, held_out, replace(rules, min_frequency=cut_off))
            for cut_off in CUT_OFFS
        ],
        speakers=CorpusParts.of(documents).documents.speakers,
    )


def _cut_off(train: Counter[str], held_out: Counter[str], rules: VocabularyRules) -> CutOff:
    vocabulary = Vocabulary.from_counts(train, rules)
    is_unknown = vocabulary.encode(held_out) == UNK_ID
    return CutOff(
        min_frequency=rules.min_frequency,
        vocabulary_size=len(vocabulary),
        unknown_rate=sum(compress(held_out.values(), is_unknown)) / held_out.total(),
    )


def verdict(statistics: CorpusStatistics, init: str | None = None) -> str:
    """Say whether there is enough text for a network to predict better than an n-gram model.

    This holds for the default recipe and its cut-off; decision 7 has the measurements.

    Args:
        init: the model that training starts from.
    """
    if init is not None and statistics.num_train_tokens < MIN_TRAIN_TOKENS:
        return (
            f"Verdict: small. The model {init} knows the language, but from fewer than about 1,000 "
            "training tokens it learns little more than names and form. Look for more text."
        )
    if init is not None:
        return (
            f"Verdict: large enough. The model {init} knows the language already, so the network "
            "predicts text better than an n-gram model, which only counts."
        )
    unknown_rate = next(c.unknown_rate for c in statistics.cut_offs if c.min_frequency == 3)
    if statistics.num_train_tokens < MIN_TRAIN_TOKENS or unknown_rate > MAX_UNKNOWN_RATE:
        return (
            "Verdict: too small. With fewer than about 1,000 training tokens, or with most words "
            "unknown, an n-gram model, which only counts, is as good as this network or better: "
            "look for more text."
        )
    return (
        "Verdict: large enough. On corpora of this size the network, trained by the default "
        "recipe, predicts text better than an n-gram model, which only counts."
    )


def count_exact_duplicates(documents: Sequence[Sequence[str]]) -> int:
    """Count the documents with the same tokens as an earlier one."""
    return len(documents) - len({tuple(tokens) for tokens in documents})


def count_near_duplicates(documents: Sequence[Sequence[str]]) -> int:
    """Count the documents that share nearly all their words with another, different one.

    Two documents do if the Jaccard similarity of their sets of words (shared words over all words
    of both) is at least 0.8; documents of fewer than five different words are not compared.
    Exact, by the prefix principle (Chaudhuri et al. 2006, https://doi.org/10.1109/ICDE.2006.9):
    two sets this similar share one of the rarest words of each. Small sets come first, so that a
    set is compared with smaller ones alone, of which still fewer words need an index (Xiao et al.
    2008, https://doi.org/10.1145/1367497.1367516).
    """
    word_sets = {frozenset(tokens) for tokens in documents}
    ordered = sorted((words for words in word_sets if len(words) >= NEAR_MIN_WORDS), key=len)
    frequency = Counter(word for words in ordered for word in words)
    index: defaultdict[str, deque[int]] = defaultdict(deque)
    near: set[int] = set()
    for place, words in enumerate(ordered):
        least = math.ceil(NEAR_SIMILARITY * len(words))
        rarest_first = sorted(words, key=lambda word: (frequency[word], word))
        candidates: set[int] = set()
        for word in rarest_first[: len(words) - least + 1]:
            others = index[word]
            while others and len(ordered[others[0]]) < least:
                others.popleft()  # too small for this set, and for all that follow
            candidates.update(others)
        similar = {
            other for other in candidates if _similarity(words, ordered[other]) >= NEAR_SIMILARITY
        }
        near |= {place, *similar} if similar else set()
        for word in rarest_first[: len(words) - math.ceil(_SHARED * len(words)) + 1]:
            index[word].append(place)
    return len(near)


def _similarity(words: frozenset[str], other: frozenset[str]) -> float:
    shared = len(words & other)
    return shared / (len(words) + len(other) - shared)
