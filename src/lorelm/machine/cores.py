"""The cores that this process may use: :func:`available_cores`."""

import math
import os
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from lorelm.machine.control_groups import GROUPS, OWN_GROUPS, groups_of


def own_cores() -> Collection[int]:
    """Return the numbers of the cores in the affinity of this process."""
    own: Collection[int] = range(os.cpu_count() or 1)
    if sys.platform == "linux":  # macOS has no affinities, and those of Windows are rarely set
        own = os.sched_getaffinity(0)
    return own


def available_cores(root: Path = GROUPS, own: Path = OWN_GROUPS) -> int:
    """Return the number of cores that this process may use: its affinity and its cgroup's quota.

    Args:
        root: where Linux shows the control groups.
        own: the file that names those of this process.
    """
    return max(1, min([len(own_cores()), *map(math.ceil, _quotas(root, own))]))


def _quotas(root: Path, own: Path) -> Iterator[float]:
    """Yield the processors that each control group of this process may use."""
    for group in groups_of("cpu", root, own):
        quota = _quota(group)
        if quota is not None:
            yield quota


def _quota(group: Path) -> float | None:
    """Return the processors that a control group may use; None if it sets no limit."""
    try:
        if (group / "cpu.max").is_file():
            quota, period = (group / "cpu.max").read_text("utf-8").split()
        else:
            quota, period = (
                (group / f"cpu.cfs_{name}_us").read_text("utf-8") for name in ("quota", "period")
            )
        return float(quota) / float(period) if float(quota) > 0 else None
    except (OSError, ValueError):  # no such group; "max"
        return None
