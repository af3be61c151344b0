"""Names for NumPy arrays by what they hold; shapes are in the names of variables (`logits_BV`)."""

from typing import Any

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]
"""Ids of a vocabulary."""

Ints = npt.NDArray[np.int64]
AnyInts = npt.NDArray[np.integer[Any]]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]

Keys = npt.NDArray[np.uint64]
"""Hashes of tokens."""
