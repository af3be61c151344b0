"""Copies of the training text in what a model writes: find them, or forbid them."""

from collections import abc
from typing import TYPE_CHECKING

import numpy as np

from lorelm.corpus.token_keys import line_break_key, token_keys
from lorelm.corpus.tokenizer import Tokenizer
from lorelm.corpus.vocabulary import EOS_ID, Vocabulary
from lorelm.ngrams.fingerprints import FingerprintIndex
from lorelm.ngrams.matches import MIN_COPY_LENGTH, Span, longest_spans
from lorelm.typing import Floats32

if TYPE_CHECKING:
    from lorelm.generation.sequence import Sequence


class TrainingTextIndex:
    """Fingerprints of a model's training text, and the keys of the words that the model knows."""

    def __init__(
        self, fingerprints: FingerprintIndex, tokenizer: Tokenizer, vocabulary: Vocabulary
    ) -> None:
        self.fingerprints = fingerprints
        self.tokenizer = tokenizer
        self.vocabulary_keys = token_keys(vocabulary.words, tokenizer)

    def copied_spans(self, prompt_tokens: abc.Sequence[str], ids: abc.Sequence[int]) -> list[Span]:
        """Return the spans of at least `MIN_COPY_LENGTH` tokens that the training text has.

        Args:
            ids: what was generated after the prompt.
        """
        generated_keys = self.vocabulary_keys[np.array(ids, dtype=np.int64)]
        keys = np.concatenate([token_keys(prompt_tokens, self.tokenizer), generated_keys])
        if not self.fingerprints.may_hold_run(keys, MIN_COPY_LENGTH):
            return []
        matches = self.fingerprints.longest_matches(keys)
        return longest_spans(matches, min_length=MIN_COPY_LENGTH)


class NoCopyProcessor:
    """Forbid the words that would complete a copied span of the training text.

    No `novel_span` tokens in a row, of prompt and sample, then stand in the training text. The end
    of a document is not a word and is never forbidden, so there is always a way out.
    """

    def __init__(
        self, index: TrainingTextIndex, prompt_tokens: abc.Sequence[str], *, novel_span: int
    ) -> None:
        self._index = index
        self._context_len = novel_span - 1
        self._prompt_keys = token_keys(prompt_tokens[-self._context_len :], index.tokenizer)
        self._line_break_key = line_break_key(index.tokenizer)

    def __call__(self, logits_V: Floats32, sequence: "Sequence") -> Floats32:
        length, vocabulary_keys = self._context_len, self._index.vocabulary_keys
        first = max(sequence.num_prompt_ids, len(sequence.token_ids) - length)
        last_ids = np.array(sequence.token_ids[first:], dtype=np.int64)
        generated_keys = vocabulary_keys[last_ids]
        context = np.concatenate([self._prompt_keys, generated_keys])[-length:]
        is_forbidden_V = np.zeros(len(logits_V), dtype=np.bool_)
        if len(context) == length:
            is_forbidden_V = self._index.fingerprints.completing(context, vocabulary_keys)
            is_forbidden_V[EOS_ID] = False
        if len(context) and context[-1] == self._line_break_key:
            # The tokenizer reads two line breaks as one, so a copy with a gap would be a copy.
            is_forbidden_V[vocabulary_keys == self._line_break_key] = True
        forbidden: Floats32 = np.where(is_forbidden_V, -np.inf, logits_V).astype(np.float32)
        return forbidden
