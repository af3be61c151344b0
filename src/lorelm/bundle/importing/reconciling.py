"""A foreign vocabulary and foreign weights brought together.

:func:`fit_words` gives every row of a checkpoint a word. :func:`reconcile` makes it our model: our
vocabulary has `<unk>` at id 0 and `<eos>` at id 1, so rows of the embedding and the output layer
change their places; the logits of every word stay what the checkpoint gives it.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lorelm.corpus.tokenizer import EOS, UNK
from lorelm.corpus.vocabulary import Vocabulary
from lorelm.model.config import ModelConfig
from lorelm.typing import Floats32

_UNK_SPELLINGS: Final = (UNK, "<UNK>", "<Unk>", "[UNK]", "<oov>", "<OOV>", "<unknown>", "UNK")
_EOS_SPELLINGS: Final = (
    *(EOS, "<EOS>", "</s>", "</S>", "<end>", "<END>", "[EOS]", "<eod>", "<eol>"),
    *("<|endoftext|>", "EOS"),
)
_MARK: Final = re.compile(
    r"<extra_\d+>|</?s>|<\|endoftext\|>|"
    r"[<\[](pad|padding|blank|unk|unknown|oov|sos|bos|start|go|eos|eod|eol|end|cls|sep|mask)[>\]]",
    re.IGNORECASE,
)

_NEVER_LOGIT: Final = np.float32(-10_000)
"""Of a row that is added: its probability is 0 whatever the other logits are."""


@dataclass(frozen=True, kw_only=True)
class FittedWords:
    """A word for each id of a checkpoint, each once.

    Attributes:
        are_placeholders: there was no vocabulary.
        notices: what had to be done, and what a user might provide instead.
    """

    words: tuple[str, ...]
    are_placeholders: bool
    notices: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Marks:
    """The ids of what stands in a vocabulary and in no text.

    Attributes:
        never_written: all but `<eos>`, such as `<unk>` and `<pad>`.
    """

    unk: int | None
    eos: int | None
    never_written: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Reconciled:
    """Weights and a vocabulary that fit each other, in our order.

    Attributes:
        never_written: words that are not to be generated.
        never_seen: of `<unk>` and `<eos>`, those that the checkpoint lacks.
        notices: what that means for its texts.
    """

    config: ModelConfig
    weights: dict[str, Floats32]
    vocabulary: Vocabulary
    never_written: tuple[str, ...]
    never_seen: tuple[str, ...]
    notices: tuple[str, ...]


def reconcile(
    config: ModelConfig, weights: Mapping[str, Floats32], fitted: FittedWords
) -> Reconciled:
    """Puts `<unk>` and `<eos>` first, and adds a row for either where it is missing."""
    words = fitted.words
    marks = find_marks(words)
    unk, eos = marks.unk, marks.eos
    order = [unk, eos, *(place for place in range(len(words)) if place not in (unk, eos))]
    vocabulary = Vocabulary([UNK, EOS, *(words[place] for place in order[2:] if place is not None)])
    never_written = tuple(words[id_] for id_ in marks.never_written if id_ != unk)
    notices = []
    if unk is None and not fitted.are_placeholders:
        notices.append(
            f"The vocabulary has no {UNK}: a word of a prompt that it does not hold is read as its "
            f"first, {words[0]!r}, as the scripts around such models do."
        )
    if eos is None and not fitted.are_placeholders:
        notices.append(
            f"The vocabulary has no {EOS}: no text ends before it is as long as was asked for."
        )
    given = [word for word in never_written if not word.startswith("<extra_")]
    if given:
        notices.append(f"Never written, for no text holds them: {', '.join(given)}.")
    return Reconciled(
        config=dataclasses.replace(config, vocabulary_size=len(vocabulary)),
        weights=_reordered(weights, order, tied=config.tied),
        vocabulary=vocabulary,
        never_written=never_written,
        never_seen=tuple(word for word, place in ((UNK, unk), (EOS, eos)) if place is None),
        notices=tuple(notices),
    )


def fit_words(words: Sequence[str | None] | None, size: int) -> FittedWords:
    """Gives each of `size` ids a word of its own.

    Args:
        words: by their ids, None for an id without one; None where there is no vocabulary at all.
    """
    if words is None:
        notice = (
            f"No vocabulary was given, so its {size:,} words are called token_0, token_1 and so "
            "on: provide the file that holds the words by their ids (such as vocab.pkl)."
        )
        placeholders = tuple(f"token_{place}" for place in range(size))
        return FittedWords(words=placeholders, are_placeholders=True, notices=(notice,))
    notices = []
    if len(words) > size:
        notices.append(
            f"The vocabulary has {len(words):,} words and the model {size:,}: the last "
            f"{len(words) - size:,} were cut. If the texts make no sense, provide the vocabulary "
            "that was saved with this checkpoint."
        )
    if len(words) < size:
        notices.append(
            f"The vocabulary has {len(words):,} words and the model {size:,}: the missing ones are "
            f"called <extra_{len(words)}> and so on, and are never written. Provide the "
            "vocabulary that was saved with this checkpoint."
        )
    fitted: list[str] = []
    taken: set[str] = set()
    given = set(words)
    repeated = []
    for place in range(size):
        word = (words[place] if place < len(words) else None) or ""
        if word in taken:
            repeated.append(word)
        if not word or word in taken:
            word = _extra(place, given)
        fitted.append(word)
        taken.add(word)
    if repeated:
        notices.append(
            f"The vocabulary holds {repeated[0]!r} twice"
            + (f", and {len(repeated) - 1:,} more words" if len(repeated) > 1 else "")
            + ": the first is the one that is read and written."
        )
    return FittedWords(words=tuple(fitted), are_placeholders=False, notices=tuple(notices))


def _extra(place: int, given: set[str | None]) -> str:
    """A word for a row that has none of its own."""
    name = f"<extra_{place}>"
    while name in given:
        name = name.replace("_", "_0", 1)
    return name


def find_marks(words: Sequence[str]) -> Marks:
    """The ids of the marks among words, in any of their spellings."""
    unk, eos = (_place_of(spellings, words) for spellings in (_UNK_SPELLINGS, _EOS_SPELLINGS))
    never_written = (
        id_
        for id_, word in enumerate(words)
        if id_ == unk or (id_ != eos and _MARK.fullmatch(word))
    )
    return Marks(unk=unk, eos=eos, never_written=tuple(never_written))


def _place_of(spellings: Sequence[str], words: Sequence[str]) -> int | None:
    return next((words.index(word) for word in spellings if word in words), None)


def _reordered(
    weights: Mapping[str, Floats32], order: Sequence[int | None], *, tied: bool
) -> dict[str, Floats32]:
    """The rows in a new order; for None one that reads as the first and is never taken."""
    places = np.array([place or 0 for place in order])
    is_new = np.array([place is None for place in order])
    ours = dict(weights)
    for name in ("embedding.weight", "fc.weight", "fc.bias"):
        ours[name] = weights[name][places]
    ours["fc.weight"][is_new] = 0
    ours["fc.bias"][is_new] = _NEVER_LOGIT
    if tied:
        ours["fc.weight"] = ours["embedding.weight"]
    return ours
