import pytest

from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.corpus.vocabulary import Vocabulary
from lorelm.generation.nearest_words import NearestWords


@pytest.fixture(scope="module")
def nearest() -> NearestWords:
    words = [
        "<unk>",
        "<eos>",
        "￭,",
        "the",
        "The",
        "king",
        "kings",
        "Frodo",
        "friend",
        "two-￭",
        "￭!",
    ]
    return NearestWords(make_tokenizer("words"), Vocabulary(words))


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("kinge", ["king", "kings"]),
        ("freind", ["friend"]),  # two letters swapped are one edit
        ("Teh", ["The"]),
        ("teh", ["the"]),
        ("frodo", ["Frodo"]),
        ("xqzt", []),
        (",", []),
        ("", []),
    ],
)
def test_the_nearest_words_come_first(nearest: NearestWords, word: str, found: list[str]) -> None:
    assert nearest.find(word) == found


def test_of_equally_near_words_the_most_frequent_comes_first() -> None:
    words = ["<unk>", "<eos>", "cart", "care", "carp"]
    nearest = NearestWords(make_tokenizer("words"), Vocabulary(words))
    assert nearest.find("carx", limit=2) == ["cart", "care"]
