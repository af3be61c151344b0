"""Documents to a corpus that is ready to train on: split, tokenized, numbered."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lorelm.corpus.documents import Documents, fingerprint_of
from lorelm.corpus.reading_options import CorpusFile
from lorelm.corpus.splits import split_documents, words_of
from lorelm.corpus.tokenizer import Tokenizer
from lorelm.corpus.vocabulary import Ids, Vocabulary, unknown_rate
from lorelm.corpus.windows import encode_stream
from lorelm.errors import CorpusError


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


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A corpus ready to train on.

    Attributes:
        source: where it came from, in words fit to be shown.
        fingerprint: SHA-256 over the texts of all parts.
        files: what it was read from: one file that was split, three that were given as the parts,
            or none.
        notes: what was passed over, a sentence each, to be shown to the user.
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


def prepare_corpus(
    documents: Documents,
    *,
    tokenizer: Tokenizer,
    min_frequency: int,
    split_seed: int,
    valid: Documents | None = None,
    test: Documents | None = None,
) -> Corpus:
    """Splits, tokenizes and numbers a corpus; the vocabulary comes from the training part alone.

    Where `valid` and `test` are given they are those parts, and all of `documents` trains.

    Raises:
        CorpusError: only one of `valid` and `test` is given, a part has no word left after
            tokenizing, or the documents are too few to split.
    """
    if (valid is None) != (test is None):
        raise CorpusError("give --valid and --test together, or neither of them")
    read = [documents, *(part for part in (valid, test) if part is not None)]
    if len(read) == 1:
        parts = split_and_tokenize(documents, tokenizer, split_seed=split_seed)
        fingerprint = documents.fingerprint
    else:
        parts = [tokenize_documents(part, tokenizer) for part in read]
        fingerprint = fingerprint_of(text for part in read for text in part.texts)
    vocabulary = Vocabulary.from_training_part(parts[0], min_frequency=min_frequency)
    if len(vocabulary) == 2:
        raise CorpusError(
            f"no word of {documents.source} is seen {min_frequency} times in the training part: "
            "give a longer corpus or a lower --min-frequency"
        )
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
    split = split_documents([words_of(text) for text in documents.texts], seed=split_seed)
    train, valid, test = (
        replace(documents, texts=[documents.texts[i] for i in places], speakers=())
        for places in (split.train, split.valid, split.test)
    )
    return train, valid, test


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
