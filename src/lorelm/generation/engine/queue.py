"""Sequences that wait for a slot: :class:`RequestQueue`."""

import threading
from collections import OrderedDict, deque

from lorelm.errors import OverloadedError
from lorelm.generation.handle import RequestHandle
from lorelm.generation.sequence import Sequence


class RequestQueue:
    """Waiting sequences. Clients take turns by sequence, so a large request delays no other.

    Thread-safe.

    Args:
        max_handles: how many clients may wait.
    """

    def __init__(self, max_handles: int) -> None:
        self._max_handles = max_handles
        self._waiting: OrderedDict[RequestHandle, deque[Sequence]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many clients wait."""
        return len(self._waiting)

    def add(self, handle: RequestHandle) -> None:
        """Append the sequences of a client.

        Raises:
            OverloadedError: too many are waiting.
        """
        # The first sequence of each prompt reads it, so all prompts are read before siblings start.
        first = [request.sequences[0] for request in handle.requests]
        siblings = [each for request in handle.requests for each in request.sequences[1:]]
        with self._lock:
            if len(self._waiting) >= self._max_handles:
                raise OverloadedError(
                    f"{self._max_handles} requests are waiting already: try again in a moment"
                )
            self._waiting[handle] = deque([*first, *siblings])

    def pop(self) -> Sequence | None:
        """Take the next sequence that can start, of the client whose turn it is."""
        with self._lock:
            for handle, waiting in self._waiting.items():
                for sequence in waiting:
                    if sequence.can_start:
                        waiting.remove(sequence)
                        if waiting:
                            self._waiting.move_to_end(handle)
                        else:
                            del self._waiting[handle]
                        return sequence
        return None

    def all(self) -> list[Sequence]:
        """Return all waiting sequences."""
        with self._lock:
            return [sequence for waiting in self._waiting.values() for sequence in waiting]

    def remove_finished(self) -> None:
        """Remove the sequences that finished while they waited."""
        with self._lock:
            for handle, waiting in list(self._waiting.items()):
                unfinished = deque(each for each in waiting if not each.is_finished)
                if unfinished:
                    self._waiting[handle] = unfinished
                else:
                    del self._waiting[handle]
