"""Names of texts, models and uploaded files as names of folders and files: :func:`folder_name`."""

import re
import unicodedata
from collections.abc import Callable
from itertools import count
from pathlib import PurePosixPath, PureWindowsPath
from typing import Final
from urllib.parse import quote

_MAX_LENGTH: Final = 80
_MAX_BYTES: Final = 180
"""File systems take names of 255 bytes; a temporary name and a number come in addition."""

_FORBIDDEN: Final = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]+')
"""In names on Windows, which also forbids a dot or a space at the end."""

_RESERVED: Final = re.compile(
    r"(con|prn|aux|nul|com[\d¹²³]|lpt[\d¹²³])(?=\s*(\.|$))", re.IGNORECASE
)
"""Names of devices on Windows, also with any ending."""

_ENDING: Final = re.compile(r"\.\w{1,10}$")


def folder_name(title: str, default: str) -> str:
    """Return a title as the name of a folder on any system, as like it as possible.

    Args:
        default: if nothing is left of the title.
    """
    text = _FORBIDDEN.sub(" ", unicodedata.normalize("NFC", title))
    text = "".join(each for each in text if each.isprintable())
    name = " ".join(text.split()).lstrip(". ")[:_MAX_LENGTH]
    # Lone surrogates go, and half a character at the end.
    name = name.encode("utf-8", "ignore")[:_MAX_BYTES].decode("utf-8", "ignore").rstrip(". ")
    if not name:
        return default
    return _RESERVED.sub(r"\1_", name, count=1) if _RESERVED.match(name) else name


def is_folder_name(name: str) -> bool:
    """Return whether a folder of this name can be that of a text or model.

    The file manager of macOS writes é as two characters, in names too.
    """
    return bool(name) and folder_name(name, "") == unicodedata.normalize("NFC", name)


def same_name(name: str) -> str:
    """Return what names have in common that are one name on Windows or macOS."""
    return unicodedata.normalize("NFC", name).casefold()


def base_name(given: str) -> str:
    """Return the last part of a path of any system, as browsers send it for a file."""
    return PureWindowsPath(PurePosixPath(given).name).name


def file_name(given: str) -> str:
    """Return the name under which an uploaded file is kept, without any folder.

    The ending stays, also if the name is cut: it may say what the file is.
    """
    last = base_name(given)
    ending = re.search(_ENDING, last)
    suffix = ending.group() if ending else ""
    return folder_name(last.removesuffix(suffix), "file") + suffix


def free_name(name: str, is_taken: Callable[[str], bool], *, has_ending: bool = False) -> str:
    """Return the name, or with the first number behind it that is free: tales, tales 2.

    Args:
        has_ending: it is the name of a file, whose ending stays the last: a.txt, a 2.txt.
    """
    if not is_taken(name):
        return name
    has_ending = has_ending and bool(re.search(_ENDING, name))
    stem, dot, ending = name.rpartition(".") if has_ending else (name, "", "")
    return next(
        candidate
        for number in count(2)
        if not is_taken(candidate := f"{stem} {number}{dot}{ending}")
    )


def quoted_name(name: str) -> str:
    """Return a name as a part of an address."""
    return quote(name, safe="")
