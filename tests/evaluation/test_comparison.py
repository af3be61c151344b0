import dataclasses
from pathlib import Path

import pytest
from tests.errors import raises_code

from lorelm.bundle import Bundle
from lorelm.corpus.documents import Documents
from lorelm.corpus.preparation import split_parts
from lorelm.errors import BundleError, CorpusError
from lorelm.evaluation.baseline import NgramBaseline
from lorelm.evaluation.comparison import compare, comparison_notes, comparison_table
from lorelm.evaluation.perplexity import perplexity, predict
from lorelm.training.recipe import Recipe
from lorelm.training.train import train


@pytest.fixture(scope="module")
def good(tiny_bundle: Path) -> Bundle:
    return Bundle.load(tiny_bundle)


@pytest.fixture(scope="module")
def hasty(
    tales: Documents, tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    """A model of the same corpus and split that has hardly learned anything."""
    path = tmp_path_factory.mktemp("models") / "hasty"
    recipe = dataclasses.replace(tiny_recipe, epochs=1, learning_rate=0.001)
    return Bundle.load(train(tales, recipe, out=path).path)


@pytest.fixture(scope="module")
def classic(
    tales: Documents, tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    path = tmp_path_factory.mktemp("models") / "classic"
    recipe = dataclasses.replace(tiny_recipe, epochs=2, tokenizer="classic")
    return Bundle.load(train(tales, recipe, out=path).path)


@pytest.fixture(scope="module")
def held_out(tales: Documents) -> list[str]:
    return list(split_parts(tales, split_seed=42)[2].texts)


def test_a_model_does_not_differ_from_itself(good: Bundle, held_out: list[str]) -> None:
    first, second = compare([good, good], held_out, name="tales")
    assert first.difference is None
    assert first.score == second.score
    assert second.difference is not None
    assert second.difference.bits_per_character == 0
    assert second.difference.interval == (0, 0)
    assert second.difference.p_value == 1
    assert comparison_notes(["a", "b"], [first, second]) == [
        "b and a do not differ by more than chance."
    ]


def test_the_better_model_is_significantly_better(
    good: Bundle, hasty: Bundle, held_out: list[str]
) -> None:
    models = compare([hasty, good], held_out, name="tales")
    difference = models[1].difference
    assert difference is not None
    expected = models[1].score.bits_per_character - models[0].score.bits_per_character
    assert difference.bits_per_character == pytest.approx(expected)
    assert difference.interval[0] <= difference.bits_per_character <= difference.interval[1] < 0
    assert difference.p_value < 0.01
    assert comparison_notes(["hasty", "good"], models) == [
        "good is better than hasty.",
        mixed := "hasty is compared as it is used: mixed with its n-gram model.",
    ]
    mirrored = compare([good, hasty], held_out, name="tales")
    assert mirrored[1].difference.bits_per_character == pytest.approx(-expected)
    assert comparison_notes(["good", "hasty"], mirrored) == [
        "hasty is worse than good.",
        mixed,
    ]


def test_across_tokenizers_no_model_is_called_better(
    good: Bundle, classic: Bundle, held_out: list[str]
) -> None:
    notes = comparison_notes(["a", "b"], compare([good, classic], held_out, name="tales"))
    assert [note.split(":")[0] for note in notes] == [
        "Their vocabularies differ",
        "Their tokenizers differ",
        "b is compared as it is used",
    ]


def test_a_mixture_that_is_the_default_is_compared(hasty: Bundle, held_out: list[str]) -> None:
    assert hasty.manifest.mixture
    mixed, _ = compare([hasty, hasty], held_out, name="tales")
    logs = predict(hasty.runtime(), mixed.text.stream).log_probabilities
    logs = NgramBaseline.of_bundle(hasty).mixed(logs, mixed.text.stream)
    assert mixed.score.perplexity == pytest.approx(perplexity(-logs.mean()))


def test_documents_without_a_word_for_one_tokenizer_are_left_out_for_all(
    good: Bundle, classic: Bundle, held_out: list[str]
) -> None:
    with_others = ["Лиса сидела.", *held_out, "!!!"]
    assert [m.score for m in compare([good, classic], with_others, name="tales")] == [
        m.score for m in compare([good, classic], held_out, name="tales")
    ]
    with raises_code(CorpusError, "evaluation.no_word"):
        compare([good, classic], ["Лиса", "..."], name="tales")


def test_documents_of_the_training_text_are_counted(good: Bundle, tales: Documents) -> None:
    train_part, _, test_part = split_parts(tales, split_seed=42)
    texts = [*train_part.texts[:5], *test_part.texts]
    models = compare([good, good], texts, name="tales")
    assert models[0].num_seen_documents == 5
    assert comparison_notes(["a", "b"], models)[-1] == (
        "5 of the documents are in the training text of b: its metrics are too good."
    )


def test_a_bundle_without_a_spelling_model_is_refused(
    good: Bundle, older_bundle: Path, held_out: list[str]
) -> None:
    with raises_code(BundleError, "bundle.no_spelling"):
        compare([good, Bundle.load(older_bundle)], held_out, name="tales")


def test_the_table_has_a_row_per_model(good: Bundle, hasty: Bundle, held_out: list[str]) -> None:
    table = comparison_table(["good", "hasty"], compare([good, hasty], held_out, name="tales"))
    assert [row[0] for row in table.rows] == ["good", "hasty"]
    assert {len(row) for row in table.rows} == {len(table.columns)}
    assert table.rows[0][-2:] == ("–", "–")
    assert table.rows[1][-2].startswith("+")
