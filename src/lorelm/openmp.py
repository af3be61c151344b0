"""How long OpenMP's threads spin while they wait: set before PyTorch is imported.

Importing any module of ``lorelm`` sets it (``lorelm/__init__.py`` calls :func:`limit_spinning`).
libgomp reads its variables once, when PyTorch loads it, so scripts import ``lorelm`` first.
"""

import os
from collections.abc import MutableMapping
from typing import Final

SPIN_COUNT: Final = 1000
"""How often a waiting thread looks again before it sleeps.

Two threads on two cores, `lorelm train` of the film lines, `--epochs 2`, in seconds alone and
beside a busy process: without a limit 4.0 and 14.3, with 1000 spins 4.9 and 7.8, with 10,000 spins
3.9 and 16.3, asleep at once (`OMP_WAIT_POLICY=PASSIVE`) 7.4 and 6.4.
"""

_WAITING_VARIABLES: Final = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def limit_spinning(environment: MutableMapping[str, str] = os.environ) -> None:
    """Limit how long OpenMP's threads spin, unless the user has chosen how they wait."""
    if not any(name in environment for name in _WAITING_VARIABLES):
        environment["GOMP_SPINCOUNT"] = str(SPIN_COUNT)
