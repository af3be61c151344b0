"""When the command began: a time budget counts from there."""

import os
import time
from pathlib import Path


def process_started() -> float:
    """When this process began, by `time.perf_counter`.

    Where the system does not say so (it does on Linux), the time that the process has computed is
    taken for its age.
    """
    try:
        # "number (name) state ...": the name may hold anything, the 22nd word is ticks since boot.
        words = Path("/proc/self/stat").read_text(errors="replace").rpartition(")")[2].split()
        ticks = int(words[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        age = time.process_time()
    return time.perf_counter() - age
