"""The minimal pairs of `bench/grammar.py`."""

import json
from collections import Counter
from pathlib import Path

from lorelm.corpus.tokenizer import make_tokenizer

PAIRS = Path(__file__).parents[1] / "bench" / "grammar" / "pairs.jsonl"


def test_ten_kinds_of_ten_different_pairs() -> None:
    pairs = [json.loads(line) for line in PAIRS.read_text(encoding="utf-8").splitlines()]
    assert [*Counter(pair["kind"] for pair in pairs).values()] == [10] * 10
    assert len({pair[name] for pair in pairs for name in ("good", "bad")}) == 200
    tokenizer = make_tokenizer("words")
    for pair in pairs:
        words = zip(*(tokenizer.tokenize(pair[name]) for name in ("good", "bad")), strict=True)
        assert sum(good != bad for good, bad in words) == 1, pair
