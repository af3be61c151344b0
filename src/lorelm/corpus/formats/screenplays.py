"""Screenplays: Fountain (https://fountain.io/syntax) and Final Draft (FDX)."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from lorelm.corpus.documents import ReadingOptions
from lorelm.corpus.formats.text import check_no_columns
from lorelm.corpus.plain_text import read_plain_text
from lorelm.corpus.scripts import ON_ITS_OWN, read_script
from lorelm.corpus.structure import Content, Turn
from lorelm.errors import CorpusError

_TITLE_PAGE: Final = re.compile(r"\A(?:[^\W\d][\w ]*:.*\n(?:[ \t]+\S.*\n)*)+\n")
_TITLE_KEYS: Final = re.compile(
    r"^(?:title|credit|author|authors|source|notes|draft date|date|contact|copyright):", re.I | re.M
)
_EMPHASIS: Final = re.compile(r"(?<![\w\\])(\*{1,3}|_)(?=\S)(.+?)(?<=\S)\1(?!\w)")
_PARENTHETICAL: Final = re.compile(r"^(\([^()\n]*\))\n", re.M)
_NAME_EXTENSION: Final = re.compile(r"\s*[(\[].*$")


def read_fountain(path: Path, text: str, options: ReadingOptions) -> Content:
    """Read the scenes of a screenplay in Fountain.

    The title page, notes, synopses and what is commented out are left out.
    """
    check_no_columns(path, options)
    title = _TITLE_PAGE.match(text + "\n")
    if title and _TITLE_KEYS.search(title[0]):
        text = text[title.end() :]
    text = _without(_without(text, "/*", "*/"), "[[", "]]")
    lines = [_plain_line(line) for line in text.split("\n") if not _is_synopsis(line)]
    if options.document in (None, "scene", "text"):
        script = read_script(lines, layout=ON_ITS_OWN)
        if script:
            scenes = [[_with_parenthetical(turn) for turn in scene] for scene in script]
            return Content(kind="script", works=[scenes], source=path.name)
    return read_plain_text("\n".join(lines), source=path.name, unit=options.document)


def read_final_draft(path: Path, text: str, options: ReadingOptions) -> Content:
    """Read the scenes of a Final Draft screenplay.

    Raises:
        CorpusError: it is damaged, or holds no paragraph.
    """
    from lorelm.corpus.formats.xml import attribute, local_name, parse_xml

    check_no_columns(path, options)
    root = parse_xml(path, text.encode())
    content = next((child for child in root if local_name(child) == "content"), root)
    paragraphs = [
        (attribute(element, "Type"), _paragraph_text(element)) for element in _paragraphs(content)
    ]
    scenes = list(_scenes(paragraphs))
    if not scenes:
        raise CorpusError(
            f"{path} holds no document with a word in it: is it the right file?",
            code="corpus.no_words",
        )
    return Content(kind="script", works=[scenes], source=path.name)


def _without(text: str, start: str, end: str) -> str:
    """Return a text without what stands between two marks, in one pass."""
    kept = []
    place = 0
    while (first := text.find(start, place)) >= 0 and (last := text.find(end, first)) >= 0:
        kept.append(text[place:first])
        place = last + len(end)
    return "".join([*kept, text[place:]])


def _with_parenthetical(turn: Turn) -> Turn:
    """Return a turn whose stage directions stand in the lines that they are about."""
    return replace(turn, text=_PARENTHETICAL.sub(r"\1 ", turn.text))


def _is_synopsis(line: str) -> bool:
    return line.startswith("=") and not line.startswith("===")


def _plain_line(line: str) -> str:
    """Write what Fountain marks as a plain script does."""
    text = line.strip()
    if re.match(r"^\.[^\W_]", text):  # a forced heading
        return f"# {text[1:]}"
    if text.startswith(">"):
        return text.strip("> ") if text.endswith("<") else f"# {text[1:].strip()}"
    if text.startswith("@"):
        return text[1:].upper()
    if text.startswith("!"):
        text = text[1:]
    return _EMPHASIS.sub(r"\2", text.removeprefix("~")).replace("\\", "")


def _paragraphs(root: Any) -> Iterator[Any]:
    """Yield the paragraphs, also those side by side, but not the writers' notes."""
    from lorelm.corpus.formats.xml import local_name

    steps = [root]
    while steps:
        element = steps.pop()
        name = local_name(element)
        if name == "scriptnote":
            continue
        if name == "paragraph":
            yield element
        steps += reversed(element)


def _paragraph_text(paragraph: Any) -> str:
    texts = [child.text or "" for child in paragraph if child.tag == "Text"]
    return " ".join("".join(texts).split())


def _scenes(paragraphs: list[tuple[str, str]]) -> Iterator[list[Turn]]:
    scene: list[Turn] = []
    speaker, speech = "", []
    for kind, text in [*paragraphs, ("Scene Heading", "")]:
        is_speech = kind in ("Dialogue", "Parenthetical", "Lyrics") and bool(speaker)
        if is_speech:
            speech.append(text)
            continue
        if speaker and any(speech):
            scene.append(Turn(" ".join(filter(None, speech)), speaker))
        speaker, speech = "", []
        if kind == "Character":
            speaker = _NAME_EXTENSION.sub("", text)
        elif kind in ("Scene Heading", "Transition", "New Act", "End of Act"):
            if scene:
                yield scene
            scene = []
        elif text:
            scene.append(Turn(f"[{text.strip('[]()')}]"))
