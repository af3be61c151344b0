"""What the engine is asked for."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lorelm.generation.draft import Draft

Listener = Callable[[Draft], None]


@dataclass(eq=False, kw_only=True)
class EngineRequest:
    """Samples that one client asked for at a time, and who is to be told how they grow.

    Attributes:
        groups: the drafts of each prompt, which is read once for all of them.
        on_end: called in the engine's thread, once for each draft.
        on_token: called in the engine's thread, with a draft that has one token more; None, if
            nobody waits for each token.
        is_cancelled: nobody waits any more; set by :meth:`Engine.cancel`.
        submitted_at: on the clock `time.monotonic`.
        seconds_to_first_token: since then; None before there was a token.
    """

    groups: Sequence[Sequence[Draft]]
    on_end: Listener
    on_token: Listener | None = None
    is_cancelled: bool = False
    submitted_at: float = field(default_factory=time.monotonic)
    seconds_to_first_token: float | None = None

    def rows(self) -> list["Row"]:
        """A row a prompt; the others follow when the prompt is read."""
        return [
            Row(first, self, [Row(draft, self) for draft in others])
            for first, *others in self.groups
        ]

    def note_token(self, draft: Draft) -> None:
        """Notes that a draft has one token more, or several where nobody waits for each."""
        if self.seconds_to_first_token is None:
            self.seconds_to_first_token = time.monotonic() - self.submitted_at
        if self.on_token is not None:
            self.on_token(draft)


class Row:
    """A draft in the engine.

    Attributes:
        followers: of the same prompt, to come when this one has read it.
    """

    __slots__ = ("draft", "followers", "request")

    def __init__(
        self, draft: Draft, request: EngineRequest, followers: Sequence["Row"] = ()
    ) -> None:
        self.draft = draft
        self.request = request
        self.followers = followers
