"""What the structure of a text is worth: the same words as lines, as scenes, with speakers.

    python bench/structure.py [--data ../shared/data] [--corpora films novel] [--seeds 0 1 2]

`lotr_scripts.csv` by contiguous scenes, the first 80 % of the words of each film for training, the
next 10 for validation, the last 10 for the test; *At the Earth's Core* from `books/`, written out
at 72 columns, as wrapped lines and as continuous text. All arrangements have the same words in each
part and the default recipe. Perplexity and bits per character are of the words and punctuation of
the test part: ends of documents, line breaks and the tokens of speakers are not counted.

Of 200 scenes that a model with speakers begins itself: how many have two speakers or more, how many
end each line but the last with a punctuation mark, and how many have only speakers of the corpus.
"""

import argparse
import math
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lorelm.bundle import Bundle
from lorelm.corpus.documents import Documents, ReadingOptions
from lorelm.corpus.preparation import split_parts
from lorelm.corpus.readers import read_documents
from lorelm.corpus.special_tokens import NEWLINE, speaker_name
from lorelm.corpus.structure import SENTENCE_END
from lorelm.corpus.windows import encode_stream
from lorelm.evaluation.perplexity import perplexity, predict
from lorelm.evaluation.spelling import SpellingModel
from lorelm.generation.language_model import LanguageModel
from lorelm.training.recipe import Recipe
from lorelm.training.train import train

import numpy as np
import polars as pl

NOVEL: Final = "edgar-rice-burroughs_at-the-earths-core"
COLUMNS: Final = 72
NUM_SCENES: Final = 200

Parts = tuple[Documents, Documents, Documents]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What a model gives for the words of the test part."""

    words: int
    perplexity: float
    bits_per_character: float
    seconds: float

    def __str__(self) -> str:
        return (
            f"perplexity {self.perplexity:5.1f}  bits per character {self.bits_per_character:.3f}"
            f"  {self.words:,} words  {self.seconds:.0f} s"
        )


def films(data: Path) -> Iterator[tuple[str, Parts]]:
    """Yield four arrangements of the film dialogue."""
    path = data / "lotr_scripts.csv"
    for name, speaker_column, cut in (
        ("wrapped lines", "", _wrapped_lines),
        ("lines", "", lambda text: text.split("\n")),
        ("scenes", "", lambda text: [text]),
        ("scenes with speakers", "char", lambda text: [text]),
    ):
        options = ReadingOptions(speaker_column=speaker_column, document="scene")
        yield name, _parts(read_documents(path, options), cut)


def novel(data: Path) -> Iterator[tuple[str, Parts]]:
    """Yield two arrangements of a novel: as it was read before, and as passages."""
    rows = pl.read_parquet(data / "books" / "books.parquet").filter(pl.col("work") == NOVEL)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "novel.txt"
        wrapped = "\n\n".join(textwrap.fill(text, COLUMNS) for text in rows["text"])
        path.write_text(wrapped, encoding="utf-8")
        passages = read_documents(path)
    yield "wrapped lines", _parts(passages, _wrapped_lines)
    yield "continuous text", _parts(passages, lambda text: [text])


def _wrapped_lines(text: str) -> list[str]:
    return [line for part in text.split("\n") for line in textwrap.wrap(part, COLUMNS)]


def _parts(documents: Documents, cut: Callable[[str], list[str]]) -> Parts:
    train_part, valid, test = (
        replace(part, texts=[piece for text in part.texts for piece in cut(text)], file=None)
        for part in split_parts(documents, split_seed=0)
    )
    return train_part, valid, test


CORPORA: Final = {"films": films, "novel": novel}


def measure(parts: Parts, *, seed: int, out: Path) -> tuple[Bundle, Figures]:
    """Train the default recipe on an arrangement, and price the words of its test part."""
    train_part, valid, test = parts
    recipe = Recipe.load("default", seed=seed)
    bundle = train(train_part, recipe, out=out, valid=valid, test=test)
    assert bundle is not None
    assert bundle.manifest.training is not None
    return bundle, _figures(bundle, test, seconds=bundle.manifest.training.seconds)


def _figures(bundle: Bundle, test: Documents, *, seconds: float) -> Figures:
    tokenizer, vocabulary = bundle.tokenizer, bundle.vocabulary
    documents = [tokenizer.tokenize(text) for text in test.texts]
    logs = predict(bundle.runtime(), encode_stream(documents, vocabulary)).log_probabilities
    tokens = [token for each in documents for token in (*each, None)]
    is_word = np.array(
        [token is not None and token != NEWLINE and not speaker_name(token) for token in tokens]
    )
    words = [token for token in tokens if token and token != NEWLINE and not speaker_name(token)]
    unknown = [tokenizer.piece(word, None) for word in words if word not in vocabulary]
    spelling = SpellingModel.of_bundle(bundle)
    assert spelling is not None
    bits = -logs[is_word].sum() / math.log(2) + spelling.bits(unknown).sum()
    return Figures(
        words=len(words),
        perplexity=perplexity(-logs[is_word].mean()),
        bits_per_character=bits / len(tokenizer.detokenize(words)),
        seconds=seconds,
    )


def form(bundle: Bundle) -> str:
    """Return how many of 200 scenes are scenes."""
    model = LanguageModel.of_bundle(bundle)
    alternate = ended = known = 0
    for seed in range(0, NUM_SCENES, 50):
        for sample in model.generate(seed=seed, num_samples=50, max_len=120).samples:
            lines = sample.text.split("\n")
            speakers = [line.partition(":")[0] for line in lines if ":" in line]
            alternate += len(set(speakers)) > 1
            ended += all(SENTENCE_END.search(line.rstrip()) for line in lines[:-1])
            known += bool(speakers) and all(name in bundle.vocabulary.speakers for name in speakers)
    return (
        f"of {NUM_SCENES} scenes: {alternate} have two speakers or more, {ended} end their lines, "
        f"{known} have speakers of the corpus only"
    )


def main() -> None:
    """Print a line per arrangement and seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--corpora", nargs="+", choices=CORPORA, default=[*CORPORA])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options = parser.parse_args()
    for corpus in options.corpora:
        for name, parts in CORPORA[corpus](options.data):
            for seed in options.seeds:
                with tempfile.TemporaryDirectory() as folder:
                    bundle, figures = measure(parts, seed=seed, out=Path(folder) / "model")
                    print(f"{corpus}, {name}, seed {seed}: {figures}", flush=True)
                    if bundle.vocabulary.speakers:
                        structure = bundle.manifest.metrics and bundle.manifest.metrics.structure
                        print(f"  {structure}\n  {form(bundle)}", flush=True)


if __name__ == "__main__":
    main()
