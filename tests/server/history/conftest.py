from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from lorelm.server.app import create_app
from lorelm.server.settings import ServerSettings
from lorelm.server.state import server_state

NewClient = Callable[..., FlaskClient]


@pytest.fixture
def new_app(tiny_bundle: Path, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Create applications that share a history in SQLite."""
    apps = []

    def make(**settings: Any) -> Any:
        url = f"sqlite:///{tmp_path / 'history.db'}"
        usual: dict[str, Any] = {"bundles": [tiny_bundle], "history": url}
        app = create_app(ServerSettings(**(usual | settings)))
        apps.append(app)
        return app

    yield make
    for app in apps:
        server_state(app).close()
