"""A corpus larger than memory: its ids lie in a file, which is written in one pass over the text.

::

    ids.HASH.STYLE.bin    the ids of the training part, int32, `<eos>` after each document
    ids.HASH.STYLE.json   the vocabulary, the held-out documents, and what the ids were made with

HASH is of the content, STYLE the tokenizer's. The JSON is written last, and goes before other ids
come, so where it stands the ids are whole and its own.
"""

import json
import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Final, cast

import numpy as np
import numpy.typing as npt

from lorelm.corpus.documents import Documents, TextDigest, fingerprint_of
from lorelm.corpus.large_files import LargeFile, ReadInOrder
from lorelm.corpus.splits import HELD_OUT_LIMIT, HashedSplit, words_of
from lorelm.corpus.tokenizer import Tokenizer
from lorelm.corpus.vocabulary import EOS_ID, UNK_ID, Vocabulary
from lorelm.errors import CorpusError
from lorelm.typing import Ids

_PATTERN: Final = f"ids.{'[0-9a-f]' * 16}.*"
STORE_PATTERNS: Final = (f"{_PATTERN}.bin", f"{_PATTERN}.json", f".{_PATTERN}.new")
"""The names of the files above, and of one that is being written."""

MAX_WORDS: Final = 50_000
"""The most frequent words that a large corpus keeps: each costs a row of the output layer."""

_MAX_COUNTED: Final = 1_000_000
"""Different words that are counted at a time, about 200 MB; of more, the rarer half is dropped."""

_MAX_PIECES: Final = 200_000
"""Pieces between white space that are remembered, and as many that were before: about 120 MB."""

_FLUSHED_IDS: Final = 1_000_000

_DOCUMENTS_BETWEEN_WORDS: Final = 20_000
"""On how far the reading is: a quarter of a second."""

_Numbers = npt.NDArray[np.int32]
_END: Final = np.int32(0).tobytes()
"""The number of `<eos>` before there is a vocabulary; words are numbered from 1 as they come."""


@dataclass(frozen=True, kw_only=True)
class LargeSettings:
    """What the ids of a content depend on beside its tokenizer."""

    min_frequency: int
    split_seed: int
    max_words: int


@dataclass(frozen=True, kw_only=True)
class LargeCorpus:
    """What became of a large corpus.

    Attributes:
        fingerprint: SHA-256 over the texts of all parts.
        train: ids, memory-mapped.
        valid, test: the tokens of each document.
        num_train: documents of the training part.
        num_left_out: documents without a token, and copies of held-out documents.
        num_dropped: words that were forgotten while they were rare, to bound memory; 0 where the
            vocabulary is exact.
    """

    fingerprint: str
    vocabulary: Vocabulary
    train: Ids
    valid: Sequence[list[str]]
    test: Sequence[list[str]]
    num_train: int
    num_left_out: int
    num_dropped: int


def is_large(documents: Documents) -> bool:
    """Whether the texts of a corpus are not in memory."""
    return isinstance(documents.texts, LargeFile)


def number_large_corpus(
    read: Sequence[Documents],
    tokenizer: Tokenizer,
    settings: LargeSettings,
    *,
    store: Path,
    is_stored: bool = False,
    on_progress: Callable[[float], None] | None = None,
) -> LargeCorpus:
    """The ids of a corpus, from its files in the folder `store` or written there.

    Args:
        read: one corpus that is to be split (:class:`HashedSplit`), or the three parts.
        is_stored: another process has written them there; nothing is to be written.
        on_progress: told now and then which share of the corpus is read, about, from 0 to 1.

    Raises:
        CorpusError: a file is damaged, a part has no word, or `store` cannot be written, or does
            not hold what it is to hold.
    """
    path = store / f"ids.{_content_hash(read)[:16]}.{tokenizer.style}.bin"
    found = _load(path, settings)
    if found is not None:
        return found
    if is_stored:
        raise CorpusError(
            f"the ids of {read[0].source} that another process of this run wrote are not in "
            f"{store}: give --out a folder on a drive that all machines share"
        )
    provisional = path.with_name(f".{path.name}.new")
    try:
        store.mkdir(parents=True, exist_ok=True)
        try:
            with provisional.open("wb") as file:
                numbering = _Numbering(tokenizer, file, on_progress)
                if len(read) == 1:
                    numbering.add_split(read[0], seed=settings.split_seed)
                else:
                    numbering.add_parts(read)
                numbering.flush()
            vocabulary = numbering.vocabulary(settings)
            _renumber(provisional, numbering.new_ids(vocabulary))
            # Killed between the two renames, it must not leave these ids with an older record.
            path.with_suffix(".json").unlink(missing_ok=True)
            provisional.replace(path)
            record = {
                "settings": asdict(settings),
                "fingerprint": numbering.digest.fingerprint,
                "words": vocabulary.words,
                "held_out": numbering.held_out,
                "num_train": numbering.num_train,
                "num_left_out": numbering.num_left_out,
                "num_dropped": numbering.num_dropped,
                "num_bytes": path.stat().st_size,
            }
            provisional.write_text(json.dumps(record), encoding="utf-8")
            provisional.replace(path.with_suffix(".json"))
        finally:
            provisional.unlink(missing_ok=True)
            if not any(store.iterdir()):
                store.rmdir()
    except OSError as error:
        raise CorpusError(
            f"the ids of {read[0].source} cannot be written to {store}: {error.strerror or error}"
        ) from error
    made = _load(path, settings)
    assert made is not None
    return made


