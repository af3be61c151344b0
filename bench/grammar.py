"""Grammar by minimal pairs: how often a model finds the grammatical sentence more probable.

    python bench/grammar.py BUNDLE [BUNDLE ...] [--ngram] [--ngram-text FILE]

`bench/grammar/pairs.jsonl` has a hundred pairs of ten kinds, in the manner of BLiMP (Warstadt et
al. 2020, https://arxiv.org/abs/1912.00582). The sentences of a pair differ in one word and have
the same number of tokens, so their probabilities compare. `lorelm serve` serves the network of
each BUNDLE, without a mixture, and EleutherAI's `lm_eval` scores the pairs through `/v1`, each
sentence as the beginning of a document.

No option of the server makes the n-gram model answer alone, so `--ngram` scores it in Python, with
the same ids: the n-gram model that the bundle carries, else that of the training text, which is
looked for as `lorelm evaluate BUNDLE` does. With `--ngram-text` it is the 5-gram model of FILE.

If a word in which a pair differs is unknown, the model reads `<unk>`, which stands for all unknown
words, and the comparison says nothing. Such a pair counts as half, and the last row counts them.
"""

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lorelm.bundle import Bundle
from lorelm.corpus.preparation import tokenize_documents
from lorelm.corpus.readers import read_documents
from lorelm.corpus.vocabulary import EOS_ID
from lorelm.corpus.windows import encode_stream
from lorelm.evaluation.baseline import fit_orders, ngram_log_probabilities
from lorelm.evaluation.scores import share_interval
from lorelm.evaluation.trained_corpus import find_trained_corpus
from lorelm.ngrams.kneser_ney import MAX_ORDER, KneserNey

import numpy as np

