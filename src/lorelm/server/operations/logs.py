"""The log of the process, on stderr: :func:`configure_logging`."""

import logging
from typing import Final, Literal

LogLevel = Literal["debug", "info", "warning", "error"]

_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"

_TALKATIVE: Final = ("alembic",)
"""Libraries that say at the level "info" what helps those alone who work on LoreLM."""


def configure_logging(level: LogLevel) -> None:
    """Write what is logged from a level up to stderr, unless the process has a log already."""
    logging.basicConfig(level=level.upper(), format=_FORMAT)
    if level == "info":
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel("WARNING")
