from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from lorelm.server.app import HISTORY, SERVED_MODELS, create_app
from lorelm.server.settings import ServerSettings

NewClient = Callable[..., FlaskClient]


@pytest.fixture
def new_app(tiny_bundle: Path, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Makes applications that share a history in SQLite."""
    apps = []

    def make(**settings: Any) -> Any:
        url = f"sqlite:///{tmp_path / 'history.db'}"
        usual: dict[str, Any] = {"bundles": [tiny_bundle], "history": url}
        app = create_app(ServerSettings(**(usual | settings)))
        apps.append(app)
        return app

    yield make
    for app in apps:
        app.extensions[SERVED_MODELS].stop(grace_seconds=0)
        if app.extensions[HISTORY] is not None:
            app.extensions[HISTORY].close(timeout_seconds=5)
