"""Seconds and memory of a corpus larger than memory, and of training with a large vocabulary.

    python bench/large_corpus.py [--gigabytes 2] [--folder FOLDER]

The text is generated: lines of about 80 characters, 1.5 million different words made of syllables,
word n of the list as frequent as (n + 2.7)^-1.2. It is prepared in a process of its own, whose peak
of resident memory is what the system says (ru_maxrss). Then some steps are trained on the same ids
(recipe default, one layer of 300, float32), with 5,000 and with 50,000 words; of a step, the output
layer and its loss are timed apart, in another loop.
"""

import argparse
import dataclasses
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from lorelm.corpus.id_store import IdStore
from lorelm.corpus.preparation import Corpus, prepare_corpus
from lorelm.corpus.readers import read_documents
from lorelm.corpus.tokenizer import make_tokenizer
from lorelm.corpus.vocabulary import UNK_ID, Vocabulary
from lorelm.training.initial_checkpoint import initial_model
from lorelm.training.losses import output_loss
from lorelm.training.recipe import Recipe
from lorelm.training.trainer import Trainer

import numpy as np
import torch

_NUM_WORDS = 1_500_000
_WORDS_A_LINE = 12
_LINES_A_BLOCK = 100_000
_STEPS = 6


def words_of_syllables(count: int) -> list[str]:
    """Return different words, the first ones short."""
    syllables = [c + v for c in "bdfgklmnprstvz" for v in ("a", "e", "i", "o", "u", "an", "er")]
    words = []
    for number in range(count):
        word, rest = "", number
        while True:
            rest, place = divmod(rest, len(syllables))
            word += syllables[place]
            if rest == 0:
                break
        words.append(word)
    return words


def write_text(path: Path, num_bytes: int) -> None:
    """Write a made-up corpus."""
    generator = np.random.default_rng(0)
    words = np.array(words_of_syllables(_NUM_WORDS), dtype=object)
    sums = np.cumsum((np.arange(_NUM_WORDS) + 2.7) ** -1.2)
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < num_bytes:
            draws = generator.random(_WORDS_A_LINE * _LINES_A_BLOCK) * sums[-1]
            drawn = words[np.searchsorted(sums, draws)].reshape(_LINES_A_BLOCK, _WORDS_A_LINE)
            file.write("".join([" ".join(line) + ".\n" for line in drawn.tolist()]))


def prepare(path: Path, store: Path) -> Corpus:
    recipe = Recipe.load("default")
    return prepare_corpus(
        read_documents(path),
        tokenizer=make_tokenizer(recipe.tokenizer),
        vocabulary=recipe.vocabulary_rules(),
        split_seed=recipe.split_seed,
        store=IdStore(folder=store),
    )


def measure_preparation(path: Path, store: Path) -> None:
    """Print seconds and memory of preparing the corpus in this process."""
    before = _peak_megabytes()
    started = time.perf_counter()
    corpus = prepare(path, store)
    seconds = time.perf_counter() - started
    megabytes = path.stat().st_size / 1e6
    print(
        f"{megabytes:,.0f} MB in {seconds:,.0f} s ({megabytes / seconds:.1f} MB/s); peak memory "
        f"{_peak_megabytes():,.0f} MB ({before:,.0f} before)\n"
        f"{len(corpus.train.stream):,} training tokens, {corpus.train.num_documents:,} documents; "
        f"{corpus.valid.num_documents:,} + {corpus.test.num_documents:,} held out; vocabulary "
        f"{len(corpus.vocabulary):,}; unknown in test {corpus.test.unknown_rate:.1%}"
    )
    for note in corpus.notes:
        print(f"  {note}")
    started = time.perf_counter()
    prepare(path, store)
    print(f"again, from the stored ids: {time.perf_counter() - started:.1f} s", flush=True)


def measure_training(path: Path, store: Path) -> None:
    """Print the time of a training step with a small and a large vocabulary."""
    corpus = prepare(path, store)
    recipe = dataclasses.replace(
        Recipe.load("default"), embedding_size=300, hidden_size=300, precision="float32"
    )
    for num_words in (5_000, 50_000):
        vocabulary = Vocabulary(corpus.vocabulary.words[: num_words + 2])
        few = np.array(corpus.train.stream[:200_000])
        few[few >= len(vocabulary)] = UNK_ID
        smaller = dataclasses.replace(
            corpus,
            vocabulary=vocabulary,
            train=dataclasses.replace(corpus.train, stream=few)
            if num_words < len(corpus.vocabulary) - 2
            else corpus.train,
        )
        step = _step_milliseconds(smaller, recipe)
        output = _output_milliseconds(len(vocabulary), recipe)
        tokens = recipe.batch_size * recipe.bptt
        print(
            f"{len(vocabulary):>6,} words: {step:6.0f} ms a step of {tokens:,} tokens "
            f"({1000 * tokens / step:,.0f} tokens/s), {output:6.0f} of it the output layer"
        )
    print(f"peak memory {_peak_megabytes():,.0f} MB, mapped pages included", flush=True)


def _step_milliseconds(corpus: Corpus, recipe: Recipe) -> float:
    trainer = Trainer(initial_model(corpus, recipe, torch.device("cpu")), corpus, recipe)
    times = []
    for _ in range(_STEPS):
        started = time.perf_counter()
        trainer.step()
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times[1:])


def _output_milliseconds(num_words: int, recipe: Recipe) -> float:
    outputs = torch.randn(recipe.bptt, recipe.batch_size, recipe.hidden_size, requires_grad=True)
    weight = torch.randn(num_words, recipe.hidden_size, requires_grad=True)
    bias = torch.zeros(num_words, requires_grad=True)
    targets = torch.randint(num_words, (recipe.bptt, recipe.batch_size))
    times = []
    for _ in range(_STEPS):
        started = time.perf_counter()
        torch.autograd.backward(output_loss(outputs, weight, bias, targets))
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times[1:])


def _peak_megabytes() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--folder", type=Path, default=None, help="with enough disk space")
    arguments = parser.parse_args()
    processes = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        path, store = Path(folder) / "corpus.txt", Path(folder) / "store"
        for work, values in (
            (write_text, (path, int(arguments.gigabytes * 1e9))),
            (measure_preparation, (path, store)),
            (measure_training, (path, store)),
        ):
            process = processes.Process(target=work, args=values)
            process.start()
            process.join()
            if process.exitcode:
                sys.exit(process.exitcode)


if __name__ == "__main__":
    main()
