"""Memory: the words of a few lines stay likelier while a text grows.

An LSTM has forgotten after some dozens of tokens what it has read: a memory of 45 tokens, read
before the last 100, changes the loss of what follows by 0.006 nats a token at most. So it is not
read. The names and the rarer words in it are made likelier at every token, each by a factor with
which it would come equally often if all places were alike, and the model decides where one fits: a
rare word is raised more than a frequent one, and a word that has just been written not at all.
`docs/decisions/0041-memory.md` has what was measured.
"""

from collections import abc, defaultdict
from functools import cached_property
from typing import Final

import numpy as np

from lorelm.corpus.special_tokens import speaker_name
from lorelm.corpus.tokenizer import Tokenizer
from lorelm.corpus.vocabulary import EOS_ID, UNK_ID, Vocabulary, letters
from lorelm.generation.sequence import Prompt, Sequence
from lorelm.generation.settings import GenerationSettings
from lorelm.runtime.base import Runtime
from lorelm.sampling import sample
from lorelm.typing import Floats, Floats32

SHARE: Final = 0.02
"""Of all tokens that the words of a memory are to be together, if places were alike."""

MAX_BIAS: Final = 8.0
"""Nats that are added to the logit of a word at most."""

RECENT: Final = 20
"""Tokens in which a word is not raised again: "a lantern, lantern, and brass" without that."""

_NUM_COMMON: Final = 200
"""Words that are too frequent to tell one memory from another: the most frequent ones."""

_MAX_COMMON_SHARE: Final = 0.1
"""Share of a small vocabulary that they are at most."""

_ROWS, _STEPS = 16, 64
"""Texts that the model writes to count its words, and their length: 0.2 s, once for a model."""


class MemoryBias:
    """Raise the logits of words by a number for each, but for those that were just written.

    Args:
        forms: the ids of each word that has several: "lantern", "Lantern".
    """

    def __init__(self, bias_V: Floats32, forms: abc.Sequence[abc.Sequence[int]] = ()) -> None:
        self.bias_V = bias_V
        self._forms = {id_: ids for ids in forms for id_ in ids}

    def __call__(self, logits_V: Floats32, sequence: Sequence) -> Floats32:
        written = sequence.token_ids[-RECENT:]
        recent = [form for id_ in written for form in self._forms.get(id_, (id_,))]
        raised_V = logits_V + self.bias_V
        raised_V[recent] = logits_V[recent]
        return raised_V


class MemoryWords:
    """The words of a model that tell one memory from another, by their letters."""

    def __init__(self, tokenizer: Tokenizer, vocabulary: Vocabulary, runtime: Runtime) -> None:
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._runtime = runtime
        pieces = {
            id_: tokenizer.piece(token, None)
            for id_, token in enumerate(vocabulary.words)
            if id_ not in (UNK_ID, EOS_ID) and speaker_name(token) is None
        }
        self._ids: dict[str, list[int]] = defaultdict(list)
        """Ids of each word, whatever its case."""
        for id_, piece in pieces.items():
            if any(map(str.isalpha, piece)):
                self._ids[letters(piece)].append(id_)
        small = {piece for piece in pieces.values() if piece.islower()}
        num_common = min(_NUM_COMMON, int(_MAX_COMMON_SHARE * len(vocabulary)))
        # A name may be as frequent as the commonest words; it is never written small.
        self._common = {
            letters(piece)
            for id_, piece in pieces.items()
            if id_ < num_common and (piece.islower() or piece.lower() in small)
        }

    def bias(self, tokens: abc.Sequence[str], prompt: Prompt) -> MemoryBias:
        """Return the processor for a memory.

        Args:
            tokens: of the memory; one that the model does not know counts where the prompt has a
                stand-in for it.
        """
        words = {letters(self._tokenizer.piece(token, None)) for token in tokens}
        forms = [self._ids.get(word, []) for word in sorted(words - self._common)]
        stand_ins = [id_ for id_, token in prompt.stand_ins.items() if token in tokens]
        forms = [ids for ids in (*forms, *([id_] for id_ in stand_ins)) if ids]
        bias_V = np.zeros(len(self._vocabulary), dtype=np.float32)
        for ids in forms:
            wanted = SHARE / len(forms) / self._usual_shares[ids].sum()
            bias_V[ids] = np.clip(np.log(wanted), 0, MAX_BIAS)
        return MemoryBias(bias_V, forms)

    @cached_property
    def _usual_shares(self) -> Floats:
        """The mean probability of each word where the model writes without a prompt."""
        batch = self._runtime.batch(_ROWS)
        settings = [GenerationSettings(min_p=0)] * _ROWS
        uniforms_TB = np.random.Generator(np.random.Philox(0)).random((_STEPS, _ROWS))
        total_V = np.zeros(len(self._vocabulary))
        ids_B = np.full(_ROWS, EOS_ID)
        for uniforms_B in uniforms_TB:
            logits_BV = batch.step(ids_B)
            shares_BV = np.exp(logits_BV - logits_BV.max(axis=1, keepdims=True))
            total_V += (shares_BV / shares_BV.sum(axis=1, keepdims=True)).sum(axis=0)
            logits_BV[:, UNK_ID] = -np.inf
            ids_B = sample(logits_BV, settings, uniforms_B=uniforms_B)
        usual_V: Floats = total_V / total_V.sum()
        return usual_V
