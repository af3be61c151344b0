"""Scenes as prompts: turns of speakers, and the beginning of the next line."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from lorelm.corpus.structure import Turn
from lorelm.corpus.tokenizer import NEWLINE, OTHER_SPEAKER, speaker_token
from lorelm.corpus.vocabulary import Vocabulary
from lorelm.errors import SamplingError
from lorelm.generation.sequence import Prompt

if TYPE_CHECKING:
    from lorelm.generation.language_model import LanguageModel

TurnGiven = Turn | Sequence[str] | Mapping[str, str]
"""A turn as it may be given: `Turn`, ``("FRODO", "I will take it!")``, or a mapping with the keys
`speaker` and `text`."""

_MEANING: Final = "must be pairs of a speaker and a text"


def turn_ends(vocabulary: Vocabulary) -> list[str]:
    """Return the texts at which a speaker's line has ended: another one's name, or any line."""
    return [f"\n{name}:" for name in vocabulary.speakers] or ["\n"]


def speaker_in(vocabulary: Vocabulary, name: str) -> str | None:
    """Return a speaker's name as the model knows it, whatever its case; None for another one."""
    if name in vocabulary.speakers:
        return name
    same = (known for known in vocabulary.speakers if known.casefold() == name.casefold())
    return next(same, None)


def parse_turn(line: str) -> Turn:
    """Return the turn that a line such as "FRODO: I will take it!" is."""
    speaker, colon, text = line.partition(":")
    return Turn(text.strip(), speaker.strip()) if colon else Turn(line.strip())


def read_scene(
    model: "LanguageModel", prompt: str, *, speaker: str, turns: Sequence[TurnGiven]
) -> Prompt:
    """Tokenize turns, and the beginning of a line.

    A speaker that the model does not know is `<other speaker>` and keeps its name in the text. A
    model without speakers reads the turns as lines, without their names.

    Args:
        prompt: how the line of `speaker` begins; without a speaker, how the next line does.

    Raises:
        SamplingError: a turn is none, or the model has no speakers and `speaker` is given.
    """
    vocabulary = model.vocabulary
    if speaker and not vocabulary.speakers:
        raise SamplingError(
            "speaker",
            "needs a model that was trained on a text with speakers; this one knows none",
            code="setting.no_speakers",
        )
    last = Turn(prompt, speaker)
    lines: list[str] = []
    tokens: list[str] = []
    unknown: list[str] = []
    for turn in (*map(_turn, turns), last):
        named = turn.speaker if vocabulary.speakers else ""
        known = speaker_in(vocabulary, named) if named else None
        if tokens and NEWLINE in vocabulary:
            tokens.append(NEWLINE)
        if named:
            tokens.append(OTHER_SPEAKER if known is None else speaker_token(known))
            unknown += [named] if known is None else []
        read = model.read_prompt(turn.text)
        tokens += read.tokens
        unknown += read.unknown_words
        lines.append(f"{known or named}: {turn.text}".strip() if named else turn.text)
    return Prompt(
        text="\n".join(lines),
        tokens=tokens,
        ids=vocabulary.encode(tokens),
        unknown_words=list(dict.fromkeys(unknown)),
    )


def _turn(given: TurnGiven) -> Turn:
    if isinstance(given, Turn):
        return given
    fields = (given.get("speaker", ""), given.get("text")) if isinstance(given, Mapping) else given
    if isinstance(fields, str) or len(fields) != 2 or not all(isinstance(f, str) for f in fields):
        raise SamplingError("turns", f"{_MEANING}, not {given!r:.200}")
    speaker, text = fields
    return Turn(str(text).strip(), str(speaker).strip())
