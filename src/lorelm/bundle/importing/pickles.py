"""A machine that reads foreign pickles and can build nothing but plain values: :func:`read_pickle`.

Python's own unpickler imports and calls whatever a pickle names, and its C code reserves as many
gigabytes as a pickle claims. This one goes through the operations that :mod:`pickletools` takes
apart. It builds None, numbers, texts, bytes, lists, tuples, sets and dicts; a class becomes a
:class:`Name`, an instance a :class:`Record`, and a tensor a :class:`TensorClaim`, which says where
its numbers lie. What it builds is bounded, and so is what walks it: nothing contains itself, and
nothing is nested deeply or grows when it is written out (a list of ten times a list of ten times a
list...).
"""

import io
import pickletools
import sys
import warnings
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from lorelm.bundle.importing.pickle_names import (
    NOT_NEEDED,
    STORAGE_ITEM_BYTES,
    Use,
    full_name,
    use_of,
)
from lorelm.errors import InputError

MAX_PICKLE_BYTES: Final = 16_000_000
"""The longest pickle that is read; 450,000 words take half of it."""

MAX_BUILT_BYTES: Final = 100_000_000
"""What may be built of a pickle, as estimated; a list of 450,000 words takes this."""

MAX_DEPTH: Final = 100
"""A module within a module takes three; no model is as deep as this."""

MAX_WRITTEN_OUT: Final = 10_000_000
"""How many values there may be if each is counted wherever it occurs."""

_MAX_INT_BYTES: Final = 32
_CONTAINER_BYTES: Final = 800
"""Of one container, with what :func:`check_walkable` notes of it."""

