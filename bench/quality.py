"""Quality of n-gram models, recipes, mixtures and the base model on several corpora.

    python bench/quality.py [--data ../shared/data] [--out docs/results.md] [--corpora lotr ...]
        [--novel FILE] [--trainings default english ...] [--seeds 0 1 2]

For each corpus one tokenizer and one vocabulary (words seen three times or more in the training
part) serve the n-gram model, the recipes, and training from `english`. Each recipe's mixture is
with that n-gram model. The last row is what `lorelm train` does by itself: it has the words of the
base model too, so its perplexity is of another task, and bits per character compare. The networks
are evaluated as they serve, in int8. Figures are means of the seeds; intervals, of the documents,
are those of the first seed. PyTorch uses the threads that OMP_NUM_THREADS allows.
"""

import argparse
import csv
import os
import platform
import random
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Final

from lorelm.bundle.metrics import Metrics
from lorelm.corpus.documents import CorpusParts, Documents, ReadingOptions
from lorelm.corpus.preparation import prepare_corpus, split_parts
from lorelm.corpus.readers import read_documents
from lorelm.evaluation.baseline import fit_orders
from lorelm.training.options import TrainingOptions
from lorelm.training.recipe import Recipe
from lorelm.training.train import train

import torch


@dataclass(frozen=True, kw_only=True)
class Training:
    """One way to train.

    Attributes:
        name: in the results.
        has_same_words: as the other rows; else those of the recipe.
    """

    name: str
    recipe: str
    init: str | None = None
    has_same_words: bool = True


TRAININGS: Final = {
    "classic": Training(name="recipe `classic`", recipe="classic"),
    "default": Training(name="recipe `default`", recipe="default"),
    "english": Training(name="from `english`", recipe="fine-tune", init="english"),
    "command": Training(
        name="from `english`, as `lorelm train` does",
        recipe="fine-tune",
        init="english",
        has_same_words=False,
    ),
}


@dataclass(frozen=True, kw_only=True)
class BenchCorpus:
    """The three parts of a corpus, and what is said of it in the results.

    Attributes:
        is_read_by_base: training from the base model would start with its test part.
    """

    title: str
    description: str
    tokenizer: str
    train: Documents
    valid: Documents
    test: Documents
    is_read_by_base: bool = False


def films(data: Path) -> BenchCorpus:
    """The film dialogue on the split that its README describes."""
    with (data / "lotr_scripts.csv").open(encoding="utf-8", newline="") as file:
        lines = [row["dialog"] for row in csv.DictReader(file)]
    random.Random(42).shuffle(lines)
    valid_from = int(len(lines) * 0.8)
    test_from = valid_from + int(len(lines) * 0.1)
    parts = (lines[:valid_from], lines[valid_from:test_from], lines[test_from:])
    train_part, valid, test = (_documents(part, "lotr_scripts.csv") for part in parts)
    return BenchCorpus(
        title="`lotr_scripts.csv`",
        description="lines shuffled with `random.Random(42)`, 80/10/10",
        tokenizer="classic",
        train=train_part,
        valid=valid,
        test=test,
    )


def tiny_shakespeare(data: Path) -> BenchCorpus:
    """A speech is a document; split as ``lorelm train`` splits."""
    read = read_documents(data / "tinyshakespeare.txt", ReadingOptions(document="paragraph"))
    train_part, valid, test = split_parts(read, split_seed=42)
    return BenchCorpus(
        title="tiny Shakespeare",
        description="speeches, split 80/10/10 as `lorelm train` does; `english` has read it",
        tokenizer="words",
        train=train_part,
        valid=valid,
        test=test,
        is_read_by_base=True,
    )


def novel(path: Path) -> BenchCorpus:
    """A novel as a text file, split as ``lorelm train`` splits."""
    read = read_documents(path)
    train_part, valid, test = split_parts(read, split_seed=42)
    return BenchCorpus(
        title=f"`{path.name}`",
        description="passages, split by position as `lorelm train` does",
        tokenizer="words",
        train=train_part,
        valid=valid,
        test=test,
    )


def wikitext(data: Path) -> BenchCorpus:
    """Trained on the validation file, whose last tenth validates; tested on the test file."""
    lines = ReadingOptions(document="line")
    read = read_documents(data / "wikitext2-valid.txt", lines)
    valid_from = len(read) * 9 // 10
    return BenchCorpus(
        title="WikiText-2",
        description="trained on the validation file, whose last tenth validates; tested on the "
        "test file",
        tokenizer="words",
        train=_documents(read.texts[:valid_from], "wikitext2-valid.txt"),
        valid=_documents(read.texts[valid_from:], "wikitext2-valid.txt"),
        test=read_documents(data / "wikitext2-test.txt", lines),
    )


CORPORA: Final[dict[str, Callable[[Path], BenchCorpus]]] = {
    "lotr": films,
    "shakespeare": tiny_shakespeare,
    "wikitext": wikitext,
}


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The figures of one training on the test part, and what it took."""

    metrics: Metrics
    ngram_seconds: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One model on one corpus, of several seeds; `prefix` says which of the figures are its own."""

    model: str
    prefix: str
    trained: list[Trained]
    seconds: float

    def cells(self) -> list[str]:
        first = self.trained[0].metrics
        low, high = getattr(first, f"{self.prefix}perplexity_interval")
        return [
            self.model,
            mean_and_range(self._figures("perplexity"), 1),
            f"{low:.1f} – {high:.1f}",
            mean_and_range(self._figures("bits_per_character"), 3),
            f"{first.unknown_rate:.1%}",
            f"{self.seconds:,.1f}",
        ]

    def _figures(self, name: str) -> list[float]:
        return [getattr(each.metrics, f"{self.prefix}{name}") for each in self.trained]


