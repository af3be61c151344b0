"""Read foreign pickles without running anything in them: :func:`read_pickle`.

Python's own unpickler, the one that is written in Python, goes through the operations. A name
becomes an inert stand-in (:mod:`lorelm.bundle.importing.stubs`), and every operation is charged to
a budget of memory and time, so that a small file cannot grow. The C unpickler is not used: it
reserves as many gigabytes as a pickle claims, whatever ``find_class`` does.
"""

import pickle
import pickletools
import sys
import textwrap
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, ClassVar, Final

from lorelm.bundle.importing import stubs
from lorelm.bundle.importing.stubs import CONTAINERS, Name, Record, StorageClaim
from lorelm.errors import InputError

# 450,000 words take half of these bytes, and as a list they are built from all of those.
MAX_PICKLE_BYTES: Final = 16_000_000
MAX_BUILT_BYTES: Final = 100_000_000
# A guard against what the estimate misses: a pickle that builds all that it may takes 3 seconds.
MAX_SECONDS: Final = 60
# A module within a module takes three; no model is as deep as this.
MAX_DEPTH: Final = 100

_MAX_INT_BYTES: Final = 32
# Of larger ones, which only text pickles can hold, many can be chosen that share one hash.
_MAX_MEMO_KEY: Final = 2**32

# Estimates of what an opcode builds: a container, with what `walk` notes of it; anything else; one
# more reference to a container, which takes no memory, but time for whatever walks it; a memo.
_CONTAINER_BYTES: Final = 800
_OTHER_BYTES: Final = 60
_REPEATED_BYTES: Final = 240
_MEMO_BYTES: Final = 40

_CONTAINER_OPCODES: Final = (
    *("EMPTY_LIST", "LIST", "EMPTY_DICT", "DICT", "EMPTY_SET", "FROZENSET"),
    *("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "REDUCE", "NEWOBJ", "NEWOBJ_EX", "INST", "OBJ"),
)
_MEMO_OPCODES: Final = ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "MARK")
_REPEATING_OPCODES: Final = ("DUP", "GET", "BINGET", "LONG_BINGET")
_REFUSED_OPCODES: Final = ("EXT1", "EXT2", "EXT4", "PERSID", "NEXT_BUFFER", "READONLY_BUFFER")
# Opcodes of a later protocol are refused until their handlers were looked at.
_LAST_PROTOCOL: Final = 5
# The keys that an opcode is about to hash; the stack begins at the last mark.
_HASHED: Final = {
    "SETITEM": slice(-2, -1),
    "SETITEMS": slice(None, None, 2),
    "DICT": slice(None, None, 2),
    "ADDITEMS": slice(None),
    "FROZENSET": slice(None),
}


@dataclass
class Budget:
    """What the pickles of one file may still build, together."""

    built_bytes: int = 0
    deadline: float = field(default_factory=lambda: time.monotonic() + MAX_SECONDS)

    def charge(self, num_bytes: int) -> None:
        self.built_bytes += num_bytes
        if self.built_bytes > MAX_BUILT_BYTES:
            raise InputError(
                f"it would grow to more than {MAX_BUILT_BYTES / 1e6:,.0f} MB: no vocabulary and "
                "no description of a model does"
            )
        if time.monotonic() > self.deadline:
            raise InputError(f"it takes more than {MAX_SECONDS} s to read")


def read_pickle(
    file: BinaryIO, budget: Budget | None = None
) -> tuple[Any, dict[str, StorageClaim]]:
    """Return the value of a pickle and all storages that it claims, and leave `file` behind it.

    Args:
        file: in memory: of one on disk, as many bytes would be reserved as the pickle claims.

    Raises:
        InputError: it is no pickle, is damaged, wants a name that is not on the list, or would
            grow too large. The message fits behind the name of the file.
    """
    unpickler = _InertUnpickler(file, budget or Budget())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes in texts that Python 2 wrote
            value = unpickler.load()
    except InputError:
        raise
    except Exception as error:
        text = str(error)[:1_000] or type(error).__name__  # it may quote megabytes
        reason = textwrap.shorten(text, 100, placeholder="...")
        raise InputError(
            f"it is no pickle, or is cut off or damaged ({unpickler.opcode}: {reason})"
        ) from error
    if unpickler.stack or unpickler.metastack:
        raise InputError("it is damaged: it ends with something left over")
    return value, unpickler.storages


