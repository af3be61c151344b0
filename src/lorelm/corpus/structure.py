"""Structure of a text: turns, scenes and passages, and how they become documents.

A reader returns a :class:`Content`. :func:`to_documents` cuts it: what is continuous is split into
training, validation and test part by position, so that no part holds the neighbourhood of another.
"""

import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Final, Literal

from lorelm.corpus.documents import Documents, DocumentUnit
from lorelm.corpus.splits import TEST, TRAIN, TRAIN_SHARE, VALID_SHARE

TextKind = Literal["lines", "paragraphs", "wrapped prose", "verse", "script", "chat", "table"]

SCENE_WORDS: Final = 150
"""Words of a scene that is cut from a longer one: about 200 tokens."""

PASSAGE_WORDS: Final = 250
"""Words of a passage of continuous text, paragraphs being kept whole where they can be."""

GAP_WORDS: Final = 50
"""Words left out between two parts of a continuous text, so that no part continues another; a short
text has none to spare."""

MIN_FINE_WORDS: Final = 25
"""Least words of a piece of a paragraph, where whole paragraphs are too few for three parts."""

MIN_DOCUMENTS: Final = 4
"""Documents of each part of a short text, shorter ones then: intervals need several."""

MIN_WORK_WORDS: Final = 2_000
"""With a shorter work among them, all works are split into parts together, in their order."""

_UNIT_OF_KIND: Final[dict[str, DocumentUnit]] = {
    "lines": "line",
    "table": "line",
    "paragraphs": "text",
    "wrapped prose": "text",
    "verse": "text",
    "script": "scene",
    "chat": "scene",
}

_MEANING_OF_UNIT: Final[dict[str, str]] = {
    "line": "a line or a row",
    "paragraph": "a paragraph",
    "scene": f"a scene, or about {SCENE_WORDS} words of one",
    "text": f"a passage of about {PASSAGE_WORDS} words",
}

SENTENCE_END: Final = re.compile(r"[.!?…:][\"'”’)\]]*$")
FRAGMENT_WORDS: Final = 15
_SHOWN_CHARACTERS: Final = 60

# Of wrapped English, 80 % of the lines begin with a small letter; of German, 55 %; of verse, few.
_SMALL_WITHIN_SENTENCES: Final = 0.35


@dataclass(frozen=True, slots=True)
class Turn:
    """What one speaker says at a time; without a speaker, a paragraph, a stanza or a line."""

    text: str
    speaker: str = ""

    def __str__(self) -> str:
        return f"{self.speaker}: {self.text}" if self.speaker else self.text

    @property
    def num_words(self) -> int:
        return len(self.text.split())


