"""The models of a server, each with its engine: :class:`ServedModel`, :class:`ServedModels`."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from lorelm.bundle import EMBEDDED_NAME, EMBEDDED_PATH, Bundle
from lorelm.bundle.manifest import Manifest
from lorelm.errors import InputError, UnknownModelError
from lorelm.generation.engine.engine import Engine
from lorelm.generation.engine.thread import EngineThread
from lorelm.generation.language_model import LanguageModel
from lorelm.server.operations.metrics import Metrics
from lorelm.server.settings import ServerSettings


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A model that requests share.

    Attributes:
        name: the name that requests use.
        fingerprint: of its bundle; see :attr:`Bundle.fingerprint`.
        engine: runs in its own thread until :meth:`EngineThread.stop`.
    """

    name: str
    fingerprint: str
    manifest: Manifest
    model: LanguageModel
    engine: EngineThread
    settings: ServerSettings

    @classmethod
    def load(cls, bundle: Bundle, *, settings: ServerSettings, metrics: Metrics) -> Self:
        """Load the model and start its engine.

        Raises:
            BundleError: the bundle is damaged, or lacks the n-gram model or the neural cache.
        """
        model = LanguageModel.of_bundle(bundle, mixture=settings.mixture, cache=settings.cache)
        engine = Engine(
            model.runtime,
            num_slots=settings.num_slots,
            max_waiting=settings.max_waiting,
            prefix_cache_bytes=int(settings.state_cache_megabytes * 1e6),
            on_step=metrics.record_step,
        )
        path = bundle.path.resolve()
        name = EMBEDDED_NAME if path == EMBEDDED_PATH.resolve() else path.name
        metrics.watch_engine(name, engine)
        return cls(
            name=name,
            fingerprint=bundle.fingerprint,
            manifest=bundle.manifest,
            model=model,
            engine=EngineThread(engine),
            settings=settings,
        )

    def deadline(self, timeout_seconds: float | None) -> float:
        """Return when a request with this timeout ends, on the clock of `time.monotonic`."""
        limit = self.settings.timeout_seconds
        return time.monotonic() + min(timeout_seconds or limit, limit)


class ServedModels:
    """The models that requests choose from by name.

    Attributes:
        default: the model of a request without a name.

    Raises:
        InputError: two have the same name.
    """

    def __init__(self, models: Sequence[ServedModel]) -> None:
        self.default = models[0]
        self._by_name = {model.name: model for model in models}
        names = [model.name for model in models]
        for name in self._by_name:
            if names.count(name) > 1:
                raise InputError(
                    f"two of the bundles are called {name!r}, and requests choose by name: "
                    "rename a folder",
                    code="server.duplicate_name",
                )

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def notices(self) -> list[str]:
        """Sentences about models that were imported."""
        return [
            f"{model.name}: {notice}" if len(self) > 1 else notice
            for model in self
            if model.manifest.imported is not None
            for notice in model.manifest.imported.notices
        ]

    def find(self, name: str | None) -> ServedModel:
        """Return the model with this name; None is the default one.

        Raises:
            UnknownModelError: there is none.
        """
        if name is None:
            return self.default
        if name not in self._by_name:
            raise UnknownModelError(name, list(self._by_name))
        return self._by_name[name]

    @property
    def are_accepting(self) -> bool:
        """Whether new requests are accepted, until the server begins to stop."""
        return all(model.engine.is_accepting for model in self)

    def stop(self, grace_seconds: float) -> None:
        """Accept no more requests; return when the running ones have ended or time is up."""
        stopping = [
            threading.Thread(target=model.engine.stop, args=(grace_seconds,)) for model in self
        ]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()

    def abort(self) -> None:
        """End a :meth:`stop` at once."""
        for model in self:
            model.engine.abort()
