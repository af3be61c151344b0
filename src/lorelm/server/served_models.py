"""All models of one server, each with an engine of its own: :class:`ServedModels`."""

import threading
from collections.abc import Iterator, Sequence

from lorelm.errors import InputError, UnknownModelError
from lorelm.server.served_model import ServedModel


class ServedModels:
    """The models that requests choose from.

    Attributes:
        default: the one of a request that names none.

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
                    f"two of the bundles are called {name!r}, by which requests would choose: "
                    "rename a folder"
                )

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def notices(self) -> list[str]:
        """What is to be known of models that were trained elsewhere, in sentences."""
        return [
            f"{model.name}: {notice}" if len(self) > 1 else notice
            for model in self
            if model.manifest.imported is not None
            for notice in model.manifest.imported.notices
        ]

    def find(self, name: str | None) -> ServedModel:
        """The model of that name; None is the default one.

        Raises:
            UnknownModelError: none is called so.
        """
        if name is None:
            return self.default
        if name not in self._by_name:
            raise UnknownModelError(name, list(self._by_name))
        return self._by_name[name]

    @property
    def are_accepting(self) -> bool:
        """Whether requests are taken; no longer, once the server is about to stop."""
        return all(model.engine.is_accepting for model in self)

    def stop(self, grace_seconds: float) -> None:
        """Takes no more requests, and ends when what is under way is done or the time is over."""
        stopping = [
            threading.Thread(target=model.engine.stop, args=(grace_seconds,)) for model in self
        ]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()

    def hurry(self) -> None:
        """Ends a :meth:`stop` at once."""
        for model in self:
            model.engine.hurry()
