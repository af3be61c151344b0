from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelm.corpus.tokenizer import Tokenizer, make_tokenizer
from lorelm.generation.detokenizer import Detokenizer, _StopMatcher

WORDS = make_tokenizer("words")
tokens = st.lists(st.sampled_from(["a", "ab", "abc", "b", "c", "￭,", "￭.", "\n", "￭-￭", "￭"]))
stops = st.lists(st.text(alphabet="abc ,.\n-", min_size=1, max_size=6), max_size=3)


class Feed:
    """A detokenizer that is fed tokens in place of ids."""

    def __init__(
        self,
        prompt: str = "",
        last_token: str | None = None,
        stop: Sequence[str] = (),
        tokenizer: Tokenizer = WORDS,
    ) -> None:
        self._tokens: list[str] = []
        self._num_given = 0
        self.detokenizer = Detokenizer(
            tokenizer, self._tokens, prompt=prompt, last_token=last_token, stop=stop
        )

    def add(self, token: str) -> list[str]:
        """Add a token; return the chunks that have become certain."""
        self._tokens.append(token)
        self.detokenizer.extend([len(self._tokens) - 1])
        return self._certain()

    def flush(self) -> list[str]:
        self.detokenizer.flush()
        return self._certain()

    def _certain(self) -> list[str]:
        first, self._num_given = self._num_given, self.detokenizer.num_certain
        return self.detokenizer.chunks[first : self._num_given]

    def texts(self, tokens: list[str]) -> list[str]:
        return ["".join(self.add(token)) for token in tokens]


def test_chunks_read_on() -> None:
    feed = Feed("He said", "said")
    assert feed.texts(["yes", "￭,", "but", "\n", "No"]) == [" yes", ",", " but", "\n", "No"]


def test_no_second_space_follows_a_space() -> None:
    assert Feed("He said ", "said").texts(["yes", "no"]) == ["yes", " no"]
    assert Feed("He said\n", "\n").texts(["\n", "No", "no"]) == ["", "No", " no"]


def test_chunks_that_may_begin_a_stop_text_are_held_back() -> None:
    feed = Feed(stop=["the end"])
    assert feed.texts(["in", "the", "beginning"]) == ["in", "", " the beginning"]
    assert feed.texts(["the", "end"]) == ["", " "]
    assert feed.detokenizer.is_stopped


def test_held_chunks_are_released_at_the_end() -> None:
    feed = Feed(stop=["the end"])
    assert feed.texts(["in", "the"]) == ["in", ""]
    assert feed.flush() == [" the"]
    assert not feed.detokenizer.is_stopped


def test_a_stop_text_within_a_token_cuts_it() -> None:
    feed = Feed(stop=["ginn"])
    assert feed.add("beginning") == ["be"]
    assert feed.detokenizer.is_stopped


def test_a_token_after_the_cut_has_no_chunk() -> None:
    feed = Feed(stop=["b c"])
    assert feed.add("ab") == []
    assert feed.add("c") == ["a"]
    assert feed.detokenizer.chunks == ["a"]


@pytest.mark.parametrize("tokenizer", [WORDS, make_tokenizer("classic")], ids=["words", "classic"])
@given(added=tokens, stop=stops, prompt=st.sampled_from(["", "a", "a ", "a\n", "a\n "]))
def test_the_text_is_that_of_all_tokens_up_to_the_first_stop_text(
    tokenizer: Tokenizer, added: list[str], stop: list[str], prompt: str
) -> None:
    prompt_tokens = tokenizer.tokenize_prompt(prompt)
    last = prompt_tokens[-1] if prompt_tokens else None
    feed = Feed(prompt, last, stop, tokenizer)
    chunks: list[str] = []
    num_added = 0
    for token in added:
        chunks += feed.add(token)
        num_added += 1
        if feed.detokenizer.is_stopped:
            break
    chunks += feed.flush()
    whole = tokenizer.detokenize(added[:num_added], previous=last)
    if prompt[-1:].isspace():
        whole = whole.lstrip()
    places = [whole.find(s) for s in stop if s in whole]
    assert feed.detokenizer.is_stopped == bool(places)
    expected = whole[: min(places)] if places else whole
    assert "".join(chunks) == expected
    assert chunks == feed.detokenizer.chunks
    assert len(chunks) == num_added or places


@given(added=tokens, stop=stops)
def test_certain_chunks_are_never_part_of_a_later_stop_text(
    added: list[str], stop: list[str]
) -> None:
    feed = Feed(stop=stop)
    passed = ""
    for token in added:
        passed += "".join(feed.add(token))
        assert not any(s in passed for s in stop)
        if feed.detokenizer.is_stopped:
            break


@given(
    parts=st.lists(st.text(alphabet="ab", max_size=4), max_size=12),
    stop=st.text(alphabet="ab", min_size=1, max_size=5),
)
def test_the_matcher_finds_a_text_wherever_the_parts_are_cut(parts: list[str], stop: str) -> None:
    matcher, seen = _StopMatcher(stop), ""
    for part in parts:
        found = matcher.feed(part)
        seen += part
        if found is not None:
            assert seen.find(stop) == len(seen) - found
            return
        assert stop not in seen
        assert matcher.num_matched == max(n for n in range(len(stop)) if seen.endswith(stop[:n]))
