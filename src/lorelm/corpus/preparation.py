"""Documents to a corpus that is ready to train on: split, tokenized, numbered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Self

import numpy as np

from lorelm.corpus import large_corpus
from lorelm.corpus.documents import CorpusFile, Documents, fingerprint_of
from lorelm.corpus.large_corpus import (
    LargeCorpus,
    LargeSettings,
    TrainingDocuments,
    is_large,
    number_large_corpus,
    split_texts,
)
from lorelm.corpus.splits import split_documents, words_of
from lorelm.corpus.tokenizer import Tokenizer
from lorelm.corpus.vocabulary import Vocabulary, unknown_rate
from lorelm.corpus.windows import encode_stream
from lorelm.errors import CorpusError
from lorelm.typing import Ids

MAX_COUNTED_TOKENS: Final = 20_000_000
"""Of more training tokens there are no n-gram model and no index: they take 140 bytes each."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a corpus.

    Attributes:
        documents: the tokens of each document.
        stream: every document's ids and an `<eos>`, end to end.
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
        """Documents taken evenly from all of them, about so many tokens; two documents at least."""
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
        source: where it came from, in words fit to be shown.
        fingerprint: SHA-256 over the texts of all parts.
        files: what it was read from: one file that was split, three that were given as the parts,
            or none.
        notes: what was passed over, a sentence each, to be shown to the user.
        is_sampled: whether the held-out parts are samples of what they were, to save time.
        may_be_counted: whether there is time for n-gram models and indexes of the training part.
    """

    source: str
    fingerprint: str
    tokenizer: Tokenizer
    vocabulary: Vocabulary
    train: Part
    valid: Part
    test: Part
    files: Sequence[CorpusFile] = ()
    notes: Sequence[str] = ()
    is_sampled: bool = False
    may_be_counted: bool = True

    @property
    def is_countable(self) -> bool:
        """Whether n-gram models and indexes of the training part fit in memory, and in time."""
        return self.may_be_counted and len(self.train.stream) <= MAX_COUNTED_TOKENS

    def with_samples(self, max_tokens: int) -> Self:
        """The same with samples of the held-out parts, about so many tokens each."""
        valid, test = self.valid.sample(max_tokens), self.test.sample(max_tokens)
        is_sampled = valid is not self.valid or test is not self.test
        return replace(self, valid=valid, test=test, is_sampled=is_sampled)


def prepare_corpus(
    documents: Documents,
    *,
    tokenizer: Tokenizer,
    min_frequency: int,
    split_seed: int,
    valid: Documents | None = None,
    test: Documents | None = None,
    store: Path | None = None,
    is_stored: bool = False,
    on_progress: Callable[[float], None] | None = None,
) -> Corpus:
    """Splits, tokenizes and numbers a corpus; the vocabulary comes from the training part alone.

    Where `valid` and `test` are given they are those parts, and all of `documents` trains.

    Args:
        store: the folder for the ids of a corpus that is larger than memory (`large_corpus.py`),
            which are used again where they are there; without one, they are gone with the corpus.
        is_stored: another process has written such ids there; nothing is to be written.
        on_progress: told, while such ids are made, the share of the corpus that is done.

    Raises:
        CorpusError: only one of `valid` and `test` is given, a part has no word left after
            tokenizing, the documents are too few to split, or `store` does not hold what it is to
            hold.
    """
    if (valid is None) != (test is None):
        raise CorpusError("give --valid and --test together, or neither of them")
    read = [documents, *(part for part in (valid, test) if part is not None)]
    if any(map(is_large, read)):
        settings = LargeSettings(
            min_frequency=min_frequency, split_seed=split_seed, max_words=large_corpus.MAX_WORDS
        )
        return _prepare_large(
            read, tokenizer, settings, store=store, is_stored=is_stored, on_progress=on_progress
        )
    if len(read) == 1:
        parts = split_and_tokenize(documents, tokenizer, split_seed=split_seed)
        fingerprint = documents.fingerprint
    else:
        parts = [tokenize_documents(part, tokenizer) for part in read]
        fingerprint = fingerprint_of(text for part in read for text in part.texts)
    vocabulary = Vocabulary.from_training_part(parts[0], min_frequency=min_frequency)
    _require_words(vocabulary, documents, min_frequency)
    train_part, valid_part, test_part = (
        Part(documents=part, stream=encode_stream(part, vocabulary)) for part in parts
    )
    return Corpus(
        source=documents.source,
        fingerprint=fingerprint,
        tokenizer=tokenizer,
        vocabulary=vocabulary,
        train=train_part,
        valid=valid_part,
        test=test_part,
        files=[part.file for part in read if part.file is not None],
        notes=_left_out(read, (train_part, valid_part, test_part)),
    )


def _require_words(vocabulary: Vocabulary, documents: Documents, min_frequency: int) -> None:
    if len(vocabulary) == 2:
        raise CorpusError(
            f"no word of {documents.source} is seen {min_frequency} times in the training part: "
            "give a longer corpus or a lower --min-frequency"
        )


def _prepare_large(
    read: Sequence[Documents],
    tokenizer: Tokenizer,
    settings: LargeSettings,
    *,
    store: Path | None,
    is_stored: bool,
    on_progress: Callable[[float], None] | None,
) -> Corpus:
    with TemporaryDirectory(ignore_cleanup_errors=True) as passing:
        numbered = number_large_corpus(
            read,
            tokenizer,
            settings,
            store=store or Path(passing),
            is_stored=is_stored,
            on_progress=on_progress,
        )
    vocabulary = numbered.vocabulary
    _require_words(vocabulary, read[0], settings.min_frequency)
    train = TrainingDocuments(
        read[0],
        tokenizer,
        split_seed=settings.split_seed if len(read) == 1 else None,
        length=numbered.num_train,
    )
    valid, test = (
        Part(documents=part, stream=encode_stream(part, vocabulary))
        for part in (numbered.valid, numbered.test)
    )
    corpus = Corpus(
        source=read[0].source,
        fingerprint=numbered.fingerprint,
        tokenizer=tokenizer,
        vocabulary=vocabulary,
        train=Part(documents=train, stream=numbered.train),
        valid=valid,
        test=test,
        files=[part.file for part in read if part.file is not None],
    )
    return replace(corpus, notes=_large_notes(corpus, numbered))


def _large_notes(corpus: Corpus, numbered: LargeCorpus) -> Sequence[str]:
    """What is otherwise with a large corpus."""
    notes = []
    if numbered.num_left_out:
        notes.append(
            f"{numbered.num_left_out:,} documents are left out: no word for the tokenizer, copies "
            "of held-out documents, or beyond the limit of a held-out part."
        )
    if len(corpus.vocabulary) == large_corpus.MAX_WORDS + 2:
        notes.append(f"The vocabulary is the {large_corpus.MAX_WORDS:,} most frequent words.")
    if numbered.num_dropped:
        notes.append(
            f"{numbered.num_dropped:,} rare words were forgotten to save memory; words near the "
            "end of the vocabulary may have been seen more often than counted."
        )
    if not corpus.is_countable:
        notes.append(
            f"With more than {MAX_COUNTED_TOKENS:,} training tokens there are no n-gram model to "
            "compare with and no index of the training text: copies cannot be told or forbidden."
        )
    return notes


def split_and_tokenize(
    documents: Documents, tokenizer: Tokenizer, *, split_seed: int
) -> Sequence[Sequence[list[str]]]:
    """The tokens of each document of the training, validation and test part.

    Raises:
        CorpusError: there are fewer than three different documents, or a part has no word for the
            tokenizer.
    """
    return [
        tokenize_documents(part, tokenizer)
        for part in split_parts(documents, split_seed=split_seed)
    ]


def split_parts(documents: Documents, *, split_seed: int) -> tuple[Documents, Documents, Documents]:
    """The documents of the training, validation and test part, the same for every tokenizer.

    Raises:
        CorpusError: there are fewer than three different documents.
    """
    assert not is_large(documents)
    split = split_documents([words_of(text) for text in documents.texts], seed=split_seed)
    train, valid, test = (
        replace(documents, texts=[documents.texts[i] for i in places], speakers=())
        for places in (split.train, split.valid, split.test)
    )
    return train, valid, test


def split_test_part(documents: Documents, *, split_seed: int) -> Documents:
    """The documents of the test part, the same for every tokenizer.

    Raises:
        CorpusError: there are fewer than three different documents.
    """
    if not is_large(documents):
        return split_parts(documents, split_seed=split_seed)[2]
    placed = split_texts(documents, seed=split_seed)
    return replace(documents, texts=[text for text, part in placed if part == 2])


def _left_out(read: Sequence[Documents], kept: Sequence[Part]) -> Sequence[str]:
    count = sum(map(len, read)) - sum(part.num_documents for part in kept)
    return (
        [f"{count:,} documents have no word for the tokenizer and are left out."] if count else []
    )


def tokenize_documents(documents: Documents, tokenizer: Tokenizer) -> Sequence[list[str]]:
    """The tokens of each document; one without any (a line of dashes, say) is left out.

    Raises:
        CorpusError: none has any.
    """
    tokens = [tokens for text in documents.texts if (tokens := tokenizer.tokenize(text))]
    if not tokens:
        raise CorpusError(
            f"{documents.source} has no word that the {tokenizer.style} tokenizer knows: it keeps "
            "a to z, digits and apostrophes only; try --tokenizer words"
        )
    return tokens
