"""Allow-list of the names that a foreign pickle may hold, and of what it may do with each.

A name is only a string here: nothing is imported, so nothing can run. Unknown names are refused.
A list of good names is shorter than one of bad names, and does not age.
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

    MENTION = "hold it: a function, a number type or a storage type"
    INSTANCE = "make an inert instance with a state: a class of the user's own"
    RECORD = "call it as well: a known class; the arguments are kept"
    MAPPING = "call it to make a dict"
    COLLECTION = "call it to make a list, a tuple or a set"
    ENCODE = "call it to make bytes as old pickles do, of a text and latin1 or of nothing"
    TENSOR = "call it to describe a tensor within a storage"
    PARAMETER = "call it with a tensor"
    RECONSTRUCT = "call it to make an instance as old pickles do"


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

_DTYPES: Final = (
    *("float16", "bfloat16", "float32", "float64", "half", "float", "double", "bool"),
    *("int8", "int16", "int32", "int64", "uint8", "long", "int", "complex64", "complex128"),
)

_KNOWN: Final[dict[Use, tuple[str, ...]]] = {
    Use.MAPPING: (
        *("collections.OrderedDict", "collections.Counter", "collections.defaultdict"),
        "builtins.dict",
    ),
    Use.COLLECTION: ("builtins.list", "builtins.tuple", "builtins.set", "builtins.frozenset"),
    Use.ENCODE: ("_codecs.encode", "builtins.bytes"),
    Use.RECONSTRUCT: ("copyreg._reconstructor",),
    Use.TENSOR: ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"),
    Use.PARAMETER: (
        *("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"),
    ),
    Use.MENTION: (
        *("builtins.int", "builtins.float", "builtins.str", "builtins.bool"),
        *("builtins.object", "builtins.long", "builtins.unicode"),
        *(f"torch.{name}" for name in (*STORAGE_DTYPES, *_DTYPES)),
        *("torchtext.vocab._default_unk_index", "torchtext.legacy.vocab._default_unk_index"),
        *("torchtext.data.utils._basic_english_normalize", "torchtext.data.utils._split_tokenizer"),
        "torchtext.data.utils.get_tokenizer",
    ),
    Use.RECORD: (
        # Wrappers around modules, and settings that lie beside the weights.
        *("torch.Size", "torch.device", "argparse.Namespace", "types.SimpleNamespace"),
        *("torch.torch_version.TorchVersion", "datetime.datetime", "datetime.date"),
        *("datetime.timedelta", "datetime.timezone", "uuid.UUID", "decimal.Decimal"),
        *("torch.serialization._get_layout", "torch._dynamo.eval_frame.OptimizedModule"),
        "torch.nn.parallel.data_parallel.DataParallel",
        "torch.nn.parallel.distributed.DistributedDataParallel",
        *("functools.partial", "numpy.dtype", "numpy.ndarray"),
        *("pathlib.Path", "pathlib.PosixPath", "pathlib.WindowsPath"),
        *("pathlib.PurePosixPath", "pathlib.PureWindowsPath"),
        *("numpy.core.multiarray.scalar", "numpy.core.multiarray._reconstruct"),
        *("numpy._core.multiarray.scalar", "numpy._core.multiarray._reconstruct"),
        # torchtext's vocabularies: the first one, the wrapper in Python, and the one in C++.
        *("torchtext.vocab.Vocab", "torchtext.vocab.vocab.Vocab"),
        *("torchtext._torchtext.Vocab", "torchtext.experimental.vocab.Vocab"),
        *("torchtext.data.field.Field", "torchtext.legacy.data.field.Field"),
        "torchtext.legacy.vocab.Vocab",
    ),
}
_USES: Final = {name: use for use, names in _KNOWN.items() for name in names}

_OLD_MODULES: Final = {"__builtin__": "builtins", "copy_reg": "copyreg"}
"""Module names of Python 2, which pickles of protocol 2 hold too."""

_MAX_NAME: Final = 300

_NESTED: Final = ("pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib")

_CLOSED: Final = ("lorelm", "numpy", "torch", "torchtext", "onnxruntime", "flask", "click")
"""Packages in which a user has no class: only the names above are allowed."""


def use_of(module: str, name: str) -> tuple[str, Use]:
    """Return a name as Python 3 writes it, and what a pickle may do with it.

    Raises:
        InputError: it is neither on the list nor a class of the user's own.
    """
    module = _OLD_MODULES.get(module, module)
    full = f"{module}.{name}"
    if len(full) > _MAX_NAME:
        raise InputError(f"it wants a name of {len(full):,} characters")
    if full in _USES:
        return full, _USES[full]
    package = module.partition(".")[0]
    reason = None
    if package in _NESTED:
        reason = ", a pickle within the pickle"
    elif full == "torch.storage._load_from_bytes":
        reason = ", a pickle within the pickle: save it by torch.save, not by pickle"
    elif "." in name:
        reason = ", an attribute of an attribute"
    elif module.startswith("torch.nn.modules.") and name.isidentifier():
        return full, Use.RECORD
    elif not _is_users_own(package, module, name):
        reason = f", {NOT_NEEDED}"
    if reason is not None:
        raise InputError(f"it wants {full}{reason}")
    return full, Use.INSTANCE


def _is_users_own(package: str, module: str, name: str) -> bool:
    is_stdlib = package in sys.stdlib_module_names and package != "__main__"
    is_dotted = all(part.isidentifier() for part in module.split("."))
    return is_dotted and name.isidentifier() and not is_stdlib and package not in _CLOSED
