"""Where the ids of a corpus are: in memory, or in a file if the corpus is larger than memory.

::

    ids.HASH.STYLE.bin    ids of the training part, int32, `<eos>` after each document
    ids.HASH.STYLE.json   the rest of the encoded corpus, and the settings it was encoded with

HASH is of the content, STYLE the tokenizer's. The JSON is written last, and deleted before other
ids are put in place: where it exists, the ids are complete and its own.
"""

import gc
import io
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from lorelm.corpus.documents import CorpusParts
from lorelm.corpus.encoding import EncodedCorpus, Encoder, EncodingSettings
from lorelm.corpus.splits import TRAIN, assign_parts
from lorelm.corpus.text_files import StreamedSequence
from lorelm.corpus.tokenizer import Tokenizer
from lorelm.errors import CorpusError
from lorelm.machine.renaming import rename
from lorelm.machine.temporary import temporary_folder
from lorelm.typing import Ids

_PATTERN: Final = f"ids.{'[0-9a-f]' * 16}.*"
STORE_PATTERNS: Final = (f"{_PATTERN}.bin", f"{_PATTERN}.json", f".{_PATTERN}.new")
"""Names of the files above, and of one that is being written."""


def encode_corpus(
    parts: CorpusParts,
    tokenizer: Tokenizer,
    settings: EncodingSettings,
    store: "IdStore | None" = None,
) -> tuple[EncodedCorpus, "TokenizedTexts"]:
    """Split, tokenize and encode a corpus; return it and its training documents.

    The ids of a streamed corpus are in `store` or, without one, in a file that is deleted with the
    last reference to them; those of any other are in memory.

    Raises:
        CorpusError: a file is damaged, the documents are too few, a part has no word, or `store`
            cannot be written or lacks what another process wrote.
    """
    texts: Sequence[str]
    if parts.is_streamed:
        with temporary_folder() as temporary:
            store = store or IdStore(folder=temporary)
            encoded = store.load_or_encode(parts, tokenizer, settings)
        texts = _StreamedTrainingPart(parts, tokenizer, settings, length=encoded.num_train)
    else:
        encoder = Encoder(tokenizer, file := io.BytesIO(), is_streamed=False)
        fields = encoder.encode(parts, settings)
        ids = np.frombuffer(file.getvalue(), np.int32)
        encoded = EncodedCorpus(**fields, ids=cast(Ids, ids))
        texts = encoder.train_texts
    return encoded, TokenizedTexts(texts, tokenizer)


@dataclass(frozen=True, kw_only=True)
class IdStore:
    """Folder for the ids of a corpus larger than memory; those that are there are used again.

    Attributes:
        is_main_process: False if another process writes them, which must be done by now.
        on_progress: called while ids are written, with the share of the corpus done, 0 to 1.
    """

    folder: Path
    is_main_process: bool = True
    on_progress: Callable[[float], None] | None = None

    def load_or_encode(
        self, parts: CorpusParts, tokenizer: Tokenizer, settings: EncodingSettings
    ) -> EncodedCorpus:
        path = self.folder / f"ids.{parts.content_hash()[:16]}.{tokenizer.style}.bin"
        found = _load(path, settings)
        if found is not None:
            return found
        source = parts.documents.source
        if not self.is_main_process:
            raise CorpusError(
                f"the ids of {source} that another process of this run wrote are not in "
                f"{self.folder}: choose as out (--out) a folder on a drive that all "
                "machines share",
                code="corpus.ids_missing",
            )
        try:
            self._write(path, parts, tokenizer, settings)
        except OSError as error:
            raise CorpusError(
                f"the ids of {source} cannot be written to {self.folder}: "
                f"{error.strerror or error}",
                code="corpus.ids_unwritable",
            ) from error
        written = _load(path, settings)
        assert written is not None
        return written

    def _write(
        self, path: Path, parts: CorpusParts, tokenizer: Tokenizer, settings: EncodingSettings
    ) -> None:
        """Write the ids, then their record, each under a provisional name that is replaced."""
        provisional = path.with_name(f".{path.name}.new")
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with provisional.open("w+b") as file:
                encoder = Encoder(tokenizer, file, is_streamed=True)
                fields = encoder.encode(parts, settings, self.on_progress)
                file.flush()
                os.fsync(file.fileno())  # a power cut must not leave numbers in a file of this size
            record = fields | {
                "settings": settings.fingerprint,
                "num_bytes": provisional.stat().st_size,
            }
            # A kill between the two renames must not leave these ids with an older record.
            path.with_suffix(".json").unlink(missing_ok=True)
            rename(provisional, path)
            provisional.write_text(json.dumps(record), encoding="utf-8")
            rename(provisional, path.with_suffix(".json"))
        finally:
            provisional.unlink(missing_ok=True)
            if not any(self.folder.iterdir()):
                self.folder.rmdir()


def _load(path: Path, settings: EncodingSettings) -> EncodedCorpus | None:
    """Return what was stored with these settings, if it is complete."""
    try:
        record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        is_whole = path.stat().st_size == record.pop("num_bytes")
        if record.pop("settings") != settings.fingerprint or not is_whole:
            return None
        return EncodedCorpus(**record, ids=cast(Ids, np.memmap(path, dtype=np.int32, mode="r")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def delete_stored(folder: Path) -> None:
    """Delete the ids in a folder, unless something still maps them into memory on Windows."""
    files = [file for pattern in STORE_PATTERNS for file in folder.glob(pattern)]
    if files:
        gc.collect()  # objects of the run that refer to each other keep the map
    for file in files:
        with suppress(OSError):
            file.unlink()


class TokenizedTexts(Sequence[list[str]]):
    """The tokens of each text, cut on each access: kept, they would take ten times the memory."""

    def __init__(self, texts: Sequence[str], tokenizer: Tokenizer) -> None:
        self._texts = texts
        self._tokenizer = tokenizer

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self) -> Iterator[list[str]]:
        return map(self._tokenizer.tokenize, self._texts)

    def __getitem__(self, place: Any) -> Any:
        found = self._texts[place]
        tokenize = self._tokenizer.tokenize
        return list(map(tokenize, found)) if isinstance(place, slice) else tokenize(found)


class _StreamedTrainingPart(StreamedSequence[str]):
    """The texts of a training part, read and split again on each iteration."""

    def __init__(
        self, parts: CorpusParts, tokenizer: Tokenizer, settings: EncodingSettings, *, length: int
    ) -> None:
        self._parts = parts
        self._chunks = tokenizer.chunks
        self._tokenize = tokenizer.tokenize
        self._seed = settings.split_seed
        self._length = length

    def __iter__(self) -> Iterator[str]:
        parts = self._parts
        for text, part in assign_parts(parts.documents, seed=self._seed, given=parts.given):
            if part == TRAIN and any(map(self._tokenize, self._chunks(text))):
                yield text

    def __len__(self) -> int:
        return self._length
