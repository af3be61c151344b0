from lorelm.corpus.token_keys import DOCUMENT_END_KEY, document_keys, line_break_key, token_keys
from lorelm.corpus.tokenizer import make_tokenizer

words = make_tokenizer("words")


def test_equal_words_have_equal_keys_and_others_have_others() -> None:
    keys = token_keys(["the", "ring", "the", "Ring", "<unk>"], words).tolist()
    assert keys[0] == keys[2]
    assert len(set(keys)) == 4
    assert DOCUMENT_END_KEY not in keys


def test_keys_are_the_same_on_every_machine() -> None:
    """They are kept in bundles: BLAKE2b of the word in UTF-8, 8 bytes, little-endian."""
    assert token_keys(["ring"], words).tolist() == [0x7ABF931436DEC4E1]


def test_the_marks_of_spacing_do_not_count() -> None:
    assert token_keys(["￭,", ",", "(￭", "("], words).tolist() == [
        *[token_keys([","], words)[0]] * 2,
        *[token_keys(["("], words)[0]] * 2,
    ]


def test_documents_stand_between_their_ends() -> None:
    keys = document_keys([["a", "\n", "b"], ["a"]], words).tolist()
    a, b = token_keys(["a", "b"], words).tolist()
    end, line_break = int(DOCUMENT_END_KEY), int(line_break_key(words))
    assert keys == [end, a, line_break, b, end, a, end]
    assert line_break != end


def test_no_documents_are_one_end() -> None:
    assert document_keys([], words).tolist() == [DOCUMENT_END_KEY]
