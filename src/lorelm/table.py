"""Tables as lines of text."""

import unicodedata
from collections.abc import Container, Sequence


def aligned(rows: Sequence[Sequence[str]], *, right: Container[int] = ()) -> list[str]:
    """Return a line for each row, its cells aligned, at full width.

    A terminal wraps long lines better than a table cuts them, and programs can read them.

    Args:
        right: the columns that are aligned to the right.
    """
    widths = [max(map(text_width, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            _padded(cell, width, is_right=place in right)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _padded(cell: str, width: int, *, is_right: bool) -> str:
    space = " " * (width - text_width(cell))
    return space + cell if is_right else cell + space


def text_width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        for each in text
    )
