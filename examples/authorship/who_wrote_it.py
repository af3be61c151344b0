"""Which author wrote a sentence? A LoreLM model beside naive Bayes, on books not seen before.

    python who_wrote_it.py books

`books` has a folder for each author with a text file for each book. Every author needs as many
books as there are folds.
"""

import argparse
import random
import re
import sys
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from lorelm_classifier import LoreLMClassifier

SENTENCE_END = re.compile(r"(?<=[.!?][”’\"'])\s+|(?<=[.!?])\s+(?=[“‘\"'A-Z])")
NUM_WORDS = range(8, 41)


def sentences(book: Path, number: int) -> list[str]:
    """Return so many sentences of a book, of any place in it."""
    text = book.read_text(encoding="utf-8")
    found = [
        " ".join(sentence.split())
        for paragraph in re.split(r"\n\s*\n", text)
        for sentence in SENTENCE_END.split(paragraph)
        if len(sentence.split()) in NUM_WORDS
    ]
    random.Random(0).shuffle(found)
    return found[:number]


def without_typography(lines: list[str]) -> list[str]:
    """Make quotation marks and dashes plain: they tell publishers apart, not authors."""
    plain = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "—": "-", "–": "-"})
    return [line.translate(plain) for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("books", type=Path, help="folder of folders of text files")
    parser.add_argument("--lines", type=int, default=3000, help="of each book; default: 3000")
    parser.add_argument("--epochs", type=int, default=8, help="default: 8")
    parser.add_argument("--folds", type=int, default=2, help="default: 2")
    arguments = parser.parse_args()

    lines, authors, books = [], [], []
    for book in sorted(arguments.books.glob("*/*.txt")):
        found = sentences(book, arguments.lines)
        lines += found
        authors += [book.parent.name] * len(found)
        books += [book.stem] * len(found)
    if len(set(authors)) < 2:
        sys.exit(f"{arguments.books} needs two folders, one for each author, with .txt files.")
    authors = np.array(authors)

    models = {
        "naive Bayes": make_pipeline(CountVectorizer(ngram_range=(1, 2)), MultinomialNB()),
        "LoreLM": make_pipeline(LoreLMClassifier(epochs=arguments.epochs)),
    }
    folds = StratifiedGroupKFold(arguments.folds)  # a book is never in both parts
    print(f"{len(lines):,} sentences, {len(set(books))} books, {len(set(authors))} authors")
    classes, beliefs = np.unique(authors), {}
    for name, model in models.items():
        pipeline = make_pipeline(FunctionTransformer(without_typography), model)
        beliefs[name] = cross_val_predict(
            pipeline, lines, authors, groups=books, cv=folds, method="predict_log_proba"
        )
        report(name, classes[beliefs[name].argmax(axis=1)] == authors)
    both = sum(beliefs.values())  # as if they knew the sentence by different features
    report("both", classes[both.argmax(axis=1)] == authors)


def report(name: str, is_right: np.ndarray) -> None:
    share = is_right.mean()
    error = 1.96 * np.sqrt(share * (1 - share) / len(is_right))
    print(f"{name:12} {share:6.1%} right (± {error:.1%})", flush=True)


if __name__ == "__main__":
    main()
