"""How often a name that the model has never seen comes back, and what it costs.

    python bench/names.py BUNDLE [--data ../shared/data] [--cases 40] [--samples 40]

BUNDLE is a model of `lotr_scripts.csv` (`lorelm train ../shared/data/lotr_scripts.csv --out
BUNDLE`). In held-out scenes whose first half has a name that the model knows, the name is replaced
by one that it does not. "Again" is the share of samples of 60 tokens after that half in which the
name comes again: with the name itself, with the unknown one, and with the unknown one read as
`<unk>`, as before stand-ins. Bits per character are of the whole scenes: with the name itself; with
the unknown one spelled each time; and with a stand-in after the first time.
"""

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lorelm.bundle import Bundle
from lorelm.corpus.preparation import prepare_corpus
from lorelm.corpus.readers import read_documents
from lorelm.corpus.vocabulary import UNK_ID, VocabularyRules
from lorelm.evaluation.perplexity import predict
from lorelm.evaluation.spelling import SpellingModel
from lorelm.generation.generator import generate
from lorelm.generation.language_model import LanguageModel
from lorelm.generation.settings import GenerationSettings
from lorelm.generation.stand_ins import StandIns

import numpy as np

UNSEEN: Final = "Aragast"
MAX_TOKENS: Final = 60
MAX_PROMPT: Final = 100


@dataclass(frozen=True, kw_only=True)
class Case:
    """A held-out scene with a name in its first half."""

    tokens: Sequence[str]
    half: int
    name: str

    def with_name(self, name: str) -> list[str]:
        return [name if token == self.name else token for token in self.tokens]


def cases(bundle: Bundle, data: Path, count: int) -> list[Case]:
    """Return scenes of the validation and test part, drawn with a fixed seed."""
    corpus = prepare_corpus(
        read_documents(data / "lotr_scripts.csv"),
        tokenizer=bundle.tokenizer,
        vocabulary=VocabularyRules(min_frequency=3),
        split_seed=1,
    )
    if corpus.vocabulary != bundle.vocabulary:
        raise SystemExit(f"{bundle.path} is not a model of {data / 'lotr_scripts.csv'}")
    small = {word for word in bundle.vocabulary.words if word.islower()}
    names = {
        word
        for word in bundle.vocabulary.words
        if word.istitle() and word.isalpha() and word.lower() not in small
    }
    found = list(_cases([*corpus.valid.documents, *corpus.test.documents], names))
    order = np.random.default_rng(0).permutation(len(found))[:count]
    return [found[place] for place in order]


def _cases(documents: Sequence[Sequence[str]], names: set[str]) -> Iterator[Case]:
    for tokens in documents:
        half = min(len(tokens) // 2, MAX_PROMPT)
        for name in sorted(names.intersection(tokens[:half])):
            yield Case(tokens=tokens, half=half, name=name)


def again(model: LanguageModel, case: Case, name: str, num_samples: int, *, unk: bool) -> float:
    """Return the share of samples in which a name comes again."""
    prompt = model.prompts.read(model.tokenizer.detokenize(case.with_name(name)[: case.half]))
    if unk:  # a prompt without unknown words has no stand-ins
        prompt = replace(prompt, unknown_words=())
    settings = GenerationSettings(
        num_samples=num_samples, seed=1, max_len=MAX_TOKENS, min_len=MAX_TOKENS
    )
    request = model.request(prompt, settings)
    for sequence in request.sequences:
        generate(model.runtime, sequence)
    return sum(name in sequence.text() for sequence in request.sequences) / num_samples


def bits(bundle: Bundle, case: Case, name: str, *, stand_in: bool) -> tuple[float, int]:
    """Return the bits of a scene, and its characters."""
    vocabulary, tokenizer = bundle.vocabulary, bundle.tokenizer
    tokens = case.with_name(name)
    ids = vocabulary.encode(tokens)
    unknown = [token for token, id_ in zip(tokens, ids, strict=True) if id_ == UNK_ID]
    spelled = [tokenizer.piece(token, None) for token in unknown]
    if stand_in:
        places = [place for place, token in enumerate(tokens) if token == name]
        prompt = LanguageModel.of_bundle(bundle).prompts.read(tokenizer.detokenize(tokens))
        filled = StandIns(tokenizer, vocabulary).fill(prompt, bundle.runtime())
        ids[places[1:]] = filled.ids[places[1:]]
        for _ in places[1:]:
            spelled.remove(name)
    spelling = SpellingModel.of_bundle(bundle)
    assert spelling is not None
    logs = predict(bundle.runtime(), ids).log_probabilities
    cost = -logs.sum() / math.log(2) + spelling.bits(spelled).sum()
    return cost, len(tokenizer.detokenize(tokens))


def main() -> None:
    """Print a line per way to read the name."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--samples", type=int, default=40)
    options = parser.parse_args()
    bundle = Bundle.load(options.bundle)
    model = LanguageModel.of_bundle(bundle)
    found = cases(bundle, options.data, options.cases)
    print(f"{len(found)} scenes with a name, {options.samples} samples each")
    for title, unseen, unk in (
        ("the name itself", False, False),
        ("unseen, read as <unk>", True, True),
        ("unseen, with a stand-in", True, False),
    ):
        shares, costs = [], []
        for case in found:
            name = UNSEEN if unseen else case.name
            shares.append(again(model, case, name, options.samples, unk=unk))
            costs.append(bits(bundle, case, name, stand_in=unseen and not unk))
        per_character = sum(b for b, _ in costs) / sum(n for _, n in costs)
        print(f"{title:24} again {np.mean(shares):5.1%}  bits per character {per_character:.4f}")


if __name__ == "__main__":
    main()
