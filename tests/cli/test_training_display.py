import io
import re
import time
from dataclasses import replace
from unittest.mock import Mock

import pytest
from rich.console import Console

from lorelm.cli import training_display
from lorelm.cli.training_display import TrainingDisplay
from lorelm.corpus.documents import Documents
from lorelm.corpus.preparation import Corpus, prepare_corpus
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.corpus.vocabulary import VocabularyRules
from lorelm.training.callbacks import TRAINING, EpochReport, Progress, TimeRange
from lorelm.training.recipe import Recipe

REPORT = EpochReport(
    epoch=1,
    train_loss=2.0,
    valid_loss=0.0,
    is_best=True,
    learning_rate=0.1,
    tokens_per_second=1.0,
    seconds=1.0,
)


@pytest.fixture
def corpus(tales: Documents) -> Corpus:
    tokenizer = make_tokenizer("words")
    return prepare_corpus(
        tales, tokenizer=tokenizer, vocabulary=VocabularyRules(min_frequency=2), split_seed=42
    )


def shown_on(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> io.StringIO:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=terminal, width=100, color_system=None)
    monkeypatch.setattr(training_display, "_console", console)
    return shown


def progress(stage: str, share: float, *left: float) -> Progress:
    return Progress(stage=stage, share=share, left=TimeRange(*left) if left else None)


def test_a_bar_shows_stage_epoch_share_time_and_best_epoch(
    corpus: Corpus, tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = shown_on(monkeypatch, terminal=True)
    with TrainingDisplay("It is safe.") as display:
        display.on_progress(progress("preparing tales.txt", 0.0))
        display.on_start(corpus, tiny_recipe)
        display.on_restore([REPORT] * 5, epoch_tokens=0)
        display.on_progress(progress(TRAINING, 0.504, 40, 70))
        display._bar.refresh()
        display.on_progress(progress("saving", 0.999, 0.1, 0.4))
        display._bar.refresh()
    text = shown.getvalue()
    assert "preparing tales.txt" in text
    assert "It is safe." in text
    assert re.search(r"training, epoch 6 of 10 .* 50 %  (39|40) to 70 s left  best 1\.0", text)
    assert re.search(r"saving .* 99 %  1 s left", text)
    assert "100 %" not in text


def test_epochs_beyond_those_that_a_time_budget_was_expected_to_last_for(
    corpus: Corpus, tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = shown_on(monkeypatch, terminal=True)
    with TrainingDisplay("", has_budget=True) as display:

        def look() -> str:
            display.on_progress(progress(TRAINING, 0.9, 10, 10))
            return display._bar.tasks[0].description

        display.on_start(corpus, replace(tiny_recipe, epochs=3))
        display.on_restore([REPORT] * 2, epoch_tokens=0)
        assert look() == "training, epoch 3 of about 3"
        display.on_epoch(replace(REPORT, epoch=3), Mock())
        assert look() == "training, epoch 3 of about 3"  # it may be the last one
        display.on_step(num_tokens=1)
        assert look() == "training, epoch 4"
    assert "epoch 3  valid perplexity" in shown.getvalue()


@pytest.mark.parametrize(("schedule", "is_said"), [("cosine", True), ("plateau", False)])
def test_why_training_goes_on_after_the_best_epoch_is_said_once(
    corpus: Corpus,
    tiny_recipe: Recipe,
    monkeypatch: pytest.MonkeyPatch,
    schedule: str,
    is_said: bool,
) -> None:
    shown = shown_on(monkeypatch, terminal=False)
    with TrainingDisplay("") as display:
        display.on_start(corpus, replace(tiny_recipe, epochs=8, schedule=schedule))
        for epoch in range(1, 9):
            display.on_epoch(replace(REPORT, epoch=epoch, is_best=epoch in (1, 4)), Mock())
            said = "The last 3 epochs were no better" in shown.getvalue()
            assert said == (is_said and epoch >= 7)
    assert shown.getvalue().count("no better") == is_said


def test_the_bar_goes_on_between_two_events_and_never_back(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = shown_on(monkeypatch, terminal=True)
    now = time.monotonic()
    with TrainingDisplay("") as display:
        display.on_progress(progress("counting n-grams", 0.5, 10, 10))
        monkeypatch.setattr(time, "monotonic", lambda: now + 5)
        display._bar.refresh()
        display.on_progress(progress("saving", 0.6, 10, 10))
        display._bar.refresh()
    shares = [int(share) for share in re.findall(r"(\d+) %", shown.getvalue())]
    assert shares == sorted(shares)
    assert shares[0] in (50, 51)
    assert 74 <= shares[-1] <= 76


def test_a_long_run_without_a_terminal_says_every_minute_how_far_it_is(
    corpus: Corpus, tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = shown_on(monkeypatch, terminal=False)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with TrainingDisplay("It is safe.") as display:
        display.on_start(corpus, tiny_recipe)
        for seconds in range(0, 180, 10):
            monkeypatch.setattr(time, "monotonic", lambda at=now + seconds: at)
            display.on_progress(progress(TRAINING, seconds / 200, 200 - seconds, 300 - seconds))
    lines = [line for line in shown.getvalue().splitlines() if " left" in line]
    assert lines == [
        "training, epoch 1 of 10: 30 %  2.3 to 4 min left",
        "training, epoch 1 of 10: 60 %  80 s to 3 min left",
    ]


def test_a_run_that_begins_again_says_only_what_is_new(
    corpus: Corpus, tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = shown_on(monkeypatch, terminal=False)
    with TrainingDisplay("It is safe.") as display:
        display.on_start(replace(corpus, notes=["First plan."]), tiny_recipe)
        display.on_start(replace(corpus, notes=["Second plan."]), tiny_recipe)
    text = shown.getvalue()
    assert text.index("First plan.") < text.index("Second plan.")
    assert text.count("It is safe.") == text.count("documents to train on") == 1
