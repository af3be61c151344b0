"""Allow-list of the names that a foreign pickle may hold, and inert stand-ins for them.

A class or function becomes a :class:`Name`, which is only a string: nothing is imported, so
nothing can run. Unknown names are refused: a list of good names is shorter than one of bad names,
and does not age. An instance becomes a :class:`Record`, and a tensor a :class:`TensorClaim`, which
says where its numbers lie. A few calls give plain values: a dict in place of an ``OrderedDict``,
bytes of a text.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from lorelm.errors import InputError

_NOT_NEEDED: Final = (
    "which neither weights nor words need: save model.state_dict() alone, or the list of the words"
)

# NumPy's number type by the name of a storage type, a class of the module torch.
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

# Beyond it, integers can be chosen that share one hash: a dict of 40,000 takes 8 seconds.
_MAX_KEY_INT: Final = 2**60
_MAX_KEY_TUPLE: Final = 8
_MAX_DIMENSIONS: Final = 8
_MAX_STORAGE_KEY: Final = 100
_MAX_STORAGE_ITEMS: Final = 2**52


@dataclass(frozen=True)
class Name:
    """A class or function that a pickle names.

    Attributes:
        full: with its module, as Python 3 writes it.
        result: returns what a call of it gives, from the full name and the arguments, which it
            may refuse; None where it may only be held.
        is_users_own: a class of the user's own, which may have instances but is not called.
    """

    full: str
    result: Callable[[str, tuple[Any, ...]], Any] | None = None
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
    """A storage as a pickle describes it, by its type in :data:`STORAGE_DTYPES` and its key."""

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
    """A tensor as a pickle describes it, in numbers, not in bytes; it lies within its storage."""

    storage: StorageClaim
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


CONTAINERS: Final = dict | list | tuple | set | frozenset | Record


def call(name: Any, arguments: Any, *, makes_instance: bool = False) -> Any:
    """Return the stand-in for the result of a call, or for an instance of a class."""
    if not isinstance(name, Name) or not isinstance(arguments, tuple):
        raise TypeError("no function")
    if name.result is None or (name.is_users_own and not makes_instance):
        raise InputError(f"it wants to call {name.full!r}")
    return name.result(name.full, arguments)


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
        raise InputError(f"it wants {described(key)} as a key, {_NOT_NEEDED}")


def described(value: Any) -> str:
    """Name a value in an error."""
    if isinstance(value, Name):
        return repr(value.full)
    chosen = {int: "such a number", tuple: "such a tuple"}
    return chosen.get(type(value), f"a {type(value).__name__}")


def claim_storage(persistent_id: Any) -> StorageClaim | Name:
    """Return what a pickle leaves to its file: ("storage", type, key, device, number of items)."""
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


def _instance(_: str, arguments: tuple[Any, ...]) -> Any:
    """Return an instance as old pickles make it: of a class, its base and the base's state."""
    return call(arguments[0], (), makes_instance=True)


def _dict(_: str, arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """Return a dict in place of an OrderedDict or its like, from its items or a dict."""
    given = next((each for each in arguments if isinstance(each, dict | list | tuple)), ())
    items = list(given.items() if isinstance(given, dict) else given)
    for key, _value in items:
        check_key(key)
    return dict(items)


def _collection(name: str, arguments: tuple[Any, ...]) -> Any:
    [given] = arguments or ((),)
    if not isinstance(given, list | tuple | set | frozenset):
        raise InputError(f"it wants to call {name!r} with something else than a list")
    if name in ("builtins.list", "builtins.tuple"):
        return list(given) if name == "builtins.list" else tuple(given)
    for member in given:
        check_key(member)
    return set(given)


def _encoded_text(name: str, arguments: tuple[Any, ...]) -> bytes:
    text, encoding = arguments + ("", "latin1")[len(arguments) :]
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise InputError(f"it wants to call {name!r} with something else than a text and latin1")
    return text.encode("latin-1")


def _tensor(_: str, arguments: tuple[Any, ...]) -> TensorClaim:
    storage, offset, shape, stride = arguments[:4]
    if isinstance(shape, Record) and shape.name == "torch.Size" and shape.arguments:
        shape = shape.arguments[0]
    is_possible = all(map(_are_sizes, (shape, stride, (offset,)))) and len(shape) == len(stride)
    if not is_possible or not isinstance(storage, StorageClaim):
        raise InputError("it describes a tensor that cannot be")
    num_numbers = math.prod(shape)
    last = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True) if size)
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


