"""Inert stand-ins for what a foreign pickle names, makes and calls.

A class becomes a :class:`Name`, an instance a :class:`Record`, and a tensor a :class:`TensorClaim`,
which says where its numbers lie. A few calls give plain values: a dict in place of an
``OrderedDict``, bytes of a text.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from lorelm.errors import InputError

NOT_NEEDED: Final = (
    "which neither weights nor words need: save model.state_dict() alone, or the list of the words"
)

STORAGE_DTYPES: Final = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "<u2",  # NumPy has no bfloat16
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "|b1",
    "ComplexFloatStorage": "<c8",
    "ComplexDoubleStorage": "<c16",
}
"""NumPy's number type by the name of a storage type, a class of the module ``torch``."""

_MAX_KEY_INT: Final = 2**60
"""Beyond it, integers can be chosen that share one hash: a dict of 40,000 takes 8 seconds."""

_MAX_KEY_TUPLE: Final = 8
_MAX_DIMENSIONS: Final = 8
_MAX_STORAGE_KEY: Final = 100
_MAX_STORAGE_ITEMS: Final = 2**52


@dataclass(frozen=True)
class Name:
    """A class or function that a pickle names.

    Attributes:
        full: with its module, as Python 3 writes it.
        call: gives the result of calling it; None where it may only be held.
        is_users_own: a class of the user's own, which may have instances but is not called.
    """

    full: str
    call: "Call | None" = None
    is_users_own: bool = False


@dataclass(eq=False)
class Record:
    """An instance of a class that is not imported.

    Attributes:
        arguments: what it was constructed from.
        state: what ``__setstate__`` would get.
        items: what was appended to it or set in it.
    """

    name: str
    arguments: tuple[Any, ...] = ()
    state: Any = None
    items: Any = None

    @property
    def attributes(self) -> dict[str, Any]:
        """The state by attribute, where it has that form."""
        state = self.state[0] if isinstance(self.state, tuple) and self.state else self.state
        return state if isinstance(state, dict) else {}

    def append(self, value: Any) -> None:
        if not isinstance(self.items, list):
            self.items = []
        self.items.append(value)

    def __setitem__(self, key: Any, value: Any) -> None:
        if not isinstance(self.items, dict):
            self.items = {}
        self.items[key] = value


@dataclass(frozen=True)
class StorageClaim:
    """A storage as a pickle describes it.

    Attributes:
        type: a key of :data:`STORAGE_DTYPES`.
        key: names the storage in the file.
        num_items: how many numbers it is said to hold.
    """

    type: str
    key: str
    num_items: int

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(STORAGE_DTYPES[self.type])

    @property
    def num_bytes(self) -> int:
        return self.num_items * self.dtype.itemsize


@dataclass(frozen=True)
class TensorClaim:
    """A tensor as a pickle describes it; it lies within its storage, and no number counts twice.

    Attributes:
        offset, shape, stride: in numbers, not in bytes.
    """

    storage: StorageClaim
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


CONTAINERS: Final = dict | list | tuple | set | frozenset | Record


Call = Callable[[Name, tuple[Any, ...]], Any]
"""Makes the result of calling a name with arguments.

It raises InputError where it refuses them, and TypeError, ValueError or LookupError where there are
too many or too few.
"""


def call_name(name: Any, arguments: Any) -> Any:
    """Return the stand-in for the result of a call."""
    if not isinstance(name, Name) or not isinstance(arguments, tuple):
        raise TypeError("no function")
    if name.call is None:
        raise InputError(f"it wants to call {name.full}")
    return name.call(name, arguments)


def instantiate(name: Any, arguments: Any) -> Any:
    """Return the stand-in for an instance of a class."""
    if isinstance(name, Name) and name.is_users_own and isinstance(arguments, tuple):
        return Record(name.full, arguments)
    return call_name(name, arguments)


def make_record(name: Name, arguments: tuple[Any, ...]) -> Record:
    return Record(name.full, arguments)


def make_instance(_: Name, arguments: tuple[Any, ...]) -> Any:
    """Make an instance as old pickles do: of a class, its base and the base's state."""
    return instantiate(arguments[0], ())


