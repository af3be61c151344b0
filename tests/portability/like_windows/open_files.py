"""Refuse to move or delete what is open, as Windows does: :func:`refuse_open_files`."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest


def _open_files() -> Iterator[tuple[str, str]]:
    """Yield the paths of what this process has open or mapped into memory, on Linux."""
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            yield os.readlink(f"/proc/self/fd/{descriptor}"), "is open"
        except OSError:  # it was that of the folder
            continue
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        if "/" in line:
            yield line[line.index("/") :], "is mapped into memory"
    yield os.getcwd(), "is the folder of this process"


def _refuse_open(path: Any, dir_fd: int | None = None) -> None:
    folder = os.readlink(f"/proc/self/fd/{dir_fd}") if dir_fd is not None else ""
    path = os.path.realpath(os.path.join(folder, os.fsdecode(path)))
    for name, how in _open_files():
        if name == path or name.startswith(f"{path}/"):
            _report(f"{name} {how}")
            raise PermissionError(13, "Access is denied", path)


def _report(problem: str) -> None:
    if report := os.environ.get("REFUSALS"):
        with open(report, "a", encoding="utf-8") as file:
            file.write(f"{problem}\n")


def _deleting(function: Callable[..., None]) -> Callable[..., None]:
    def delete(path: Any, *, dir_fd: int | None = None) -> None:
        _refuse_open(path, dir_fd)
        function(path, dir_fd=dir_fd)

    return delete


def _moving(function: Callable[..., None], *, replaces: bool) -> Callable[..., None]:
    def move(source: Any, target: Any, **dir_fds: Any) -> None:
        _refuse_open(source)
        if os.path.lexists(target) and os.path.abspath(source) != os.path.abspath(target):
            if not replaces or os.path.isdir(target):
                raise FileExistsError(17, "Cannot create a file when it already exists", target)
            _refuse_open(target)
        function(source, target, **dir_fds)

    return move


FUNCTIONS: dict[str, Callable[..., None]] = {
    "rename": _moving(os.rename, replaces=False),
    "replace": _moving(os.replace, replaces=True),
    "unlink": _deleting(os.unlink),
    "remove": _deleting(os.remove),
    "rmdir": _deleting(os.rmdir),
}
"""Functions of `os` that refuse what is open. What they refuse is listed in the file that the
variable REFUSALS names."""


def refuse_open_files(monkeypatch: "pytest.MonkeyPatch") -> None:
    """Refuse to move or delete what this process has open; skip the test without Linux."""
    if not Path("/proc/self/maps").exists():
        import pytest  # not in the programs that are started

        pytest.skip("Linux alone tells what is open, and Windows refuses by itself")
    for name, function in FUNCTIONS.items():
        monkeypatch.setattr(os, name, function)
