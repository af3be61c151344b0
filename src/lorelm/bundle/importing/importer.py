"""Import a model that was trained elsewhere: :func:`import_model`.

checkpoint -> inert unpickler -> names and shapes -> numbers -> our names
vocabulary -> inert unpickler, JSON or lines     -> words by their ids
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lorelm.bundle.importing import alignment
from lorelm.bundle.importing.checkpoint import read_checkpoint
from lorelm.bundle.importing.vocabularies import read_vocabulary, tokenizer_in, vocabulary_in
from lorelm.bundle.manifest import ImportedMetadata, Manifest
from lorelm.bundle.writer import BundleContents, lock_output_dir, save_bundle
from lorelm.corpus.tokenizer import Tokenizer, make_tokenizer
from lorelm.errors import InputError
from lorelm.model.config import ModelConfig
from lorelm.runtime.step_graph import PRECISIONS, build_step_graph
from lorelm.typing import Floats32

IMPORTED_STYLES: Final = ("classic", "basic_english")
"""The tokenizers of models that were trained elsewhere."""

# Share of a vocabulary that its own tokenizer reads; the rest are odd words.
_MIN_READABLE: Final = 0.95


@dataclass(frozen=True, kw_only=True)
class ImportedModel:
    """A model that was trained elsewhere, with the ids that its words have there.

    Attributes:
        weights: by the names of :meth:`ModelConfig.tensor_shapes`.
        words: a unique one for each id.
        aligned: the same model with its rows in our order.
        is_tokenizer_guessed: it was neither given nor named in a file.
        file_notices: what was cut or filled, and what to provide instead, for a user.
        checkpoint, vocabulary_file: names of the files; None where there was no vocabulary.
    """

    config: ModelConfig
    weights: dict[str, Floats32] = field(repr=False)
    words: tuple[str, ...] = field(repr=False)
    aligned: alignment.AlignedModel
    tokenizer: Tokenizer
    is_tokenizer_guessed: bool
    file_notices: tuple[str, ...]
    checkpoint: str
    vocabulary_file: str | None

    @property
    def notices(self) -> tuple[str, ...]:
        """All notices for the user."""
        return (*self.file_notices, *self.aligned.notices)

    def save(self, out: str | Path) -> None:
        """Write the bundle, atomically.

        Raises:
            BundleError: it cannot be written, or the directory holds other files.
            MissingExtraError: the packages that write a bundle are not installed.
        """
        config, weights = self.aligned.config, self.aligned.weights
        manifest = Manifest(
            tokenizer=self.tokenizer.style,
            model=config,
            reads_eos_first=False,
            never_written=self.aligned.never_written,
            precision="float32",  # what int8 costs this model was not measured
            imported=ImportedMetadata(
                checkpoint=self.checkpoint,
                vocabulary=self.vocabulary_file,
                never_seen=self.aligned.never_seen,
                notices=self.notices,
            ),
        )
        contents = BundleContents(
            manifest=manifest,
            vocabulary=self.aligned.vocabulary,
            graphs={p: build_step_graph(weights, config, p) for p in PRECISIONS},
            weights=weights,
        )
        with lock_output_dir(out):
            save_bundle(out, contents)


def import_model(
    checkpoint: str | Path, vocabulary: str | Path | None = None, *, tokenizer: str | None = None
) -> ImportedModel:
    """Read a model that was trained elsewhere; nothing in the files is executed.

    Args:
        checkpoint: a file of ``torch.save``: a state dict, alone or among other things, or a
            module.
        vocabulary: the words by their ids; None takes them from the checkpoint, if it holds them.
        tokenizer: one of :data:`IMPORTED_STYLES`; None guesses it.

    Raises:
        InputError: a file is unsafe, damaged, or not of such a model. The message names it.
    """
    if tokenizer is not None and tokenizer not in IMPORTED_STYLES:
        raise InputError(
            f"a model is imported with one of the tokenizers {', '.join(IMPORTED_STYLES)}, not "
            f"{tokenizer!r}",
            code="import.tokenizer",
        )
    path = Path(checkpoint)
    read = read_checkpoint(path)
    size = read.config.vocabulary_size
    if vocabulary is None:
        found, named = vocabulary_in(read.value, size=size, is_among_others=True)
    else:
        found, named = read_vocabulary(Path(vocabulary), size=size)
        named = named or tokenizer_in(read.value)
    words, notices = alignment.fill_vocabulary(found, size)
    special = alignment.find_special_tokens(words)
    left_out = {*special.never_written, special.eos}
    plain = [word for id_, word in enumerate(words) if id_ not in left_out]
    # The tokenizer that reads more of the words as they are may have made them.
    style = tokenizer or named or max(IMPORTED_STYLES, key=lambda s: len(_readable(s, plain)))
    return ImportedModel(
        config=read.config,
        weights=read.weights,
        words=words,
        aligned=alignment.align_vocabulary(
            read.config, read.weights, words, are_placeholders=found is None
        ),
        tokenizer=make_tokenizer(style),
        is_tokenizer_guessed=tokenizer is None and named is None,
        file_notices=(*read.notices, *notices, *_unreadable(style, plain)),
        checkpoint=path.name,
        vocabulary_file=None if found is None else Path(vocabulary or path).name,
    )


def _unreadable(style: str, words: Sequence[str]) -> list[str]:
    """Return a notice if the tokenizer would not find many of the words in a prompt."""
    readable = _readable(style, words)
    if len(readable) >= _MIN_READABLE * len(words):
        return []
    example = next(word for word in words if word not in readable)
    return [
        f"The tokenizer {style} cannot read {len(words) - len(readable):,} of the {len(words):,} "
        f"words in a prompt, such as {example!r}: the training cut texts in another way."
    ]


def _readable(style: str, words: Sequence[str]) -> set[str]:
    tokenizer = make_tokenizer(style)
    return {word for word in words if tokenizer.tokenize(word) == [word]}
