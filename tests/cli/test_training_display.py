import io

import pytest
from rich.console import Console

from lorelm.cli import training_display
from lorelm.cli.training_display import TrainingDisplay
from lorelm.corpus.documents import Documents
from lorelm.corpus.preparation import prepare_corpus
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.training.callbacks import EpochReport
from lorelm.training.recipe import Recipe


def test_the_bar_of_a_resumed_run_begins_where_the_run_was(
    tales: Documents, tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(
        training_display, "_console", Console(file=shown, force_terminal=True, width=80)
    )
    corpus = prepare_corpus(
        tales, tokenizer=make_tokenizer("words"), min_frequency=2, split_seed=42
    )
    report = EpochReport(
        epoch=1,
        train_loss=2.0,
        valid_loss=0.0,
        is_best=True,
        learning_rate=0.1,
        tokens_per_second=1.0,
        seconds=1.0,
    )
    with TrainingDisplay("It is safe.") as display:
        display.on_start(corpus, tiny_recipe)
        display.on_restore([report] * 5, epoch_tokens=0)
        display.on_step(num_tokens=4)
        display.on_step(num_tokens=4)
    assert "It is safe." in shown.getvalue()
    assert "epoch 6 of 10" in shown.getvalue()
    assert " 50 %" in shown.getvalue()