class TrainingDocuments(ReadInOrder[Sequence[str]]):
    """The tokens of each training document of a large corpus, cut again whenever they are read."""

    def __init__(
        self, documents: Documents, tokenizer: Tokenizer, *, split_seed: int | None, length: int
    ) -> None:
        self._documents = documents
        self._tokenizer = tokenizer
        self._split_seed = split_seed
        self._length = length

    def __iter__(self) -> Iterator[list[str]]:
        texts: Iterator[str] = iter(self._documents.texts)
        if self._split_seed is not None:
            placed = split_texts(self._documents, seed=self._split_seed)
            texts = (text for text, part in placed if part == 0)
        for text in texts:
            if tokens := self._tokenizer.tokenize(text):
                yield tokens

    def __len__(self) -> int:
        return self._length


def split_texts(documents: Documents, *, seed: int) -> Iterator[tuple[str, int | None]]:
    """The texts of a large corpus, each with its part (see :class:`HashedSplit`)."""
    split = _split_of(documents, seed=seed)
    return ((text, split.part_of(words_of(text))) for text in documents.texts)


def _split_of(documents: Documents, *, seed: int) -> HashedSplit:
    return HashedSplit(seed=seed, num_documents=_num_documents(documents))


def _num_documents(documents: Documents) -> float:
    """How many they are; of a file that was not read yet, about."""
    texts = documents.texts
    if isinstance(texts, LargeFile):
        return texts.num_bytes / texts.mean_line_bytes()
    return len(texts)


def _content_hash(read: Sequence[Documents]) -> str:
    hashes = (
        part.texts.content_hash() if isinstance(part.texts, LargeFile) else part.fingerprint
        for part in read
    )
    return fingerprint_of(hashes)


def _load(path: Path, settings: LargeSettings) -> LargeCorpus | None:
    """What was stored with these settings, if it is whole."""
    try:
        record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        if record["settings"] != asdict(settings) or path.stat().st_size != record["num_bytes"]:
            return None
        valid, test = record["held_out"]
        return LargeCorpus(
            fingerprint=record["fingerprint"],
            vocabulary=Vocabulary(record["words"]),
            train=cast(Ids, np.memmap(path, dtype=np.int32, mode="r")),
            valid=valid,
            test=test,
            num_train=record["num_train"],
            num_left_out=record["num_left_out"],
            num_dropped=record["num_dropped"],
        )
    except (OSError, ValueError, KeyError, TypeError, CorpusError):
        return None


