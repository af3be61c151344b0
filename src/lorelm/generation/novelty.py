"""Copies in what a model writes: told, marked, or forbidden."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lorelm.corpus.token_keys import line_break_key, token_keys
from lorelm.corpus.tokenizer import Tokenizer
from lorelm.corpus.vocabulary import EOS_ID, Vocabulary
from lorelm.ngrams.fingerprints import FingerprintIndex
from lorelm.ngrams.matches import MIN_COPY_LENGTH, Span, longest_spans
from lorelm.typing import Floats32, Keys


class TrainingTextIndex:
    """The fingerprints of a model's training text, for the words that the model knows."""

    def __init__(
        self, fingerprints: FingerprintIndex, tokenizer: Tokenizer, vocabulary: Vocabulary
    ) -> None:
        self._fingerprints = fingerprints
        self._tokenizer = tokenizer
        self._vocabulary_keys = token_keys(vocabulary.words, tokenizer)

    def copied_spans(self, prompt_tokens: Sequence[str], ids: Sequence[int]) -> list[Span]:
        """The spans of at least `MIN_COPY_LENGTH` tokens that stand in the training text.

        Args:
            ids: what was generated behind the prompt.
        """
        generated_keys = self._vocabulary_keys[np.array(ids, dtype=np.int64)]
        keys = np.concatenate([token_keys(prompt_tokens, self._tokenizer), generated_keys])
        if not self._fingerprints.may_hold_run(keys, MIN_COPY_LENGTH):
            return []
        matches = self._fingerprints.longest_matches(keys)
        return longest_spans(matches, min_length=MIN_COPY_LENGTH)

    def forbid_copies(self, prompt_tokens: Sequence[str], *, novel_span: int) -> "CopyBan":
        """The rule that no `novel_span` tokens in a row of prompt and sample stand in the text."""
        return CopyBan(
            self._fingerprints,
            token_keys(prompt_tokens[-(novel_span - 1) :], self._tokenizer),
            self._vocabulary_keys,
            line_break_key(self._tokenizer),
            novel_span=novel_span,
        )


@dataclass(frozen=True)
class CopyBan:
    """Forbids a row the words that would complete a span of the training text.

    The end of a document is no word and is never forbidden, so there is always a way out.
    """

    fingerprints: FingerprintIndex
    prompt_keys: Keys
    vocabulary_keys: Keys
    line_break_key: np.uint64
    novel_span: int

    def __call__(self, logits_V: Floats32, ids: Sequence[int]) -> Floats32:
        """The logits with those of forbidden ids at minus infinity, given the generated ids."""
        length = self.novel_span - 1
        generated_keys = self.vocabulary_keys[np.array(ids[-length:], dtype=np.int64)]
        context = np.concatenate([self.prompt_keys, generated_keys])[-length:]
        is_forbidden_V = np.zeros(len(logits_V), dtype=np.bool_)
        if len(context) == length:
            is_forbidden_V = self.fingerprints.completing(context, self.vocabulary_keys)
            is_forbidden_V[EOS_ID] = False
        if len(context) and context[-1] == self.line_break_key:
            # Two breaks are read as one: a copy with a gap in it would be a copy again.
            is_forbidden_V[self.vocabulary_keys == self.line_break_key] = True
        forbidden: Floats32 = np.where(is_forbidden_V, -np.inf, logits_V).astype(np.float32)
        return forbidden
