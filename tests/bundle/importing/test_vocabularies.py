"""Vocabularies in every form that people have, without torchtext."""

import collections
import contextlib
import json
import pickle
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.bundle.importing.foreign import Saved
from tests.errors import raises_code

from lorelm.bundle.importing.vocabularies import read_vocabulary
from lorelm.errors import InputError

WORDS = ["<unk>", "<eos>", "the", "fox", "it's", "\n", "naïve", "a\x92b", "\u2028"]
BY_WORD = {word: id_ for id_, word in enumerate(WORDS)}
BY_ID = dict(enumerate(WORDS))


def words_of(path: Path, size: int = len(WORDS)) -> list[str | None]:
    return list(read_vocabulary(path, size=size)[0])


@pytest.fixture
def torchtext() -> Iterator[Callable[[str, str], type]]:
    """Classes that pickle as torchtext's do; the package itself does not install any more."""
    made: list[str] = []

    def make(module: str, name: str) -> type:
        for part in (module.partition(".")[0], module):
            if part not in sys.modules:
                sys.modules[part] = types.ModuleType(part)
                made.append(part)
        class_ = type(name, (), {"__module__": module})
        setattr(sys.modules[module], name, class_)
        return class_

    yield make
    for module in made:
        del sys.modules[module]


def old_vocab(torchtext: Callable[[str, str], type], module: str = "torchtext.vocab") -> Any:
    """The Vocab of torchtext before 0.9: lists and dicts as attributes."""
    vocab = torchtext(module, "Vocab")()
    vocab.freqs = collections.Counter({"the": 5, "fox": 2})
    vocab.itos = list(WORDS)
    vocab.stoi = collections.defaultdict(int, BY_WORD)
    vocab.unk_index = 0
    return vocab


def new_vocab(torchtext: Callable[[str, str], type]) -> Any:
    """The Vocab of torchtext 0.9 to 0.18: a module around a class in C++, which pickles a tuple."""
    inner_class = torchtext("torchtext._torchtext", "Vocab")
    inner_class.__getstate__ = lambda self: ("0.0.2", [0], list(WORDS), [])  # type: ignore[attr-defined]
    vocab = torchtext("torchtext.vocab.vocab", "Vocab")()
    vocab.training = True
    vocab._parameters = collections.OrderedDict()
    vocab._modules = collections.OrderedDict(vocab=inner_class())
    return vocab


LISTS: dict[str, Any] = {
    "a list": WORDS,
    "a tuple": tuple(WORDS),
    "a list of bytes": [word.encode() for word in WORDS],
    "word to index": BY_WORD,
    "word to index, shuffled": dict(reversed(BY_WORD.items())),
    "an ordered dict": collections.OrderedDict(BY_WORD),
    "index to word": BY_ID,
    "among settings": {
        "emb_dim": 64,
        "hid_dim": 128,
        "vocab": WORDS,
        "optimizers": ["adam", "sgd"],
    },
    "both directions": {"word2idx": BY_WORD, "idx2word": BY_ID, "counts": {"the": 5, "fox": 2}},
    "nested": ({"lr": 0.1}, [{"data": {"stoi": BY_WORD}}]),
}


@pytest.mark.parametrize("form", LISTS)
@pytest.mark.parametrize("file", ["v.pkl", "v.pt"])
def test_words_are_found_in_every_form(form: str, file: str, saved: Saved) -> None:
    assert words_of(saved(file, LISTS[form])) == WORDS


@pytest.mark.parametrize("file", ["v.pkl", "v.pt"])
@pytest.mark.parametrize("is_inside", [True, False], ids=["in a dict", "alone"])
@pytest.mark.parametrize("make", [old_vocab, new_vocab])
def test_torchtext_vocabularies_are_read_without_torchtext(
    make: Any, is_inside: bool, file: str, saved: Saved, torchtext: Any
) -> None:
    vocab = make(torchtext)
    path = saved(file, {"vocab": vocab, "hid_dim": 1024} if is_inside else vocab)
    assert words_of(path) == WORDS


def test_the_users_own_vocabulary_class_is_read(saved: Saved, torchtext: Any) -> None:
    dictionary = torchtext("data", "Dictionary")()
    dictionary.word2idx, dictionary.idx2word = BY_WORD, WORDS
    assert words_of(saved("v.pkl", {"corpus": dictionary})) == WORDS


@pytest.mark.parametrize("value", [WORDS, BY_WORD, BY_ID, {"model": {"vocab": BY_WORD}}])
def test_json_is_read(value: Any, saved: Saved) -> None:
    assert words_of(saved("v.json", json.dumps(value))) == WORDS
    assert words_of(saved("v.txt", " " + json.dumps(value))) == WORDS


text_words = st.lists(
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1)
    | st.sampled_from(["\n", "[PAD]", "{"]),
    min_size=2,
)