class _Pieces(dict[str, tuple[bytes, str]]):
    """What stands between white space: its numbers as bytes, and its words (`words_of`).

    No token and no word goes across white space, so a line is put together from its pieces; a
    line of 15 words takes 5 µs so, and 40 cut by the tokenizer.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._before: dict[str, tuple[bytes, str]] = {}
        self.numbers: dict[str, int] = {}
        self.next_number = 1

    def __missing__(self, piece: str) -> tuple[bytes, str]:
        if len(self) >= _MAX_PIECES:
            self._before = dict(self)
            self.clear()
        entry = self._before.pop(piece, None)
        if entry is None:
            numbers = [self._number(token) for token in self._tokenizer.tokenize(piece)]
            entry = (array("i", numbers).tobytes(), words_of(piece))
        self[piece] = entry
        return entry

    def forget(self, words: Sequence[str]) -> None:
        """Numbers these words anew, should they come again."""
        for word in words:
            del self.numbers[word]
        self._before.clear()
        self.clear()

    def _number(self, word: str) -> int:
        number = self.numbers.get(word)
        if number is None:
            number = self.numbers[word] = self.next_number
            self.next_number += 1
        return number


class _Numbering:
    """The one pass: numbers words as they come, counts them, writes the numbers to a file."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        file: BinaryIO,
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self._file = file
        self._on_progress = on_progress
        self._pieces = _Pieces(tokenizer)
        self._counts: Ids = np.zeros(1, np.int64)
        self._waiting: list[bytes] = []
        self._num_waiting_bytes = 0
        self.digest = TextDigest()
        self.held_out: tuple[list[list[str]], list[list[str]]] = ([], [])
        self.num_train = 0
        self.num_left_out = 0
        self.num_dropped = 0

    def add_split(self, documents: Documents, *, seed: int) -> None:
        """Numbers a corpus and splits it.

        Raises:
            CorpusError: a part has no word.
        """
        split = _split_of(documents, seed=seed)
        for text in self._texts_of(documents):
            self.digest.update(text)
            pieces = [self._pieces[piece] for piece in text.split()]
            part = split.part_of(" ".join([words for _, words in pieces if words]))
            if part == 0:
                self._train([numbers for numbers, _ in pieces])
            elif part is None:
                self.num_left_out += 1
            else:
                self._hold_out(text, part)
        self._check(documents.source)

    def add_parts(self, read: Sequence[Documents]) -> None:
        """Numbers the first of three parts and keeps the others.

        Raises:
            CorpusError: a part has no word.
        """
        for text in self._texts_of(read[0]):
            self.digest.update(text)
            self._train([self._pieces[piece][0] for piece in text.split()])
        for part, documents in enumerate(read[1:], start=1):
            for text in documents.texts:
                self.digest.update(text)
                self._hold_out(text, part)
        self._check(", ".join(part.source for part in read))

    def flush(self) -> None:
        """Counts and writes the numbers that wait for it."""
        data = b"".join(self._waiting)
        self._waiting.clear()
        self._num_waiting_bytes = 0
        found = np.bincount(np.frombuffer(data, np.int32), minlength=self._pieces.next_number)
        self._counts = np.pad(self._counts, (0, len(found) - len(self._counts))) + found
        self._file.write(data)
        if len(self._pieces.numbers) > _MAX_COUNTED:
            self._drop_rare_words()

    def vocabulary(self, settings: LargeSettings) -> Vocabulary:
        """By the rule of every vocabulary, of the most frequent words."""
        counts = {word: int(self._counts[n]) for word, n in self._pieces.numbers.items()}
        return Vocabulary.from_counts(
            counts, min_frequency=settings.min_frequency, max_words=settings.max_words
        )

    def new_ids(self, vocabulary: Vocabulary) -> _Numbers:
        """The id of each number."""
        new_ids = np.full(self._pieces.next_number, UNK_ID, np.int32)
        new_ids[0] = EOS_ID
        for id_, word in enumerate(vocabulary.words):
            if word in self._pieces.numbers:
                new_ids[self._pieces.numbers[word]] = id_
        return new_ids

    def _texts_of(self, documents: Documents) -> Iterator[str]:
        """The texts, with a word now and then on how far it is."""
        num_expected = _num_documents(documents)
        for number, text in enumerate(documents.texts, start=1):
            yield text
            if self._on_progress and number % _DOCUMENTS_BETWEEN_WORDS == 0:
                self._on_progress(min(number / num_expected, 1.0))

    def _train(self, numbers: list[bytes]) -> None:
        data = b"".join(numbers)
        if not data:
            self.num_left_out += 1
            return
        self.num_train += 1
        self._waiting += (data, _END)
        self._num_waiting_bytes += len(data) + len(_END)
        if self._num_waiting_bytes >= 4 * _FLUSHED_IDS:
            self.flush()

    def _hold_out(self, text: str, part: int) -> None:
        tokens = self._tokenizer.tokenize(text)
        held_out = self.held_out[part - 1]
        if tokens and len(held_out) < HELD_OUT_LIMIT:
            held_out.append(tokens)
        else:
            self.num_left_out += 1

    def _check(self, source: str) -> None:
        if not self.num_train or not all(self.held_out):
            raise CorpusError(
                f"{source} has too few documents with a word that the {self._tokenizer.style} "
                "tokenizer knows: a document is a line; the classic tokenizer keeps a to z, digits "
                "and apostrophes only"
            )

    def _drop_rare_words(self) -> None:
        numbers = self._pieces.numbers
        counts = self._counts[np.fromiter(numbers.values(), np.int64, len(numbers))]
        limit = np.partition(counts, len(counts) // 2)[len(counts) // 2]
        rare = [word for word, number in numbers.items() if self._counts[number] <= limit]
        self._pieces.forget(rare)
        self.num_dropped += len(rare)


def _renumber(path: Path, new_ids: _Numbers) -> None:
    """Puts ids in place of numbers, a piece of the file at a time."""
    with path.open("r+b") as file:
        while data := file.read(4 * _FLUSHED_IDS):
            file.seek(-len(data), 1)
            file.write(new_ids[np.frombuffer(data, np.int32)].tobytes())
            file.flush()
        os.fsync(file.fileno())  # a power cut would leave numbers for ids in a file of full length
