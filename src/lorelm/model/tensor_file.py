"""Tensors out of a file of ``torch.save``, by PyTorch's own safe reader: :func:`read_tensors`."""

from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import torch

from lorelm.errors import InputError


def read_tensors(file: BinaryIO) -> dict[str, npt.NDArray[np.float32]]:
    """The tensors of a dict that ``torch.save`` wrote, in float32.

    Raises:
        InputError: PyTorch refuses the file, or a tensor holds something else than finite numbers.
    """
    try:
        tensors = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever PyTorch makes of a damaged file
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
