import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelm.corpus.tokenizer import Tokenizer, make_tokenizer
from lorelm.generation.continuation import Continuation, Piece, _Watch

WORDS = make_tokenizer("words")
tokens = st.lists(st.sampled_from(["a", "ab", "abc", "b", "c", "￭,", "￭.", "\n", "￭-￭", "￭"]))
stops = st.lists(st.text(alphabet="abc ,.\n-", min_size=1, max_size=6), max_size=3)


def texts(continuation: Continuation, added: list[str]) -> list[str]:
    return ["".join(piece.text for piece in continuation.add(token)) for token in added]


def test_tokens_come_as_they_are_read_on() -> None:
    continuation = Continuation(WORDS, "He said", "said", ())
    assert texts(continuation, ["yes", "￭,", "but", "\n", "No"]) == [
        " yes",
        ",",
        " but",
        "\n",
        "No",
    ]


def test_behind_a_space_no_second_one_comes() -> None:
    assert texts(Continuation(WORDS, "He said ", "said", ()), ["yes", "no"]) == ["yes", " no"]
    assert texts(Continuation(WORDS, "He said\n", "\n", ()), ["\n", "No", "no"]) == [
        "",
        "No",
        " no",
    ]


def test_what_may_begin_a_stop_text_is_held_back() -> None:
    continuation = Continuation(WORDS, "", None, ["the end"])
    assert texts(continuation, ["in", "the", "beginning"]) == ["in", "", " the beginning"]
    assert texts(continuation, ["the", "end"]) == ["", " "]
    assert continuation.is_stopped


def test_what_was_held_back_comes_at_the_end() -> None:
    continuation = Continuation(WORDS, "", None, ["the end"])
    assert texts(continuation, ["in", "the"]) == ["in", ""]
    assert continuation.rest() == [Piece(" the", 1)]
    assert not continuation.is_stopped


def test_a_stop_text_within_a_token_cuts_it() -> None:
    continuation = Continuation(WORDS, "", None, ["ginn"])
    assert continuation.add("beginning") == [Piece("be", 0)]
    assert continuation.is_stopped


def test_a_token_behind_the_cut_is_no_piece() -> None:
    continuation = Continuation(WORDS, "", None, ["b c"])
    assert continuation.add("ab") == []
    assert continuation.add("c") == [Piece("a", 0)]


@pytest.mark.parametrize("tokenizer", [WORDS, make_tokenizer("classic")], ids=["words", "classic"])
@given(added=tokens, stop=stops, prompt=st.sampled_from(["", "a", "a ", "a\n", "a\n "]))
def test_the_text_is_that_of_all_tokens_up_to_the_first_stop_text(
    tokenizer: Tokenizer, added: list[str], stop: list[str], prompt: str
) -> None:
    prompt_tokens = tokenizer.tokenize_prompt(prompt)
    last = prompt_tokens[-1] if prompt_tokens else None
    continuation = Continuation(tokenizer, prompt, last, stop)
    pieces: list[Piece] = []
    num_added = 0
    for token in added:
        pieces += continuation.add(token)
        num_added += 1
        if continuation.is_stopped:
            break
    pieces += continuation.rest()
    whole = tokenizer.detokenize(added[:num_added], previous=last)
    if prompt[-1:].isspace():
        whole = whole.lstrip()
    places = [whole.find(s) for s in stop if s in whole]
    assert continuation.is_stopped == bool(places)
    expected = whole[: min(places)] if places else whole
    assert "".join(piece.text for piece in pieces) == expected
    assert [piece.place for piece in pieces] == list(range(len(pieces)))


@given(added=tokens, stop=stops)
def test_nothing_is_taken_back(added: list[str], stop: list[str]) -> None:
    """What was passed on is never part of a stop text that comes up later."""
    continuation = Continuation(WORDS, "", None, stop)
    passed = ""
    for token in added:
        passed += "".join(piece.text for piece in continuation.add(token))
        assert not any(s in passed for s in stop)
        if continuation.is_stopped:
            break


@given(
    parts=st.lists(st.text(alphabet="ab", max_size=4), max_size=12),
    stop=st.text(alphabet="ab", min_size=1, max_size=5),
)
def test_a_watch_finds_a_text_wherever_the_parts_are_cut(parts: list[str], stop: str) -> None:
    watch, seen = _Watch(stop), ""
    for part in parts:
        found = watch.look(part)
        seen += part
        if found is not None:
            assert seen.find(stop) == len(seen) - found
            return
        assert stop not in seen
        assert watch.num_matched == max(n for n in range(len(stop)) if seen.endswith(stop[:n]))
