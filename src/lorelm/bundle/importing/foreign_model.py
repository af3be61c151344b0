"""From foreign files to a model with the ids that it has there: :func:`read_model`.

checkpoint -> pickle machine -> names and sizes -> tensors through PyTorch -> our names
vocabulary -> pickle machine, JSON or lines     -> words, one for each id
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lorelm.bundle.importing.checkpoint import Checkpoint, read_checkpoint
from lorelm.bundle.importing.reconciling import FittedWords, find_marks, fit_words
from lorelm.bundle.importing.vocabularies import (
    ForeignVocabulary,
    read_vocabulary,
    tokenizer_in,
    vocabulary_in,
)
from lorelm.corpus.tokenizer import Tokenizer, make_tokenizer
from lorelm.errors import InputError
from lorelm.model.config import ModelConfig
from lorelm.typing import Floats32

IMPORTED_STYLES: Final = ("classic", "basic_english")
"""The tokenizers of models that were trained elsewhere."""

_FEW_UNREADABLE: Final = 0.95
"""Of a vocabulary, the share that its own tokenizer reads at least: all but odd words."""


@dataclass(frozen=True, kw_only=True)
class ModelFromElsewhere:
    """What a model that was trained elsewhere has, whatever ids its words have.

    Attributes:
        weights: by the names of :meth:`ModelConfig.tensor_shapes`.
        is_tokenizer_guessed: it was neither asked for nor named in a file.
        notices: sentences for a log and a page: what was cut or filled, and what to provide
            instead.
        checkpoint, vocabulary_file: the names of the files; None where there was no vocabulary.
    """

    config: ModelConfig
    weights: dict[str, Floats32] = field(repr=False)
    tokenizer: Tokenizer
    is_tokenizer_guessed: bool
    notices: tuple[str, ...]
    checkpoint: str
    vocabulary_file: str | None


@dataclass(frozen=True, kw_only=True)
class ForeignModel(ModelFromElsewhere):
    """A model with the ids that it has elsewhere.

    Attributes:
        fitted: a word for each id.
    """

    fitted: FittedWords = field(repr=False)


def read_model(
    checkpoint: str | Path, vocabulary: str | Path | None = None, *, tokenizer: str | None = None
) -> ForeignModel:
    """Reads a model that was trained elsewhere; nothing in the files is executed.

    Args:
        checkpoint: a file of ``torch.save``: a state dict, alone or among other things, or a
            module.
        vocabulary: the words by their ids; None takes them from the checkpoint, if it holds them.
        tokenizer: one of :data:`IMPORTED_STYLES`; None guesses it.

    Raises:
        InputError: a file is unsafe, damaged, or not of such a model. The message names it.
        MissingExtraError: PyTorch is not installed.
    """
    if tokenizer is not None and tokenizer not in IMPORTED_STYLES:
        raise InputError(
            f"a model is imported with one of the tokenizers {', '.join(IMPORTED_STYLES)}, not "
            f"{tokenizer!r}"
        )
    checkpoint = Path(checkpoint)
    read = read_checkpoint(checkpoint)
    words, vocabulary_file = _vocabulary(read, vocabulary)
    config, weights = read.weights()  # last: PyTorch takes a second and 200 MB to be imported
    fitted = fit_words(None if words is None else words.words, config.vocabulary_size)
    named = (words and words.tokenizer) or tokenizer_in(read.file.pickled.value)
    texts = _without_marks(fitted.words)
    style = tokenizer or named or _likeliest_style(texts)
    return ForeignModel(
        config=config,
        weights=weights,
        fitted=fitted,
        tokenizer=make_tokenizer(style),
        is_tokenizer_guessed=tokenizer is None and named is None,
        notices=(*read.notices, *fitted.notices, *_unreadable(style, texts)),
        checkpoint=checkpoint.name,
        vocabulary_file=vocabulary_file,
    )


def _vocabulary(
    checkpoint: Checkpoint, path: str | Path | None
) -> tuple[ForeignVocabulary | None, str | None]:
    """The words and the name of the file that they are from."""
    size = checkpoint.sizes.vocabulary_size
    if path is not None:
        return read_vocabulary(Path(path), size=size), Path(path).name
    found = vocabulary_in(checkpoint.file.pickled.value, size=size, is_among_others=True)
    return found, None if found is None else checkpoint.file.path.name


def _without_marks(words: Sequence[str]) -> list[str]:
    marks = find_marks(words)
    left_out = {*marks.never_written, marks.eos}
    return [word for id_, word in enumerate(words) if id_ not in left_out]


def _likeliest_style(words: Sequence[str]) -> str:
    """The tokenizer that reads more of the words as they are: it may have made them."""
    return max(IMPORTED_STYLES, key=lambda style: len(_readable(style, words)))


def _unreadable(style: str, words: Sequence[str]) -> list[str]:
    """What is to be said of words that the tokenizer would not find in a prompt."""
    readable = _readable(style, words)
    if len(readable) >= _FEW_UNREADABLE * len(words):
        return []
    example = next(word for word in words if word not in readable)
    return [
        f"The tokenizer {style} cannot read {len(words) - len(readable):,} of the {len(words):,} "
        f"words in a prompt, such as {example!r}: the training cut texts in another way."
    ]


def _readable(style: str, words: Sequence[str]) -> set[str]:
    tokenizer = make_tokenizer(style)
    return {word for word in words if tokenizer.tokenize(word) == [word]}
