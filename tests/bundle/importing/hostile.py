"""Hostile foreign files, built for each test: none of them is checked in."""

import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

CANARY = "canary"
"""File that each attack would create in its folder if anything were executed."""


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> Any:
        return self._call


def short(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


def named(module: str, name: str) -> bytes:
    """STACK_GLOBAL of a name."""
    return short(module) + short(name) + b"\x93"


def call(module: str, name: str, *arguments: bytes) -> bytes:
    """REDUCE of a name with arguments that are pickled already."""
    return named(module, name) + b"(" + b"".join(arguments) + b"tR"


def whole(body: bytes) -> bytes:
    return b"\x80\x04" + body + b"."


def storage(key: str = "0", items: int = 4) -> bytes:
    number = b"\x8a\x08" + struct.pack("<q", items)
    return (
        b"(" + short("storage") + named("torch", "FloatStorage") + short(key) + short("cpu")
        + number + b"tQ"
    )  # fmt: skip


def sizes(*values: int) -> bytes:
    return b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", value) for value in values) + b"t"


def tensor(shape: bytes, stride: bytes, stored: bytes) -> bytes:
    return call(
        "torch._utils", "_rebuild_tensor_v2", stored, b"K\x00", shape, stride, b"\x89", b"N"
    )


def zipped(
    data: bytes, *, storages: dict[str, bytes] | None = None, method: int = zipfile.ZIP_STORED
) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("archive/data.pkl", data)
        for key, content in (storages or {}).items():
            archive.writestr(f"archive/data/{key}", content)
        archive.writestr("archive/version", "3\n")
    return file.getvalue()


def legacy(value: bytes, keys: list[str], rest: bytes) -> bytes:
    parts = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True}]
    before = b"".join(pickle.dumps(part, 2) for part in parts)
    return before + value + pickle.dumps(keys, 2) + rest


def doubling_lists() -> bytes:
    """A list of ten times a list of ten times a list...: 10**60 values when written out."""
    body = b"]\x94"
    for level in range(60):
        body += b"0]\x94(" + (b"h" + bytes([level])) * 10 + b"e"
    return whole(body)


def doubling_tuples() -> bytes:
    body = b")\x94"
    for level in range(60):
        body += b"0" + (b"h" + bytes([level])) * 2 + b"\x86\x94"
    return whole(body)


def doubling_keys() -> bytes:
    """Tuples of tuples as a key of a dict, whose hash would take for ever."""
    return whole(b"}" + doubling_tuples()[2:-1] + b"Ns")


def contains_itself() -> bytes:
    inner: list[Any] = ["a", "b"]
    inner.append(inner)
    return pickle.dumps(inner)


def deep() -> bytes:
    return whole(b"]" * 400 + b"a" * 399)


def very_deep() -> bytes:
    return whole(b")" + b"\x85" * 100_000)


def many_sets() -> bytes:
    return whole(b"(" + b"\x8f" * 800_000 + b"l")


def copies_of_a_list() -> bytes:
    """Each operation asks for a copy of a list of ten thousand."""
    body = b"](" + b"N" * 10_000 + b"e\x940" + named("builtins", "list") + b"\x940"
    return whole(body + b"(" + b"h\x01h\x00\x85R" * 20_000 + b"l")


def bytes_of_a_text() -> bytes:
    """A text of a megabyte as bytes, two thousand times."""
    text = b"X" + struct.pack("<I", 10**6) + b"a" * 10**6
    start = text + b"\x940" + named("_codecs", "encode") + b"\x940"
    return whole(start + b"(" + (b"h\x01h\x00" + short("latin1") + b"\x86R") * 2_000 + b"l")


def numbers_of_one_hash() -> bytes:
    """A dict of twenty thousand numbers, each of which is compared with all before."""
    numbers = [(k * (2**61 - 1)).to_bytes(12, "little") for k in range(1, 20_000)]
    return whole(b"}(" + b"".join(b"\x8a\x0c" + each + b"N" for each in numbers) + b"u")


def memo_keys_of_one_hash() -> bytes:
    """Forty thousand memo keys, each of which is compared with all before."""
    return b"N" + b"".join(b"p%d\n" % (k * (2**61 - 1)) for k in range(1, 40_000)) + b"."


def long_tuples_as_keys() -> bytes:
    """A tuple of fifty thousand, which is hashed twenty thousand times."""
    start = b"(" + b"N" * 50_000 + b"t\x940"
    return whole(start + b"}(" + b"h\x00N" * 20_000 + b"u")


