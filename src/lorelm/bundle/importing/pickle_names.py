"""Which names a foreign pickle may hold, and what each may be used for.

A name is only ever a string here: nothing is imported, so nothing can run. Whatever is not known
is refused by its name.
"""

import enum
import sys
from typing import Final

from lorelm.errors import InputError

NOT_NEEDED: Final = (
    "which neither weights nor words need: save model.state_dict() alone, or the list of the words"
)


class Use(enum.Enum):
    """What a pickle may do with a name."""

    MENTION = enum.auto()
    """Hold it, as the name of a function, a number type or a storage type."""
    INSTANCE = enum.auto()
    """Make an instance of it by NEWOBJ and set its state: a class of the user's own."""
    RECORD = enum.auto()
    """Call it as well: a known class, whose arguments are kept and which is not run."""
    MAPPING = enum.auto()
    """Make a plain dict in its place."""
    COLLECTION = enum.auto()
    """Make a list, a tuple or a set in its place."""
    ENCODE = enum.auto()
    """Make bytes as old pickles do: of a text and "latin1", or of nothing."""
    TENSOR = enum.auto()
    """A function of PyTorch's that puts a tensor together from its storage."""
    PARAMETER = enum.auto()
    """A function of PyTorch's that makes a parameter of a tensor."""
    RECONSTRUCT = enum.auto()
    """How old pickles make an instance of a class."""


STORAGE_ITEM_BYTES: Final = {
    "DoubleStorage": 8,
    "FloatStorage": 4,
    "HalfStorage": 2,
    "BFloat16Storage": 2,
    "LongStorage": 8,
    "IntStorage": 4,
    "ShortStorage": 2,
    "CharStorage": 1,
    "ByteStorage": 1,
    "BoolStorage": 1,
    "ComplexFloatStorage": 8,
    "ComplexDoubleStorage": 16,
}
"""The bytes of one number by the name of the storage's type, a class of the module ``torch``."""

_DTYPES: Final = (
    *("float16", "bfloat16", "float32", "float64", "half", "float", "double", "bool"),
    *("int8", "int16", "int32", "int64", "uint8", "long", "int", "complex64", "complex128"),
)

_KNOWN: Final[dict[str, Use]] = {
    "collections.OrderedDict": Use.MAPPING,
    "collections.Counter": Use.MAPPING,
    "collections.defaultdict": Use.MAPPING,
    "builtins.dict": Use.MAPPING,
    **dict.fromkeys(
        ("builtins.list", "builtins.tuple", "builtins.set", "builtins.frozenset"), Use.COLLECTION
    ),
    **dict.fromkeys(
        (
            *("builtins.int", "builtins.float", "builtins.str", "builtins.bool"),
            *("builtins.object", "builtins.long", "builtins.unicode"),
        ),
        Use.MENTION,
    ),
    **dict.fromkeys(("_codecs.encode", "builtins.bytes"), Use.ENCODE),
    "copyreg._reconstructor": Use.RECONSTRUCT,
    "torch._utils._rebuild_tensor": Use.TENSOR,
    "torch._utils._rebuild_tensor_v2": Use.TENSOR,
    "torch._utils._rebuild_parameter": Use.PARAMETER,
    "torch._utils._rebuild_parameter_with_state": Use.PARAMETER,
    **{f"torch.{name}": Use.MENTION for name in (*STORAGE_ITEM_BYTES, *_DTYPES)},
    "torch.serialization._get_layout": Use.RECORD,
    # What is put around modules, and what settings that lie beside the weights are made of.
    **dict.fromkeys(
        (
            *("torch.Size", "torch.device", "argparse.Namespace", "types.SimpleNamespace"),
            *("torch.torch_version.TorchVersion", "datetime.datetime", "datetime.date"),
            *("datetime.timedelta", "datetime.timezone", "uuid.UUID", "decimal.Decimal"),
            "torch.nn.parallel.data_parallel.DataParallel",
            "torch.nn.parallel.distributed.DistributedDataParallel",
            "torch._dynamo.eval_frame.OptimizedModule",
            *("functools.partial", "numpy.dtype", "numpy.ndarray"),
            *("pathlib.Path", "pathlib.PosixPath", "pathlib.WindowsPath"),
            *("pathlib.PurePosixPath", "pathlib.PureWindowsPath"),
            *(
                f"{module}.{name}"
                for module in ("numpy.core.multiarray", "numpy._core.multiarray")
                for name in ("scalar", "_reconstruct")
            ),
        ),
        Use.RECORD,
    ),
    # torchtext's vocabularies: its first one, the one in Python around that in C++, and that.
    **dict.fromkeys(
        (
            *("torchtext.vocab.Vocab", "torchtext.vocab.vocab.Vocab"),
            *("torchtext._torchtext.Vocab", "torchtext.experimental.vocab.Vocab"),
            *("torchtext.data.field.Field", "torchtext.legacy.data.field.Field"),
            "torchtext.legacy.vocab.Vocab",
        ),
        Use.RECORD,
    ),
    **dict.fromkeys(
        (
            "torchtext.vocab._default_unk_index",
            "torchtext.legacy.vocab._default_unk_index",
            "torchtext.data.utils._basic_english_normalize",
            "torchtext.data.utils._split_tokenizer",
            "torchtext.data.utils.get_tokenizer",
        ),
        Use.MENTION,
    ),
}

_OLD_MODULES: Final = {"__builtin__": "builtins", "copy_reg": "copyreg"}
"""What Python 2, and pickles of protocol 2, call modules."""

_MAX_NAME: Final = 300

_NESTED: Final = ("pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib")

_CLOSED: Final = ("lorelm", "numpy", "torch", "torchtext", "onnxruntime", "flask", "click")
"""Packages of which nothing but the names above is taken for a class of the user's."""


def use_of(module: str, name: str) -> Use:
    """What a pickle may do with a name.

    Raises:
        InputError: nothing: it is not a class of the user's own, and not one that is known.
    """
    full = full_name(module, name)
    if len(full) > _MAX_NAME:
        raise InputError(f"it wants a name of {len(full):,} characters")
    module = full[: -len(name) - 1]
    if full in _KNOWN:
        return _KNOWN[full]
    package = module.partition(".")[0]
    if package in _NESTED:
        raise InputError(f"it wants {full}, a pickle within the pickle")
    if full == "torch.storage._load_from_bytes":
        raise InputError(
            f"it wants {full}, a pickle within the pickle: save it by torch.save, not by pickle"
        )
    if "." in name:
        raise InputError(f"it wants {full}, an attribute of an attribute")
    if module.startswith("torch.nn.modules.") and name.isidentifier():
        return Use.RECORD
    is_stdlib = package in sys.stdlib_module_names and package != "__main__"
    if is_stdlib or package in _CLOSED or not _is_dotted(module) or not name.isidentifier():
        raise InputError(f"it wants {full}, {NOT_NEEDED}")
    return Use.INSTANCE


def full_name(module: str, name: str) -> str:
    """A name as Python 3 writes it."""
    return f"{_OLD_MODULES.get(module, module)}.{name}"


def _is_dotted(module: str) -> bool:
    return all(part.isidentifier() for part in module.split("."))
