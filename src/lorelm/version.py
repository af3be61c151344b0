"""The version of LoreLM; the package's metadata take it from here.

Reading it from the metadata would take 20 ms at each start.
"""

from typing import Final

VERSION: Final = "0.2.0"
