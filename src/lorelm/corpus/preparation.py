"""Documents to a corpus that is ready to train on: split, tokenized, encoded."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np

from lorelm.corpus import encoding
from lorelm.corpus.documents import CorpusFile, CorpusParts, Documents
from lorelm.corpus.encoding import EncodedCorpus, EncodingSettings
from lorelm.corpus.id_store import IdStore, encode_corpus
from lorelm.corpus.splits import TEST, TRAIN, VALID, assign_parts, words_of
from lorelm.corpus.subwords import learn_pieces, num_pieces
from lorelm.corpus.tokenizer import SubwordTokenizer, Tokenizer, WordsTokenizer, is_word
from lorelm.corpus.vocabulary import UNK_ID, Vocabulary, VocabularyRules, unknown_rate
from lorelm.corpus.windows import encode_stream
from lorelm.errors import CorpusError
from lorelm.typing import Ids

MAX_COUNTED_TOKENS: Final = 20_000_000
"""With more training tokens there are no n-gram model and no index: they take 140 bytes each."""

_SCANNED_IDS: Final = 1_000_000
"""Ids that are scanned at a time: a stream may be memory-mapped and larger than memory."""

MAX_LEARNED_SHARE: Final = 0.01
"""Documents of a given held-out part that may be in the training part: "Yes." may be in any."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a corpus.

    Attributes:
        documents: the tokens of each document.
        stream: the ids of all documents end to end, `<eos>` after each.
    """

    documents: Sequence[Sequence[str]]
    stream: Ids

    @property
    def num_documents(self) -> int:
        return len(self.documents)

    @property
    def unknown_rate(self) -> float:
        return unknown_rate(self.stream)

    def sample(self, max_tokens: int) -> Self:
        """Return about `max_tokens` in evenly spaced documents, two at least."""
        if len(self.stream) <= max_tokens:
            return self
        num_kept = max(2, self.num_documents * max_tokens // len(self.stream))
        if num_kept >= self.num_documents:
            return self
        kept = [i * self.num_documents // num_kept for i in range(num_kept)]
        ends = np.cumsum([len(tokens) + 1 for tokens in self.documents])
        of_each = np.split(self.stream, ends[:-1])
        return replace(
            self,
            documents=[self.documents[i] for i in kept],
            stream=np.concatenate([of_each[i] for i in kept]),
        )


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A corpus ready to train on.

    Attributes:
        source: a name to show for what it was read from.
        fingerprint: SHA-256 over the texts of all parts.
        files: what it was read from: one file that was split; or the file of each part, None for a
            part that was split off the first one; or nothing.
        notes: what was left out or is limited, in sentences for the user.
        sampled_tokens: about how many tokens of each held-out part are left of it, to save time;
            None: all.
        may_be_counted: whether there is time for n-gram models and indexes of the training part.
    """

    source: str
    fingerprint: str
    tokenizer: Tokenizer
    vocabulary: Vocabulary
    train: Part
    valid: Part
    test: Part
    files: Sequence[CorpusFile | None] = ()
    notes: Sequence[str] = ()
    sampled_tokens: int | None = None
    may_be_counted: bool = True

    @property
    def is_sampled(self) -> bool:
        return self.sampled_tokens is not None

    @property
    def is_countable(self) -> bool:
        """Whether n-gram models and indexes of the training part fit in memory, and in time."""
        return self.may_be_counted and len(self.train.stream) <= MAX_COUNTED_TOKENS

    def with_samples(self, max_tokens: int) -> Self:
        """Return the same with samples of the held-out parts, about `max_tokens` each."""
        valid, test = self.valid.sample(max_tokens), self.test.sample(max_tokens)
        is_sampled = valid is not self.valid or test is not self.test
        sampled_tokens = max_tokens if is_sampled else None
        return replace(self, valid=valid, test=test, sampled_tokens=sampled_tokens)

    @property
    def num_seen_words(self) -> int:
        """Words of the vocabulary up to the last one that the training part has."""
        stream = self.train.stream
        starts = range(0, len(stream), _SCANNED_IDS)
        return 1 + max(int(stream[start : start + _SCANNED_IDS].max()) for start in starts)

    def with_seen_words(self) -> Self:
        """Return the same with those words alone; others of the held-out parts are unknown."""
        num_words = self.num_seen_words
        if num_words == len(self.vocabulary):
            return self
        valid, test = (
            replace(part, stream=np.where(part.stream < num_words, part.stream, UNK_ID))
            for part in (self.valid, self.test)
        )
        words = self.vocabulary.words[:num_words]
        return replace(self, vocabulary=Vocabulary(words), valid=valid, test=test)

    def without_test_part(self) -> Self:
        """Return the same with an empty test part, for what must not see it."""
        return replace(self, test=Part(documents=(), stream=self.test.stream[:0]))


