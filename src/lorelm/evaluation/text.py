"""A held-out text, and everything about it that needs no model."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from lorelm.bundle import Bundle
from lorelm.corpus.preparation import Corpus
from lorelm.corpus.special_tokens import EOS, UNK
from lorelm.corpus.text_files import has_word
from lorelm.corpus.tokenizer import Tokenizer
from lorelm.corpus.vocabulary import Vocabulary
from lorelm.corpus.windows import encode_stream
from lorelm.errors import BundleError, CorpusError
from lorelm.typing import Bools, Floats, Ids


@dataclass(frozen=True, kw_only=True)
class HeldOutText:
    """A text as target tokens: every token and the `<eos>` of every document, in order.

    Attributes:
        name: description for display ("the test part of lotr_scripts.csv").
        documents: the tokens of each document.

    Raises:
        CorpusError: there are fewer than two documents, or the vocabulary holds no word of them.
    """

    name: str
    tokenizer: Tokenizer
    vocabulary: Vocabulary
    documents: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        require_known_word(self.documents, self.vocabulary, name=self.name)
        if len(self.documents) < 2:
            raise CorpusError(
                f"{self.name} is one document, and intervals need two or more: cut it finer, by "
                "line or paragraph (document, --document)",
                code="evaluation.one_document",
            )

    @classmethod
    def of_test_part(cls, corpus: Corpus) -> Self:
        """Return the test part of a corpus."""
        what = "a sample of the test part" if corpus.is_sampled else "the test part"
        return cls(
            name=f"{what} of {corpus.source}",
            tokenizer=corpus.tokenizer,
            vocabulary=corpus.vocabulary,
            documents=corpus.test.documents,
        )

    @cached_property
    def stream(self) -> Ids:
        """The ids of all target tokens."""
        return encode_stream(self.documents, self.vocabulary)

    @cached_property
    def num_targets(self) -> Ids:
        """The number of target tokens of each document: its tokens and its `<eos>`."""
        return np.array([len(tokens) + 1 for tokens in self.documents])

    @cached_property
    def num_characters(self) -> Ids:
        """The characters of each document, and one for its end.

        Of the text as the tokenizer keeps it: a tokenizer that drops characters gets no credit for
        them.
        """
        return np.array([len(self.tokenizer.detokenize(tokens)) + 1 for tokens in self.documents])

    @cached_property
    def unknown_words(self) -> Sequence[str]:
        """The words outside the vocabulary, in order, as they are written.

        A literal `<unk>` in the text is in the vocabulary: it has no spelling.
        """
        return [
            self.tokenizer.piece(token, None)
            for tokens in self.documents
            for token in tokens
            if token not in self.vocabulary
        ]

    @cached_property
    def is_unknown(self) -> Bools:
        """Which target tokens are :attr:`unknown_words`."""
        return np.array(
            [
                token is not None and token not in self.vocabulary
                for tokens in self.documents
                for token in (*tokens, None)
            ]
        )

    def by_document(self, values: npt.NDArray[np.generic]) -> Floats:
        """Return the sum of one value per target token over each document."""
        starts = np.concatenate(([0], np.cumsum(self.num_targets)[:-1]))
        sums: Floats = np.add.reduceat(np.asarray(values, dtype=np.float64), starts)
        return sums


def require_seen_tokens(stream: Ids, bundle: Bundle) -> None:
    """Refuse a text with tokens that an imported model has never seen.

    Raises:
        BundleError: the text has such tokens; their probability is meaningless.
    """
    never_seen = () if bundle.manifest.imported is None else bundle.manifest.imported.never_seen
    for token in never_seen:
        if (stream == bundle.vocabulary.encode([token])).any():
            counted = "the end of every document" if token == EOS else "unknown words"
            raise BundleError(
                f"bundle {bundle.path} was imported with a vocabulary without {token}, so it "
                f"cannot be evaluated on a text: a perplexity counts {counted}",
                code="evaluation.unseen_token",
            )


def require_known_word(
    documents: Sequence[Sequence[str]], vocabulary: Vocabulary, *, name: str
) -> None:
    """Refuse a text without a known word; punctuation does not count.

    Raises:
        CorpusError: it knows none.
    """
    words = (token for tokens in documents for token in tokens if has_word(token))
    if not any(word in vocabulary and word != UNK for word in words):
        raise CorpusError(
            f"the model knows no word of {name}: is it the language and the kind of text that "
            "the model was trained on?",
            code="evaluation.no_known_word",
        )