def mean_and_range(values: list[float], digits: int) -> str:
    """Return the mean of figures and their range, if they differ."""
    text = f"{mean(values):.{digits}f}"
    if max(values) == min(values):
        return text
    return f"{text} ({min(values):.{digits}f} – {max(values):.{digits}f})"


def rows(corpus: BenchCorpus, trainings: list[Training], seeds: list[int]) -> Iterator[Row]:
    """The n-gram model, then each training alone and in the mixture."""
    for training in trainings:
        trained = [_trained(corpus, training, seed) for seed in seeds]
        metrics = trained[0].metrics
        ngram_seconds = mean(each.ngram_seconds for each in trained)
        seconds = mean(each.seconds for each in trained)
        ngram_share = 1 - mean(each.metrics.mixture_weight or 0 for each in trained)
        if training == trainings[0]:
            yield Row(
                model=f"n-gram model, order {metrics.ngram_order}",
                prefix="ngram_",
                trained=trained[:1],
                seconds=ngram_seconds,
            )
        yield Row(model=training.name, prefix="", trained=trained, seconds=seconds)
        yield Row(
            model=f"the same, mixed with {ngram_share:.0%} of the n-gram model",
            prefix="mixture_",
            trained=trained,
            seconds=seconds + ngram_seconds,
        )


def _trained(corpus: BenchCorpus, training: Training, seed: int) -> Trained:
    same_words = {"tokenizer": corpus.tokenizer, "min_frequency": 3, "vocabulary": "own"}
    changes = same_words if training.has_same_words else {}
    recipe = Recipe.load(training.recipe, seed=seed, **changes)
    options = TrainingOptions(init=training.init)
    held_out = {"valid": corpus.valid, "test": corpus.test}
    with tempfile.TemporaryDirectory() as folder:
        bundle = train(
            corpus.train, recipe, out=Path(folder) / "model", options=options, **held_out
        )
    assert bundle is not None
    manifest = bundle.manifest
    assert manifest.metrics is not None
    assert manifest.training is not None
    prepared = prepare_corpus(
        CorpusParts(documents=corpus.train, **held_out),
        tokenizer=bundle.tokenizer,
        vocabulary=recipe.vocabulary_rules(),
        split_seed=recipe.split_seed,
    )
    started = time.perf_counter()
    fit_orders(prepared)
    ngram_seconds = time.perf_counter() - started
    return Trained(
        metrics=manifest.metrics, ngram_seconds=ngram_seconds, seconds=manifest.training.seconds
    )


def _documents(texts: list[str], source: str) -> Documents:
    return Documents(texts=texts, source=source)


def section(corpus: BenchCorpus, trainings: list[Training], seeds: list[int]) -> str:
    """The part of the results page about one corpus."""
    table = [["", "perplexity", "95 %", "bits per character", "unknown", "training seconds"]]
    table.append(["---"] * len(table[0]))
    found = []
    for row in rows(corpus, trainings, seeds):
        found.append(row)
        table.append(row.cells())
        print(" | ".join(row.cells()), flush=True)
    metrics = found[0].trained[0].metrics
    lines = "\n".join("| " + " | ".join(cells) + " |" for cells in table)
    return (
        f"## {corpus.title}\n\n"
        f"{corpus.description[0].upper()}{corpus.description[1:]}. Tokenizer `{corpus.tokenizer}`; "
        f"{metrics.documents:,} test documents, {metrics.tokens:,} tokens.\n\n{lines}\n"
    )


def page(sections: list[str], command: str) -> str:
    """Return the whole results page."""
    return (
        "# Results\n\n"
        f"Made by `{command}` on {_processor()}, PyTorch with {torch.get_num_threads()} "
        "thread(s). Within a corpus, all rows but those of `lorelm train` have the same ids and "
        "target tokens: every token and the end of every document; those have the words of the "
        "base model too. Figures are means of the seeds, with the lowest and the highest; "
        "intervals are 95 %, from a bootstrap over the test documents of the first seed. Bits per "
        "character charge unknown words for their spelling. The machine is shared, so seconds "
        "give an order of magnitude only.\n\n" + "\n".join(sections)
    )


def _processor() -> str:
    try:
        info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":")[1].strip() for line in info.splitlines() if "model name" in line]
    return names[0] if names else platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("docs/results.md"))
    parser.add_argument("--corpora", nargs="+", choices=CORPORA, default=list(CORPORA))
    parser.add_argument("--novel", type=Path, help="a text file that is not among the books")
    parser.add_argument("--trainings", nargs="+", choices=TRAININGS, default=list(TRAININGS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    flags = parser.parse_args()
    trainings = [TRAININGS[name] for name in flags.trainings]
    sections = []
    corpora = [CORPORA[name](flags.data) for name in flags.corpora]
    for corpus in [*corpora, *([novel(flags.novel)] if flags.novel else [])]:
        print(corpus.title, flush=True)
        fair = [each for each in trainings if each.init is None or not corpus.is_read_by_base]
        if fair:
            sections.append(section(corpus, fair, flags.seeds))
    threads = os.environ.get("OMP_NUM_THREADS")
    names = (Path(each).name if Path(each).is_absolute() else each for each in sys.argv[1:])
    command = shlex.join(["python", "bench/quality.py", *names])
    command = f"OMP_NUM_THREADS={threads} {command}" if threads else command
    flags.out.write_text(page(sections, command), encoding="utf-8")


if __name__ == "__main__":
    main()
