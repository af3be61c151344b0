"""The files that a course's notebook leaves in this folder."""

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent

CHECKPOINTS: Final = ("lotr_lstm_lm.pt", "lotr-lstm_lm.pt", "best-val-lstm_lm.pt")
"""The first of these that is there is the model."""

VOCABULARY: Final = "vocab.pkl"


def find_checkpoint() -> Path | None:
    """The model beside this file; None where there is none."""
    return next((FOLDER / name for name in CHECKPOINTS if (FOLDER / name).exists()), None)


def find_vocabulary() -> Path | None:
    """Its words; None where they are missing."""
    path = FOLDER / VOCABULARY
    return path if path.exists() else None


def no_checkpoint() -> str:
    """What to say where there is no model."""
    first, *others = CHECKPOINTS
    return f"there is no {first} in {FOLDER} (nor {' or '.join(others)})"
