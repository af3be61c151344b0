"""What all views of one application share: :class:`ServerState`."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from flask import Flask, current_app

from lorelm.errors import InputError, UnknownModelError
from lorelm.generation.blend import Blended, partner_of
from lorelm.generation.engine.thread import EngineThread
from lorelm.server.history.log import HistoryLog
from lorelm.server.keys.key_ring import KeyRing
from lorelm.server.operations.access_log import AccessLog
from lorelm.server.operations.metrics import Metrics
from lorelm.server.operations.traces import Traces
from lorelm.server.served_model import ServedModel
from lorelm.server.settings import ServerSettings

if TYPE_CHECKING:
    from lorelm.server.keys.quotas import Quotas


@dataclass(frozen=True, kw_only=True)
class ServerState:
    """Models, settings and logs of an application.

    Attributes:
        models: requests without a model name get the first.
        history: None if generations are not kept.
        started_at: seconds since 1970.
        quotas: None without a rate limit and without a file of keys.
        traces: None where none are sent.

    Raises:
        InputError: two models have the same name.
    """

    settings: ServerSettings
    models: Sequence[ServedModel]
    metrics: Metrics
    history: HistoryLog | None
    access_log: AccessLog | None
    started_at: int
    keys: KeyRing
    quotas: "Quotas | None"
    traces: Traces | None
    _blends: dict[tuple[str, str], ServedModel] = field(default_factory=dict, init=False)
    """Blends by the names of their models; each is made for the first request for it."""
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        names = [model.name for model in self.models]
        for name in names:
            if names.count(name) > 1:
                raise InputError(
                    f"two of the bundles are called {name!r}, and requests choose by name: "
                    "rename a folder",
                    code="server.duplicate_name",
                )

    def served(self, name: str | None, blend: Blended | None = None) -> ServedModel:
        """Return the model that a request is for: the one with this name, or its blend.

        Args:
            blend: weights of models by their names. Of two, the one with the greater weight, or
                the first one, is the one whose words a text is made of, unless `name` says so.

        Raises:
            UnknownModelError: a model is not served.
            SamplingError: the models cannot be blended.
        """
        if not blend:
            return self.find_model(name)
        if name is None and len(blend) > 1:
            names = [model.name for model in self.models if model.name in blend]
            name = max(names, key=lambda each: blend[each], default=None)
        first = self.find_model(name)
        second = self.find_model(partner_of(blend, first.name), field="blend")
        with self._lock:
            pair = first.name, second.name
            if pair not in self._blends:
                self._blends[pair] = first.blended_with(second, self.metrics)
            return self._blends[pair]

    def find_model(self, name: str | None, *, field: str = "model") -> ServedModel:
        """Return the model with this name; None is the first one.

        Args:
            field: of the request, which an error names.

        Raises:
            UnknownModelError: there is none.
        """
        if name is None:
            return self.models[0]
        for model in self.models:
            if model.name == name:
                return model
        raise UnknownModelError(name, [model.name for model in self.models], field=field)

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
            threading.Thread(target=engine.stop, args=(grace_seconds,)) for engine in self._engines
        ]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()

    def abort(self) -> None:
        """End a :meth:`stop` at once."""
        for engine in self._engines:
            engine.abort()

    @property
    def _engines(self) -> list[EngineThread]:
        with self._lock:
            return [each.engine for each in (*self.models, *self._blends.values())]

    def refresh(self) -> None:
        """Look whether the file of keys has changed, and take over what the metrics watch."""
        self.keys.refresh()
        self.metrics.refresh()

    def close(self) -> None:
        """Stop the engines at once, then write the rest of the history."""
        self.stop(grace_seconds=0)
        if self.quotas is not None:
            self.quotas.close()
        if self.traces is not None:
            self.traces.close()
        if self.history is not None:
            self.history.close()


def server_state(app: Flask | None = None) -> ServerState:
    """Return the state of an application, by default of the one that handles this request."""
    return cast(ServerState, (app or current_app).extensions["lorelm"])
