"""Prompts: texts, ids or turns of speakers, as the model reads them."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from lorelm.corpus.structure import Turn
from lorelm.corpus.tokenizer import EOS, NEWLINE, Tokenizer, speaker_token
from lorelm.corpus.vocabulary import EOS_ID, Vocabulary
from lorelm.errors import SamplingError
from lorelm.generation.sequence import Prompt

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


class PromptReader:
    """Makes prompts for a model of this tokenizer and vocabulary, and texts of ids."""

    def __init__(self, tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
        self.tokenizer: Final = tokenizer
        self.vocabulary: Final = vocabulary

    def read(self, text: str) -> Prompt:
        """Tokenize a text as the model reads it; a SamplingError if it is not a text."""
        if not isinstance(text, str):
            raise SamplingError("prompt", f"must be a text, not {text!r}")
        tokens = self.tokenizer.tokenize_prompt(text)
        # A model of single lines has never seen a line break and would read `<unk>`.
        if tokens[-1:] == [NEWLINE] and NEWLINE not in self.vocabulary:
            tokens = tokens[:-1]
        unknown = (token for token in tokens if token not in self.vocabulary)
        return Prompt(
            text=text,
            tokens=tokens,
            ids=self.vocabulary.encode(tokens),
            unknown_words=list(dict.fromkeys(self.tokenizer.piece(word, None) for word in unknown)),
        )

    def of_ids(self, ids: Sequence[int], *, field: str = "prompt") -> Prompt:
        """Make a prompt from ids.

        Args:
            field: the name of the setting in an error.

        Raises:
            SamplingError: one is not an id of the vocabulary.
        """
        for id_ in ids:
            if not 0 <= id_ < len(self.vocabulary):
                raise SamplingError(field, f"{id_} is not an id below {len(self.vocabulary)}")
        has_eos = list(ids[:1]) == [EOS_ID]
        ids = ids[has_eos:]
        tokens = self.vocabulary.decode(ids)
        return Prompt(
            text=self.tokenizer.detokenize(tokens),
            tokens=tokens,
            ids=np.array(ids, dtype=np.int64),
            unknown_words=(),
            is_in_ids=True,
            has_eos=has_eos,
        )

    def documents_to_ids(self, text: str) -> list[int]:
        """Return the ids of a text in which a written `<eos>` ends a document."""
        ids: list[int] = []
        for document in text.split(EOS):
            ids += [EOS_ID, *self.read(document).ids.tolist()]
        return ids[1:]

    def ids_to_documents(self, ids: Sequence[int], *, field: str) -> str:
        """Return the text of ids, with a written `<eos>` after each document but the last.

        Raises:
            SamplingError: one is not an id of the vocabulary; it names the field.
        """
        documents: list[list[int]] = [[]]
        for id_ in ids:
            if id_ == EOS_ID:
                documents.append([])
            else:
                documents[-1].append(id_)
        return EOS.join(self.of_ids(part, field=field).text for part in documents)

    def read_scene(
        self, prompt: str, *, speaker: str | None = None, turns: Sequence[TurnGiven] = ()
    ) -> Prompt:
        """Tokenize turns, and the beginning of a line.

        A speaker that the model does not know is `<other speaker>` and keeps its name in the text.
        A model without speakers reads the turns as lines, without their names.

        Args:
            prompt: how the line of `speaker` begins; without a speaker, how the next line does.

        Raises:
            SamplingError: a turn is none, or the model has no speakers and `speaker` is given.
        """
        if not speaker and not turns:
            return self.read(prompt)
        vocabulary = self.vocabulary
        if speaker and not vocabulary.speakers:
            raise SamplingError(
                "speaker",
                "needs a model that was trained on a text with speakers; this one knows none",
                code="setting.no_speakers",
            )
        last = Turn(prompt, speaker or "")
        lines: list[str] = []
        tokens: list[str] = []
        unknown: list[str] = []
        for turn in (*map(_turn, turns), last):
            named = turn.speaker if vocabulary.speakers else ""
            known = speaker_in(vocabulary, named) if named else None
            if tokens and NEWLINE in vocabulary:
                tokens.append(NEWLINE)
            if named:
                tokens.append(speaker_token(known or named))
                unknown += [named] if known is None else []
            read = self.read(turn.text)
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
    pair = (given.get("speaker", ""), given.get("text")) if isinstance(given, Mapping) else given
    match pair:
        case [str(speaker), str(text)]:
            return Turn(text.strip(), speaker.strip())
    raise SamplingError("turns", f"{_MEANING}, not {given!r:.200}")
