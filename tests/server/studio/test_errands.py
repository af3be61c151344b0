import io

import psutil
import pytest
from tests.server.studio.conftest import Studio, wait_for
from tests.server.studio.test_texts import TALES

pytestmark = pytest.mark.system


def test_a_command_that_runs_ends_with_the_studio(studio: Studio) -> None:
    before = set(psutil.Process().children())
    name = studio.state.library.add_text("Tales", [("a.txt", io.BytesIO(TALES.encode()))])
    studio.state.errands.open()
    studio.state.errands.inspect(name)
    wait_for(lambda: set(psutil.Process().children()) - before)
    studio.state.stop(0)
    studio.state.errands._thread.join(60)
    assert not studio.state.errands._thread.is_alive()
    assert not set(psutil.Process().children()) - before
    # The next studio reads it: that this one ended says nothing of the text.
    text = studio.state.library.text(name)
    assert (text.report, text.error) == (None, "")
