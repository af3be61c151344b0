from pathlib import Path

import pytest

from lorelm.machine.temporary import temporary_folder


def test_the_folder_is_deleted_after_an_error_too() -> None:
    folder = Path()
    with pytest.raises(KeyError), temporary_folder() as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "file").write_text("content", encoding="utf-8")
        raise KeyError
    assert folder.name.startswith("lorelm-")
    assert not folder.exists()
