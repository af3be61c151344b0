"""Pieces of words, learned from the words of a text: :func:`learn_pieces`."""

import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Final

from lorelm.corpus.tokenizer import SubwordTokenizer
from lorelm.errors import MissingExtraError

_MARK: Final = SubwordTokenizer.MARK

_MAX_READ: Final = 2_000_000
"""Words that the trainer reads, in proportion to how often they come: about ten seconds."""

_TOKENS_PER_PIECE: Final = 20
_MIN_PIECES, _MAX_PIECES = 2_000, 8_000

# Thai, Lao, Tibetan, Burmese, Khmer, Japanese and Chinese. Korean has spaces.
_WITHOUT_SPACES: Final = re.compile(
    "[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]"
)


def is_without_spaces(text: str) -> bool:
    """Return whether most letters of a text are of scripts without spaces between words."""
    num_letters = sum(letter.isalpha() for letter in text)
    return len(_WITHOUT_SPACES.findall(text)) > num_letters / 2


def has_tokenizers() -> bool:
    """Return whether the package that learns pieces is installed."""
    return find_spec("tokenizers") is not None


def num_pieces(num_words: int) -> int:
    """Return the number of pieces for a text of this many words."""
    return min(max(num_words // _TOKENS_PER_PIECE, _MIN_PIECES), _MAX_PIECES)


def learn_pieces(counts: Mapping[str, int], size: int) -> list[str]:
    """Return about `size` pieces of words, among them every letter, at a word's start and within.

    Pairs of pieces are joined, the most frequent first (byte-pair encoding, Sennrich et al. 2016,
    https://arxiv.org/abs/1508.07909).

    Args:
        counts: how often each word of the training part occurs.

    Raises:
        MissingExtraError: the package ``tokenizers`` is not installed.
    """
    try:
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    except ImportError as error:
        raise MissingExtraError("the tokenizer subword", "subword") from error
    trainer = trainers.BpeTrainer(
        vocab_size=size, continuing_subword_prefix=_MARK, show_progress=False, min_frequency=2
    )
    learner = Tokenizer(models.BPE(continuing_subword_prefix=_MARK))
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    learner.train_from_iterator(_sampled(counts), trainer)
    letters = sorted({letter for word in counts for letter in word})
    singles = [form for letter in letters for form in (letter, _MARK + letter)]
    return list(dict.fromkeys([*singles, *learner.get_vocab()]))


def _sampled(counts: Mapping[str, int]) -> Iterator[str]:
    share = min(1.0, _MAX_READ / max(1, sum(counts.values())))
    for word, count in counts.items():
        yield " ".join([word] * max(1, round(count * share)))