TASK: Final = "lorelm_grammar"
TASK_DIR: Final = Path(__file__).parent / "grammar"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A grammatical sentence, and one that one other word makes ungrammatical."""

    kind: str
    good: str
    bad: str

    def is_known(self, bundle: Bundle) -> bool:
        """Return whether a model knows the words in which the sentences differ."""
        good, bad = (Counter(bundle.tokenizer.tokenize(text)) for text in (self.good, self.bad))
        return all(word in bundle.vocabulary for word in (good - bad) + (bad - good))


Scores = Sequence[tuple[float, float]]
"""Natural logarithm of the probability of the good and the bad sentence of each pair."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """The result of a model: for each pair 1 if it is right, 0 if not, 0.5 if it is unknown."""

    name: str
    points: Sequence[float]
    num_unknown: int

    @classmethod
    def of(cls, name: str, bundle: Bundle, pairs: Sequence[Pair], scores: Scores) -> "Column":
        known = [pair.is_known(bundle) for pair in pairs]
        points = [
            float(good > bad) if is_known else 0.5
            for is_known, (good, bad) in zip(known, scores, strict=True)
        ]
        return cls(name=name, points=points, num_unknown=known.count(False))


def read_pairs() -> list[Pair]:
    lines = (TASK_DIR / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
    return [Pair(**json.loads(line)) for line in lines]


@contextlib.contextmanager
def serving(bundle: str) -> Iterator[str]:
    """Serve the network of a bundle on a free port; yield the address."""
    command = [sys.executable, "-m", "lorelm", "serve", bundle, "--port", "0"]
    server = subprocess.Popen(
        [*command, "--no-mixture", "--no-history"], stderr=subprocess.PIPE, text=True
    )
    try:
        assert server.stderr is not None
        lines = []
        for line in server.stderr:
            address = re.search(r"http://\S+/", line)
            if address is not None:
                break
            lines.append(line)
        else:
            raise SystemExit("".join(lines))
        yield address.group()
    finally:
        server.terminate()
        server.communicate(timeout=20)


def scores_of_network(bundle: str, pairs: Sequence[Pair]) -> Scores:
    """Score the pairs with `lm_eval`, through a server."""
    with tempfile.TemporaryDirectory() as folder, serving(bundle) as url:
        arguments = (
            f"base_url={url}v1/completions,model={Path(bundle).resolve().name},"
            "tokenizer_backend=remote,max_retries=1"
        )
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "lm_eval", "--model", "local-completions"),
                *("--model_args", arguments, "--include_path", ".", "--tasks", TASK),
                *("--log_samples", "--output_path", f"{folder}/out"),
            ],
            cwd=TASK_DIR,
            env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": f"{folder}/hf"},
            check=False,
            capture_output=True,
            text=True,
        )
        if ended.returncode != 0:
            raise SystemExit(ended.stdout + ended.stderr)
        [file] = (Path(folder) / "out").rglob(f"samples_{TASK}_*.jsonl")
        samples = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    samples.sort(key=lambda sample: sample["doc_id"])
    assert [Pair(**sample["doc"]) for sample in samples] == list(pairs)
    # A response is the log-probability, and whether greedy decoding writes the sentence.
    return [
        (float(good), float(bad)) for (good, _), (bad, _) in (s["filtered_resps"] for s in samples)
    ]


def ngram_model(bundle: Bundle, text: str | None) -> KneserNey:
    """Return the n-gram model of a text, or of the training text of a bundle."""
    if text is not None:
        documents = tokenize_documents(read_documents(text), bundle.tokenizer)
        stream = np.insert(encode_stream(documents, bundle.vocabulary), 0, EOS_ID)
        return KneserNey.fit(stream, order=MAX_ORDER, vocabulary_size=len(bundle.vocabulary))
    if bundle.has_ngram:
        return bundle.ngram()[0]
    ngram = bundle.manifest.ngram
    order = MAX_ORDER if ngram is None else ngram.order
    return fit_orders(find_trained_corpus(bundle))[order - 1]


def scores_of_ngrams(model: KneserNey, bundle: Bundle, pairs: Sequence[Pair]) -> Scores:
    def score(text: str) -> float:
        ids = bundle.vocabulary.encode(bundle.tokenizer.tokenize(text))
        return float(ngram_log_probabilities(model, ids).sum())

    return [(score(pair.good), score(pair.bad)) for pair in pairs]


def columns(names: Sequence[str], pairs: Sequence[Pair], text: str | None) -> Iterator[Column]:
    """Yield the result of the n-gram model of each bundle."""
    for name in names:
        bundle = Bundle.load(name)
        model = ngram_model(bundle, text)
        scores = scores_of_ngrams(model, bundle, pairs)
        yield Column.of(f"{model.order}-grams, {name}", bundle, pairs, scores)


def print_table(pairs: Sequence[Pair], results: Sequence[Column]) -> None:
    """Print the accuracy by kind and over all pairs, as a table in Markdown."""

    def row(title: str, cells: Sequence[str]) -> None:
        print("|", " | ".join([title, *cells]), "|", flush=True)

    row("", [column.name for column in results])
    print("|---" * (1 + len(results)) + "|")
    for kind in dict.fromkeys(pair.kind for pair in pairs):
        places = [place for place, pair in enumerate(pairs) if pair.kind == kind]
        row(kind, [f"{np.mean([c.points[place] for place in places]):.0%}" for c in results])
    row("all", [f"{np.mean(column.points):.1%}" for column in results])
    intervals = [share_interval(sum(column.points), len(pairs)) for column in results]
    row("95 % interval", [f"{low:.1%} to {high:.1%}" for low, high in intervals])
    row("differ in an unknown word", [f"{c.num_unknown / len(pairs):.0%}" for c in results])


def main() -> None:
    """Print a column per model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("bundles", nargs="+", metavar="BUNDLE")
    parser.add_argument("--ngram", action="store_true", help="score the n-gram models, too")
    parser.add_argument("--ngram-text", metavar="FILE", help="the same, of this text")
    options = parser.parse_args()
    pairs = read_pairs()
    results = [
        Column.of(name, Bundle.load(name), pairs, scores_of_network(name, pairs))
        for name in options.bundles
    ]
    if options.ngram or options.ngram_text is not None:
        results += columns(options.bundles, pairs, options.ngram_text)
    print_table(pairs, results)


if __name__ == "__main__":
    main()