_MAKE_CONTAINERS: Final = frozenset(
    (
        *("EMPTY_LIST", "LIST", "EMPTY_DICT", "DICT", "EMPTY_SET", "FROZENSET"),
        *("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "REDUCE", "NEWOBJ", "NEWOBJ_EX"),
    )
)
_OTHER_BYTES: Final = 60
_AGAIN_BYTES: Final = 240
"""Of a container in another place: no memory, but time for all who walk through it."""

_MEMO_BYTES: Final = 40

_MAX_KEY_INT: Final = 2**60
"""Beyond, whole numbers can be chosen that all have one hash: a dict of them takes for ever."""

_MAX_KEY_TUPLE: Final = 8
_MAX_DIMENSIONS: Final = 8
_MAX_STORAGE_KEY: Final = 100
_MAX_STORAGE_ITEMS: Final = 2**52


@dataclass(frozen=True)
class Name:
    """A class or function that a pickle names: a text, no more."""

    full: str
    use: Use


@dataclass(eq=False)
class Record:
    """An instance of a class that is not there: the arguments it was made of, and its state.

    Attributes:
        items: what was appended to it or set in it.
    """

    name: str
    arguments: tuple[Any, ...] = ()
    state: Any = None
    items: Any = None

    @property
    def attributes(self) -> dict[str, Any]:
        """Its state by attribute, where it has that form."""
        state = self.state[0] if isinstance(self.state, tuple) and self.state else self.state
        return state if isinstance(state, dict) else {}


@dataclass(frozen=True)
class StorageClaim:
    """Where a pickle says that numbers lie.

    Attributes:
        type: the name of the storage's type, of :data:`STORAGE_ITEM_BYTES`.
        key: of the storage in the file.
        num_items: how many numbers it is said to hold.
    """

    type: str
    key: str
    num_items: int

    @property
    def num_bytes(self) -> int:
        return self.num_items * STORAGE_ITEM_BYTES[self.type]


@dataclass(frozen=True)
class TensorClaim:
    """A tensor as a pickle describes it; its numbers lie within its storage, none counted twice."""

    storage: StorageClaim
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


@dataclass(frozen=True)
class Pickled:
    """What was read.

    Attributes:
        names: all names that it holds, as Python 3 writes them.
        storages: all storages that it claims, by their keys.
        num_bytes: the length of the pickle.
        built_bytes: what was built of it, as estimated, and of those before it in the file.
    """

    value: Any
    names: frozenset[str]
    storages: dict[str, StorageClaim]
    num_bytes: int
    built_bytes: int


def read_pickle(data: bytes, *, built_bytes: int = 0) -> Pickled:
    """Reads the pickle that `data` begins with.

    Args:
        built_bytes: what was built of those before it in the file.

    Raises:
        InputError: it is none, is cut off or damaged, wants a name that is not known, or would
            grow beyond all measure. The message fits behind the name of the file.
    """
    machine = _Machine(built_bytes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # at odd escapes in texts that Python 2 wrote
        value, end = machine.run(data)
    check_walkable(value)
    return Pickled(value, frozenset(machine.names), machine.storages, end, machine.built_bytes)


class _Mark:
    pass


_MARK: Final = _Mark()


class _Machine:
    """The stack and the memo of one pickle."""

    def __init__(self, built_bytes: int) -> None:
        self.names: set[str] = set()
        self.storages: dict[str, StorageClaim] = {}
        self.built_bytes = built_bytes
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, data: bytes) -> tuple[Any, int]:
        """The value, and where the pickle ends."""
        for opcode, argument, position in _operations(data):
            if opcode == "STOP":
                if len(self._stack) != 1 or self._stack[0] is _MARK:
                    raise InputError("it is damaged: it ends with something left over")
                return self._stack[0], position + 1
            self._charge(_CONTAINER_BYTES if opcode in _MAKE_CONTAINERS else _OTHER_BYTES)
            try:
                self._do(opcode, argument)
            except InputError:
                raise
            except (LookupError, TypeError, ValueError) as error:
                raise InputError(
                    f"it is no pickle, or is damaged (at byte {position:,}, {opcode})"
                ) from error
        raise AssertionError("pickletools ends with STOP or an error")

    def _do(self, opcode: str, argument: Any) -> None:
        if opcode in _CONSTANTS:
            self._stack.append(_CONSTANTS[opcode]())
        elif opcode in _LITERALS:
            self._push_literal(argument)
        elif opcode in _HANDLERS:
            _HANDLERS[opcode](self, argument)
        elif opcode not in ("PROTO", "FRAME"):
            raise InputError(f"it wants the operation {opcode}, which no such file needs")

    def _charge(self, num_bytes: int) -> None:
        self.built_bytes += num_bytes
        if self.built_bytes > MAX_BUILT_BYTES:
            raise InputError(
                f"it would grow to more than {MAX_BUILT_BYTES / 1e6:,.0f} MB: no vocabulary and "
                "no description of a model does"
            )

    def _push_literal(self, value: Any) -> None:
        if isinstance(value, int) and value.bit_length() > 8 * _MAX_INT_BYTES:
            raise InputError(f"it holds a number of {value.bit_length() // 8:,} bytes")
        if isinstance(value, str | bytes | bytearray):
            self._charge(sys.getsizeof(value))
        self._stack.append(bytes(value) if isinstance(value, bytearray) else value)

    def _pop(self) -> Any:
        value = self._stack.pop()
        if value is _MARK:
            raise LookupError("a mark stands where a value should")
        return value

    def _top(self) -> Any:
        value = self._stack[-1]
        if value is _MARK:
            raise LookupError("a mark stands where a value should")
        return value

    def _pop_to_mark(self) -> list[Any]:
        for place in range(len(self._stack) - 1, -1, -1):
            if self._stack[place] is _MARK:
                values = self._stack[place + 1 :]
                del self._stack[place:]
                return values
        raise LookupError("there is no mark")

    # The stack itself, and the memo.

    def _mark(self, _: Any) -> None:
        self._stack.append(_MARK)

    def _drop(self, _: Any) -> None:
        self._stack.pop()

    def _drop_to_mark(self, _: Any) -> None:
        self._pop_to_mark()

    def _duplicate(self, _: Any) -> None:
        self._push_again(self._top())

    def _put(self, key: int) -> None:
        self._charge(_MEMO_BYTES)
        self._memo[key] = self._top()

    def _memoize(self, _: Any) -> None:
        self._put(len(self._memo))

    def _get(self, key: int) -> None:
        self._push_again(self._memo[key])

    def _push_again(self, value: Any) -> None:
        if isinstance(value, _CONTAINERS):
            self._charge(_AGAIN_BYTES)
        self._stack.append(value)

    # Containers.

    def _tuple_of(self, count: int) -> None:
        values = [self._pop() for _ in range(count)]
        self._stack.append(tuple(reversed(values)))

    def _tuple(self, _: Any) -> None:
        self._stack.append(tuple(self._pop_to_mark()))

    def _list(self, _: Any) -> None:
        self._stack.append(self._pop_to_mark())

    def _dict(self, _: Any) -> None:
        values = self._pop_to_mark()
        self._stack.append({})
        self._set(values)

    def _frozenset(self, _: Any) -> None:
        self._stack.append(frozenset(map(_hashable, self._pop_to_mark())))

    def _append(self, _: Any) -> None:
        value = self._pop()
        self._extend([value])

    def _appends(self, _: Any) -> None:
        self._extend(self._pop_to_mark())

    def _extend(self, values: list[Any]) -> None:
        target = self._top()
        if isinstance(target, Record):
            target.items = target.items if isinstance(target.items, list) else []
            target = target.items
        if not isinstance(target, list):
            raise TypeError("no list to append to")
        target.extend(values)

    def _add_items(self, _: Any) -> None:
        values = self._pop_to_mark()
        target = self._top()
        if not isinstance(target, set):
            raise TypeError("no set to add to")
        target.update(map(_hashable, values))

    def _set_item(self, _: Any) -> None:
        value = self._pop()
        key = self._pop()
        self._set([key, value])

    def _set_items(self, _: Any) -> None:
        self._set(self._pop_to_mark())

    def _set(self, values: list[Any]) -> None:
        if len(values) % 2:
            raise LookupError("a key without a value")
        self._charge(_MEMO_BYTES * len(values) // 2)
        target = self._top()
        if isinstance(target, Record):
            target.items = target.items if isinstance(target.items, dict) else {}
            target = target.items
        if not isinstance(target, dict):
            raise TypeError("no dict to set in")
        for key, value in zip(values[::2], values[1::2], strict=True):
            target[_hashable(key)] = value

    # Names, and what is made with them.

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._push_name(module, name)

    def _stack_global(self, _: Any) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(module, str) or not isinstance(name, str):
            raise TypeError("a name is not a text")
        self._push_name(module, name)

    def _push_name(self, module: str, name: str) -> None:
        self._charge(len(module) + len(name))  # each time: the same long one may come often
        use = use_of(module, name)
        full = full_name(module, name)
        self.names.add(full)
        self._stack.append(Name(full, use))

    def _reduce(self, _: Any) -> None:
        arguments, name = self._pop(), self._pop()
        self._stack.append(self._called(name, arguments))

    def _new_object(self, _: Any) -> None:
        arguments, name = self._pop(), self._pop()
        self._stack.append(self._instance(name, arguments))

    def _new_object_with_keywords(self, _: Any) -> None:
        keywords, arguments, name = self._pop(), self._pop(), self._pop()
        self._stack.append(self._instance(name, (arguments, keywords)))

    def _instance(self, name: Any, arguments: Any) -> Any:
        if not isinstance(name, Name) or not isinstance(arguments, tuple):
            raise TypeError("no class")
        if name.use in (Use.INSTANCE, Use.RECORD):
            return Record(name.full, arguments)
        return self._called(name, arguments)

    def _called(self, name: Any, arguments: Any) -> Any:
        if not isinstance(name, Name) or not isinstance(arguments, tuple):
            raise TypeError("no function")
        if name.use not in _CALLS:
            raise InputError(f"it wants to call {name.full}")
        return _CALLS[name.use](self, name, arguments)

    def _record(self, name: Name, arguments: tuple[Any, ...]) -> Record:
        return Record(name.full, arguments)

    def _reconstructed(self, _: Name, arguments: tuple[Any, ...]) -> Any:
        return self._instance(arguments[0], ())

    def _mapping(self, _: Name, arguments: tuple[Any, ...]) -> dict[Any, Any]:
        """A dict in place of an OrderedDict or its like, from its items or a dict."""
        given = [argument for argument in arguments if isinstance(argument, dict | list | tuple)]
        if not given:
            return {}
        items = given[0].items() if isinstance(given[0], dict) else given[0]
        self._charge(_OTHER_BYTES * len(items))
        return {_hashable(key): value for key, value in items}

    def _collection(self, name: Name, arguments: tuple[Any, ...]) -> Any:
        [given] = arguments or ((),)
        if not isinstance(given, list | tuple | set | frozenset):
            raise InputError(f"it wants to call {name.full} with something else than a list")
        self._charge(_OTHER_BYTES * len(given))
        if name.full == "builtins.list":
            return list(given)
        if name.full == "builtins.tuple":
            return tuple(given)
        return set(map(_hashable, given))

    def _encode(self, name: Name, arguments: tuple[Any, ...]) -> bytes:
        encoded = _encoded(name, *arguments)
        self._charge(len(encoded))
        return encoded

    def _build(self, _: Any) -> None:
        state = self._pop()
        target = self._top()
        if isinstance(target, Record):
            target.state = state
        elif not isinstance(target, dict):  # what an OrderedDict has besides its items is not used
            raise InputError(f"it wants to change {_described(target)}")

    def _storage(self, _: Any) -> None:
        """A storage that the pickle leaves to the file: ("storage", type, key, device, number)."""
        match self._pop():
            case (
                "storage",
                Name(full=full),
                str() as key,
                str(),
                int() as num_items,
                *views,
            ) if (
                full.removeprefix("torch.") in STORAGE_ITEM_BYTES
                and 0 <= num_items < _MAX_STORAGE_ITEMS
                and len(key) <= _MAX_STORAGE_KEY
                and not any(views)
            ):
                claim = StorageClaim(full.removeprefix("torch."), key, num_items)
                if self.storages.setdefault(key, claim) != claim:
                    raise InputError(f"it claims two things of the storage {key!r}")
                self._stack.append(claim)
            case ("module", Name() as name, *_):  # the source text of a class follows: not wanted
                self._stack.append(name)
            case _:
                raise InputError("it wants something from outside that is not a tensor's storage")


_CALLS: Final[dict[Use, Callable[[_Machine, Name, tuple[Any, ...]], Any]]] = {
    Use.RECORD: _Machine._record,
    Use.MAPPING: _Machine._mapping,
    Use.COLLECTION: _Machine._collection,
    Use.RECONSTRUCT: _Machine._reconstructed,
    Use.ENCODE: _Machine._encode,
    Use.TENSOR: lambda _, __, arguments: _tensor(*arguments[:4]),
    Use.PARAMETER: lambda _, __, arguments: _parameter(arguments[0]),
}

_CONSTANTS: Final[dict[str, Callable[[], Any]]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}

_LITERALS: Final = frozenset(
    (
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BYTEARRAY8"),
    )
)

_HANDLERS: Final[dict[str, Callable[[_Machine, Any], None]]] = {
    "MARK": _Machine._mark,
    "POP": _Machine._drop,
    "POP_MARK": _Machine._drop_to_mark,
    "DUP": _Machine._duplicate,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine._put),
    "MEMOIZE": _Machine._memoize,
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine._get),
    "TUPLE": _Machine._tuple,
    "TUPLE1": lambda machine, _: machine._tuple_of(1),
    "TUPLE2": lambda machine, _: machine._tuple_of(2),
    "TUPLE3": lambda machine, _: machine._tuple_of(3),
    "LIST": _Machine._list,
    "DICT": _Machine._dict,
    "FROZENSET": _Machine._frozenset,
    "APPEND": _Machine._append,
    "APPENDS": _Machine._appends,
    "ADDITEMS": _Machine._add_items,
    "SETITEM": _Machine._set_item,
    "SETITEMS": _Machine._set_items,
    "GLOBAL": _Machine._global,
    "STACK_GLOBAL": _Machine._stack_global,
    "REDUCE": _Machine._reduce,
    "NEWOBJ": _Machine._new_object,
    "NEWOBJ_EX": _Machine._new_object_with_keywords,
    "BUILD": _Machine._build,
    "BINPERSID": _Machine._storage,
}


