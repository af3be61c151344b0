"""Texts to ids: one pass over a corpus of any size."""

import hashlib
import io
import json
from array import array
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, BinaryIO, Final

import numpy as np

from lorelm.corpus.documents import CorpusParts, Documents, TextDigest
from lorelm.corpus.splits import HELD_OUT_LIMIT, TEST, TRAIN, VALID, make_split, words_of
from lorelm.corpus.tokenizer import Tokenizer
from lorelm.corpus.vocabulary import EOS_ID, UNK_ID, Vocabulary, VocabularyRules
from lorelm.errors import CorpusError
from lorelm.typing import Ids, Ints

MAX_WORDS: Final = 50_000
"""The most frequent words that a streamed corpus keeps: each costs a row of the output layer."""

MAX_COUNTED: Final = 1_000_000
"""Different words of a streamed corpus that are counted at a time, about 200 MB; of more, the rarer
half is dropped."""

MAX_CACHED: Final = 200_000
"""Chunks of text in each of the two generations of the cache: about 120 MB."""

_MAX_CACHED_LEN: Final = 64

FLUSHED_IDS: Final = 1_000_000

DOCUMENTS_PER_REPORT: Final = 20_000
"""Documents between two reports of progress: a quarter of a second."""

_END: Final = np.int32(0).tobytes()
"""The provisional number of `<eos>`; words are numbered from 1 in the order in which they come."""


@dataclass(frozen=True, kw_only=True)
class EncodingSettings:
    """What the ids of a content depend on beside its tokenizer.

    Attributes:
        vocabulary: the vocabulary, or the rules by which it is made from the training part.
    """

    vocabulary: VocabularyRules | Vocabulary
    split_seed: int

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the settings."""
        vocabulary = self.vocabulary
        if isinstance(vocabulary, Vocabulary):
            vocabulary_json = vocabulary.to_json()
        else:
            vocabulary_json = json.dumps(asdict(vocabulary))
        return hashlib.sha256(f"{self.split_seed} {vocabulary_json}".encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class EncodedCorpus:
    """What an encoded corpus consists of, but for its training texts.

    Attributes:
        fingerprint: SHA-256 over the texts of all parts.
        words: of the vocabulary.
        held_out: the tokens of each document of the validation and of the test part.
        num_train: documents of the training part.
        num_left_out: documents without a token, and copies of held-out documents.
        num_dropped: words that were dropped while they were rare, to bound memory; if 0, the
            vocabulary is exact.
        ids: of the training part, int32, `<eos>` after each document; may be memory-mapped.
    """

    fingerprint: str
    words: Sequence[str]
    held_out: Sequence[Sequence[list[str]]]
    num_train: int
    num_left_out: int
    num_dropped: int
    ids: Ids


class _ChunkCache(dict[str, tuple[bytes, str]]):
    """For each chunk of text, its tokens as numbers (int32 in bytes) and its words (`words_of`).

    A line of 15 words takes 5 µs with the cache, and 40 µs without.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._older: dict[str, tuple[bytes, str]] = {}
        self.numbers: dict[str, int] = {}
        self.next_number = 1

    def __missing__(self, chunk: str) -> tuple[bytes, str]:
        if len(self) >= MAX_CACHED:
            self._older = dict(self)
            self.clear()
        entry = self._older.pop(chunk, None)
        if entry is None:
            numbers = [self._number(token) for token in self._tokenizer.tokenize(chunk)]
            entry = (array("i", numbers).tobytes(), words_of(chunk))
        if len(chunk) <= _MAX_CACHED_LEN:
            self[chunk] = entry
        return entry

    def forget(self, words: Sequence[str]) -> None:
        """Drop words; one that comes again has a new number."""
        for word in words:
            del self.numbers[word]
        self._older.clear()
        self.clear()

    def _number(self, word: str) -> int:
        number = self.numbers.get(word)
        if number is None:
            number = self.numbers[word] = self.next_number
            self.next_number += 1
        return number


