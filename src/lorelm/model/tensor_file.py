"""Reads tensors from a file of ``torch.save`` with PyTorch's safe reader: :func:`read_tensors`."""

from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import torch

from lorelm.errors import InputError


def read_tensors(file: BinaryIO) -> dict[str, npt.NDArray[np.float32]]:
    """Return the tensors of a dict that ``torch.save`` wrote, in float32.

    Raises:
        InputError: PyTorch refuses the file, or a tensor holds NaN or infinite numbers.
    """
    try:
        tensors = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # PyTorch raises many kinds for a damaged file
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"PyTorch cannot read it ({reason})") from error
    return {name: _array(name, tensor) for name, tensor in tensors.items()}


def _array(name: str, tensor: torch.Tensor) -> npt.NDArray[np.float32]:
    array: npt.NDArray[np.float32] = tensor.to(torch.float32).contiguous().numpy()
    if not np.isfinite(array).all():
        raise InputError(
            f"its tensor {name} holds numbers that are infinite or none (NaN): the training went "
            "astray; take a checkpoint from before"
        )
    return array
