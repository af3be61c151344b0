"""Prompts: texts, ids or turns of speakers, as the model reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Final

import numpy as np

from lorelm.corpus.special_tokens import (
    EOS,
    MAX_NAME_WORDS,
    NEWLINE,
    SOMEONE,
    is_unknown_name,
    speaker_name,
)
from lorelm.corpus.structure import Turn, cue_name
from lorelm.corpus.tokenizer import Tokenizer
from lorelm.corpus.vocabulary import EOS_ID, Vocabulary, letters
from lorelm.errors import SamplingError
from lorelm.generation.sequence import Prompt
from lorelm.parameters import short

TurnGiven = Turn | Sequence[str] | Mapping[str, str]
"""A turn as it may be given: `Turn`, ``("FRODO", "I will take it!")``, or a mapping with the keys
`speaker` and `text`."""

_MEANING: Final = "must be pairs of a speaker and a text"


def turn_ends(vocabulary: Vocabulary, prompt: Prompt) -> list[str]:
    """Return the texts at which a speaker's line has ended: another one's name, or any line."""
    others = filter(None, map(speaker_name, prompt.other_speakers))
    return [f"\n{name}:" for name in dict.fromkeys([*vocabulary.speakers, *others])] or ["\n"]


def speaker_in(vocabulary: Vocabulary, name: str) -> str | None:
    """Return a speaker's name as the model knows it; None for another one.

    Case and the form of apostrophes make no difference.
    """
    if name in vocabulary.speakers:
        return name
    same = (known for known in vocabulary.speakers if letters(known) == letters(name))
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
        written = self.tokenizer.tokenize_prompt(text)
        if NEWLINE not in self.vocabulary:
            written = _without_line_breaks(written)
        tokens = [*map(self.vocabulary.known_form, written)]
        unknown = (token for token in tokens if token not in self.vocabulary)
        prompt = Prompt(
            text=text,
            tokens=tokens,
            last_token=written[-1] if written else None,
            ids=self.vocabulary.encode(tokens),
            unknown_words=list(dict.fromkeys(self.tokenizer.piece(word, None) for word in unknown)),
        )
        return self._with_speakers(prompt)

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
        prompt = Prompt(
            text=self.tokenizer.detokenize(tokens),
            tokens=tokens,
            last_token=tokens[-1] if tokens else None,
            ids=np.array(ids, dtype=np.int64),
            unknown_words=(),
            is_in_ids=True,
            has_eos=has_eos,
        )
        return self._with_speakers(prompt)

    def memory_tokens(self, text: str | None) -> list[str]:
        """Return the tokens of a text to keep in mind, as the model knows them."""
        return [*map(self.vocabulary.known_form, self.tokenizer.tokenize(text or ""))]

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

        The prompt has the text of a script, and reads as this text does, so that the text alone
        is enough to continue it again. A speaker that the model does not know is
        `<other speaker>` and keeps its name in the text. A model without speakers reads the turns
        as lines, without their names.

        Args:
            prompt: how the line of `speaker` begins; without a speaker, how the next line does.

        Raises:
            SamplingError: a turn is none, or the model has no speakers and `speaker` is given.
        """
        begun = self.read(prompt)
        if speaker is not None and not isinstance(speaker, str):
            raise SamplingError("speaker", f"must be a name, not {short(speaker)}")
        if isinstance(turns, str) or not isinstance(turns, Sequence):
            raise SamplingError("turns", f"{_MEANING}, not {short(turns)}")
        if not speaker and not turns:
            return begun
        has_speakers = bool(self.vocabulary.speakers)
        if speaker and not has_speakers:
            raise SamplingError(
                "speaker",
                "needs a model that was trained on a text with speakers; this one knows none",
                code="setting.no_speakers",
            )
        # After a line break, the next speaker would begin.
        last = Turn(prompt.rstrip("\r\n") if speaker else prompt, _one_line(speaker or ""))
        said = [turn for turn in map(_turn, turns) if turn.text]
        lines = [self._line(turn) for turn in (*said, last)]
        # A model of single lines has never seen a line break.
        read = self.read(("\n" if has_speakers or NEWLINE in self.vocabulary else " ").join(lines))
        named = [turn.speaker for turn in (*said, last) if turn.speaker and has_speakers]
        unknown = [name for name in named if speaker_in(self.vocabulary, name) is None]
        return replace(read, unknown_words=list(dict.fromkeys([*unknown, *read.unknown_words])))

    def shown_name(self, name: str) -> str:
        """Return a speaker's name as it stands before a line, where the tokenizer recognises it.

        It begins with a capital letter and has at most four words, unless the model knows it. What
        cannot be such a name is shown as that of the other speaker.
        """
        known = speaker_in(self.vocabulary, name)
        if known is not None:
            return known
        words = " ".join(cue_name(name).split()[:MAX_NAME_WORDS])
        shown = words[:1].upper() + words[1:]
        return shown if is_unknown_name(shown) else SOMEONE

    def _with_speakers(self, prompt: Prompt) -> Prompt:
        """Return a prompt with what is known of its speakers, who may be named in another case."""
        other = self.vocabulary.speakers.get(SOMEONE)
        names, in_turn = set(), dict[str, str]()
        for token, id_ in zip(prompt.tokens, prompt.ids.tolist(), strict=True):
            if (name := speaker_name(token)) is None:
                continue
            names.add(name)
            if id_ == other:
                in_turn.pop(token.casefold(), None)
                in_turn[token.casefold()] = token
        known = (speaker_in(self.vocabulary, name) for name in names)
        return replace(
            prompt,
            other_speakers=[*in_turn.values()],
            names_known_speaker=any(name not in (None, SOMEONE) for name in known),
        )

    def _line(self, turn: Turn) -> str:
        if not turn.speaker or not self.vocabulary.speakers:
            return turn.text
        cue = f"{self.shown_name(turn.speaker)}:"
        return f"{cue} {turn.text}" if turn.text else cue


def _without_line_breaks(tokens: Sequence[str]) -> list[str]:
    """Leave out the line breaks at the end and before speakers.

    A model of single lines has never seen one and would read `<unk>`.
    """
    return [
        token
        for token, after in zip_longest(tokens, tokens[1:])
        if token != NEWLINE or (after is not None and speaker_name(after) is None)
    ]


def _turn(given: TurnGiven) -> Turn:
    if isinstance(given, Turn):
        return given
    pair = (given.get("speaker", ""), given.get("text")) if isinstance(given, Mapping) else given
    match pair:
        case [str(speaker), str(text)]:
            return Turn(text.strip(), _one_line(speaker))
    raise SamplingError("turns", f"{_MEANING}, not {short(given)}")


def _one_line(name: str) -> str:
    return " ".join(name.split())
