from pathlib import Path

import pytest

from lorelm.machine.temporary import temporary_folder


def fill_and_fail(folders: list[Path]) -> None:
    with temporary_folder() as folder:
        folders.append(folder)
        (folder / "inner").mkdir()
        (folder / "inner" / "file").write_text("content", encoding="utf-8")
        raise KeyError


def test_the_folder_is_deleted_after_an_error_too() -> None:
    folders: list[Path] = []
    with pytest.raises(KeyError):
        fill_and_fail(folders)
    assert folders[0].name.startswith("lorelm-")
    assert not folders[0].exists()
