"""Words apart from the space before them, so that a mark covers the words alone."""


def apart(piece: str) -> tuple[str, str]:
    """The space that a text begins with, and the rest."""
    rest = piece.lstrip(" ")
    return piece[: len(piece) - len(rest)], rest
