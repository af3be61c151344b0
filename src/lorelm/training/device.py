"""The device and the number format of training."""

import torch

from lorelm.errors import InputError


def resolve_device(device: str) -> torch.device:
    """Return the device of a name; ``auto`` is CUDA where there is one and otherwise the CPU.

    Raises:
        InputError: there is no such device on this machine.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        if resolved.type not in ("cpu", "cuda", "mps"):
            raise RuntimeError(f"{resolved.type} does not compute")
        torch.zeros(1, device=resolved)
    except (RuntimeError, AssertionError) as error:  # "not compiled with CUDA" is an assertion
        raise InputError(
            f"this machine or this PyTorch has no device {device!r}: use cpu as device (--device)",
            code="device.unknown",
        ) from error
    return resolved


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 in hardware; emulation is slow."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):  # PyTorch 2.9 has none
        return False
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))


def resolve_precision(precision: str, device: torch.device) -> str:
    """Return ``float32`` or ``bfloat16`` for a recipe's precision.

    Raises:
        InputError: bfloat16 was chosen and the device does not have it.
    """
    if precision == "auto":
        return "bfloat16" if has_bfloat16(device) else "float32"
    if precision == "bfloat16" and not has_bfloat16(device):
        raise InputError(
            "this processor has no bfloat16 arithmetic: use auto or float32 as precision "
            "(--precision)",
            code="device.no_bfloat16",
        )
    return precision
