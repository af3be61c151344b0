"""Align a foreign vocabulary with the rows of foreign weights: :func:`align_vocabulary`.

Our vocabulary has `<unk>` at id 0 and `<eos>` at id 1, so rows of the embedding and the output
layer change their places. The logits of every word stay as the checkpoint gives them.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from lorelm.corpus.special_tokens import EOS, UNK
from lorelm.corpus.vocabulary import Vocabulary
from lorelm.model.config import ModelConfig
from lorelm.typing import Floats32

_UNK_SPELLINGS: Final = (UNK, "<UNK>", "<Unk>", "[UNK]", "<oov>", "<OOV>", "<unknown>", "UNK")
_EOS_SPELLINGS: Final = (
    *(EOS, "<EOS>", "</s>", "</S>", "<end>", "<END>", "[EOS]", "<eod>", "<eol>"),
    *("<|endoftext|>", "EOS"),
)
_SPECIAL_TOKEN: Final = re.compile(
    r"<extra_\d+>|</?s>|<\|endoftext\|>|"
    r"[<\[](pad|padding|blank|unk|unknown|oov|sos|bos|start|go|eos|eod|eol|end|cls|sep|mask)[>\]]",
    re.IGNORECASE,
)

# Of an added row: its probability is 0 whatever the other logits are.
_NEVER_LOGIT: Final = np.float32(-10_000)


class SpecialTokens(NamedTuple):
    """Ids of the entries of a vocabulary that are not words of a text."""

    unk: int | None
    eos: int | None
    never_written: tuple[int, ...]  # all but `<eos>`, such as `<unk>` and `<pad>`


@dataclass(frozen=True, kw_only=True)
class AlignedModel:
    """Weights and a vocabulary in our order.

    Attributes:
        never_written: words that must not be generated.
        never_seen: of `<unk>` and `<eos>`, those that the checkpoint lacks: their rows are never
            generated from.
        notices: what that means for its texts, for a user.
    """

    config: ModelConfig
    weights: dict[str, Floats32] = field(repr=False)
    vocabulary: Vocabulary = field(repr=False)
    never_written: tuple[str, ...]
    never_seen: tuple[str, ...]
    notices: tuple[str, ...]


def find_special_tokens(words: Sequence[str]) -> SpecialTokens:
    """Return the ids of special tokens in any of their spellings."""
    unk, eos = (
        next((words.index(spelling) for spelling in spellings if spelling in words), None)
        for spellings in (_UNK_SPELLINGS, _EOS_SPELLINGS)
    )
    never_written = (
        id_
        for id_, word in enumerate(words)
        if id_ == unk or (id_ != eos and _SPECIAL_TOKEN.fullmatch(word))
    )
    return SpecialTokens(unk=unk, eos=eos, never_written=tuple(never_written))


def fill_vocabulary(
    words: Sequence[str | None] | None, size: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return a unique word for each of `size` ids, and notices of what was cut or filled.

    Args:
        words: by their ids, None for an id without one; None where there is no vocabulary at all.
    """
    if words is None:
        notice = (
            f"No vocabulary was given, so its {size:,} words are called token_0, token_1 and so "
            "on: provide the file that holds the words by their ids (such as vocab.pkl)."
        )
        return tuple(f"token_{place}" for place in range(size)), (notice,)
    notices = []
    sizes = f"The vocabulary has {len(words):,} words and the model {size:,}: "
    if len(words) > size:
        notices.append(
            f"{sizes}the last {len(words) - size:,} were cut. If the texts make no sense, provide "
            "the vocabulary that was saved with this checkpoint."
        )
    if len(words) < size:
        notices.append(
            f"{sizes}the missing ones are called <extra_{len(words)}> and so on, and are never "
            "written. Provide the vocabulary that was saved with this checkpoint."
        )
    filled: dict[str, None] = {}  # in order
    given, repeated = set(words), []
    for place in range(size):
        word = (words[place] if place < len(words) else None) or ""
        if word in filled:
            repeated.append(word)
        if not word or word in filled:
            word = _placeholder(place, given)
        filled[word] = None
    if repeated:
        notices.append(
            f"The vocabulary holds {repeated[0]!r} twice"
            + (f", and {len(repeated) - 1:,} more words" if len(repeated) > 1 else "")
            + ": the first is the one that is read and written."
        )
    return tuple(filled), tuple(notices)


def _placeholder(place: int, taken: set[str | None]) -> str:
    name = f"<extra_{place}>"
    while name in taken:
        name = name.replace("_", "_0", 1)
    return name


def align_vocabulary(
    config: ModelConfig,
    weights: Mapping[str, Floats32],
    words: Sequence[str],
    *,
    are_placeholders: bool,
) -> AlignedModel:
    """Put `<unk>` and `<eos>` first, and add a row for either where it is missing.

    Args:
        words: unique, by the rows of the weights.
        are_placeholders: there was no vocabulary.
    """
    special = find_special_tokens(words)
    unk, eos = special.unk, special.eos
    rest = [place for place in range(len(words)) if place not in (unk, eos)]
    vocabulary = Vocabulary([UNK, EOS, *(words[place] for place in rest)])
    never_written = tuple(words[id_] for id_ in special.never_written if id_ != unk)
    notices = []
    if unk is None and not are_placeholders:
        notices.append(
            f"The vocabulary has no {UNK}: a word of a prompt that it does not hold is read as its "
            f"first, {words[0]!r}, as the scripts around such models do."
        )
    if eos is None and not are_placeholders:
        notices.append(
            f"The vocabulary has no {EOS}: no text ends before it is as long as was asked for."
        )
    given = [word for word in never_written if not word.startswith("<extra_")]
    if given:
        notices.append(f"Never written, for no text holds them: {', '.join(given)}.")
    return AlignedModel(
        config=dataclasses.replace(config, vocabulary_size=len(vocabulary)),
        weights=_reordered(weights, [unk, eos, *rest], tied=config.tied),
        vocabulary=vocabulary,
        never_written=never_written,
        never_seen=tuple(word for word, place in ((UNK, unk), (EOS, eos)) if place is None),
        notices=tuple(notices),
    )


def _reordered(
    weights: Mapping[str, Floats32], order: Sequence[int | None], *, tied: bool
) -> dict[str, Floats32]:
    """Reorder rows; None adds one that reads as the first and is never taken."""
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
