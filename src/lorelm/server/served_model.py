"""A model of a server with its engine: :class:`ServedModel`."""

import hashlib
import time
from dataclasses import dataclass, replace
from typing import Self

from lorelm.bundle import Bundle
from lorelm.bundle.manifest import Manifest
from lorelm.generation.controls import shown_perplexity
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
        return cls(
            name=bundle.name,
            fingerprint=bundle.fingerprint,
            manifest=bundle.manifest,
            model=model,
            engine=_start_engine(model, bundle.name, settings, metrics),
            settings=settings,
        )

    def blended_with(self, other: "ServedModel", metrics: Metrics) -> "ServedModel":
        """Return this model to be blended with another one, in an engine of its own.

        Raises:
            SamplingError: they cannot be blended.
        """
        model = self.model.blended_with(other.model, name=other.name)
        both = f"{self.fingerprint} {other.fingerprint}".encode()
        return replace(
            self,
            fingerprint=hashlib.sha256(both).hexdigest()[: len(self.fingerprint)],
            model=model,
            engine=_start_engine(model, f"{self.name}+{other.name}", self.settings, metrics),
        )

    @property
    def title(self) -> str:
        """What people read: the title of the page if it is the only model, else its source.

        One title for several models would not tell them apart.
        """
        if self.settings.title and len(self.settings.bundles) == 1:
            return self.settings.title
        return self.manifest.source

    @property
    def perplexity(self) -> float | None:
        """Of the test part, by the network or by the mixture that is served."""
        return shown_perplexity(self.manifest, is_mixed=self.model.is_mixed)

    def deadline(self, timeout_seconds: float | None) -> float:
        """Return when a request with this timeout ends, on the clock of `time.monotonic`."""
        limit = self.settings.timeout_seconds
        return time.monotonic() + min(timeout_seconds or limit, limit)


def _start_engine(
    model: LanguageModel, name: str, settings: ServerSettings, metrics: Metrics
) -> EngineThread:
    engine = Engine(
        model.runtime,
        num_slots=settings.num_slots,
        max_waiting=settings.max_waiting,
        prefix_cache_bytes=int(settings.state_cache_megabytes * 1e6),
        on_step=metrics.record_step,
    )
    metrics.watch_engine(name, engine)
    return EngineThread(engine)
