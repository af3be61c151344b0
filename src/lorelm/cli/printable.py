"""What the terminal is given to print."""

from typing import Final

_LONGEST_LINE: Final = 2_000


def printable(text: str) -> str:
    """A text of one line for a terminal, which what a file holds shall not steer."""
    shown = "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
    return shown if len(shown) <= _LONGEST_LINE else f"{shown[:_LONGEST_LINE]}..."
