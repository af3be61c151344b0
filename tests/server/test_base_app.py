import mimetypes

import pytest

from lorelm.server.base_app import base_app


@pytest.mark.parametrize(
    ("file", "type_"),
    [
        ("write.js", "text/javascript"),
        ("style.css", "text/css"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_a_static_file_has_its_type_whatever_the_system_says(file: str, type_: str) -> None:
    """The registry of Windows often says that scripts are text/plain."""
    mimetypes.add_type("text/plain", f".{file.rpartition('.')[2]}")
    response = base_app().test_client().get(f"/static/{file}")
    assert response.mimetype == type_
    response.close()