def check_key(key: Any) -> None:
    """Refuse a key of a dict, or a member of a set, whose hash is expensive or can be chosen.

    Allowed are plain values and a few texts in a tuple. Python randomises the hash of texts. That
    of numbers can be chosen, and that of nested tuples takes exponential time.
    """
    if isinstance(key, tuple):
        is_plain = len(key) <= _MAX_KEY_TUPLE and all(isinstance(each, str | bytes) for each in key)
    elif isinstance(key, int):
        is_plain = abs(key) < _MAX_KEY_INT
    else:
        is_plain = key is None or isinstance(key, str | bytes | Name)
    if not is_plain:
        raise InputError(f"it wants {described(key)} as a key, {NOT_NEEDED}")


def described(value: Any) -> str:
    """Name a value in an error."""
    if isinstance(value, Name):
        return value.full
    if isinstance(value, int | tuple):
        return f"such {'a number' if isinstance(value, int) else 'a tuple'}"
    return f"a {type(value).__name__}"


def claim_storage(persistent_id: Any) -> StorageClaim | Name:
    """Return what a pickle leaves to its file: ("storage", type, key, device, number of items).

    Raises:
        InputError: it is something else.
    """
    match persistent_id:
        case ("storage", Name(full=full), str() as key, str(), int() as num_items, *views) if (
            full.removeprefix("torch.") in STORAGE_DTYPES
            and 0 <= num_items < _MAX_STORAGE_ITEMS
            and len(key) <= _MAX_STORAGE_KEY
            and not any(views)
        ):
            return StorageClaim(full.removeprefix("torch."), key, num_items)
        case ("module", Name() as name, *_):  # the source code of a class follows; it is ignored
            return name
    raise InputError("it wants something from outside that is not a tensor's storage")


def make_dict(_: Name, arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """Make a dict in place of an OrderedDict or its like, from its items or a dict."""
    given = [argument for argument in arguments if isinstance(argument, dict | list | tuple)]
    if not given:
        return {}
    items = list(given[0].items() if isinstance(given[0], dict) else given[0])
    for key, _value in items:
        check_key(key)
    return dict(items)


def make_collection(name: Name, arguments: tuple[Any, ...]) -> Any:
    [given] = arguments or ((),)
    if not isinstance(given, list | tuple | set | frozenset):
        raise InputError(f"it wants to call {name.full} with something else than a list")
    if name.full == "builtins.list":
        return list(given)
    if name.full == "builtins.tuple":
        return tuple(given)
    for member in given:
        check_key(member)
    return set(given)


def encode_text(name: Name, arguments: tuple[Any, ...]) -> bytes:
    text, encoding = arguments + ("", "latin1")[len(arguments) :]
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise InputError(f"it wants to call {name.full} with something else than a text and latin1")
    return text.encode("latin-1")


def make_tensor(_: Name, arguments: tuple[Any, ...]) -> TensorClaim:
    storage, offset, shape, stride = arguments[:4]
    if isinstance(shape, Record) and shape.name == "torch.Size" and shape.arguments:
        shape = shape.arguments[0]
    if not isinstance(storage, StorageClaim) or not (
        _are_sizes(shape)
        and _are_sizes(stride)
        and _are_sizes((offset,))
        and len(shape) == len(stride)
    ):
        raise InputError("it describes a tensor that cannot be")
    num_numbers = 1
    last = offset
    for size, step in zip(shape, stride, strict=True):
        num_numbers *= size
        last += max(size - 1, 0) * step
    if num_numbers > storage.num_items or (num_numbers and last >= storage.num_items):
        raise InputError(
            f"it describes a tensor of the sizes {list(shape)} within {storage.num_items:,} numbers"
        )
    return TensorClaim(storage, offset, tuple(shape), tuple(stride))


def _are_sizes(values: Any) -> bool:
    return (
        isinstance(values, tuple | list)
        and len(values) <= _MAX_DIMENSIONS
        and all(type(value) is int and 0 <= value < 2**63 for value in values)
    )


def make_parameter(_: Name, arguments: tuple[Any, ...]) -> TensorClaim:
    if not isinstance(arguments[0], TensorClaim):
        raise InputError("it makes a parameter of something else than a tensor")
    return arguments[0]
