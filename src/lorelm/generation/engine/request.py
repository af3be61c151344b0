"""What the engine is asked for."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lorelm.generation.draft import Draft

Listener = Callable[[Draft], None]


@dataclass(eq=False, kw_only=True)
class EngineRequest:
    """Samples of one prompt, and who is to be told how they grow.

    Attributes:
        drafts: all with the same prompt; it is read once.
        on_end: called in the engine's thread, once for each draft.
        on_token: called in the engine's thread, with a draft that has one token more; None, if
            nobody waits for each token.
        is_cancelled: nobody waits any more; set by :meth:`Engine.cancel`.
        submitted_at: on the clock `time.monotonic`.
        seconds_to_first_token: since then; None before the engine looked at a first token.
    """

    drafts: Sequence[Draft]
    on_end: Listener
    on_token: Listener | None = None
    is_cancelled: bool = False
    submitted_at: float = field(default_factory=time.monotonic)
    seconds_to_first_token: float | None = None

    def note_token(self, draft: Draft) -> None:
        """Notes that a draft has one token more, or several where nobody waits for each."""
        if self.seconds_to_first_token is None:
            self.seconds_to_first_token = time.monotonic() - self.submitted_at
        if self.on_token is not None:
            self.on_token(draft)


class Row:
    """A draft in the engine.

    Attributes:
        followers: of the same request, to come when this one has read their prompt.
    """

    __slots__ = ("draft", "followers", "request")

    def __init__(
        self, draft: Draft, request: EngineRequest, followers: Sequence["Row"] = ()
    ) -> None:
        self.draft = draft
        self.request = request
        self.followers = followers
