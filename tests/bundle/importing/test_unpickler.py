import collections
import contextlib
import io
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorelm.bundle.importing.stubs import Name, Record
from lorelm.bundle.importing.unpickler import read_pickle as read_pickle_file
from lorelm.errors import InputError


def read_pickle(data: bytes) -> Any:
    value, _ = read_pickle_file(io.BytesIO(data))
    return value


plain = st.none() | st.booleans() | st.integers(-(2**200), 2**200) | st.text() | st.binary()
plain |= st.floats(allow_nan=False)
keys = st.none() | st.booleans() | st.integers(-(2**59), 2**59) | st.text()
keys |= st.tuples(st.text(), st.binary())
values = st.recursive(
    plain,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(keys, inner)
        | st.dictionaries(keys, inner).map(collections.OrderedDict)
        | st.sets(keys)
        | st.frozensets(keys)
    ),
    max_leaves=20,
)
protocols = st.integers(0, pickle.HIGHEST_PROTOCOL)


class Settings:
    """A class of the user's own; the pickle holds its name and what it has."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize("module", ["pathlib", "pathlib._local"])
def test_a_path_is_read_by_the_name_that_each_python_gives_it(module: str) -> None:
    """Python 3.13 writes `pathlib._local`; the others, before and after it, `pathlib`."""
    value = read_pickle(f"c{module}\nPosixPath\n(Vdata\nVwords.pkl\ntR.".encode())
    assert isinstance(value, Record)
    assert value.arguments == ("data", "words.pkl")


@given(values, protocols)
def test_plain_values_equal_those_of_pickle(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    file = io.BytesIO(data + b"what follows")
    assert read_pickle_file(file)[0] == value
    assert file.tell() == len(data)


@given(st.dictionaries(st.from_regex("[a-z]+", fullmatch=True), values, max_size=3), protocols)
def test_a_users_own_class_is_a_record(attributes: dict[str, Any], protocol: int) -> None:
    [record] = read_pickle(pickle.dumps([Settings(**attributes)], protocol))
    assert isinstance(record, Record)
    assert record.name == f"{Settings.__module__}.Settings"
    assert record.attributes == attributes


def test_a_function_is_a_name() -> None:
    [name] = read_pickle(pickle.dumps([test_a_function_is_a_name]))
    assert isinstance(name, Name)
    assert name.full.endswith("test_a_function_is_a_name")


def test_escapes_of_an_old_pickle_are_decoded() -> None:
    assert read_pickle(b"S'a\\oc'\np0\n.") == "a\\oc"


def test_a_shared_value_is_shared() -> None:
    inner = ["a"]
    first, second = read_pickle(pickle.dumps([inner, inner]))
    assert first is second


def test_dicts_of_collections_become_plain_dicts() -> None:
    value = {
        "counted": collections.Counter("abca"),
        "default": collections.defaultdict(int, {"a": 1}),
    }
    read = read_pickle(pickle.dumps(value))
    assert read == value
    assert {type(each) for each in read.values()} == {dict}


valid = st.builds(pickle.dumps, values, protocols)


@given(valid, st.data())
def test_a_cut_off_pickle_is_refused(data: bytes, drawn: st.DataObject) -> None:
    length = drawn.draw(st.integers(0, len(data) - 1))
    with pytest.raises(InputError):
        read_pickle(data[:length])


@given(valid, st.lists(st.tuples(st.integers(0, 10**6), st.binary(max_size=3)), max_size=8))
def test_a_damaged_pickle_is_read_or_refused(data: bytes, changes: list[tuple[int, bytes]]) -> None:
    damaged = bytearray(data)
    for place, content in changes:
        start = place % len(damaged)
        damaged[start : start + 1] = content
        damaged = damaged or bytearray(b"N.")
    with contextlib.suppress(InputError):
        read_pickle(bytes(damaged))


@given(
    st.lists(
        st.sampled_from(
            [*b"()]}.0123NKhqeasutlpRbcio\x81\x85\x86\x87\x88\x8c\x8f\x90\x91\x93\x94Q"]
        )
    ).map(bytes)
)
def test_random_opcodes_are_read_or_refused(body: bytes) -> None:
    for data in (body, body + b"."):
        with contextlib.suppress(InputError):
            read_pickle(data)


def test_an_odd_escape_of_python_2_is_read_without_a_warning() -> None:
    assert read_pickle(b"S'a\\qb'\n.") == "a\\qb"


def test_a_hostile_name_is_quoted_in_the_message() -> None:
    with pytest.raises(InputError) as caught:
        read_pickle(b"cos\n\x1b[2Jsystem\n.")
    assert "\x1b" not in str(caught.value)
    assert "'os.\\x1b[2Jsystem'" in str(caught.value)
