"""Makes a Python on Linux behave like one on Windows, as far as LoreLM can notice.

Python imports this module at its start where its folder is in PYTHONPATH, also in the processes
that a command starts. Other libraries keep the system that they know, and see of all this only that
open files cannot be moved (:mod:`open_files`). Which functions are those of Unix is said in
https://docs.python.org/3/library/os.html and the pages beside it.
"""

import builtins
import ctypes
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import open_files

ABSENT_MODULES = {"fcntl", "grp", "pty", "pwd", "readline", "resource", "termios", "tty"}
ABSENT_NAMES = {
    "os": {
        *("O_DIRECTORY", "chown", "fchmod", "fork", "forkpty", "getegid", "geteuid", "getgid"),
        *("getloadavg", "getpgid", "getuid", "killpg", "mkfifo", "nice", "sched_getaffinity"),
        *("sched_setaffinity", "setsid", "sysconf", "uname", "wait"),
    },
    "signal": {
        *("SIGHUP", "SIGKILL", "SIGQUIT", "SIGSTOP", "SIGCONT", "SIGUSR1", "SIGUSR2", "SIGALRM"),
        *("SIGPIPE", "SIGCHLD", "alarm", "pause", "pthread_kill", "setitimer", "sigwait"),
    },
    "socket": {"AF_UNIX", "SO_REUSEPORT", "socketpair", "fromfd"},
    "time": {"CLOCK_BOOTTIME", "CLOCK_MONOTONIC", "clock_gettime", "tzset"},
}
PRESENT_NAMES: dict[str, dict[str, object]] = {
    "os": {"name": "nt"},
    "sys": {"platform": "win32"},
    "subprocess": {"CREATE_NEW_PROCESS_GROUP": 0x200, "CREATE_NO_WINDOW": 0x0800_0000},
}

_import = builtins.__import__


class _AsOnWindows(ModuleType):
    """A module as it is on Windows."""

    def __init__(self, module: ModuleType) -> None:
        super().__init__(module.__name__)
        self.__dict__.update(PRESENT_NAMES.get(module.__name__, {}))
        self._module = module

    def __getattr__(self, name: str) -> Any:
        if name in ABSENT_NAMES.get(self.__name__, ()):
            raise AttributeError(f"Windows has no {self.__name__}.{name}")
        return getattr(self._module, name)


def _import_as_windows(
    name: str,
    globals: Mapping[str, object] | None = None,  # noqa: A002 - the parameters of __import__
    locals: Mapping[str, object] | None = None,  # noqa: A002
    fromlist: Any = (),
    level: int = 0,
) -> Any:
    importer = str((globals or {}).get("__name__", ""))
    if importer.partition(".")[0] == "lorelm" and not level:
        if name in ABSENT_MODULES:
            raise ModuleNotFoundError(f"Windows has no module {name}", name=name)
        if name in _MODULES:
            return _MODULES[name]
    return _import(name, globals, locals, fromlist, level)


class _Popen(subprocess.Popen[Any]):
    """Takes the flags of Windows, and refuses what it does not know."""

    def __init__(self, *args: Any, creationflags: int = 0, **options: Any) -> None:
        if {"start_new_session", "preexec_fn", "pass_fds", "process_group"} & options.keys():
            raise ValueError("this is not supported on Windows platforms")
        super().__init__(*args, start_new_session=bool(creationflags & 0x200), **options)


class _Kernel:
    """The functions of kernel32.dll with which a process is looked for."""

    def __init__(self, name: str, **_: Any) -> None:
        self.OpenProcess = ctypes.CFUNCTYPE(ctypes.c_size_t, *[ctypes.c_ulong] * 3)(self._open)

    def _open(self, _access: int, _inherits: int, pid: int) -> int:
        return pid if os.path.exists(f"/proc/{pid}") else 0

    def WaitForSingleObject(self, handle: Any, _milliseconds: int) -> int:  # noqa: N802
        return 0x102 if self._open(0, 0, handle.value) else 0

    def CloseHandle(self, _handle: Any) -> None: ...  # noqa: N802


def _locking(descriptor: int, mode: int, num_bytes: int) -> None:
    """Lock bytes from where the file stands, as msvcrt.locking does, without waiting."""
    import fcntl

    place = os.lseek(descriptor, 0, os.SEEK_CUR)
    lock = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, place, num_bytes, 0)
    try:  # a lock of the open file, for that of the process would end with any of its files
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, lock)
    except OSError as error:
        raise PermissionError(13, "Permission denied") from error


def _no_mount(self: Path) -> bool:
    raise NotImplementedError("Path.is_mount() is unsupported on this system")


def _reserved_names(function: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse names that Windows cannot have, where a folder or file is made."""

    def check(path: Any, *args: Any, **options: Any) -> Any:
        if isinstance(path, str | bytes | os.PathLike):
            name = os.path.basename(os.fsdecode(path))
            if set(name) & set('<>:"|?*\\') or name != name.rstrip(" ."):
                raise OSError(22, "The filename, directory name, or volume label is incorrect")
        return function(path, *args, **options)

    return check


for name, function in open_files.FUNCTIONS.items():
    setattr(os, name, function)
os.mkdir = _reserved_names(os.mkdir)
shutil._use_fd_functions = False  # type: ignore[attr-defined]
if sys.version_info < (3, 12):  # https://docs.python.org/3/library/pathlib.html: Path.is_mount
    pathlib.Path.is_mount = _no_mount  # type: ignore[method-assign]
PRESENT_NAMES["subprocess"]["Popen"] = _Popen
PRESENT_NAMES["ctypes"] = {"WinDLL": _Kernel, "get_last_error": lambda: 0}
_MODULES = {
    module.__name__: _AsOnWindows(module)
    for module in (ctypes, os, signal, socket, subprocess, sys, time)
}
_MODULES["msvcrt"] = ModuleType("msvcrt")
vars(_MODULES["msvcrt"]).update(LK_NBLCK=2, locking=_locking)

builtins.__import__ = _import_as_windows
warnings.filterwarnings("error", category=EncodingWarning, module=r"lorelm(\.|$)")
