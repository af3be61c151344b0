"""Blends of two models: their mixture while a text is written."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from lorelm.corpus.tokenizer import Tokenizer
from lorelm.corpus.vocabulary import Vocabulary
from lorelm.errors import SamplingError
from lorelm.generation.logits import Mixture
from lorelm.runtime.blend import WordMap
from lorelm.typing import Floats32

if TYPE_CHECKING:
    from lorelm.generation.sequence import Sequence

_MIN_SHARED: Final = 0.5
"""Of the smaller vocabulary; models with fewer words in common would read each other as `<unk>`."""

Blended = Mapping[str | int, float]
"""Weights of models, by their names: of another one, or of both."""


class Blend:
    """Mix the logits `[V + W]` of two models, each as it is used alone, into those of one `[V]`.

    Args:
        share: of the second model, from 0 to 1.
        first, second: their mixtures with n-gram models.
    """

    def __init__(
        self, words: WordMap, share: float, first: Mixture | None, second: Mixture | None
    ) -> None:
        self._words = words
        self._share = share
        self._first = first
        self._second = second

    def __call__(self, logits_X: Floats32, sequence: "Sequence") -> Floats32:
        num_words = len(self._words.to_second_V)
        logits_V, logits_W = logits_X[:num_words], logits_X[num_words:]
        if self._first is not None:
            logits_V = self._first(logits_V, sequence)
        if self._second is not None:
            context = self._words.to_second_V[self._second.context(sequence)]
            logits_W = self._second.mixed(logits_W, context)
        return self._words.mixed(logits_V, logits_W, self._share)


def map_words(
    tokenizer: Tokenizer, vocabulary: Vocabulary, other: tuple[Tokenizer, Vocabulary], *, name: str
) -> WordMap:
    """Return how the words of two models correspond.

    Args:
        other: of the second model, whose name an error has.

    Raises:
        SamplingError: they cut texts differently, or have too few words in common.
    """
    other_tokenizer, second = other
    if tokenizer.style != other_tokenizer.style:
        raise SamplingError(
            "blend",
            f"{name} cuts texts in other tokens (tokenizer {other_tokenizer.style}) than this "
            f"model ({tokenizer.style}): blend models with the same tokenizer",
            code="setting.blend",
        )
    words = WordMap(second.encode(vocabulary.words), vocabulary.encode(second.words))
    smaller = min(len(vocabulary), len(second))
    needed = 1.0 if tokenizer.style == "subword" else _MIN_SHARED
    if words.num_shared < needed * smaller:
        raise SamplingError(
            "blend",
            f"{name} and this model have only {words.num_shared:,} of {smaller:,} words in common: "
            "blend models of the same language"
            + (" that share their pieces of words" if needed == 1 else ""),
            code="setting.blend",
        )
    return words


def partner_of(blend: Blended, own_name: str) -> str:
    """Return the name of the other model in a blend.

    Raises:
        SamplingError: there is none, or more than one, or both weights are 0.
    """
    others = [str(name) for name in blend if name != own_name]
    if len(others) != 1:
        raise SamplingError(
            "blend",
            f"must name one other model than {own_name}, or {own_name} and one other",
            code="setting.blend",
        )
    if len(blend) == 2 and not sum(blend.values()):
        raise SamplingError("blend", "must have a weight above 0", code="setting.blend")
    return others[0]


def share_of(blend: Blended, partner: str) -> float:
    """Return the share of a partner: its weight alone, or of both weights."""
    return blend[partner] / (sum(blend.values()) if len(blend) == 2 else 1)
