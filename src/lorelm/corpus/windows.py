"""A stream of ids cut for truncated back-propagation through time (BPTT)."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, Self, TypeVar

import numpy as np

from lorelm.corpus.vocabulary import EOS_ID, Ids, Vocabulary
from lorelm.errors import CorpusError


class _Steps(Protocol):
    """An array or tensor of ids whose first axis is time."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: slice, /) -> Self: ...


_StepsT = TypeVar("_StepsT", bound=_Steps)


def encode_stream(documents: Iterable[Sequence[str]], vocabulary: Vocabulary) -> Ids:
    """All documents end to end, `<eos>` after each: the events a model is trained and judged on."""
    parts = [np.append(vocabulary.encode(tokens), EOS_ID) for tokens in documents]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def columns(stream: Ids, *, batch_size: int) -> tuple[Ids, Ids]:
    """Cuts a stream into `batch_size` equal columns to be read side by side.

    Returns `inputs_TB` and `targets_TB`, where a target is the id that follows its input. The
    stream's first id is predicted from an `<eos>`, as the start of every document is. The last
    ``len(stream) % batch_size`` ids are left out.

    Raises:
        CorpusError: the stream is shorter than `batch_size`.
    """
    num_steps = len(stream) // batch_size
    if num_steps == 0:
        raise CorpusError(
            f"the training part has {len(stream):,} tokens, too few for a batch of {batch_size}: "
            f"use --batch-size {max(1, len(stream) // 2)} or less, or a longer corpus"
        )
    targets = stream[: num_steps * batch_size]
    inputs = np.concatenate(([EOS_ID], targets[:-1]))
    return inputs.reshape(batch_size, num_steps).T, targets.reshape(batch_size, num_steps).T


def windows(
    inputs_TB: _StepsT, targets_TB: _StepsT, *, bptt: int
) -> Iterator[tuple[_StepsT, _StepsT]]:
    """The columns (arrays or tensors) in pieces of `bptt` steps; the last may be shorter."""
    for start in range(0, len(inputs_TB), bptt):
        yield inputs_TB[start : start + bptt], targets_TB[start : start + bptt]
