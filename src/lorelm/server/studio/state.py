"""What the views of the studio share: :class:`StudioState`."""

from dataclasses import dataclass
from typing import cast

from flask import current_app

from lorelm.runs.process import CommandRunner
from lorelm.runs.queue import RunQueue
from lorelm.server.studio.errands import Errands
from lorelm.server.studio.library import Library
from lorelm.server.studio.settings import StudioSettings
from lorelm.server.studio.writing import WritingPages


@dataclass(frozen=True, kw_only=True)
class StudioState:
    """The folders of the studio, and what works on them."""

    settings: StudioSettings
    library: Library
    queue: RunQueue
    commands: CommandRunner
    errands: Errands
    writing: WritingPages

    def stop(self, grace_seconds: float) -> None:
        """Start no more runs, and let generations end; runs go on without the studio."""
        self.errands.close()
        self.commands.close()
        self.queue.close()
        self.writing.stop(grace_seconds)

    def abort(self) -> None:
        """End a :meth:`stop` at once."""
        self.writing.abort()

    def close(self) -> None:
        """Write the rest of the histories."""
        self.writing.close()


def studio_state() -> StudioState:
    """Return the state of the application that handles this request."""
    return cast(StudioState, current_app.extensions["lorelm.studio"])
