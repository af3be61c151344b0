import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.systems import needs_shell_quotes

from lorelm.machine.quoting import quoted

ANY_PATH = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))


@needs_shell_quotes
@given(ANY_PATH)
def test_the_shell_reads_a_quoted_path_as_one_word(path: str) -> None:
    assert shlex.split(quoted(path)) == [path]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("C:\\models\\my-model.1", "C:\\models\\my-model.1"),
        ("my model", '"my model"'),
        ("salt&pepper", '"salt&pepper"'),
        ("C:\\my models\\", '"C:\\my models\\\\"'),
        ("größe", "größe"),
        ("", '""'),
        ("it's", '"it\'s"'),
        ("$HOME's `x`", "'$HOME''s `x`'"),
    ],
)
def test_cmd_and_powershell_read_a_quoted_path_as_one_word(
    path: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lorelm.machine.quoting._IS_WINDOWS", True)
    assert quoted(path) == expected


def test_a_plain_path_is_not_quoted() -> None:
    assert quoted("../models/my-model.1") == "../models/my-model.1"
