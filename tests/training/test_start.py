"""What training starts from is said in one sentence, and follows from the text and the settings."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.errors import raises_code

from lorelm.bundle import Bundle
from lorelm.corpus.documents import Documents
from lorelm.errors import BundleError, RecipeError
from lorelm.training.recipe import Recipe
from lorelm.training.start import BASE_VARIABLE, NONE, Start, StartSettings, known_share

GERMAN = "Der Fuchs und die Eule gingen zur alten Brücke, denn der Hase hatte sie gerufen."
THAI = "แม่น้ำไหลผ่านโรงสีเก่าและสะพานไม้"


def documents(*texts: str) -> Documents:
    return Documents(texts=texts, source="text.txt", notes=["A note."])


@pytest.fixture
def base(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(BASE_VARIABLE, str(tiny_bundle))
    return str(tiny_bundle)


def note(start: Start) -> str:
    first, *more = start.documents.notes
    assert first == "A note."
    assert len(more) <= 1
    return more[0] if more else ""


def test_a_text_of_known_words_starts_from_the_base(base: str, tales: Documents) -> None:
    start = StartSettings().choose(dataclasses.replace(tales, notes=["A note."]))
    assert start.init == base
    assert start.recipe == Recipe.load("fine-tune")
    assert note(start).startswith(f"Training starts from the model {base}, which knows 100% of")
    assert note(start).endswith("--init none (init) starts from scratch.")


def test_another_language_starts_from_scratch(base: str) -> None:
    start = StartSettings(changes={"epochs": 3}).choose(documents(GERMAN))
    assert start.init is None
    assert start.recipe == Recipe.load("default", epochs=3)
    assert note(start) == (
        f"Training starts from scratch: the model {base} knows only 0% of the words."
    )


@pytest.mark.parametrize(("known", "starts_from_base"), [(59, False), (61, True)])
def test_three_words_of_five_are_enough(
    base: str, tiny_bundle: Path, known: int, *, starts_from_base: bool
) -> None:
    word = Bundle.load(tiny_bundle).vocabulary.words[5]
    text = " ".join([word] * known + ["xyzzy"] * (100 - known))
    assert StartSettings().choose(documents(text)).init == (base if starts_from_base else None)


@pytest.mark.parametrize("changes", [{"vocabulary": "base"}, {"unfreezing": 0.5}])
def test_what_needs_a_model_is_refused_without_one(
    base: str, changes: dict[str, object], tales: Documents
) -> None:
    with raises_code(RecipeError, "recipe.needs_init"):
        StartSettings(init=NONE, changes=changes).check()
    with raises_code(RecipeError, "recipe.needs_init"):
        StartSettings(recipe="classic", changes=changes).check()
    StartSettings(changes=changes).check()
    StartSettings(init=NONE, changes={"vocabulary": "own", "unfreezing": 0.0}).check()


def test_an_empty_name_is_no_model(base: str) -> None:
    with pytest.raises(BundleError):
        StartSettings(init="").check()


@pytest.mark.parametrize("init", [NONE, "a model"])
def test_what_is_named_is_done_and_needs_no_note(
    base: str, init: str, tales: Documents, tiny_bundle: Path
) -> None:
    named = init if init == NONE else str(tiny_bundle)
    settings = StartSettings(init=named)
    settings.check()
    for text in (tales.texts[0], GERMAN):
        start = settings.choose(documents(text))
        assert start.init == (None if init == NONE else named)
        assert start.recipe == Recipe.load("default" if init == NONE else "fine-tune")
        assert note(start) == ""


def test_the_base_may_be_none_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BASE_VARIABLE, NONE)
    start = StartSettings().choose(documents("A fox."))
    assert start.init is None
    assert note(start) == ""


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"recipe": "classic"}, "recipe classic is given, and --init (init) is not"),
        ({"changes": {"hidden_size": 8, "tied": False}}, "hidden_size, tied would not fit"),
    ],
)
def test_settings_that_rule_out_the_base_are_named(
    base: str, settings: dict[str, object], reason: str, tales: Documents
) -> None:
    chosen = StartSettings(**settings)  # type: ignore[arg-type]
    chosen.check()
    start = chosen.choose(documents(*tales.texts))
    assert start.init is None
    assert note(start).startswith(f"Training starts from scratch: {reason}")
    StartSettings(recipe="fine-tune").check()


def test_sizes_do_not_go_with_a_model_that_is_named(base: str) -> None:
    with raises_code(RecipeError, "recipe.fixed_by_init"):
        StartSettings(init=base, changes={"hidden_size": 8}).check()


def test_mistakes_are_found_before_the_text_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(BASE_VARIABLE, str(tmp_path / "nowhere"))
    with raises_code(BundleError, "bundle.not_found"):
        StartSettings().check()
    with raises_code(RecipeError, "recipe.settings"):
        StartSettings(changes={"epochs": 0}).check()


def test_scripts_without_spaces_are_cut_in_pieces(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = StartSettings(init=NONE).choose(documents(THAI))
    assert start.recipe.tokenizer == "subword"
    assert note(start) == (
        "The text has no spaces between words, so it is cut in pieces of words (tokenizer, "
        "--tokenizer subword)."
    )
    given = StartSettings(init=NONE, changes={"tokenizer": "words"}).choose(documents(THAI))
    assert given.recipe.tokenizer == "words"
    monkeypatch.setattr("lorelm.training.start.has_tokenizers", lambda: False)
    without = StartSettings(init=NONE).choose(documents(THAI))
    assert without.recipe.tokenizer == "words"
    assert 'pip install "lorelm[subword]"' in note(without)


@given(st.integers(0, 20), st.integers(0, 20))
def test_the_known_share_counts_words_whatever_their_case(
    tiny_bundle: Path, num_known: int, num_unknown: int
) -> None:
    words = ["FOX", "the", "Mill"] * num_known + ["zyx"] * num_unknown
    share = known_share(documents(" ".join(words)), Bundle.load(tiny_bundle))
    assert share == pytest.approx(3 * num_known / max(1, len(words)))


def test_all_of_a_corpus_is_looked_at(tiny_bundle: Path) -> None:
    half = documents(*["the fox"] * 2_000, *["der Fuchs"] * 2_000)
    assert known_share(half, Bundle.load(tiny_bundle)) == pytest.approx(0.5)
