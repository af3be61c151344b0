"""Where this user's data is: :func:`data_folder`."""

import os
from pathlib import Path
from typing import Final

DATA_VARIABLE: Final = "LORELM_DATA"
"""Names another folder than that of the system."""


def data_folder() -> Path:
    """Return the folder of history, keys, runs and studio, which need not exist."""
    if named := os.environ.get(DATA_VARIABLE):
        return Path(named).absolute()
    from platformdirs import user_data_path

    return user_data_path("lorelm", appauthor=False)
