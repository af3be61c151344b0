from pathlib import Path

import pytest

from lorelm.machine.folders import data_folder


def test_a_variable_names_the_folder_on_every_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORELM_DATA", str(tmp_path / "mine"))
    assert data_folder() == tmp_path / "mine"
    monkeypatch.setenv("LORELM_DATA", "")
    assert data_folder().name == "lorelm"
