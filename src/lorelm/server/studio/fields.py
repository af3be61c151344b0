"""What commands say, in the words of a page: :func:`in_fields`.

A message of LoreLM names a setting as in Python with its flag beside it. On a page it is a field.
"""

import re
from collections.abc import Iterable
from typing import Final

from lorelm.parameters import Parameter

_OTHER_PARTS: Final = re.compile(r", or (give )?parts of their own \(.*?\)")
"""Advice for which the pages have no field: a text has its validation and test part in it."""


def field_label(name: str) -> str:
    """Return the label of the field of a setting."""
    return name.replace("_", " ").capitalize()


def in_fields(message: str, parameters: Iterable[Parameter], none: str = "“none”") -> str:
    """Return a message that names the fields of a page in place of flags.

    Args:
        parameters: the settings that the pages have fields for.
        none: what the page calls an empty text, in quotation marks.
    """
    message = _OTHER_PARTS.sub("", message)
    for each in parameters:
        label, flag = field_label(each.name), rf"--{each.option}(?![\w-])"
        message = re.sub(rf"\b{each.name} \({flag}\)", f"“{label}”", message)
        message = re.sub(rf"\((?:{each.name}, )?{flag}\)", f"(“{label}”)", message)
        message = re.sub(flag, f"“{label}”", message)
        values = "|".join(("''", *each.choices))  # one may follow
        message = re.sub(rf"“{label}” ({values})(?!\w)", rf"“{label}: \1”", message)
    # An empty text is a choice of its own.
    return message.replace("''”", "none”").replace("''", none)
