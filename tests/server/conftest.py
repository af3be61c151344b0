from pathlib import Path

import pytest
from flask.testing import FlaskClient

from lorelm.server.app import create_app
from lorelm.server.settings import ServerSettings


@pytest.fixture(scope="session")
def client(tiny_bundle: Path) -> FlaskClient:
    return create_app(ServerSettings(bundle=tiny_bundle)).test_client()
