"""Sequences that wait for a slot: :class:`RequestQueue`."""

import threading
from collections import OrderedDict, deque

from lorelm.errors import OverloadedError
from lorelm.generation.handle import RequestHandle
from lorelm.generation.sequence import GenerationRequest, Sequence


class RequestQueue:
    """Waiting sequences. Clients take turns by sequence, so a large request delays no other.

    Thread-safe.

    Args:
        max_handles: how many clients may wait.
    """

    def __init__(self, max_handles: int) -> None:
        self._max_handles = max_handles
        self._waiting: OrderedDict[RequestHandle, deque[Sequence]] = OrderedDict()
        self._siblings: dict[GenerationRequest, list[Sequence]] = {}  # that may not start yet
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many clients wait."""
        return len(self._waiting)

    def add(self, handle: RequestHandle) -> None:
        """Append the first sequence of each prompt of a client; it reads the prompt for all.

        Raises:
            OverloadedError: too many are waiting.
        """
        with self._lock:
            if len(self._waiting) >= self._max_handles:
                raise OverloadedError(
                    f"{self._max_handles} requests are waiting already: try again in a moment"
                )
            self._waiting[handle] = deque(request.sequences[0] for request in handle.requests)
            for request in handle.requests:
                request.handle = handle
                self._siblings[request] = request.sequences[1:]

    def add_siblings(self, request: GenerationRequest) -> None:
        """Append the other sequences, unless done: the first has read the prompt or has ended."""
        with self._lock:
            if siblings := self._siblings.pop(request, None):
                self._waiting.setdefault(request.handle, deque()).extend(siblings)

    def pop(self) -> Sequence | None:
        """Take the next sequence of the client whose turn it is."""
        with self._lock:
            if not self._waiting:
                return None
            handle, waiting = self._waiting.popitem(last=False)
            sequence = waiting.popleft()
            if waiting:
                self._waiting[handle] = waiting
            return sequence

    def all(self) -> list[Sequence]:
        """Return the sequences that can start."""
        with self._lock:
            return [sequence for waiting in self._waiting.values() for sequence in waiting]

    def remove_finished(self) -> None:
        """Remove the sequences that finished while they waited."""
        with self._lock:
            for handle, waiting in list(self._waiting.items()):
                self._waiting[handle] = deque(each for each in waiting if not each.is_finished)
                if not self._waiting[handle]:
                    del self._waiting[handle]
