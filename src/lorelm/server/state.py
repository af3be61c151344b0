"""What all views of one application share: :class:`ServerState`."""

from dataclasses import dataclass
from typing import cast

from flask import Flask, current_app

from lorelm.server.history.log import HistoryLog
from lorelm.server.operations.access_log import AccessLog
from lorelm.server.operations.metrics import Metrics
from lorelm.server.served_models import ServedModels
from lorelm.server.settings import ServerSettings


@dataclass(frozen=True, kw_only=True)
class ServerState:
    """Models, settings and logs of an application.

    Attributes:
        history: None if generations are not kept.
        started_at: seconds since 1970.
    """

    settings: ServerSettings
    models: ServedModels
    metrics: Metrics
    history: HistoryLog | None
    access_log: AccessLog | None
    started_at: int

    def close(self) -> None:
        """Stop the engines at once, then write the rest of the history."""
        self.models.stop(grace_seconds=0)
        if self.history is not None:
            self.history.close()


def server_state(app: Flask | None = None) -> ServerState:
    """Return the state of an application, by default of the one that handles this request."""
    return cast(ServerState, (app or current_app).extensions["lorelm"])
