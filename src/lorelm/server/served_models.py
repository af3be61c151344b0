"""All models of one server, each with an engine of its own: :class:`ServedModels`."""

import threading
from collections.abc import Iterator, Sequence

from lorelm.errors import InputError, UnknownModelError
from lorelm.server.served_model import ServedModel


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
