import dataclasses
import math
import threading
import time
from pathlib import Path

import pytest
import torch
from tests.errors import raises_code

from lorelm.bundle.layout import CHECKPOINT
from lorelm.corpus.documents import CorpusParts, Documents
from lorelm.corpus.preparation import Corpus, prepare_corpus
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.corpus.vocabulary import VocabularyRules
from lorelm.errors import CorpusError, RecipeError, TrainingStoppedError
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.training.callbacks import EpochReport, TrainedModel, TrainingCallback
from lorelm.training.checkpoint import Checkpoint
from lorelm.training.device import has_bfloat16
from lorelm.training.loop import CheckpointSettings
from lorelm.training.losses import validation_loss
from lorelm.training.pacing import ReplannedError
from lorelm.training.plan import Plan
from lorelm.training.recipe import Recipe
from lorelm.training.schedule import TrainingHorizon
from lorelm.training.trainer import Trainer

from .fitting import fit_recipe

pytestmark = pytest.mark.system

CPU = torch.device("cpu")
NEEDS_BFLOAT16 = pytest.mark.skipif(not has_bfloat16(CPU), reason="this processor has no bfloat16")


def trained(corpus: Corpus, recipe: Recipe, **changes: object) -> TrainedModel:
    recipe = dataclasses.replace(recipe, **changes)
    return fit_recipe(corpus, recipe)


def test_the_same_seed_gives_the_same_weights(corpus: Corpus, tiny_recipe: Recipe) -> None:
    one, two = (trained(corpus, tiny_recipe, seed=5).model.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_another_seed_gives_other_weights(corpus: Corpus, tiny_recipe: Recipe) -> None:
    one, two = (trained(corpus, tiny_recipe, seed=seed).model for seed in (5, 6))
    assert not torch.equal(one.fc.weight, two.fc.weight)


@pytest.mark.parametrize(
    ("dropout", "golden_valid_losses"),
    [(0.0, [1.54063, 0.70591, 0.66584]), (0.1, [1.81867, 0.74118, 0.62773])],
)
def test_a_seeded_run_has_its_golden_losses(
    corpus: Corpus, tiny_recipe: Recipe, dropout: float, golden_valid_losses: list[float]
) -> None:
    """A refactor that leaves the arithmetic alone leaves these alone."""
    result = trained(corpus, tiny_recipe, epochs=3, dropout=dropout)
    losses = [report.valid_loss for report in result.epochs]
    assert losses == pytest.approx(golden_valid_losses, abs=2e-3)


def test_training_learns_the_grammar_of_the_tales(corpus: Corpus, tiny_recipe: Recipe) -> None:
    result = trained(corpus, tiny_recipe, epochs=25, dropout=0.0)
    untrained = trained(corpus, tiny_recipe, epochs=1, learning_rate=1e-9)
    assert untrained.best.valid_perplexity > 0.7 * len(corpus.vocabulary)
    assert result.best.valid_perplexity < 4


def test_the_best_epoch_is_kept(corpus: Corpus, tiny_recipe: Recipe) -> None:
    # A learning rate that makes things worse after a while; after which, processors differ.
    results = (
        trained(
            corpus, tiny_recipe, epochs=8, learning_rate=0.2, learning_rate_decay=0.99, seed=seed
        )
        for seed in range(10)
    )
    result = next(result for result in results if not result.epochs[-1].is_best)
    losses = [report.valid_loss for report in result.epochs]
    assert result.best.valid_loss == min(losses) < losses[-1]
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
    from lorelm.evaluation.perplexity import predict
    from lorelm.runtime.torch_runtime import TorchRuntime

    model = trained(corpus, tiny_recipe, epochs=1).model
    by_steps = -predict(TorchRuntime(model), corpus.valid.stream).log_probabilities.mean()
    assert validation_loss(model, corpus.valid.stream) == pytest.approx(by_steps, rel=1e-5)


@NEEDS_BFLOAT16
def test_bfloat16_lands_where_float32_does(corpus: Corpus, tiny_recipe: Recipe) -> None:
    def loss(precision: str, seed: int) -> float:
        settings = REGULARISED | {"precision": precision, "seed": seed, "epochs": 12}
        return trained(corpus, tiny_recipe, **settings).best.valid_loss

    full, half = ([loss(p, seed) for seed in range(4)] for p in ("float32", "bfloat16"))
    assert full != half
    noise = max(full) - min(full)
    assert sum(half) / 4 == pytest.approx(sum(full) / 4, abs=noise)


class StopAfter(TrainingCallback):
    """Stops the run after some steps, as Ctrl-C does."""

    def __init__(self, num_steps: int) -> None:
        self.num_steps = num_steps
        self.stop = threading.Event()

    def on_step(self, *, num_tokens: int) -> None:
        self.num_steps -= 1
        if self.num_steps == 0:
            self.stop.set()


REGULARISED = {
    **{"tied": True, "embedding_size": 32, "locked_dropout": True, "word_dropout": 0.1},
    **{"recurrent_dropout": 0.2, "schedule": "cosine", "warm_up": 0.1, "weight_average": 0.9},
    **{"shuffle": True, "activation_penalty": 1.0, "temporal_penalty": 1.0},
    "unfreezing": 0.5,
}


@pytest.mark.parametrize("num_steps", [1, 15, 16, 17, 40])
@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="classic"),
        pytest.param(REGULARISED, id="regularised"),
        pytest.param(REGULARISED | {"precision": "bfloat16"}, marks=NEEDS_BFLOAT16, id="bfloat16"),
    ],
)
def test_a_resumed_run_ends_with_exactly_the_weights_of_an_uninterrupted_one(
    corpus: Corpus,
    tiny_recipe: Recipe,
    tmp_path: Path,
    num_steps: int,
    settings: dict[str, object],
) -> None:
    recipe = dataclasses.replace(tiny_recipe, epochs=3, **settings)
    whole = trained(corpus, recipe)
    checkpoints = CheckpointSettings(out=tmp_path, run={})
    callback = StopAfter(num_steps)
    with pytest.raises(TrainingStoppedError, match=f"lorelm train --resume {tmp_path}"):
        fit_recipe(corpus, recipe, callback=callback, checkpoints=checkpoints, stop=callback.stop)
    torch.manual_seed(99)  # another process has other random numbers
    resumed = fit_recipe(corpus, recipe, resume=Checkpoint.load(tmp_path).snapshot)
    expected, found = whole.model.state_dict(), resumed.model.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert [r.valid_loss for r in resumed.epochs] == [r.valid_loss for r in whole.epochs]
    assert [r.train_loss for r in resumed.epochs] == [r.train_loss for r in whole.epochs]