@given(words=text_words, end=st.sampled_from(["", "\n"]), is_dos=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_text_has_a_word_a_line_and_a_line_break_is_a_word(
    words: list[str], end: str, is_dos: bool, tmp_path: Path
) -> None:
    if words[-1] == "\n":
        end = "\n"
    text = "\n".join(words) + end
    path = tmp_path / "v.txt"
    path.write_bytes(("\ufeff" + (text.replace("\n", "\r\n") if is_dos else text)).encode())
    assert words_of(path) == words


@pytest.mark.parametrize("first", ["[PAD]", "[", "{", '{"a": 1}'])
def test_a_text_may_begin_like_json(first: str, saved: Saved) -> None:
    assert words_of(saved("v.txt", f"{first}\n[UNK]\nthe\n")) == [first, "[UNK]", "the"]


@pytest.mark.parametrize("value", [["the", "fox", "owl"], {"the": 0, "fox": 1, "owl": 2}])
def test_a_pickle_of_protocol_0_is_recognised_under_any_name(value: Any, tmp_path: Path) -> None:
    path = tmp_path / "v.vocab"
    path.write_bytes(pickle.dumps(value, 0))
    assert words_of(path) == ["the", "fox", "owl"]


def test_a_text_may_have_words_and_ids_in_columns(saved: Saved) -> None:
    assert words_of(saved("v.txt", "fox\t1\nthe\t0\nowl\t2\n")) == ["the", "fox", "owl"]
    counts = "the\t5000\nfox\t17\n"
    assert words_of(saved("counts.txt", counts)) == counts.split("\n")[:-1]


def test_an_empty_line_is_an_id_without_a_word(saved: Saved) -> None:
    assert words_of(saved("v.txt", "the\n\nfox\n")) == ["the", None, "fox"]


def test_ids_without_a_word_are_left_open(saved: Saved) -> None:
    counted_from_one = {"the": 1, "fox": 2, "owl": 4}
    assert words_of(saved("v.pkl", counted_from_one)) == [None, "the", "fox", None, "owl"]


def test_lone_surrogates_are_replaced(saved: Saved) -> None:
    assert words_of(saved("v.pkl", ["the", "\ud800x"])) == ["the", "?x"]


def test_the_vocabulary_of_the_models_size_is_preferred(saved: Saved) -> None:
    characters = ["a", "b", "c"]
    path = saved("v.pkl", {"vocab": characters, "more": WORDS})
    assert words_of(path, size=len(WORDS)) == WORDS
    assert words_of(path, size=3) == characters


@pytest.mark.parametrize(
    ("file", "value", "wanted"),
    [
        ("v.pkl", {"emb_dim": 64, "hid_dim": 128}, "holds no vocabulary"),
        ("v.pkl", {"the": 5000, "fox": 17}, "holds no vocabulary"),
        ("v.pkl", [1, 2, 3], "holds no vocabulary"),
        ("v.pkl", "no pickle", "no pickle"),
        ("v.json", "[1, 2", "as JSON"),
        ("v.json", "[" * 900 + "]" * 900, "holds no vocabulary"),
        ("v.json", "[" * 90_000, "as JSON"),
        ("v.json", f"[{','.join(['[]'] * 200_000)}]", "too many lists"),
        ("v.txt", "a\n" * 1_000_002, "1,000,000 lines"),
        ("v.txt", "", "holds no vocabulary"),
        ("v.pkl", "version https://git-lfs.github.com/spec/v1\noid sha256:1", "git lfs pull"),
        ("v.pkl", "Speak friend", "no pickle"),
        ("v.pkl", "\n<!DOCTYPE html>", "web page"),
        ("v.pkl", "<unk>\n<eos>\nthe\n", "a text and no pickle"),
        ("v.json", f"[{','.join(['1'] * 1_200_000)}]", "more than 1,000,000 values"),
        ("v.txt", b"\xff\xfe\x00", "neither a pickle nor a text"),
    ],
)
def test_other_files_are_refused(file: str, value: Any, wanted: str, saved: Saved) -> None:
    path = saved(file, value.encode() if isinstance(value, str) else value)
    with pytest.raises(InputError) as refused:
        read_vocabulary(path, size=9)
    assert file in str(refused.value)
    assert wanted in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with raises_code(InputError, "import.unreadable"):
        read_vocabulary(tmp_path / "v.pkl", size=9)


@given(data=st.binary(max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_is_read_or_refused(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_bytes(data)
    with contextlib.suppress(InputError):
        assert read_vocabulary(path, size=9)[0]


@pytest.mark.parametrize(
    ("settings_", "style"),
    [
        ({"tokenizer": "basic_english"}, "basic_english"),
        ({"tokenizer": "spacy"}, None),
        ({"lr": 0.1}, None),
    ],
)
def test_a_named_tokenizer_is_found(
    settings_: dict[str, Any], style: str | None, saved: Saved
) -> None:
    path = saved("v.pkl", {"vocab": WORDS} | settings_)
    assert read_vocabulary(path, size=9)[1] == style


def test_a_tokenizer_of_torchtext_is_recognised_by_its_name(saved: Saved) -> None:
    named = b"ctorchtext.data.utils\n_basic_english_normalize\n"
    path = saved("v.pkl", b"\x80\x02](" + pickle.dumps(WORDS, 2)[2:-1] + named + b"e.")
    assert read_vocabulary(path, size=9)[1] == "basic_english"


def real(words: Sequence[str | None]) -> list[str]:
    return [word for word in words if word is not None]


@pytest.mark.parametrize(
    ("file", "size", "first", "style"),
    [
        ("vocab_gutenberg.pkl", 14_204, ["<unk>", "<eos>", ",", "the", "and", "."], None),
        ("LSTMData.pkl", 9803, ["<unk>", "<eos>", ".", ",", "the", "and"], "basic_english"),
    ],
)
def test_real_vocabularies_are_read(
    file: str, size: int, first: list[str], style: str | None, corpus_file: Callable[[str], Path]
) -> None:
    words, tokenizer = read_vocabulary(corpus_file(f"legacy/{file}"), size=9803)
    assert list(words[:6]) == first
    assert len(words) == len(set(real(words))) == size
    assert tokenizer == style