def cue_name(name: str) -> str:
    """Return a speaker's name as it can stand before the colon of a cue, on one line."""
    return " ".join(name.replace(":", " ").split())


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a file holds, before it is cut into documents.

    Attributes:
        kind: what kind of text it is.
        works: the scenes (or chapters) of each work, such as a film, in their order; each work is
            split into parts on its own.
        source: a name to show.
        notes: what the reader decided or left out, in sentences for the user.
        warnings: what the user should change in the file, in sentences.
        unit: what a document is unless the user says otherwise; by the kind if None.
        columns: of a table, the names of all of them.
    """

    kind: TextKind
    works: Sequence[Sequence[Sequence[Turn]]]
    source: str
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()
    unit: DocumentUnit | None = None
    columns: Sequence[str] = ()

    @property
    def turns(self) -> list[Turn]:
        """All turns in their order."""
        return [turn for work in self.works for scene in work for turn in scene]

    def map_turns(self, change: Callable[[Turn], Turn]) -> "Content":
        """Return the same content with each turn changed."""
        return replace(self, works=[[[*map(change, s)] for s in work] for work in self.works])

    def with_notes(self, notes: Sequence[str]) -> "Content":
        """Return the same content with these notes before its own."""
        return replace(self, notes=[*notes, *self.notes])


def to_documents(content: Content, unit: DocumentUnit | None = None) -> Documents:
    """Cut a content into documents.

    A line or a paragraph is a document of its own, to be split at random. Scenes and passages are
    continuous: the first 80 % of the words of each work train, the next 10 % validate, the last
    10 % test.

    Args:
        unit: what a document is; None for what suits the kind of the text.
    """
    unit = unit or content.unit or _UNIT_OF_KIND[content.kind]
    turns = content.turns
    texts: Sequence[str] = [str(turn) for turn in turns]
    parts: Sequence[int] = ()
    finer = None
    if unit in ("scene", "text"):
        max_words = SCENE_WORDS if unit == "scene" else PASSAGE_WORDS
        texts, parts = _cut(content.works, max_words)
        if len(set(parts)) < 3:
            finer = _cut_finer(content.works, max_words)
        elif parts.count(TEST) == 1 and unit == "text":
            *others, tested = texts
            halves = [*_sentences_of(tested, len(tested.split()) // 2)]
            finer = ([*others, *halves], [*parts[:-1], *[TEST] * len(halves)])
    speakers = Counter(turn.speaker for turn in turns if turn.speaker)
    return Documents(
        texts=texts,
        parts=parts,
        finer=finer,
        source=content.source,
        speakers=dict(speakers.most_common()),
        notes=content.notes,
        warnings=content.warnings,
        kind=content.kind,
        unit=unit,
        columns=content.columns,
    )


def describe(documents: Documents) -> list[str]:
    """Say how a text was understood, and what the user should change."""
    if not documents.kind or documents.is_streamed:
        return []
    texts = documents.texts
    shown = " and ".join(repr(_beginning(text)) for text in texts[:2])
    meaning = _MEANING_OF_UNIT[documents.unit or "line"]
    found = f"{len(texts):,} documents, each {meaning}. The first ones: {shown}"
    if len(texts) == 1:
        found = f"1 document, {meaning}: {shown}"
    return [f"{documents.source} is read as {documents.kind}: {found}.", *warnings_of(documents)]


def warnings_of(documents: Documents) -> list[str]:
    """Return what the user should change in the text, and warn where documents are fragments."""
    return [*documents.warnings, *_fragment_warnings(documents)]


def _fragment_warnings(documents: Documents) -> list[str]:
    if documents.unit != "line" or not documents.kind or documents.is_streamed:
        return []
    texts = documents.texts
    median = statistics.median(len(text.split()) for text in texts)
    num_whole = sum(bool(SENTENCE_END.search(text.rstrip())) for text in texts)
    if median >= FRAGMENT_WORDS or num_whole >= 0.5 * len(texts):
        return []
    return [
        f"Half of the documents have fewer than {median + 1:.0f} words, and most end in the "
        "middle of a sentence: a model of fragments writes fragments. If the lines are one "
        "text in its order, --document text joins them."
    ]


def _beginning(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS].rstrip()}…"


def _cut_finer(
    works: Sequence[Sequence[Sequence[Turn]]], max_words: int
) -> tuple[list[str], Sequence[int]] | None:
    """Cut between sentences what has too few paragraphs for three parts; None if that fails too."""
    num_words = sum(turn.num_words for work in works for scene in work for turn in scene)
    # Eight pieces for each held-out part: the gap before it takes some of them.
    piece_words = max(MIN_FINE_WORDS, int(num_words * VALID_SHARE / 8))
    texts, parts = _cut(works, max_words, piece_words)
    return (texts, parts) if len(set(parts)) == 3 and parts.count(TEST) > 1 else None


def _cut(
    works: Sequence[Sequence[Sequence[Turn]]], max_words: int, piece_words: int | None = None
) -> tuple[list[str], Sequence[int]]:
    """Return the text and the part of each document.

    Args:
        piece_words: of the pieces of a turn, which are joined again where they are in one document.
    """
    pieces = [
        [p for scene in work for p in _pieces(scene, max_words, piece_words)] for work in works
    ]
    if not all(_num_words(work) >= MIN_WORK_WORDS for work in pieces):
        pieces = [[piece for work in pieces for piece in work]]
    documents = [
        (_text_of(document), part)
        for work in pieces
        for part, held in _by_position(work)
        for document in _grouped(held, min(max_words, _num_words(held) / MIN_DOCUMENTS))
    ]
    texts, parts = zip(*documents, strict=True) if documents else ((), ())
    return list(texts), parts


def _text_of(pieces: Sequence["_Piece"]) -> str:
    first, *others = pieces
    joined = (f" {p.turn.text}" if p.goes_on else f"\n{p.turn}" for p in others)
    return "".join([str(first.turn), *joined])


def _num_words(pieces: Iterable["_Piece"]) -> int:
    return sum(piece.num_words for piece in pieces)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A turn, or a part of a very long one.

    Attributes:
        num_words: of the turn, which are counted once: there may be millions.
        starts_scene: nothing before it belongs to the same document.
        goes_on: it is of the same turn as the one before, and on its line.
    """

    turn: Turn
    num_words: int
    starts_scene: bool
    goes_on: bool = False