def prepare_corpus(
    documents: Documents | CorpusParts,
    *,
    tokenizer: Tokenizer,
    vocabulary: VocabularyRules | Vocabulary,
    split_seed: int,
    store: IdStore | None = None,
) -> Corpus:
    """Split, tokenize and encode a corpus; its vocabulary knows nothing of the held-out parts.

    Args:
        documents: what is split; or with held-out parts of its own, of which a missing one is
            split off, and the rest trains.
        vocabulary: the rules by which it is made from the training part; or that of a model.
        store: where the ids of a streamed corpus are kept; without one, as long as the corpus.

    Raises:
        CorpusError: a part has no word left after tokenizing, the documents are too few to split,
            or `store` cannot be written or lacks what another process wrote.
    """
    parts = CorpusParts.of(documents)
    if parts.is_streamed and isinstance(vocabulary, VocabularyRules):
        max_words = min(vocabulary.max_words or encoding.MAX_WORDS, encoding.MAX_WORDS)
        vocabulary = replace(vocabulary, max_words=max_words)
    tokenizer = tokenizer.with_speakers(parts.speakers)
    if isinstance(tokenizer, SubwordTokenizer):
        tokenizer, vocabulary = _with_pieces(parts, tokenizer, vocabulary, split_seed, store)
    settings = EncodingSettings(vocabulary=vocabulary, split_seed=split_seed)
    encoded, train_documents = encode_corpus(parts, tokenizer, settings, store)
    found = Vocabulary(encoded.words)
    if len(found) == 2 and isinstance(vocabulary, VocabularyRules):
        raise CorpusError(
            f"no word of {parts.documents.source} is seen {vocabulary.min_frequency} times in the "
            "training part: give a longer corpus or a lower min_frequency "
            "(--min-frequency)",
            code="corpus.no_frequent_words",
        )
    valid_part, test_part = (
        Part(documents=held_out, stream=encode_stream(held_out, found))
        for held_out in encoded.held_out
    )
    corpus = Corpus(
        source=parts.documents.source,
        fingerprint=encoded.fingerprint,
        tokenizer=tokenizer,
        vocabulary=found,
        train=Part(documents=train_documents, stream=encoded.ids),
        valid=valid_part,
        test=test_part,
        files=parts.files,
    )
    return replace(corpus, notes=_notes(parts, settings, encoded, corpus))


def _with_pieces(
    parts: CorpusParts,
    tokenizer: SubwordTokenizer,
    vocabulary: VocabularyRules | Vocabulary,
    split_seed: int,
    store: IdStore | None,
) -> tuple[SubwordTokenizer, VocabularyRules | Vocabulary]:
    """Return the tokenizer with its pieces, and rules that keep them all.

    They are those of a vocabulary that is given, or of the model to start from, or learned from the
    training part's words.
    """
    if isinstance(vocabulary, Vocabulary):
        return SubwordTokenizer(tokenizer.speakers, vocabulary.words), vocabulary
    pieces = vocabulary.known
    if not pieces:
        words = WordsTokenizer(tokenizer.speakers)
        settings = EncodingSettings(vocabulary=VocabularyRules(), split_seed=split_seed)
        encoded, _ = encode_corpus(parts, words, settings, store)
        counts = np.bincount(encoded.ids, minlength=len(encoded.words)).tolist()
        counted = {
            word: count for word, count in zip(encoded.words, counts, strict=True) if is_word(word)
        }
        pieces = learn_pieces(counted, vocabulary.max_words or num_pieces(sum(counts)))
    rules = VocabularyRules(excluded=vocabulary.excluded, known=pieces)
    return SubwordTokenizer(tokenizer.speakers, pieces), rules


