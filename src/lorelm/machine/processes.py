"""Other processes of this machine: :func:`is_running`."""

import os


def is_running(pid: int) -> bool:
    """Return whether a process runs; on Windows, where to ask would end it, always True."""
    if os.name == "nt":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # the system has given the number to a process of another user
        return True
    return True
