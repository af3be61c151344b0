"""Other processes of this machine: :func:`is_running`."""

import os
import sys

if sys.platform == "win32":
    import ctypes
    from typing import Final

    # https://learn.microsoft.com/windows/win32/procthread/process-security-and-access-rights
    _SYNCHRONIZE: Final = 0x0010_0000
    _ACCESS_DENIED: Final = 5
    _WAIT_TIMEOUT: Final = 0x102
    _kernel32: Final = ctypes.WinDLL("kernel32", use_last_error=True)
    _kernel32.OpenProcess.restype = ctypes.c_void_p

    def is_running(pid: int) -> bool:
        """Return whether a process runs."""
        # os.kill would end it.
        handle = ctypes.c_void_p(_kernel32.OpenProcess(_SYNCHRONIZE, False, pid))
        if not handle:  # a process of another user runs, and cannot be opened
            return ctypes.get_last_error() == _ACCESS_DENIED
        try:
            return bool(_kernel32.WaitForSingleObject(handle, 0) == _WAIT_TIMEOUT)
        finally:
            _kernel32.CloseHandle(handle)

else:

    def is_running(pid: int) -> bool:
        """Return whether a process runs."""
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:  # the number is now that of a process of another user
            return True
        return True
