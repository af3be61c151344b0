"""Find the files that the course's notebook leaves in this folder."""

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent

CHECKPOINTS: Final = ("lotr_lstm_lm.pt", "lotr-lstm_lm.pt", "best-val-lstm_lm.pt")
"""The first of these that exists is the model."""

VOCABULARY: Final = "vocab.pkl"


def find_checkpoint() -> Path | None:
    """Return the model in this folder, None if there is none."""
    return next((FOLDER / name for name in CHECKPOINTS if (FOLDER / name).exists()), None)


def find_vocabulary() -> Path | None:
    """Return the vocabulary in this folder, None if there is none."""
    path = FOLDER / VOCABULARY
    return path if path.exists() else None


def no_checkpoint() -> str:
    """Return a message that there is no model."""
    first, *others = CHECKPOINTS
    return f"there is no {first} in {FOLDER} (nor {' or '.join(others)})"
