"""Memory that this process may use: :func:`memory`."""

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

from lorelm.machine.control_groups import GROUPS, OWN_GROUPS, groups_of

_MEMINFO: Final = Path("/proc/meminfo")

_LIMITS: Final = (
    ("memory.max", "memory.current", "inactive_file"),
    # Version 1 of control groups:
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Files with a limit, with what is used, and the line of memory.stat for files read lately, whose
memory is given back when it is needed."""


class Memory(NamedTuple):
    """Bytes of memory, within the limits of the machine and of the control groups."""

    available: int
    total: int


def memory(meminfo: Path = _MEMINFO, root: Path = GROUPS, own: Path = OWN_GROUPS) -> Memory | None:
    """Return the memory that this process may use; None where the system does not tell."""
    if meminfo.is_file():
        sizes = dict(re.findall(r"^(\w+): +(\d+) kB$", meminfo.read_text("utf-8"), re.MULTILINE))
        found = Memory(*(int(sizes[name]) * 1024 for name in ("MemAvailable", "MemTotal")))
    elif find_spec("psutil"):  # of the extra `train`
        import psutil

        system = psutil.virtual_memory()
        found = Memory(system.available, system.total)
    else:
        return None
    for used, limit in _limits(root, own):
        found = Memory(min(found.available, max(0, limit - used)), min(found.total, limit))
    return found


def _limits(root: Path, own: Path) -> Iterator[tuple[int, int]]:
    """Yield the bytes that each control group of this process uses and may use."""
    for group in groups_of("memory", root, own):
        for limit, used, cached in _LIMITS:
            try:
                total, in_use = (int((group / name).read_text("utf-8")) for name in (limit, used))
                stat = dict(
                    line.split() for line in (group / "memory.stat").read_text("utf-8").splitlines()
                )
            except (OSError, ValueError):  # no such group; "max"
                continue
            yield in_use - int(stat.get(cached, 0)), total
