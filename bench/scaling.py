"""What a base model is worth by the tokens that it read, its sizes and its output layer.

    python bench/scaling.py CORPUS [--tokens 1e6 4e6] [--sizes 160/384 320/768] [--set "bptt=70"]
        [--save FOLDER]

CORPUS is the folder of `base/make_corpus.py`. Each model has the vocabulary of `english` and reads
evenly spaced documents once, by the recipe `base` with the changes of `--set`. Perplexities are of
the validation part of `english`. Seconds are of training alone; PyTorch uses the
threads that OMP_NUM_THREADS allows. `--save` keeps the models whose sizes are those of `english`,
to train on from them: `bench/fine_tuning.py --init FOLDER/NAME`.
"""

import argparse
import contextlib
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Final

from fine_tuning import parsed
from lorelm.bundle import EMBEDDED_PATH, Bundle, BundleContents, save_bundle
from lorelm.corpus.preparation import Corpus
from lorelm.evaluation.perplexity import perplexity
from lorelm.evaluation.trained_corpus import find_trained_corpus
from lorelm.model.lstm import LSTMLanguageModel
from lorelm.runtime.step_graph import build_step_graph
from lorelm.training.callbacks import TrainedModel
from lorelm.training.device import resolve_device
from lorelm.training.initial_checkpoint import initial_model, numpy_weights
from lorelm.training.loop import fit
from lorelm.training.recipe import Recipe
from lorelm.training.trainer import Trainer

_SIZES_OF_BASE: Final = "320/768"


def train(corpus: Corpus, recipe: Recipe) -> TrainedModel:
    """Train for an epoch."""
    trainer = Trainer(initial_model(corpus, recipe, resolve_device("cpu")), corpus, recipe)
    return fit(trainer)


def save(model: LSTMLanguageModel, base: Bundle, path: Path) -> None:
    """Save a model with the sizes of the base as a bundle, to train on from it."""
    weights = numpy_weights(model)
    graph = build_step_graph(weights, base.manifest.model, "int8")
    manifest = base.manifest.model_copy(update={"metrics": None})
    contents = BundleContents(
        manifest=manifest,
        vocabulary=base.vocabulary,
        graphs={"int8": graph},
        weights=weights,
        weight_type="float16",
        spelling=base.spelling(),
    )
    save_bundle(path, contents)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--tokens", nargs="+", type=float, default=[1e6, 4e6])
    parser.add_argument(
        "--sizes", nargs="+", default=[_SIZES_OF_BASE], help="embedding/hidden state"
    )
    parser.add_argument("--set", default="", help="changes to the recipe")
    parser.add_argument("--save", type=Path)
    flags = parser.parse_args()
    base = Bundle.load(EMBEDDED_PATH)
    with contextlib.chdir(flags.corpus):
        whole = find_trained_corpus(base)
    print("| million tokens | sizes | changes | validation | seconds |")
    print("|---|---|---|---|---|")
    for num_tokens, sizes in itertools.product(flags.tokens, flags.sizes):
        corpus = replace(whole, train=whole.train.sample(int(num_tokens)))
        embedding_size, hidden_size = map(int, sizes.split("/"))
        changes = {"epochs": 1, "embedding_size": embedding_size, "hidden_size": hidden_size}
        trained = train(corpus, Recipe.load("base", **changes | parsed(flags.set)))
        [epoch] = trained.epochs
        cells = (
            f"{len(corpus.train.stream) / 1e6:.1f}",
            sizes,
            flags.set or "none",
            f"{perplexity(epoch.valid_loss):.1f}",
            f"{len(corpus.train.stream) / epoch.tokens_per_second:.0f}",
        )
        print("| " + " | ".join(cells) + " |", flush=True)
        if flags.save is not None and sizes == _SIZES_OF_BASE:
            save(trained.model, base, flags.save / f"{num_tokens:.0e}")


if __name__ == "__main__":
    main()