def many_dimensions() -> bytes:
    shape = b"(" + (b"\x8a\x08" + struct.pack("<q", 2**62)) * 20_000 + b"t"
    return zipped(whole(tensor(shape, shape, storage())), storages={"0": bytes(16)})


def words_of_a_megabyte() -> bytes:
    """One text of a megabyte, which stands in a list twenty thousand times."""
    text = b"X" + struct.pack("<I", 10**6) + b"a" * 10**6 + b"\x940"
    return whole(text + b"(" + b"h\x00" * 20_000 + b"l")


def words_of_a_thousand_characters() -> bytes:
    """One text, which is short enough for a word, in a list a million times."""
    return whole(
        b"X" + struct.pack("<I", 1_000) + b"a" * 1_000 + b"\x940(" + b"h\x00" * 10**6 + b"l"
    )


def dicts_in_many_places() -> bytes:
    """Six lists of ten times the one before, around a dict of settings."""
    body = b"}" + short("a") + b"K\x01s\x94"
    for level in range(6):
        body += b"0](" + (b"h" + bytes([level])) * 10 + b"e\x94"
    return whole(body)


def long_directory() -> bytes:
    """A zip file that has a directory of 100 MB, as it says."""
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 65_535, 65_535, 10**8, 0, 0)
    return zipped(whole(b"N"))[:-22] + end


def long_directory_of_64_bits() -> bytes:
    """One whose last record claims a short directory, and the one that counts a long one."""
    return b"".join(
        (
            zipped(whole(b"N"))[:-22],
            struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 10**6, 10**6, 10**8, 0),
            struct.pack("<4sIQI", b"PK\x06\x07", 0, 0, 1),
            struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 65_535, 65_535, 100, 0, 0),
        )
    )


