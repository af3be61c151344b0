from hypothesis import given
from hypothesis import strategies as st

from lorelm.history.tables import decode_text, encode_text, search_text

ANY_TEXT = st.text(st.characters() | st.sampled_from("\x00\x1a\ud800\udfff\U00100000"))


@given(ANY_TEXT)
def test_every_text_is_decoded_to_itself(text: str) -> None:
    written = encode_text(text)
    assert "\x00" not in written
    written.encode()
    assert decode_text(written) == text


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_the_encoding_of_a_part_is_part_of_the_encoding(before: str, part: str, after: str) -> None:
    assert encode_text(part) in encode_text(before + part + after)


@given(ANY_TEXT)
def test_a_search_ignores_case(text: str) -> None:
    assert search_text(text.casefold()) == search_text(text)
