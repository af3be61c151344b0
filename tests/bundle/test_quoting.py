import shlex

from hypothesis import given
from hypothesis import strategies as st

from lorelm.bundle.quoting import quoted

ANY_PATH = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))


@given(ANY_PATH)
def test_the_shell_reads_a_quoted_path_as_one_word(path: str) -> None:
    assert shlex.split(quoted(path)) == [path]


def test_a_plain_path_is_not_quoted() -> None:
    assert quoted("../models/my-model.1") == "../models/my-model.1"
