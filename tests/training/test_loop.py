import dataclasses

import pytest
import torch

from lorelm.corpus.documents import Documents
from lorelm.corpus.preparation import Corpus, prepare_corpus
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.errors import CorpusError, InputError, RecipeError
from lorelm.model.config import ModelConfig
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.training.loop import EpochReport, TrainedModel, TrainingListener, fit, resolve_device
from lorelm.training.recipe import Recipe
from lorelm.training.validation import validation_loss

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def corpus(tales: Documents, tiny_recipe: Recipe) -> Corpus:
    return prepare_corpus(
        tales,
        tokenizer=make_tokenizer(tiny_recipe.tokenizer),
        min_frequency=tiny_recipe.min_frequency,
        split_seed=tiny_recipe.split_seed,
    )


def trained(corpus: Corpus, recipe: Recipe, **changes: object) -> TrainedModel:
    recipe = dataclasses.replace(recipe, **changes)
    return fit(corpus, recipe, device=CPU, listener=TrainingListener())


def test_the_same_seed_gives_the_same_weights(corpus: Corpus, tiny_recipe: Recipe) -> None:
    one, two = (trained(corpus, tiny_recipe, seed=5).model.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_another_seed_gives_other_weights(corpus: Corpus, tiny_recipe: Recipe) -> None:
    one, two = (trained(corpus, tiny_recipe, seed=seed).model for seed in (5, 6))
    assert not torch.equal(one.fc.weight, two.fc.weight)


def test_a_seeded_run_has_its_golden_losses(corpus: Corpus, tiny_recipe: Recipe) -> None:
    """A refactor that leaves the arithmetic alone leaves these alone."""
    losses = [report.valid_loss for report in trained(corpus, tiny_recipe, epochs=3).epochs]
    assert losses == pytest.approx(GOLDEN_VALID_LOSSES, abs=2e-3)


GOLDEN_VALID_LOSSES = [2.2805, 0.8757, 0.6621]


def test_training_learns_the_grammar_of_the_tales(corpus: Corpus, tiny_recipe: Recipe) -> None:
    result = trained(corpus, tiny_recipe, epochs=25, dropout=0.0)
    untrained = trained(corpus, tiny_recipe, epochs=1, learning_rate=1e-9)
    assert untrained.best.valid_perplexity > 0.7 * len(corpus.vocabulary)
    assert result.best.valid_perplexity < 4


def test_the_best_epoch_is_kept(corpus: Corpus, tiny_recipe: Recipe) -> None:
    # A learning rate that makes things worse after a while.
    result = trained(corpus, tiny_recipe, epochs=8, learning_rate=0.2, learning_rate_decay=0.99)
    losses = [report.valid_loss for report in result.epochs]
    assert result.best.valid_loss == min(losses)
    assert result.best.valid_loss < losses[-1]
    assert validation_loss(result.model, corpus.valid.stream) == pytest.approx(min(losses))


def test_the_learning_rate_is_halved_when_validation_stops_improving(
    corpus: Corpus, tiny_recipe: Recipe
) -> None:
    result = trained(corpus, tiny_recipe, epochs=8, learning_rate=0.2)
    for i, (before, after) in enumerate(zip(result.epochs, result.epochs[1:], strict=False)):
        best_before = min((r.valid_loss for r in result.epochs[:i]), default=float("inf"))
        # PyTorch counts an improvement of less than one in ten thousand as none.
        improved = before.valid_loss < best_before * (1 - 1e-4)
        factor = 1.0 if improved else 0.5
        assert after.learning_rate == pytest.approx(before.learning_rate * factor)
    assert result.epochs[-1].learning_rate < 0.2


def test_validation_loss_is_the_mean_of_single_steps(corpus: Corpus, tiny_recipe: Recipe) -> None:
    from lorelm.evaluation.perplexity import score_stream
    from lorelm.runtime.torch_runtime import TorchRuntime

    model = trained(corpus, tiny_recipe, epochs=1).model
    by_steps = score_stream(TorchRuntime(model), corpus.valid.stream)
    assert validation_loss(model, corpus.valid.stream) == pytest.approx(
        by_steps.loss_nats_per_token, rel=1e-5
    )


class InterruptAfter(TrainingListener):
    def __init__(self, num_steps: int) -> None:
        self.num_steps = num_steps
        self.reports: list[EpochReport] = []

    def on_step(self, *, num_tokens: int) -> None:
        self.num_steps -= 1
        if self.num_steps == 0:
            raise KeyboardInterrupt

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        self.reports.append(report)


def test_ctrl_c_returns_the_best_epoch_so_far(corpus: Corpus, tiny_recipe: Recipe) -> None:
    steps_an_epoch = -(-len(corpus.train.stream) // tiny_recipe.batch_size // tiny_recipe.bptt)
    listener = InterruptAfter(steps_an_epoch + 2)
    result = fit(corpus, tiny_recipe, device=CPU, listener=listener)
    assert isinstance(result.interruption, KeyboardInterrupt)
    assert result.epochs == listener.reports
    assert len(result.epochs) == 1
    assert validation_loss(result.model, corpus.valid.stream) == pytest.approx(
        result.best.valid_loss
    )


def test_ctrl_c_in_the_first_epoch_passes_through(corpus: Corpus, tiny_recipe: Recipe) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(corpus, tiny_recipe, device=CPU, listener=InterruptAfter(1))


class RuinedModel(LSTMLanguageModel):
    def __init__(self, config: ModelConfig, *, dropout: float) -> None:
        super().__init__(config, dropout=dropout)
        self.fc.bias.data.fill_(float("nan"))


def test_an_exploding_loss_says_what_to_do(
    corpus: Corpus, tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lorelm.training.loop.LSTMLanguageModel", RuinedModel)
    with pytest.raises(RecipeError, match="exploded in epoch 1: use a lower --learning-rate"):
        trained(corpus, tiny_recipe)


class Ruin(TrainingListener):
    """Spoils the weights at the end of the second epoch."""

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        if report.epoch == 2:
            model.fc.bias.data.fill_(float("nan"))


def test_a_loss_that_explodes_later_leaves_the_best_epoch(
    corpus: Corpus, tiny_recipe: Recipe
) -> None:
    result = fit(corpus, tiny_recipe, device=CPU, listener=Ruin())
    assert "exploded in epoch 3" in str(result.interruption)
    assert len(result.epochs) == 2
    assert validation_loss(result.model, corpus.valid.stream) == pytest.approx(
        result.best.valid_loss
    )


def test_a_batch_larger_than_the_corpus_is_refused(corpus: Corpus, tiny_recipe: Recipe) -> None:
    with pytest.raises(CorpusError, match="use --batch-size"):
        trained(corpus, tiny_recipe, batch_size=100_000)


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(InputError, match="use --device cpu"):
        resolve_device(device)
