"""LoreLM: a small language model of your own text, trained and served on an ordinary computer.

>>> texts = [f"The {who} {did}." for who in ("fox", "owl", "hen") for did in ("ran", "sat")]
>>> bundle = lorelm.train(texts * 5, out="my-model")
>>> lorelm.load(bundle).generate("The fox").text
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

from lorelm.openmp import limit_spinning
from lorelm.version import VERSION

limit_spinning()  # before anything imports PyTorch

__version__ = VERSION

if TYPE_CHECKING:
    from lorelm import errors
    from lorelm.api.functions import evaluate, finish, import_model, train
    from lorelm.api.tuning import tune
    from lorelm.bundle import Bundle
    from lorelm.generation.language_model import LanguageModel, load
    from lorelm.generation.reply import Reply, Sample, Token
    from lorelm.generation.settings import GenerationSettings

__all__ = [
    "Bundle",
    "GenerationSettings",
    "LanguageModel",
    "Reply",
    "Sample",
    "Token",
    "__version__",
    "errors",
    "evaluate",
    "finish",
    "import_model",
    "load",
    "train",
    "tune",
]

# Imported on first use: `lorelm --help` and the lower packages need neither NumPy nor ONNX Runtime,
# which take 0.2 s to load.
_MODULES: Final = {
    "Bundle": "lorelm.bundle",
    "GenerationSettings": "lorelm.generation.settings",
    "LanguageModel": "lorelm.generation.language_model",
    "Reply": "lorelm.generation.reply",
    "Sample": "lorelm.generation.reply",
    "Token": "lorelm.generation.reply",
    "evaluate": "lorelm.api.functions",
    "finish": "lorelm.api.functions",
    "import_model": "lorelm.api.functions",
    "load": "lorelm.generation.language_model",
    "train": "lorelm.api.functions",
    "tune": "lorelm.api.tuning",
}


def __getattr__(name: str) -> Any:
    if name == "errors":
        return importlib.import_module("lorelm.errors")
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'lorelm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
