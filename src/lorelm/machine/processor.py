"""The processor and what it computes quickly: :func:`processor`."""

import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

_CPUINFO: Final = Path("/proc/cpuinfo")

_X86: Final = {
    "AVX2": {"avx2"},
    "AVX-512": {"avx512f"},
    "VNNI": {"avx512_vnni", "avx_vnni"},  # products of int8, in which models are served
    "bfloat16": {"avx512_bf16", "amx_bf16"},  # products in which a model may be trained
}
_ARM: Final = {
    "dot product": {"asimddp"},  # what VNNI is to x86
    "i8mm": {"i8mm"},
    "bfloat16": {"bf16"},
}
"""By the name of a feature: the flags of Linux, one of which says that it is there."""

_NUMPY: Final = {"AVX2": {"AVX2", "X86_V3"}, "AVX-512": {"AVX512F", "X86_V4"}}
"""The same for the names that NumPy gives, on systems that do not tell themselves."""


class Processor(NamedTuple):
    """A processor.

    Attributes:
        features: whether it has each one that matters to LoreLM and that the system tells.
    """

    name: str
    features: Mapping[str, bool]


def processor(cpuinfo: Path = _CPUINFO) -> Processor:
    """Return what the system says of the processor."""
    if not cpuinfo.is_file():
        flags, features = _numpy_features(), _NUMPY if _is_x86() else {}
        name = platform.processor()
    else:
        info = cpuinfo.read_text("utf-8", "replace")
        found: dict[str, str] = dict(re.findall(r"^([\w ]+?)\s*: (.*)$", info, re.MULTILINE))
        flags = set(found.get("flags", found.get("Features", "")).split())
        features = _X86 if "flags" in found else _ARM
        name = found.get("model name", "")
    return Processor(
        " ".join(name.split()) or platform.machine(),
        {feature: bool(flags & signs) for feature, signs in features.items()},
    )


def _is_x86() -> bool:
    return platform.machine().lower() in ("x86_64", "amd64")


def _numpy_features() -> set[str]:
    extensions = np.show_config(mode="dicts")["SIMD Extensions"]
    return {*extensions.get("baseline", ()), *extensions.get("found", ())}