def _parameter(_: str, arguments: tuple[Any, ...]) -> TensorClaim:
    if not isinstance(arguments[0], TensorClaim):
        raise InputError("it makes a parameter of something else than a tensor")
    return arguments[0]


_DTYPES: Final = (
    "float16 bfloat16 float32 float64 half float double bool int8 int16 int32 int64 uint8 long int "
    "complex64 complex128"
)

_NAMES: Final = {
    _dict: "collections.OrderedDict collections.Counter collections.defaultdict builtins.dict",
    _collection: "builtins.list builtins.tuple builtins.set builtins.frozenset",
    _encoded_text: "_codecs.encode builtins.bytes",
    _instance: "copyreg._reconstructor",
    _tensor: "torch._utils._rebuild_tensor torch._utils._rebuild_tensor_v2",
    _parameter: "torch._utils._rebuild_parameter torch._utils._rebuild_parameter_with_state",
    # Wrappers around modules, settings that lie beside the weights, and torchtext's vocabularies:
    # the first one, the wrapper in Python, and the one in C++.
    Record: """
        argparse.Namespace types.SimpleNamespace functools.partial uuid.UUID decimal.Decimal
        datetime.datetime datetime.date datetime.timedelta datetime.timezone
        pathlib.Path pathlib.PosixPath pathlib.WindowsPath
        pathlib.PurePosixPath pathlib.PureWindowsPath
        pathlib._local.PosixPath pathlib._local.WindowsPath
        pathlib._local.PurePosixPath pathlib._local.PureWindowsPath
        numpy.dtype numpy.ndarray
        numpy.core.multiarray.scalar numpy.core.multiarray._reconstruct
        numpy._core.multiarray.scalar numpy._core.multiarray._reconstruct
        torch.Size torch.device torch.torch_version.TorchVersion
        torch.serialization._get_layout torch._dynamo.eval_frame.OptimizedModule
        torch.nn.parallel.data_parallel.DataParallel
        torch.nn.parallel.distributed.DistributedDataParallel
        torchtext.vocab.Vocab torchtext.vocab.vocab.Vocab torchtext._torchtext.Vocab
        torchtext.experimental.vocab.Vocab torchtext.legacy.vocab.Vocab
        torchtext.data.field.Field torchtext.legacy.data.field.Field
    """,
    None: """
        builtins.int builtins.float builtins.str builtins.bool builtins.object
        builtins.long builtins.unicode
        torchtext.vocab._default_unk_index torchtext.legacy.vocab._default_unk_index
        torchtext.data.utils._basic_english_normalize torchtext.data.utils._split_tokenizer
        torchtext.data.utils.get_tokenizer
    """,
}
# What a call of each name on the list gives; None where it may be held, and not called.
_KNOWN: Final[dict[str, Any]] = {
    **{f"torch.{name}": None for name in (*STORAGE_DTYPES, *_DTYPES.split())},
    **{name: result for result, names in _NAMES.items() for name in names.split()},
}

# Module names of Python 2, which pickles of protocol 2 hold too.
_OLD_MODULES: Final = {"__builtin__": "builtins", "copy_reg": "copyreg"}
_MAX_NAME: Final = 300
_NESTED: Final = ("pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib")
# Packages in which a user has no class: only the names above are allowed.
_CLOSED: Final = ("lorelm", "numpy", "torch", "torchtext", "onnxruntime", "flask", "click")


def find_name(module: str, name: str) -> Name:
    """Return the stand-in for a class or function on the list, or a class of the user's own."""
    module = _OLD_MODULES.get(module, module)
    full = f"{module}.{name}"
    if len(full) > _MAX_NAME:
        raise InputError(f"it wants a name of {len(full):,} characters")
    if full in _KNOWN:
        return Name(full, _KNOWN[full])
    package = module.partition(".")[0]
    if package in _NESTED or full == "torch.storage._load_from_bytes":
        raise InputError(
            f"it wants {full!r}, a pickle within the pickle: save it by torch.save, not by pickle"
        )
    if "." in name:
        raise InputError(f"it wants {full!r}, an attribute of an attribute")
    if module.startswith("torch.nn.modules.") and name.isidentifier():
        return Name(full, Record)
    is_closed = package in _CLOSED or package in sys.stdlib_module_names
    if is_closed or not all(part.isidentifier() for part in full.split(".")):
        raise InputError(f"it wants {full!r}, {_NOT_NEEDED}")
    return Name(full, Record, is_users_own=True)
