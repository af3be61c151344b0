from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lorelm.server.studio.names import file_name, folder_name, free_name, is_folder_name, same_name


@example(". notes")
@given(st.text(max_size=200))
def test_a_name_is_a_name_on_every_system(title: str) -> None:
    name = folder_name(title, "Text")
    assert name
    assert len(name.encode()) <= 4 * 81
    for path in (PurePosixPath(name), PureWindowsPath(name)):
        assert path.name == name
    assert not name.startswith(".")
    assert not name.endswith((".", " "))
    assert folder_name(name, "Text") == name


@given(st.text(max_size=300))
def test_an_uploaded_file_stays_in_its_folder(given_name: str) -> None:
    name = file_name(given_name)
    assert "/" not in name
    assert "\\" not in name
    assert name not in (".", "..")
    assert PureWindowsPath(name).name == name


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        ("my novel.txt", "my novel.txt"),
        ("../../.ssh/authorized_keys", "authorized_keys"),
        ("C:\\Users\\me\\novel.docx", "novel.docx"),
        ("..", "file"),
        ("con.txt", "con_.txt"),
        ("NUL.tar.gz", "NUL_.tar.gz"),
        ("com1 .old.txt", "com1_ .old.txt"),
        ("lpt².txt", "lpt²_.txt"),
        ("console.txt", "console.txt"),
        ("Ünïcode – 小説.epub", "Ünïcode – 小説.epub"),
        ("a" * 200 + ".csv", "a" * 80 + ".csv"),
        ("<script>.txt", "script.txt"),
        ("", "file"),
    ],
)
def test_names_of_uploaded_files(given_name: str, expected: str) -> None:
    assert file_name(given_name) == expected


def test_a_folder_that_macos_has_named_is_known() -> None:
    """Its Finder writes é as e and an accent."""
    assert is_folder_name("Cafe\u0301")
    assert same_name("CAFE\u0301") == same_name("Café") == "café"
    assert not is_folder_name("a/b")
    assert not is_folder_name("")


def test_a_name_that_is_taken_gets_a_number() -> None:
    taken = {"tales", "tales 2", "a.txt"}
    assert free_name("tales", taken.__contains__) == "tales 3"
    assert free_name("a.txt", taken.__contains__) == "a.txt 2"
    assert free_name("a.txt", taken.__contains__, has_ending=True) == "a 2.txt"
    assert free_name("new", taken.__contains__) == "new"
