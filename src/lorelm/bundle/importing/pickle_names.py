"""Allow-list of the names that a foreign pickle may hold, and of what it may do with each.

A name is only a string here: nothing is imported, so nothing can run. Unknown names are refused.
A list of good names is shorter than one of bad names, and does not age.
"""

import sys
from typing import Final

from lorelm.bundle.importing.stubs import (
    NOT_NEEDED,
    STORAGE_DTYPES,
    Call,
    Name,
    encode_text,
    make_collection,
    make_dict,
    make_instance,
    make_parameter,
    make_record,
    make_tensor,
)
from lorelm.errors import InputError

_DTYPES: Final = (
    *("float16", "bfloat16", "float32", "float64", "half", "float", "double", "bool"),
    *("int8", "int16", "int32", "int64", "uint8", "long", "int", "complex64", "complex128"),
)

_CALLS: Final[dict[Call | None, tuple[str, ...]]] = {
    make_dict: (
        *("collections.OrderedDict", "collections.Counter", "collections.defaultdict"),
        "builtins.dict",
    ),
    make_collection: ("builtins.list", "builtins.tuple", "builtins.set", "builtins.frozenset"),
    encode_text: ("_codecs.encode", "builtins.bytes"),
    make_instance: ("copyreg._reconstructor",),
    make_tensor: ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"),
    make_parameter: (
        *("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"),
    ),
    None: (  # which may be held, and not called
        *("builtins.int", "builtins.float", "builtins.str", "builtins.bool"),
        *("builtins.object", "builtins.long", "builtins.unicode"),
        *(f"torch.{name}" for name in (*STORAGE_DTYPES, *_DTYPES)),
        *("torchtext.vocab._default_unk_index", "torchtext.legacy.vocab._default_unk_index"),
        *("torchtext.data.utils._basic_english_normalize", "torchtext.data.utils._split_tokenizer"),
        "torchtext.data.utils.get_tokenizer",
    ),
    make_record: (
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
_KNOWN: Final = {name: call for call, names in _CALLS.items() for name in names}

_OLD_MODULES: Final = {"__builtin__": "builtins", "copy_reg": "copyreg"}
"""Module names of Python 2, which pickles of protocol 2 hold too."""

_MAX_NAME: Final = 300

_NESTED: Final = ("pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib")

_CLOSED: Final = ("lorelm", "numpy", "torch", "torchtext", "onnxruntime", "flask", "click")
"""Packages in which a user has no class: only the names above are allowed."""


def find_name(module: str, name: str) -> Name:
    """Return the stand-in for a class or function.

    Raises:
        InputError: it is neither on the list nor a class of the user's own.
    """
    module = _OLD_MODULES.get(module, module)
    full = f"{module}.{name}"
    if len(full) > _MAX_NAME:
        raise InputError(f"it wants a name of {len(full):,} characters")
    if full in _KNOWN:
        return Name(full, call=_KNOWN[full])
    package = module.partition(".")[0]
    if package in _NESTED:
        reason = "a pickle within the pickle"
    elif full == "torch.storage._load_from_bytes":
        reason = "a pickle within the pickle: save it by torch.save, not by pickle"
    elif "." in name:
        reason = "an attribute of an attribute"
    elif module.startswith("torch.nn.modules.") and name.isidentifier():
        return Name(full, call=make_record)
    elif _is_users_own(package, module, name):
        return Name(full, is_users_own=True)
    else:
        reason = NOT_NEEDED
    raise InputError(f"it wants {full}, {reason}")


def _is_users_own(package: str, module: str, name: str) -> bool:
    is_stdlib = package in sys.stdlib_module_names and package != "__main__"
    is_dotted = all(part.isidentifier() for part in module.split("."))
    return is_dotted and name.isidentifier() and not is_stdlib and package not in _CLOSED
