"""How long OpenMP's threads spin while they wait: set before PyTorch is imported.

Importing any module of ``lorelm`` sets it (``lorelm/__init__.py`` calls :func:`limit_spinning`).
OpenMP reads its variables once, when PyTorch loads it, so scripts import ``lorelm`` first. How many
threads there are is chosen while training (:mod:`lorelm.training.threads`): beside busy processes
it is often one, which waits for none.
"""

import os
from collections.abc import MutableMapping
from typing import Final

SPIN_COUNT: Final = 10_000
"""How often a waiting thread of libgomp (PyTorch on Linux) looks again before it sleeps.

Recipe `default` on the films, two threads on two idle cores, seconds of two epochs: 2.33 with 1,000
spins, 2.04 with 10,000, 2.02 with 300,000 (libgomp's own choice); one thread takes 2.80.
"""

BLOCK_MILLISECONDS: Final = 1
"""The same for libomp and Intel's OpenMP (macOS, Windows), whose own choice is 200 ms.

With LLVM's libomp in place of libgomp, the same seconds: 3.56 with 0 ms, 1.99 with 1, 1.97 with
200.
"""

_WAITING_VARIABLES: Final = ("GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_WAIT_POLICY")


def limit_spinning(environment: MutableMapping[str, str] = os.environ) -> None:
    """Limit how long OpenMP's threads spin, unless the user has chosen how they wait."""
    if not any(name in environment for name in _WAITING_VARIABLES):
        environment["GOMP_SPINCOUNT"] = str(SPIN_COUNT)
        environment["KMP_BLOCKTIME"] = str(BLOCK_MILLISECONDS)
