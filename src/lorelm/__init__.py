"""LoreLM: a small language model of your own text, trained and served on an ordinary computer."""

from typing import TYPE_CHECKING, Any

from lorelm.openmp import limit_spinning
from lorelm.version import VERSION

limit_spinning()  # before anything imports PyTorch

__version__ = VERSION

if TYPE_CHECKING:
    from lorelm.generation.language_model import LanguageModel, load

__all__ = ["LanguageModel", "__version__", "load"]


def __getattr__(name: str) -> Any:
    # Imported on first use: `lorelm --help` and the rooms below need neither NumPy nor ONNX
    # Runtime to be loaded (0.2 s).
    if name in ("LanguageModel", "load"):
        from lorelm.generation import language_model

        return getattr(language_model, name)
    raise AttributeError(f"module 'lorelm' has no attribute {name!r}")
