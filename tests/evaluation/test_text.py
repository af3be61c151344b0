from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.errors import raises_code

from lorelm.bundle import Bundle
from lorelm.corpus.special_tokens import EOS, UNK
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.corpus.vocabulary import EOS_ID, UNK_ID, Vocabulary
from lorelm.errors import BundleError, CorpusError
from lorelm.evaluation.text import HeldOutText, require_seen_tokens

VOCABULARY = Vocabulary([UNK, EOS, "the", "ring", "￭,"])


def text(*documents: str, style: str = "words") -> HeldOutText:
    tokenizer = make_tokenizer(style)
    return HeldOutText(
        documents=[tokenizer.tokenize(document) for document in documents],
        name="a test",
        tokenizer=tokenizer,
        vocabulary=VOCABULARY,
    )


def test_a_text_counted_by_hand() -> None:
    counted = text("the orc,\nthe ring", "Gollum")
    assert counted.stream.tolist() == [2, UNK_ID, 4, UNK_ID, 2, 3, EOS_ID, UNK_ID, EOS_ID]
    assert counted.num_targets.tolist() == [7, 2]
    assert counted.num_characters.tolist() == [len("the orc,\nthe ring") + 1, len("Gollum") + 1]
    assert counted.unknown_words == ["orc", "\n", "Gollum"]
    assert np.flatnonzero(counted.is_unknown).tolist() == [1, 3, 7]
    assert counted.by_document(counted.stream == UNK_ID).tolist() == [2, 1]


def test_values_are_summed_by_document() -> None:
    counted = text("the ring", "the", "ring ring ring")
    assert counted.by_document(np.arange(9)).tolist() == [0 + 1 + 2, 3 + 4, 5 + 6 + 7 + 8]


def test_a_literal_unk_has_no_spelling() -> None:
    counted = text("the <unk>", "orc")
    assert counted.unknown_words == ["orc"]
    assert counted.by_document(counted.stream == UNK_ID).tolist() == [1, 1]


def test_characters_that_the_tokenizer_drops_do_not_count() -> None:
    assert text("The -- ring!!", "the", style="classic").num_characters.tolist() == [9, 4]


@pytest.mark.parametrize(
    ("documents", "code"),
    [
        (["the ring"], "evaluation.one_document"),
        (["Кольцо всевластья", "Кольцо"], "evaluation.no_known_word"),
        (["Кольцо, всевластья", "Кольцо"], "evaluation.no_known_word"),  # it knows the comma
        (["<unk> <unk>", "<unk>"], "evaluation.no_known_word"),
    ],
)
def test_a_text_that_cannot_be_evaluated_is_refused(documents: list[str], code: str) -> None:
    with raises_code(CorpusError, code):
        text(*documents)


def test_an_imported_model_is_not_evaluated_on_tokens_it_has_never_seen(
    new_imported_bundle: Callable[[list[str]], Path],
) -> None:
    words = [f"w{number}" for number in range(28)]
    for special, lacking in (("<unk>", "<eos>"), ("<eos>", "<unk>")):
        bundle = Bundle.load(new_imported_bundle([*words, special, "more"]))
        known, unknown = bundle.vocabulary.encode(["w1", "w2"]), np.array([UNK_ID])
        end = np.array([EOS_ID])
        require_seen_tokens(np.concatenate([known, end if lacking == "<unk>" else unknown]), bundle)
        with raises_code(BundleError, "evaluation.unseen_token"):
            require_seen_tokens(np.concatenate([known, unknown, end]), bundle)