def many_records() -> bytes:
    """A zip file with a directory of 3 MB."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(11_000):
            archive.writestr(f"archive/data/{number:0200}", b"")
    return file.getvalue()


def a_dict_in_a_million_places() -> bytes:
    return whole(b"](}" + b"2" * 1_500_000 + b"e")


def modules_in_modules(levels: int, name: str) -> bytes:
    """A module with two names for a module with two names for a module..."""
    body = b"".join(
        part + b"\x940"
        for part in (
            b"X" + struct.pack("<I", len(name)) + name.encode(),
            named("torch.nn.modules.container", "Sequential"),
            short("_modules"),
            short("_parameters"),
        )
    )
    weight = tensor(sizes(2, 2), sizes(2, 1), storage())
    body += b"h\x01)\x81}h\x02}sh\x03}" + short("w") + weight + b"ssb\x94"
    for level in range(levels):
        inner = b"h" + bytes([4 + level])
        body += b"0h\x01)\x81}(h\x02}(h\x00" + inner + short("b") + inner + b"uh\x03}ub\x94"
    return zipped(whole(body), storages={"0": bytes(16)})


def modules_that_share_a_dict() -> bytes:
    """A list of five thousand modules with the same five thousand tensors."""
    weight = tensor(sizes(2, 2), sizes(2, 1), storage())
    names = named("torch.nn.modules.container", "Sequential"), short("_modules")
    body = b"".join(part + b"\x940" for part in (weight, *names, short("_parameters")))
    body += b"}(" + b"".join(short(f"w{number}") + b"h\x00" for number in range(5_000)) + b"u\x940"
    body += b"(" + b"h\x01)\x81}(h\x02}h\x03h\x04ub" * 5_000 + b"l"
    return zipped(whole(body), storages={"0": bytes(16)})


def many_sets_of_weights() -> bytes:
    """Fifty thousand sets of weights, each with a path of 4,500 characters."""
    body = tensor(sizes(2, 2), sizes(2, 1), storage()) + b"\x940"
    body += short("lstm.weight_ih_l0") + b"\x940"
    inner = b"(" + b"}h\x01h\x00s" * 50_000 + b"l"
    for _ in range(90):
        inner = b"}" + short("k" * 50) + inner + b"s"
    return zipped(whole(body + inner), storages={"0": bytes(16)})


def many_pickles_of_the_old_format() -> bytes:
    magic, each = pickle.dumps(0x1950A86A20F9469CFC6C, 2), whole(b"](}" + b"2" * 300_000 + b"e")
    return magic + 4 * each


def dumped(*call_: Any) -> bytes:
    return pickle.dumps(["the", "fox", Calls(*call_)])


def torch_saved(value: Any, **settings: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, **settings)
    return file.getvalue()


def attacks(folder: Path) -> dict[str, tuple[Callable[[], bytes], str]]:
    """Each attack: what makes the file, and what its refusal names."""
    import os
    import subprocess

    canary = str(folder / CANARY)
    touch = f"touch {canary}"
    opened = f"open({canary!r}, 'w')"
    inner = pickle.dumps(Calls(os.system, touch))
    return {
        # What would run.
        "os.system": (lambda: dumped(os.system, touch), "posix.system"),
        "os.system by its own name": (
            lambda: whole(call("os", "system", short(touch))), "os.system"),
        "protocol 0": (
            lambda: b"cos\nsystem\n(S'touch " + canary.encode() + b"'\ntR.", "os.system"),
        "INST": (lambda: b"(S'touch " + canary.encode() + b"'\nios\nsystem\n.", "os.system"),
        "OBJ": (lambda: b"(cos\nsystem\nS'touch " + canary.encode() + b"'\no.", "os.system"),
        "NEWOBJ": (
            lambda: whole(named("subprocess", "Popen") + short(touch) + b"\x85\x81"),
            "subprocess.Popen"),
        "NEWOBJ_EX": (
            lambda: whole(named("subprocess", "Popen") + short(touch) + b"\x85}\x92"),
            "subprocess.Popen"),
        "subprocess": (lambda: dumped(subprocess.getoutput, touch), "subprocess.getoutput"),
        "eval": (lambda: dumped(eval, opened), "builtins.eval"),
        "exec": (lambda: dumped(exec, opened), "builtins.exec"),
        "open": (lambda: dumped(open, canary, "w"), "io.open"),
        "eval in Python 2": (
            lambda: b"c__builtin__\neval\n(S\"" + opened.encode() + b"\"\ntR.", "builtins.eval"),
        "getattr": (
            lambda: whole(call("builtins", "getattr", named("os", "path"), short("os"))),
            "builtins.getattr"),
        "getattr alone": (lambda: whole(named("builtins", "getattr")), "builtins.getattr"),
        "an attribute of an attribute": (
            lambda: whole(call("collections", "abc.sys.modules", short("os"))),
            "collections.abc.sys.modules', an attribute of"),
        "an attribute of the user's own": (
            lambda: whole(call("vocab", "os.system", short(touch))),
            "vocab.os.system', an attribute of"),
        "a function of the user's own": (
            lambda: whole(call("mymodule", "run", short(touch))), "mymodule.run"),
        "import": (
            lambda: whole(call("builtins", "__import__", short("os"))), "builtins.__import__"),
        "__main__": (lambda: whole(call("__main__", "system", short(touch))), "__main__.system"),
        "our own code": (
            lambda: whole(named("lorelm.server.serving", "open_port") + b")\x81"),
            "lorelm.server.serving.open_port"),
        "functools.reduce": (
            lambda: whole(call("functools", "reduce", b"N")), "functools.reduce"),
        "operator": (
            lambda: whole(call("operator", "attrgetter", short("system"))), "operator.attrgetter"),
        "types": (lambda: whole(call("types", "FunctionType", b"N")), "types.FunctionType"),
        "an extension code": (lambda: whole(b"\x82\x01"), "EXT1"),
        "an extension code of four bytes": (lambda: whole(b"\x84\x01\0\0\0"), "EXT4"),
        "a buffer outside": (lambda: whole(b"\x97"), "NEXT_BUFFER"),
        "a buffer that is frozen": (lambda: whole(b"N\x98"), "READONLY_BUFFER"),
        "a persistent id of text": (lambda: b"Pos.system\n.", "PERSID"),
        "BUILD on a dict with a class in place of a state": (
            lambda: whole(b"}" + named("os", "environ") + b"b"), "os.environ"),
        "BUILD on a list": (lambda: whole(b"]" + b"}" + short("append") + b"Nsb"), "change a list"),
        "REDUCE of an instance": (
            lambda: whole(named("mymodule", "Vocab") + b")\x81)R"), "damaged"),
        "NEWOBJ of an instance": (
            lambda: whole(named("mymodule", "Vocab") + b")\x81)\x81"), "damaged"),
        "__setstate__ by name": (
            lambda: whole(named("mymodule", "Vocab.__setstate__")), "an attribute of"),
        "__reduce__ of a stub": (
            lambda: whole(named("lorelm.bundle.importing.stubs", "call")), "stubs.call"),
        "BUILD on a name": (
            lambda: whole(named("mymodule", "Vocab") + b"}" + short("x") + b"K\x01sb"),
            "mymodule.Vocab"),
        # A pickle within the pickle.
        "pickle.loads": (lambda: dumped(pickle.loads, inner), "_pickle.loads"),
        "dill": (lambda: whole(call("dill", "loads", b"C\x01.")), "dill.loads"),
        "dill's own": (
            lambda: whole(named("dill._dill", "_create_function") + b")\x81"),
            "dill._dill._create_function"),
        "cloudpickle": (
            lambda: whole(named("cloudpickle.cloudpickle", "_make_function")),
            "cloudpickle.cloudpickle._make_function"),
        "joblib": (lambda: whole(call("joblib", "load", short(canary))), "joblib.load"),
        "torch's": (
            lambda: pickle.dumps({"fc.weight": torch.zeros(3)}), "torch.storage._load_from_bytes"),
        "torch.load": (lambda: whole(call("torch", "load", short(canary))), "torch.load"),
        "torch.hub": (lambda: whole(call("torch.hub", "load", b"N")), "torch.hub.load"),
        "numpy.load": (lambda: whole(call("numpy", "load", short(canary))), "numpy.load"),
        # The same in the files of torch.save.
        "in a zip": (lambda: zipped(dumped(os.system, touch)), "posix.system"),
        "in the old format": (lambda: legacy(dumped(os.system, touch), [], b""), "posix.system"),
        "in place of facts": (
            lambda: pickle.dumps(0x1950A86A20F9469CFC6C, 2) + dumped(os.system, touch),
            "posix.system"),
        "by torch.save": (
            lambda: torch_saved({"a": torch.zeros(2), "b": Calls(os.system, touch)}),
            "posix.system"),
        # What would grow.
        "doubling lists": (doubling_lists, "holds no"),
        "doubling tuples": (doubling_tuples, "holds no"),
        "doubling keys": (doubling_keys, "as a key"),
        "itself": (contains_itself, "holds no"),
        "deep": (deep, "holds no"),
        "very deep": (very_deep, "holds no"),
        "sets": (many_sets, "grow"),
        "copies of a list": (copies_of_a_list, "grow"),
        "bytes of a text": (bytes_of_a_text, "grow"),
        "numbers of one hash": (numbers_of_one_hash, "as a key"),
        "long tuples as keys": (long_tuples_as_keys, "as a key"),
        "memo keys of one hash": (memo_keys_of_one_hash, "memo key"),
        "marks": (lambda: b"(" * 8_000_000, "grow"),
        "a dict that is copied": (
            lambda: whole(
                b"}\x94(" + b"".join(b"M" + struct.pack("<H", k) + b"N" for k in range(2_000))
                + b"u(" + (named("collections", "OrderedDict") + b"h\x00\x85R") * 10_000 + b"l"
            ),
            "grow"),
        "many dimensions": (many_dimensions, "describes a tensor"),
        "empty lists": (lambda: whole(b"(" + b"]" * 800_000 + b"l"), "grow"),
        "words of a megabyte": (words_of_a_megabyte, "holds no"),
        "words of a thousand characters": (words_of_a_thousand_characters, "holds no"),
        "dicts in many places": (dicts_in_many_places, "holds no"),
        "a name of a megabyte": (
            lambda: b"c" + b"a" * 10**6 + b"\nb\n" + b"2" * 1_000 + b".", "a name of 1,000,002"),
        "a name that steers the terminal": (
            lambda: b"cos\nsys\x1b[2J\x07tem\n.", r"os.sys\x1b[2J\x07tem"),
        "lists for the keys of storages": (
            lambda: legacy(whole(b"N"), [["a"] * 10] * 10, b""), "list of storages"),  # type: ignore[list-item]
        "a storage beyond all files": (
            lambda: legacy(
                whole(tensor(sizes(4), sizes(1), storage(items=2**59))), ["0"], bytes(24)
            ),
            "from outside"),
        "a directory that is not there": (long_directory, "damaged"),
        "one of 64 bits": (long_directory_of_64_bits, "damaged"),
        "a long directory": (many_records, "more records"),
        "a dict in a million places": (a_dict_in_a_million_places, "grow"),
        "long names of modules": (lambda: modules_in_modules(14, "a" * 10_000), ""),
        "modules in modules": (lambda: modules_in_modules(17, "a"), ""),
        "modules without tensors in modules": (
            lambda: modules_in_modules(60, "a").replace(b"_parameters", b"_parameterz"), ""),
        "a module in itself": (
            lambda: whole(
                named("mymodule", "Net") + b")\x81\x94}" + short("_modules") + b"}("
                + short("a") + b"h\x00" + short("b") + b"h\x00usb"
            ),
            ""),
        "modules that share a dict": (modules_that_share_a_dict, ""),
        "many sets of weights": (many_sets_of_weights, ""),
        "many pickles of the old format": (many_pickles_of_the_old_format, "grow"),
        "an id of two billion": (
            lambda: pickle.dumps({"the": 0, "fox": 2**31 - 1}), "holds no"),
        "the same the other way round": (
            lambda: pickle.dumps({0: "the", 2**31 - 1: "fox"}), "holds no"),
        "bytearray": (
            lambda: whole(call("builtins", "bytearray", b"\x8a\x05\x00\xe4\x0b\x54\x02")),
            "builtins.bytearray"),
        "bytes": (
            lambda: whole(call("builtins", "bytes", b"\x8a\x05\x00\xe4\x0b\x54\x02")),
            "builtins.bytes"),
        "range": (
            lambda: whole(call("builtins", "range", b"J\xff\xff\xff\x7f")), "builtins.range"),
        "list of a text": (
            lambda: whole(call("builtins", "list", short("abc"))), "builtins.list"),
        "a huge number": (
            lambda: whole(b"\x8b" + struct.pack("<i", 4_000_000) + b"\x7f" * 4_000_000),
            "a number of"),
        "a huge number in digits": (lambda: b"L" + b"9" * 100_000 + b"L\n.", "damaged"),
        "a memo of four billion": (lambda: whole(b"Nr\xff\xff\xff\xff"), "holds no"),
        "bytes that are not there": (
            lambda: whole(b"\x8e" + struct.pack("<Q", 2**40) + b"abc"), "cut off"),
        "text that is not there": (
            lambda: whole(b"\x8d" + struct.pack("<Q", 2**40) + b"abc"), "cut off"),
        "a bytearray that is not there": (
            lambda: whole(b"\x96" + struct.pack("<Q", 2**40) + b"abc"), "cut off"),
        "a frame that is not there": (
            lambda: b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N.", "holds no"),
        "a compressed zip": (
            lambda: zipped(whole(b"N") + b"\0" * 50_000_000, method=zipfile.ZIP_DEFLATED),
            "compressed"),
        "a storage that is not there": (
            lambda: zipped(whole(tensor(sizes(4), sizes(1), storage()))), "missing"),
        "a storage that is too short": (
            lambda: zipped(
                whole(tensor(sizes(4), sizes(1), storage(items=2**40))), storages={"0": bytes(16)}
            ),
            "is said to hold"),
        "a storage in the old format": (
            lambda: legacy(
                whole(tensor(sizes(4), sizes(1), storage(items=2**40))), ["0"], bytes(24)
            ),
            "another length"),
        "strides of zero": (
            lambda: zipped(
                whole(tensor(sizes(2**20, 2**20), sizes(0, 0), storage())),
                storages={"0": bytes(16)},
            ),
            "describes a tensor"),
        "an offset outside": (
            lambda: zipped(
                whole(tensor(sizes(4), sizes(5), storage())), storages={"0": bytes(16)}
            ),
            "describes a tensor"),
        # What was cut off.
        "cut off": (lambda: pickle.dumps(["the", "fox"] * 50)[:-20], "cut off"),
        "a cut off zip": (
            lambda: torch_saved({"a": torch.zeros(100)})[:-200], "cut off"),
        "a cut off file of the old format": (
            lambda: torch_saved({"a": torch.zeros(100)}, _use_new_zipfile_serialization=False)[:-9],
            "9 bytes are missing"),
        "empty": (lambda: b"", "empty"),
        "no pickle": (lambda: b"\x80\x04\xff\xff", "damaged"),
        "nothing on the stack": (lambda: whole(b""), "damaged"),
        "two on the stack": (lambda: whole(b"NN"), "damaged"),
        "a memo that is not there": (lambda: whole(b"h\x05"), "damaged"),
    }  # fmt: skip
