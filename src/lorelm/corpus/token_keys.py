"""64-bit keys of tokens, the same in every corpus, vocabulary and bundle.

With keys instead of ids, texts can be compared word by word without keeping the words, and words
outside a vocabulary still differ.
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from lorelm.corpus.special_tokens import EOS, NEWLINE
from lorelm.corpus.tokenizer import Tokenizer
from lorelm.typing import Keys

DOCUMENT_END_KEY: Final = np.uint64(0)


def token_keys(tokens: Sequence[str], tokenizer: Tokenizer) -> Keys:
    """Return the 64-bit key of each token.

    Tokens that differ in their spacing marks alone have one key: words are copied whatever the
    white space between them.
    """
    return np.fromiter(
        (_key(tokenizer.piece(token, None), token == EOS) for token in tokens),
        dtype=np.uint64,
        count=len(tokens),
    )


def document_keys(documents: Iterable[Sequence[str]], tokenizer: Tokenizer) -> Keys:
    """Return the keys of documents end to end, a document end before the first and after each."""
    ends = np.array([DOCUMENT_END_KEY])
    parts = [ends]
    for tokens in documents:
        parts += [token_keys(tokens, tokenizer), ends]
    return np.concatenate(parts)


def line_break_key(tokenizer: Tokenizer) -> np.uint64:
    """Return the key of a line break within a document."""
    return np.uint64(token_keys([NEWLINE], tokenizer)[0])


@lru_cache(maxsize=1 << 17)
def _key(piece: str, is_end: bool) -> int:
    if is_end:
        return int(DOCUMENT_END_KEY)
    digest = hashlib.blake2b(piece.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")
