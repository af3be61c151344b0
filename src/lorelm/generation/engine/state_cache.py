"""The states after the beginnings of texts, kept for who begins the same way again."""

from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lorelm.runtime.base import State


class _Entry(NamedTuple):
    state: State
    num_bytes: int


class StateCache:
    """A bounded memory of states by the ids that were read; what was used least lately goes first.

    Args:
        max_bytes: of all states together; 0 keeps none. A state of two layers of 512 takes 8 KB.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._lengths: Counter[int] = Counter()
        self._num_bytes = 0

    def put(self, ids: Sequence[int], state: State) -> None:
        """Keeps the state of one text, of which exactly `ids` were read."""
        key = _key(ids)
        entry = _Entry(state, state.num_bytes + len(key))
        if entry.num_bytes > self._max_bytes:
            return
        self._drop(key)
        self._entries[key] = entry
        self._lengths[len(key)] += 1
        self._num_bytes += entry.num_bytes
        while self._num_bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def longest(self, ids: Sequence[int]) -> tuple[int, State] | None:
        """The state after the longest known beginning of `ids`, and how many ids that has."""
        key = _key(ids)
        for length in sorted(self._lengths, reverse=True):
            if length <= len(key) and key[:length] in self._entries:
                self._entries.move_to_end(key[:length])
                return length // _ID_BYTES, self._entries[key[:length]].state
        return None

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._num_bytes -= entry.num_bytes
            self._lengths[len(key)] -= 1
            if not self._lengths[len(key)]:
                del self._lengths[len(key)]


_ID_BYTES = 4


def _key(ids: Sequence[int]) -> bytes:
    return np.array(ids, dtype=np.uint32).tobytes()
