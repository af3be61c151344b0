from lorelm.corpus.token_keys import LINE_END_KEY, document_keys, token_keys
from lorelm.corpus.tokenizer import make_tokenizer

words = make_tokenizer("words")


def test_equal_words_have_equal_keys_and_others_have_others() -> None:
    keys = token_keys(["the", "ring", "the", "Ring", "<unk>"], words).tolist()
    assert keys[0] == keys[2]
    assert len(set(keys)) == 4
    assert LINE_END_KEY not in keys


def test_keys_are_the_same_on_every_machine() -> None:
    """They are kept in bundles: BLAKE2b of the word in UTF-8, 8 bytes, little-endian."""
    assert token_keys(["ring"], words).tolist() == [0x7ABF931436DEC4E1]


def test_the_marks_of_spacing_do_not_count() -> None:
    assert token_keys(["￭,", ",", "(￭", "("], words).tolist() == [
        *[token_keys([","], words)[0]] * 2,
        *[token_keys(["("], words)[0]] * 2,
    ]


def test_a_line_break_and_the_end_of_a_document_have_one_key() -> None:
    keys = document_keys([["a", "\n", "b"], ["a"]], words).tolist()
    a, b = token_keys(["a", "b"], words).tolist()
    end = int(LINE_END_KEY)
    assert keys == [end, a, end, b, end, a, end]


def test_no_documents_are_one_line_end() -> None:
    assert document_keys([], words).tolist() == [LINE_END_KEY]