def _operations(data: bytes) -> Iterator[tuple[str, Any, int]]:
    """The operations of a pickle, their arguments, and where they stand."""
    try:
        # From memory: a file would be asked for as many bytes as the pickle claims to hold.
        for opcode, argument, position in pickletools.genops(io.BytesIO(data)):
            assert position is not None
            if opcode.name == "INST":  # it names a class, and would call it
                module, _, name = str(argument).partition(" ")
                use_of(module, name)
            yield opcode.name, argument, position
    except InputError:
        raise
    except (ValueError, LookupError, OverflowError) as error:
        raise InputError(f"it is no pickle, or is cut off or damaged ({_short(error)})") from error


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 100 else f"{text[:100]}..."


def _hashable(key: Any) -> Any:
    """A key of a dict or a member of a set: a plain value, or a few texts in a tuple.

    Python's hash of texts is another in every process. Of numbers it is not, so that many can be
    chosen which have the same; and that of tuples of tuples may take for ever.
    """
    if isinstance(key, tuple):
        is_plain = len(key) <= _MAX_KEY_TUPLE and all(isinstance(each, str | bytes) for each in key)
    elif isinstance(key, int):
        is_plain = abs(key) < _MAX_KEY_INT
    else:
        is_plain = key is None or isinstance(key, str | bytes | Name)
    if not is_plain:
        raise InputError(f"it wants {_described(key)} as a key, {NOT_NEEDED}")
    return key