class Ruin(TrainingCallback):
    """Spoils the weights at the end of an epoch, so often."""

    def __init__(self, *, epoch: int, times: int) -> None:
        self.epoch, self.times = epoch, times
        self.problems: list[str] = []

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        if report.epoch == self.epoch and self.times:
            self.times -= 1
            model.fc.bias.data.fill_(float("nan"))

    def on_problem(self, message: str) -> None:
        self.problems.append(message)


def test_after_a_divergence_training_goes_back_with_half_the_learning_rate(
    corpus: Corpus, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    callback = Ruin(epoch=3, times=2)
    checkpoints = CheckpointSettings(out=tmp_path, run={}, steps=10)
    recipe = dataclasses.replace(tiny_recipe, epochs=5)
    result = fit_recipe(corpus, recipe, callback=callback, checkpoints=checkpoints)
    assert len(callback.problems) == 2
    assert "back to epoch 3, step" in callback.problems[0]
    assert "half the learning rate" in callback.problems[0]
    assert [report.epoch for report in result.epochs] == [1, 2, 3, 4, 5]
    rates = [report.learning_rate for report in result.epochs]
    assert rates[1] == tiny_recipe.learning_rate
    assert rates[4] <= tiny_recipe.learning_rate / 4
    assert result.best.valid_loss < result.epochs[0].valid_loss


def test_a_loss_that_diverges_again_and_again_ends_the_run_with_advice(
    corpus: Corpus, tiny_recipe: Recipe
) -> None:
    callback = Ruin(epoch=1, times=99)
    with pytest.raises(
        RecipeError, match=r"3 times: start over with a lower learning_rate \(--learning-rate\)$"
    ):
        fit_recipe(corpus, tiny_recipe, callback=callback)
    assert len(callback.problems) == 3


def test_a_resumed_run_has_no_more_halvings_than_it_had(
    corpus: Corpus, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    checkpoints = CheckpointSettings(out=tmp_path, run={}, steps=10)
    advice = rf"a lower learning_rate \(--learning-rate\), in another .* {tmp_path / CHECKPOINT}$"
    for num_problems, resume in (3, None), (0, tmp_path):
        callback = Ruin(epoch=1, times=99)
        with pytest.raises(RecipeError, match=advice):
            fit_recipe(
                corpus,
                tiny_recipe,
                callback=callback,
                checkpoints=checkpoints,
                resume=resume and Checkpoint.load(resume).snapshot,
            )
        assert len(callback.problems) == num_problems


class Problems(TrainingCallback):
    def __init__(self) -> None:
        self.problems: list[str] = []

    def on_problem(self, message: str) -> None:
        self.problems.append(message)


class RuinMildly(Problems):
    """Makes frequent words improbable from a step of the second epoch on."""

    def __init__(self, *, step: int) -> None:
        super().__init__()
        self.step = step
        self.model: LSTMLanguageModel | None = None
        self.steps_to_problem = 0

    def on_epoch(self, report: EpochReport, model: LSTMLanguageModel) -> None:
        self.model = model

    def on_step(self, *, num_tokens: int) -> None:
        if self.model is None or self.problems:
            return
        self.step -= 1
        if self.step == 0:
            self.model.fc.bias.data[:10] = -30
        self.steps_to_problem += self.step <= 0


def test_a_loss_far_above_that_of_a_uniform_guess_is_found_in_twenty_steps(
    corpus: Corpus, tiny_recipe: Recipe
) -> None:
    recipe = dataclasses.replace(tiny_recipe, bptt=4, epochs=3)  # 112 steps an epoch
    callback = RuinMildly(step=60)
    result = fit_recipe(corpus, recipe, callback=callback)
    assert callback.problems == [
        "the loss diverged: back to epoch 1, step 0 with half the learning rate"
    ]
    assert callback.steps_to_problem == 20
    assert result.best.valid_perplexity < 10


def test_an_epoch_that_is_worse_than_a_uniform_guess_has_diverged(
    corpus: Corpus, tiny_recipe: Recipe
) -> None:
    model = trained(corpus, tiny_recipe, epochs=1).model
    weights = {name: torch.zeros_like(weight) for name, weight in model.state_dict().items()}
    weights["fc.bias"][:10] = -5  # of the most frequent words
    model.load_state_dict(weights)
    guess = math.log(len(corpus.vocabulary))
    assert guess + 2 < validation_loss(model, corpus.valid.stream) < guess + 4
    recipe = dataclasses.replace(tiny_recipe, learning_rate=1e-9)
    problems_seen = Problems()
    begun = {name: weight.numpy() for name, weight in weights.items()}
    with raises_code(RecipeError, "recipe.loss_diverged"):
        fit_recipe(corpus, recipe, callback=problems_seen, weights=begun)
    assert len(problems_seen.problems) == 3


def test_a_validation_part_in_another_language_is_no_divergence(
    tales: Documents, tiny_recipe: Recipe
) -> None:
    foreign = Documents(texts=["Zyx qwv jkl mnb."] * 5, source="foreign.txt")
    corpus = prepare_corpus(
        CorpusParts(documents=tales, valid=foreign, test=foreign),
        tokenizer=make_tokenizer("words"),
        vocabulary=VocabularyRules(min_frequency=1),
        split_seed=0,
    )
    problems_seen = Problems()
    recipe = dataclasses.replace(tiny_recipe, epochs=5)
    result = fit_recipe(corpus, recipe, callback=problems_seen)
    assert result.epochs[-1].valid_loss > math.log(len(corpus.vocabulary)) + 1
    assert problems_seen.problems == []


def test_a_batch_larger_than_the_corpus_is_refused(corpus: Corpus, tiny_recipe: Recipe) -> None:
    with raises_code(CorpusError, "corpus.too_few_tokens"):
        trained(corpus, tiny_recipe, batch_size=100_000)


def test_a_run_that_is_given_up_leaves_no_checkpoint_half_written(
    corpus: Corpus, tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, written = Checkpoint.save, []

    def save_slowly(checkpoint: Checkpoint, out: Path) -> None:
        time.sleep(0.2)
        save(checkpoint, out)
        written.append(checkpoint.snapshot.description)

    def give_up(trainer: Trainer) -> None:
        raise ReplannedError(Plan(recipe=tiny_recipe, horizon=TrainingHorizon(epochs=1)))

    monkeypatch.setattr(Checkpoint, "save", save_slowly)
    checkpoints = CheckpointSettings(out=tmp_path, steps=1)
    with pytest.raises(ReplannedError):
        fit_recipe(corpus, tiny_recipe, checkpoints=checkpoints, after_step=give_up)
    assert written == ["epoch 1, step 0", "epoch 1, step 1"]
