import shlex

from hypothesis import given
from hypothesis import strategies as st

from lorelm.bundle.quoting import quoted

ANY_PATH = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))


@given(ANY_PATH)
def test_the_shell_reads_one_word_which_is_the_path(path: str) -> None:
    assert shlex.split(quoted(path)) == [path]


def test_a_path_that_needs_no_quotes_has_none() -> None:
    assert quoted("../models/my-model.1") == "../models/my-model.1"
