from hypothesis import given
from hypothesis import strategies as st

from lorelm.history.rows import as_written, searched, writable

ANY_TEXT = st.text(st.characters() | st.sampled_from("\x00\x1a\ud800\udfff\U00100000"))


@given(ANY_TEXT)
def test_every_text_can_be_written_and_comes_back(text: str) -> None:
    written = writable(text)
    assert "\x00" not in written
    written.encode()
    assert as_written(written) == text


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_a_part_of_a_text_is_a_part_of_what_is_written(before: str, part: str, after: str) -> None:
    assert writable(part) in writable(before + part + after)


@given(ANY_TEXT)
def test_a_search_does_not_see_case(text: str) -> None:
    assert searched(text.casefold()) == searched(text)
