"""The main way of the studio in Debian's Firefox, where it is installed."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.firefox import Firefox
from tests.server.studio.conftest import RunningStudio
from tests.server.studio.main_way import go_from_a_file_to_a_site

pytestmark = [pytest.mark.system, pytest.mark.slow]


@pytest.fixture
def firefox(tmp_path: Path) -> Iterator[Firefox]:
    program = shutil.which("firefox-esr")
    if program is None:
        pytest.skip("no Firefox: apt-get install firefox-esr")
    with Firefox(program, tmp_path) as browser:
        yield browser


def test_from_a_file_to_a_model_and_a_site(
    firefox: Firefox, start_studio: Callable[..., RunningStudio], tmp_path: Path
) -> None:
    go_from_a_file_to_a_site(firefox, start_studio(), tmp_path)
