from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from lorelm.server.app import SERVED_MODELS, create_app
from lorelm.server.settings import ServerSettings


@pytest.fixture(scope="session")
def client(tiny_bundle: Path) -> Iterator[FlaskClient]:
    app = create_app(ServerSettings(bundles=[tiny_bundle]))
    yield app.test_client()
    app.extensions[SERVED_MODELS].stop(grace_seconds=0)
