"""Scenes on the page: who speaks next, and the names before the lines of a text.

static/scene.js does the same in the browser; tests/server/pages/cues.json holds examples for both.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from lorelm.corpus.special_tokens import SOMEONE
from lorelm.corpus.tokenizer import Tokenizer
from lorelm.history.record import Record
from lorelm.server.served_model import ServedModel

_SENTENCE_END: Final = re.compile(r"[.!?…][\"'”’»)\]]*$")


class Part(NamedTuple):
    """A part of a text: the name before a line with its colon, or what is not."""

    text: str
    is_cue: bool


def speakers_of(served: ServedModel) -> list[str]:
    """Return the speakers that a model lets speak, the most frequent first."""
    return [name for name in served.model.vocabulary.speakers if name != SOMEONE]


def speaker_choices(text: str, served: ServedModel) -> list[str]:
    """Return the speakers of a text, each once, then the other ones of the model."""
    known, named = speakers_of(served), dict[str, str]()
    spellings = {name.casefold(): name for name in known}
    for begin, end in served.model.tokenizer.find_cues(text):
        name = text[begin : end - 1]
        named.setdefault(name.casefold(), spellings.get(name.casefold(), name))
    return [*named.values(), *(name for name in known if name.casefold() not in named)]


def speakers_by_model(models: Iterable[ServedModel]) -> dict[str, list[str]]:
    """Return the speakers of the models that have any, by the names of the models."""
    speakers = {served.name: speakers_of(served) for served in models}
    return {model: names for model, names in speakers.items() if names}


def cue_after(text: str, speaker: str) -> str:
    """Return what begins a speaker's line after a text.

    It is empty where the last line is the speaker's and its sentence has not ended, and where only
    a name stands in it.
    """
    line = text.rpartition("\n")[2].strip()
    if not line:
        return f"{speaker}:"
    name, colon, speech = line.partition(":")
    is_unfinished = name.strip() == speaker and not _SENTENCE_END.search(speech)
    return "" if colon and (is_unfinished or not speech) else f"\n{speaker}:"


def last_speaker(text: str) -> str:
    """Return whose line a text ends in; empty if it is nobody's."""
    name, colon, _ = text.rpartition("\n")[2].partition(":")
    return name.strip() if colon else ""


def next_speaker(record: Record) -> str:
    """Return the choice of the form that wrote a record: who spoke, if it ended with the line."""
    return last_speaker(record.prompt) if record.settings.get("single_turn") else ""


def parts_of(text: str, tokenizer: Tokenizer) -> list[Part]:
    """Cut a text into the names before lines and what is between them."""
    parts, end = [], 0
    for begin, after in tokenizer.find_cues(text):
        parts += [Part(text[end:begin], False), Part(text[begin:after], True)]
        end = after
    return [part for part in (*parts, Part(text[end:], False)) if part.text]


def is_cue(text: str) -> bool:
    """Return whether a token is the name before a line; a colon alone is punctuation."""
    return text.endswith(":") and any(map(str.isalnum, text))


def turn_fields(prompt: str, speaker: str, *, max_characters: int) -> Mapping[str, object]:
    """Return the fields of a request for one line of a speaker after a prompt."""
    return {
        "prompt": (prompt + cue_after(prompt, speaker))[-max_characters:],
        "single_turn": True,
    }