class Encoder:
    """One pass over a corpus: numbers words as they come and counts them, then writes their ids.

    Args:
        file: for the ids of the training part; open for reading and writing.
        is_streamed: bounds the memory, whatever the corpus: at most 10,000 documents in each
            held-out part, a million different words, and no texts.

    Attributes:
        train_texts: the documents of the training part, unless they are streamed.
    """

    def __init__(self, tokenizer: Tokenizer, file: BinaryIO, *, is_streamed: bool) -> None:
        self._tokenizer = tokenizer
        self._file = file
        self._is_streamed = is_streamed
        self._chunks = _ChunkCache(tokenizer)
        self._numbers = self._chunks.numbers
        self._counts: Ints = np.zeros(1, np.int64)
        self._waiting = bytearray()
        self._digest = TextDigest()
        self._held_out: dict[int, list[list[str]]] = {VALID: [], TEST: []}
        self._num_train = 0
        self._num_left_out = 0
        self._num_dropped = 0
        self.train_texts: list[str] = []

    def encode(
        self,
        parts: CorpusParts,
        settings: EncodingSettings,
        on_progress: Callable[[float], None] | None = None,
    ) -> dict[str, Any]:
        """Write the ids of the training part; return the other fields of :class:`EncodedCorpus`.

        Raises:
            CorpusError: the documents are too few, or a part has no word.
        """
        split = make_split(parts.documents, seed=settings.split_seed, given=parts.given)
        self._add(parts.documents, split, on_progress)
        for part, documents in parts.given.items():
            self._add(documents, partial(_always, part))
        self._flush()
        self._require_words(parts)
        vocabulary = self._vocabulary(settings.vocabulary)
        self._write_ids(vocabulary)
        return {
            "fingerprint": self._digest.fingerprint,
            "words": vocabulary.words,
            "held_out": list(self._held_out.values()),
            "num_train": self._num_train,
            "num_left_out": self._num_left_out,
            "num_dropped": self._num_dropped,
        }

    def _vocabulary(self, rules: VocabularyRules | Vocabulary) -> Vocabulary:
        if isinstance(rules, Vocabulary):
            return rules
        # Words of the held-out parts have numbers too, and a count of 0.
        seen = {word: int(self._counts[n]) for word, n in self._numbers.items() if self._counts[n]}
        return Vocabulary.from_counts(seen, rules)

    def _add(
        self,
        documents: Documents,
        part_of: Callable[[str], int | None],
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        num_expected = documents.estimated_len()
        for number, text in enumerate(documents.texts, start=1):
            self._digest.update(text)
            chunks = [self._chunks[chunk] for chunk in self._tokenizer.chunks(text)]
            part = part_of(" ".join([words for _, words in chunks if words]))
            if part == TRAIN:
                self._train(text, b"".join([numbers for numbers, _ in chunks]))
            elif part is None:
                self._num_left_out += 1
            else:
                self._hold_out(text, part)
            if on_progress and number % DOCUMENTS_PER_REPORT == 0:
                on_progress(min(number / num_expected, 1.0))

    def _train(self, text: str, numbers: bytes) -> None:
        if not numbers:
            self._num_left_out += 1
            return
        self._num_train += 1
        if not self._is_streamed:
            self.train_texts.append(text)
        self._waiting += numbers + _END
        if len(self._waiting) >= 4 * FLUSHED_IDS:
            self._flush()

    def _hold_out(self, text: str, part: int) -> None:
        tokens = self._tokenizer.tokenize(text)
        held_out = self._held_out[part]
        if tokens and not (self._is_streamed and len(held_out) >= HELD_OUT_LIMIT):
            held_out.append(tokens)
        else:
            self._num_left_out += 1

    def _flush(self) -> None:
        """Count and write the numbers that are waiting."""
        data = bytes(self._waiting)
        self._waiting.clear()
        found = np.bincount(np.frombuffer(data, np.int32), minlength=self._chunks.next_number)
        self._counts = np.pad(self._counts, (0, len(found) - len(self._counts))) + found
        self._file.write(data)
        if self._is_streamed and len(self._numbers) > MAX_COUNTED:
            self._drop_rare_words()

    def _drop_rare_words(self) -> None:
        counts = self._counts[np.fromiter(self._numbers.values(), np.int64, len(self._numbers))]
        limit = np.partition(counts, len(counts) // 2)[len(counts) // 2]
        rare = [word for word, number in self._numbers.items() if self._counts[number] <= limit]
        self._chunks.forget(rare)
        self._num_dropped += len(rare)

    def _require_words(self, parts: CorpusParts) -> None:
        sizes = (self._num_train, len(self._held_out[VALID]), len(self._held_out[TEST]))
        for part, name in enumerate(("training", "validation", "test")):
            if not sizes[part]:
                raise CorpusError(
                    f"the {name} part of {parts.given.get(part, parts.documents).source} has no "
                    f"word that the {self._tokenizer.style} tokenizer knows: give more documents "
                    "(of a text file, a document is a line), or try the tokenizer words, since the "
                    "classic one keeps a to z, digits and apostrophes only",
                    code="corpus.no_words",
                )

    def _write_ids(self, vocabulary: Vocabulary) -> None:
        """Replace the numbers in the file by ids, a million at a time."""
        ids = np.full(self._chunks.next_number, UNK_ID, np.int32)
        ids[0] = EOS_ID
        numbers = np.fromiter(self._numbers.values(), np.int64, len(self._numbers))
        ids[numbers] = vocabulary.encode(self._numbers)
        self._file.seek(0)
        while data := self._file.read(4 * FLUSHED_IDS):
            self._file.seek(-len(data), io.SEEK_CUR)
            self._file.write(ids[np.frombuffer(data, np.int32)].tobytes())


def _always(part: int, _words: str) -> int:
    return part