def _described(value: Any) -> str:
    if isinstance(value, Name):
        return value.full
    if isinstance(value, int | tuple):
        return f"such {'a number' if isinstance(value, int) else 'a tuple'}"
    return f"a {type(value).__name__}"


def _encoded(name: Name, text: Any = "", encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise InputError(f"it wants to call {name.full} with something else than a text and latin1")
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise InputError("it holds bytes that are none") from error


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any) -> TensorClaim:
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


def _parameter(data: Any) -> TensorClaim:
    if not isinstance(data, TensorClaim):
        raise InputError("it makes a parameter of something else than a tensor")
    return data


_TOO_DEEP: Final = f"it is nested more than {MAX_DEPTH} deep"

_CONTAINERS: Final = dict | list | tuple | set | frozenset | Record


def _children(value: Any) -> Collection[Any]:
    """What a container contains, but for the keys of a dict, which are plain."""
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, Record):
        return value.arguments, value.state, value.items
    assert isinstance(value, list | tuple | set | frozenset)
    return value


class _Visit:
    """A container that is looked at: what is still to be seen of it, and what was found."""

    def __init__(self, container: Any) -> None:
        children = _children(container)
        self.key = id(container)
        self.rest = (each for each in children if isinstance(each, _CONTAINERS))
        self.depth = 1
        self.size = 1 + len(children)

    def add(self, depth: int, size: int) -> None:
        """Counts a container within it."""
        self.depth = max(self.depth, 1 + depth)
        self.size += size
        if self.depth > MAX_DEPTH:
            raise InputError(_TOO_DEEP)
        if self.size > MAX_WRITTEN_OUT:
            raise InputError(f"it expands to more than {MAX_WRITTEN_OUT:,} values")


def check_walkable(root: Any) -> None:
    """Refuses what contains itself, is nested deeply, or grows when it is written out.

    Each container is looked at once, without recursion, and without a list of what is to come: a
    list may have the same thing in a million places.

    Raises:
        InputError: it does. The message fits behind the name of the file.
    """
    path = [_Visit(root)] if isinstance(root, _CONTAINERS) else []
    open_ = {visit.key for visit in path}
    left: dict[int, tuple[int, int]] = {}
    while path:
        visit = path[-1]
        for inner in visit.rest:
            if id(inner) in open_:
                raise InputError("it contains itself")
            if id(inner) not in left:
                path.append(_Visit(inner))
                open_.add(id(inner))
                break
            visit.add(*left[id(inner)])
        else:
            path.pop()
            open_.remove(visit.key)
            left[visit.key] = visit.depth, visit.size
            if path:
                path[-1].add(visit.depth, visit.size)
        if len(path) > MAX_DEPTH:
            raise InputError(_TOO_DEEP)