def _pieces(scene: Sequence[Turn], max_words: int, piece_words: int | None) -> Iterator[_Piece]:
    """Yield the turns of a scene; what is longer than two documents, or two pieces, is cut."""
    starts_scene = True
    joins = piece_words is not None
    max_words = piece_words or max_words
    for turn in scene:
        num_words = turn.num_words
        if num_words <= 2 * max_words:
            yield _Piece(turn, num_words, starts_scene)
        else:
            for place, text in enumerate(_sentences_of(turn.text, max_words)):
                part = replace(turn, text=text)
                yield _Piece(part, part.num_words, starts_scene, goes_on=joins and place > 0)
                starts_scene = False
        starts_scene = False


def _sentences_of(text: str, max_words: int) -> Iterator[str]:
    """Cut a long paragraph after about `max_words`, at the end of a sentence if there is one."""
    held: list[str] = []
    for word in text.split(" "):
        held.append(word)
        ends = word.rstrip("\"'”’)").endswith((".", "!", "?"))
        if (len(held) >= max_words and ends) or len(held) >= 2 * max_words:
            yield " ".join(held)
            held = []
    if held:
        yield " ".join(held)


def _by_position(pieces: Sequence[_Piece]) -> Iterator[tuple[int, list[_Piece]]]:
    """Yield the parts of a work and their pieces, without those in the gaps between parts."""
    ends = list(accumulate(piece.num_words for piece in pieces))
    total = ends[-1] if ends else 0
    bounds = [TRAIN_SHARE * total, (TRAIN_SHARE + VALID_SHARE) * total, total + 1]
    part, gap_until = TRAIN, 0.0
    held: list[_Piece] = []
    for piece, end in zip(pieces, ends, strict=True):
        start = end - piece.num_words
        if part < TEST and start >= bounds[part] and held:
            yield part, held
            # A scene that starts here is no continuation of the one before.
            gap_until = start + (GAP_WORDS if total >= MIN_WORK_WORDS else 0)
            part, held = part + 1, []
        if piece.starts_scene:
            gap_until = 0.0
        if start >= gap_until:
            held.append(piece)
    if held:
        yield part, held


def _grouped(pieces: Sequence[_Piece], max_words: float) -> Iterator[list[_Piece]]:
    """Yield the pieces of each document: a scene, or as much of it as fits.

    A scene is cut into documents of about equal length.
    """
    scenes: list[list[_Piece]] = []
    for piece in pieces:
        if piece.starts_scene or not scenes:
            scenes.append([])
        scenes[-1].append(piece)
    for scene in scenes:
        num_words = _num_words(scene)
        wanted = num_words / max(1, round(num_words / max_words))
        held: list[_Piece] = []
        done = 0
        limit = wanted
        for piece in scene:
            held.append(piece)
            done += piece.num_words
            if done >= limit:
                yield held
                held = []
                limit = max(limit + wanted, done + wanted / 2)
        if held:
            yield held


def count_blocks(lines: Sequence[str]) -> int:
    """Return the number of runs of lines that have no blank line among them."""
    return sum(bool(line.strip()) and not before.strip() for before, line in pairwise(("", *lines)))


def would_not_fit(line: str, following: str, width: float) -> bool:
    """Return whether the first word of the following line is too long for the end of this one."""
    return len(line) + 1 + len(following.split(maxsplit=1)[0]) > width


def goes_on(lines: Sequence[str]) -> bool:
    """Return whether lines go on with the sentence before: many begin with a small letter."""
    small = sum(line.lstrip("\"'“‘([ ")[:1].islower() for line in lines)
    return bool(lines) and small >= _SMALL_WITHIN_SENTENCES * len(lines)
