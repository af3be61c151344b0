"""The control groups of this process, by which Linux limits containers: :func:`groups_of`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

GROUPS: Final = Path("/sys/fs/cgroup")
OWN_GROUPS: Final = Path("/proc/self/cgroup")


def groups_of(controller: str, root: Path = GROUPS, own: Path = OWN_GROUPS) -> Iterator[Path]:
    """Yield the folders of the groups of this process that may limit a resource.

    Args:
        controller: of the resource: cpu or memory.
        root: where Linux shows the control groups; nothing is there on other systems.
        own: the file that names those of this process.
    """
    for line in own.read_text("utf-8").splitlines() if own.is_file() else ():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = root / controller if controllers else root  # version 1 of control groups, or 2
        folder = top / path.strip("/")
        for group in (folder, *folder.parents):
            if not group.is_relative_to(top):
                break
            yield group
