import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.bundle.importing.foreign import Saved


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    def save(name: str, value: Any, **settings: Any) -> Path:
        path = tmp_path / name
        if isinstance(value, bytes):
            path.write_bytes(value)
        elif isinstance(value, str):
            path.write_bytes(value.encode())
        elif name.endswith(".pkl"):
            path.write_bytes(pickle.dumps(value, **settings))
        else:
            torch.save(value, path, **settings)
        return path

    return save
