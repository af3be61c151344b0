"""Read NumPy's ``.npz`` files, which may come from strangers: :func:`load_arrays`."""

import io
import zipfile
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_MAX_RATIO: Final = 20
"""Of unpacked to packed bytes. Our n-gram models have 2 to 4; deflate reaches 1,032 on zeros."""

_HARMLESS_BYTES: Final = 16 << 20


def load_arrays(content: bytes) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an ``.npz`` file by their names.

    Raises:
        ValueError: it is something else, or unpacks to far more than our files do.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            num_bytes = sum(member.file_size for member in archive.infolist())
        if num_bytes > _HARMLESS_BYTES + _MAX_RATIO * len(content):
            raise ValueError(f"it would unpack to {num_bytes / 1e6:,.0f} MB")
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            # NumPy returns bytes for a zip member that is no array.
            return {name: np.asarray(file[name]) for name in file.files}
    except Exception as error:  # zipfile and NumPy raise nearly anything for damaged bytes
        raise ValueError(str(error) or type(error).__name__) from error
