"""A model and the engine that serves it: :class:`ServedModel`."""

import time
from collections.abc import Callable, Sequence
from typing import Self

from lorelm.bundle import EMBEDDED_NAME, EMBEDDED_PATH, Bundle
from lorelm.bundle.manifest import Manifest
from lorelm.generation.engine.engine import Engine
from lorelm.generation.engine.thread import EngineThread
from lorelm.generation.generation import Generation
from lorelm.generation.language_model import LanguageModel
from lorelm.generation.task import Task
from lorelm.server.history.log import Asker, HistoryLog
from lorelm.server.operations.metrics import Metrics
from lorelm.server.settings import ServerSettings


class ServedModel:
    """A model that requests share.

    Attributes:
        name: what requests call it.
        fingerprint: of its bundle; see :attr:`Bundle.fingerprint`.
        engine: in its thread, until :meth:`EngineThread.stop`.
    """

    def __init__(
        self,
        model: LanguageModel,
        engine: EngineThread,
        *,
        name: str,
        fingerprint: str,
        manifest: Manifest,
        settings: ServerSettings,
        metrics: Metrics,
        history: HistoryLog | None,
    ) -> None:
        self.model = model
        self.engine = engine
        self.name = name
        self.fingerprint = fingerprint
        self.manifest = manifest
        self.settings = settings
        self._metrics = metrics
        self._history = history

    @classmethod
    def of_bundle(
        cls,
        bundle: Bundle,
        *,
        settings: ServerSettings,
        metrics: Metrics,
        history: HistoryLog | None,
    ) -> Self:
        """Loads the model and starts its engine.

        Raises:
            BundleError: the bundle is damaged, or lacks the n-gram model or the neural cache.
        """
        model = LanguageModel.of_bundle(bundle, mixture=settings.mixture, cache=settings.cache)
        engine = Engine(
            model.runtime,
            num_slots=settings.num_slots,
            max_waiting=settings.max_waiting,
            state_cache_bytes=int(settings.state_cache_megabytes * 1e6),
            on_step=metrics.note_step,
        )
        name = _name_of(bundle)
        metrics.watch(name, engine)
        return cls(
            model,
            EngineThread(engine),
            name=name,
            fingerprint=bundle.fingerprint,
            manifest=bundle.manifest,
            settings=settings,
            metrics=metrics,
            history=history,
        )

    def deadline(self, timeout_seconds: float | None) -> float:
        """When a request that asks for so much time ends, on the clock `time.monotonic`."""
        limit = self.settings.timeout_seconds
        return time.monotonic() + min(timeout_seconds or limit, limit)

    def begin(
        self,
        tasks: Sequence[Task],
        asker: Asker,
        *,
        is_streamed: bool = False,
        is_abandoned: Callable[[], bool] = lambda: False,
    ) -> Generation:
        """Has the engine do the tasks, counts them, and keeps what was generated in the history.

        Raises:
            OverloadedError: too many requests are waiting.
            ShuttingDownError: the server is about to stop.
        """
        return Generation(
            self.model,
            self.engine,
            tasks,
            is_streamed=is_streamed,
            is_abandoned=is_abandoned,
            on_close=self._noting(asker),
        )

    def _noting(self, asker: Asker) -> Callable[[Generation], None]:
        if self._history is None:
            return self._metrics.note_generation
        keep = self._history.note(self, asker)

        def note(generation: Generation) -> None:
            self._metrics.note_generation(generation)
            keep(generation)

        return note


def _name_of(bundle: Bundle) -> str:
    path = bundle.path.resolve()
    return EMBEDDED_NAME if path == EMBEDDED_PATH.resolve() else path.name