def _notes(
    parts: CorpusParts, settings: EncodingSettings, encoded: EncodedCorpus, corpus: Corpus
) -> Sequence[str]:
    notes = [*parts.notes, *_overlap_notes(parts, settings.split_seed)]
    if encoded.num_left_out and parts.is_streamed:
        notes.append(
            f"{encoded.num_left_out:,} documents are left out: no word for the tokenizer, copies "
            "of held-out documents, or beyond the limit of a held-out part."
        )
    elif encoded.num_left_out:
        notes.append(
            f"{encoded.num_left_out:,} documents have no word for the tokenizer and are left out."
        )
    rules = settings.vocabulary
    if isinstance(rules, VocabularyRules) and len(corpus.vocabulary) - 2 == rules.max_words:
        notes.append(f"The vocabulary is the {rules.max_words:,} most frequent words.")
    if encoded.num_dropped:
        notes.append(
            f"{encoded.num_dropped:,} rare words were forgotten to save memory; words near the "
            "end of the vocabulary may have been seen more often than counted."
        )
    if not corpus.is_countable:
        notes.append(
            f"With more than {MAX_COUNTED_TOKENS:,} training tokens there is no n-gram model to "
            "compare with and no index of the training text, so copies are neither detected nor "
            "forbidden."
        )
    return notes


def _overlap_notes(parts: CorpusParts, split_seed: int) -> list[str]:
    """Say which given held-out parts are learned by heart, since the training part has them too.

    A streamed corpus is not compared: that would be another pass over it.
    """
    if parts.is_streamed or not parts.given:
        return []
    train, _, _ = split_parts(parts, split_seed=split_seed)
    learned = set(map(words_of, train.texts))
    notes = []
    for part, documents in parts.given.items():
        words = [words for text in documents.texts if (words := words_of(text))]
        num_learned = sum(each in learned for each in words)
        if num_learned > MAX_LEARNED_SHARE * len(words):
            name, setting = ("validation", "valid") if part == VALID else ("test", "test")
            notes.append(
                f"{num_learned / len(words):.0%} of the documents of the {name} part are in the "
                "training text too, so the model looks better than it is: take them out of one of "
                f"the two, or leave out {setting} (--{setting}) to have a part split off."
            )
    return notes


def split_parts(
    documents: Documents | CorpusParts, *, split_seed: int
) -> tuple[Documents, Documents, Documents]:
    """Split documents in memory into the training, validation and test part.

    Raises:
        CorpusError: there are fewer than three different documents.
    """
    parts = CorpusParts.of(documents)
    texts: dict[int | None, list[str]] = {}
    for text, part in assign_parts(parts.documents, seed=split_seed, given=parts.given):
        texts.setdefault(part, []).append(text)
    train, valid, test = (
        parts.given.get(part) or replace(parts.documents, texts=texts[part], parts=())
        for part in (TRAIN, VALID, TEST)
    )
    return train, valid, test


def split_test_part(documents: Documents | CorpusParts, *, split_seed: int) -> Documents:
    """Return the documents of the test part, the same for every tokenizer; they may be streamed.

    Raises:
        CorpusError: there are fewer than three different documents.
    """
    parts = CorpusParts.of(documents)
    if parts.test is not None:
        return parts.test
    assigned = assign_parts(parts.documents, seed=split_seed)
    texts = [text for text, part in assigned if part == TEST]
    return replace(parts.documents, texts=texts, parts=())


def tokenize_documents(documents: Documents, tokenizer: Tokenizer) -> Sequence[list[str]]:
    """Return the tokens of each document, but for documents without any (a line of dashes, say).

    Raises:
        CorpusError: none has any.
    """
    tokens = [tokens for text in documents.texts if (tokens := tokenizer.tokenize(text))]
    if not tokens:
        raise CorpusError(
            f"{documents.source} has no word that the {tokenizer.style} tokenizer knows: it keeps "
            "a to z, digits and apostrophes only; try the tokenizer words",
            code="corpus.no_words",
        )
    return tokens
