"""Documents to a corpus that is ready to train on: split, tokenized, numbered."""

from collections.abc import Sequence
from dataclasses import dataclass

from lorelm.corpus.documents import Documents, fingerprint_of
from lorelm.corpus.splits import split_documents
from lorelm.corpus.tokenizer import Tokenizer
from lorelm.corpus.vocabulary import Ids, Vocabulary, unknown_rate
from lorelm.corpus.windows import encode_stream
from lorelm.errors import CorpusError


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a corpus as a stream of ids.

    Attributes:
        stream: every document's ids and an `<eos>`, end to end.
        num_documents: how many documents that is.
    """

    stream: Ids
    num_documents: int

    @property
    def unknown_rate(self) -> float:
        return unknown_rate(self.stream)


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A corpus ready to train on.

    Attributes:
        source: where it came from, in words fit to be shown.
        fingerprint: SHA-256 over the texts of all parts.
        notes: what was passed over, a sentence each, to be shown to the user.
    """

    source: str
    fingerprint: str
    tokenizer: Tokenizer
    vocabulary: Vocabulary
    train: Part
    valid: Part
    test: Part
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
    tokens = tokenize_documents(documents, tokenizer)
    if valid is not None and test is not None:
        parts = [tokens, tokenize_documents(valid, tokenizer), tokenize_documents(test, tokenizer)]
        fingerprint = fingerprint_of(
            text for part in (documents, valid, test) for text in part.texts
        )
    else:
        split = split_documents([tuple(document) for document in tokens], seed=split_seed)
        parts = [[tokens[i] for i in places] for places in (split.train, split.valid, split.test)]
        fingerprint = documents.fingerprint
    vocabulary = Vocabulary.from_training_part(parts[0], min_frequency=min_frequency)
    if len(vocabulary) == 2:
        raise CorpusError(
            f"no word of {documents.source} is seen {min_frequency} times in the training part: "
            "give a longer corpus or a lower --min-frequency"
        )
    train_part, valid_part, test_part = (
        Part(stream=encode_stream(part, vocabulary), num_documents=len(part)) for part in parts
    )
    return Corpus(
        source=documents.source,
        fingerprint=fingerprint,
        tokenizer=tokenizer,
        vocabulary=vocabulary,
        train=train_part,
        valid=valid_part,
        test=test_part,
        notes=_left_out(
            [documents, *(part for part in (valid, test) if part)],
            (train_part, valid_part, test_part),
        ),
    )


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