class _InertUnpickler(pickle._Unpickler):
    """The unpickler of the standard library, with stand-ins for everything that would run code."""

    dispatch: ClassVar[dict[int, Callable[[Any], None]]]
    stack: list[Any]
    metastack: list[list[Any]]
    memo: dict[int, Any]
    read: Callable[[int], bytes]
    readline: Callable[[], bytes]

    def __init__(self, file: BinaryIO, budget: Budget) -> None:
        super().__init__(file, encoding="latin-1")
        self.budget = budget
        self.storages: dict[str, StorageClaim] = {}
        self.opcode = "start"

    def find_class(self, module: str, name: str) -> Name:
        self.budget.charge(len(module) + len(name))  # each time: a long one may come often
        return stubs.find_name(module, name)

    def persistent_load(self, pid: Any) -> StorageClaim | Name:
        claim = stubs.claim_storage(pid)
        if isinstance(claim, StorageClaim) and self.storages.setdefault(claim.key, claim) != claim:
            raise InputError(f"it claims two things of the storage {claim.key!r}")
        return claim

    def _push_result(self, name: Any, arguments: Any, *, makes_instance: bool = True) -> None:
        """Push what a call gives, and charge what it copied."""
        value = stubs.call(name, arguments, makes_instance=makes_instance)
        if isinstance(value, bytes):
            self.budget.charge(len(value))
        elif isinstance(value, dict | list | tuple | set):
            self.budget.charge(_OTHER_BYTES * len(value))
        self.stack.append(value)

    def load_reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self._push_result(function, arguments, makes_instance=False)

    def load_newobj(self) -> None:
        arguments, class_ = self.stack.pop(), self.stack.pop()
        self._push_result(class_, arguments)

    def load_newobj_ex(self) -> None:
        keywords, arguments, class_ = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self._push_result(class_, (arguments, keywords))

    def _instantiate(self, class_: Any, arguments: list[Any]) -> None:  # of INST and OBJ
        self._push_result(class_, tuple(arguments))

    def load_build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Record):
            target.state = state
        elif not isinstance(target, dict):  # attributes of an OrderedDict are not used
            raise InputError(f"it wants to change {stubs.described(target)}")

    def load_bytearray8(self) -> None:
        num_bytes = int.from_bytes(self.read(8), "little")
        self.stack.append(bytes(self.read(num_bytes)))  # and no bytearray of that length

    def load_put(self) -> None:
        key = int(self.readline()[:-1])
        if not 0 <= key < _MAX_MEMO_KEY:
            raise ValueError("a memo key out of range")
        self.memo[key] = self.stack[-1]


def _bounded(opcode: pickletools.OpcodeInfo) -> Callable[[_InertUnpickler], None]:
    """Return the method for an opcode with charges and checks around it."""
    name = opcode.name
    is_refused = name in _REFUSED_OPCODES or opcode.proto > _LAST_PROTOCOL
    cost = _CONTAINER_BYTES if name in _CONTAINER_OPCODES else _OTHER_BYTES
    cost += _MEMO_BYTES if name in _MEMO_OPCODES else 0
    # Numbers, texts and bytes; what else pushes an argument pushes anything, as GET does.
    is_literal = opcode.arg is not None and opcode.stack_after not in ([], [pickletools.anyobject])
    is_repeating = name in _REPEATING_OPCODES
    hashed = _HASHED.get(name)
    run = getattr(_InertUnpickler, pickle._Unpickler.dispatch[ord(opcode.code)].__name__)

    def step(unpickler: _InertUnpickler) -> None:
        if is_refused:
            raise InputError(f"it wants the operation {name}, which no such file needs")
        unpickler.opcode = name
        unpickler.budget.charge(cost)
        if hashed:
            keys = unpickler.stack[hashed]
            unpickler.budget.charge(_MEMO_BYTES * len(keys))
            for key in keys:
                stubs.check_key(key)
        run(unpickler)
        if is_literal:
            literal = unpickler.stack[-1]
            if isinstance(literal, int) and literal.bit_length() > 8 * _MAX_INT_BYTES:
                raise InputError(f"it holds a number of {literal.bit_length() // 8:,} bytes")
            if isinstance(literal, str | bytes):
                unpickler.budget.charge(sys.getsizeof(literal))
        elif is_repeating and isinstance(unpickler.stack[-1], CONTAINERS):
            unpickler.budget.charge(_REPEATED_BYTES)

    return step


_InertUnpickler.dispatch = {ord(opcode.code): _bounded(opcode) for opcode in pickletools.opcodes}


def walk(
    root: Any, note: Any, children: Callable[[Any, Any], Iterable[tuple[Any, Any]]]
) -> Iterator[tuple[Any, Any]]:
    """Yield the containers and names in a value, from the outside in, each with a note.

    Each is visited once and without recursion: it does not matter whether a value contains itself,
    and how much it would be if it were written out. What lies too deep is left out. `note` is the
    root's; `children` yields what lies in a container, with notes, by the note of the container
    and it.
    """
    seen: set[int] = set()
    pending = [iter([(note, root)])]
    while pending:
        for its_note, value in pending[-1]:
            if isinstance(value, CONTAINERS | Name) and id(value) not in seen:
                seen.add(id(value))
                yield its_note, value
                if len(pending) < MAX_DEPTH:
                    pending.append(iter(children(its_note, value)))
                    break
        else:
            pending.pop()
