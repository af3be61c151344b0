"""Where this user's data is: :func:`data_folder`."""

from pathlib import Path


def data_folder() -> Path:
    """Return the folder of history, keys, runs and studio, which need not exist."""
    from platformdirs import user_data_path

    return user_data_path("lorelm", appauthor=False)
