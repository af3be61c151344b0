"""The main way of the studio in Debian's WebKit, where it is installed. It stands for Safari."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.server.studio.conftest import RunningStudio
from tests.server.studio.main_way import go_from_a_file_to_a_site
from tests.webkit import WebKit

pytestmark = [pytest.mark.system, pytest.mark.slow]


@pytest.fixture
def webkit() -> Iterator[WebKit]:
    driver, xvfb = shutil.which("WebKitWebDriver"), shutil.which("Xvfb")
    if driver is None:
        pytest.skip("no WebKit: apt-get install webkit2gtk-driver")
    if xvfb is None:
        pytest.skip("no display for WebKit: apt-get install xvfb")
    with WebKit(driver, xvfb) as browser:
        yield browser


def test_from_a_file_to_a_model_and_a_site(
    webkit: WebKit, start_studio: Callable[..., RunningStudio], tmp_path: Path
) -> None:
    go_from_a_file_to_a_site(webkit, start_studio(), tmp_path)
