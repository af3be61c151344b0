"""What all views of one application share: :class:`ServerState`."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from flask import Flask, current_app

from lorelm.errors import InputError, UnknownModelError
from lorelm.server.history.log import HistoryLog
from lorelm.server.operations.access_log import AccessLog
from lorelm.server.operations.metrics import Metrics
from lorelm.server.served_model import ServedModel
from lorelm.server.settings import ServerSettings


@dataclass(frozen=True, kw_only=True)
class ServerState:
    """Models, settings and logs of an application.

    Attributes:
        models: requests without a model name get the first.
        history: None if generations are not kept.
        started_at: seconds since 1970.

    Raises:
        InputError: two models have the same name.
    """

    settings: ServerSettings
    models: Sequence[ServedModel]
    metrics: Metrics
    history: HistoryLog | None
    access_log: AccessLog | None
    started_at: int

    def __post_init__(self) -> None:
        names = [model.name for model in self.models]
        for name in names:
            if names.count(name) > 1:
                raise InputError(
                    f"two of the bundles are called {name!r}, and requests choose by name: "
                    "rename a folder",
                    code="server.duplicate_name",
                )

    def find_model(self, name: str | None) -> ServedModel:
        """Return the model with this name; None is the first one.

        Raises:
            UnknownModelError: there is none.
        """
        if name is None:
            return self.models[0]
        for model in self.models:
            if model.name == name:
                return model
        raise UnknownModelError(name, [model.name for model in self.models])

    @property
    def notices(self) -> list[str]:
        """Sentences about models that were imported."""
        return [
            f"{model.name}: {notice}" if len(self.models) > 1 else notice
            for model in self.models
            if model.manifest.imported is not None
            for notice in model.manifest.imported.notices
        ]

    def stop(self, grace_seconds: float) -> None:
        """Accept no more requests; return when the running ones have ended or time is up."""
        stopping = [
            threading.Thread(target=model.engine.stop, args=(grace_seconds,))
            for model in self.models
        ]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()

    def abort(self) -> None:
        """End a :meth:`stop` at once."""
        for model in self.models:
            model.engine.abort()

    def close(self) -> None:
        """Stop the engines at once, then write the rest of the history."""
        self.stop(grace_seconds=0)
        if self.history is not None:
            self.history.close()


def server_state(app: Flask | None = None) -> ServerState:
    """Return the state of an application, by default of the one that handles this request."""
    return cast(ServerState, (app or current_app).extensions["lorelm"])
