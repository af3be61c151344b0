"""Tokens that stand for no word of a text: unknown words, ends, line breaks, speakers."""

import re
from typing import Final

UNK: Final = "<unk>"
EOS: Final = "<eos>"
NEWLINE: Final = "\n"
OTHER_SPEAKER: Final = "<other speaker>"
"""The token of all speakers with few turns."""

SOMEONE: Final = "SOMEONE"
"""How the other speaker is shown in a text, and read back from one."""

_SPEAKER: Final = "<speaker "
MAX_NAME_WORDS: Final = 4
UNKNOWN_NAME: Final = rf"[A-ZÀ-ÖØ-ÞΑ-ΩЀ-Я][\w.'’-]*(?: [\w.'’-]+){{0,{MAX_NAME_WORDS - 1}}}"
"""Pattern of a speaker's name that a model need not know: up to four words, capitalised."""


def speaker_token(name: str) -> str:
    """Return the token of a speaker. It holds a space, so no word of a text is equal to it."""
    return OTHER_SPEAKER if name == SOMEONE else f"{_SPEAKER}{name}>"


def is_unknown_name(text: str) -> bool:
    """Return whether a text before a colon is taken for a name, even of an unknown speaker."""
    return re.fullmatch(UNKNOWN_NAME, text) is not None


def speaker_name(token: str) -> str | None:
    """Return the name of the speaker whose token it is, None if it is another token."""
    if token == OTHER_SPEAKER:
        return SOMEONE
    return token[len(_SPEAKER) : -1] if token.startswith(_SPEAKER) else None
