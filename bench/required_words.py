"""Compare ways to write a sentence that contains a given word.

    python bench/required_words.py BUNDLE FILE

Prompts are the beginnings of documents of FILE; each gets a word of another document at random. For
each way: how often the next sentence has the word, the log-probability of the word in its place,
the perplexity of the other tokens of the sentence under the model alone, the length of the
sentence, and seconds for each prompt.
"""

import argparse
import random
import re
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import lorelm
from lorelm.corpus.readers import read_documents
from lorelm.corpus.vocabulary import EOS_ID
from lorelm.generation import required_words
from lorelm.generation.generator import generate
from lorelm.generation.language_model import LanguageModel
from lorelm.generation.sequence import Sequence as SampleSequence
from lorelm.generation.settings import GenerationSettings
from lorelm.typing import Floats32

import numpy as np

MAX_LEN = 40
PROMPT_TOKENS = 30
TRIES = 64


class Case(NamedTuple):
    prompt: str
    word: str
    seed: int


class Written(NamedTuple):
    """The ids of a sentence, and the place of the word in it; None if it does not have it."""

    ids: list[int]
    place: int | None


class Boost:
    """Forbid the end of the sentence and raise the word's logit with each token, until it comes."""

    def __init__(self, ids: Sequence[int], ends: Sequence[int], growth: float) -> None:
        self._ids, self._ends, self._growth = list(ids), list(ends), growth

    def __call__(self, logits_V: Floats32, sequence: SampleSequence) -> Floats32:
        if set(self._ids).intersection(sequence.ids):
            return logits_V
        logits_V = logits_V.copy()
        logits_V[self._ids] += self._growth * sequence.num_tokens
        logits_V[self._ends] = -np.inf
        return logits_V


def cases(model: LanguageModel, path: str, count: int) -> list[Case]:
    """Return prompts of whole sentences, and words that neither the prompt nor the start has."""
    texts = [text for text in read_documents(path).texts if len(text.split()) > 12]
    draw = random.Random(1)
    found: list[Case] = []
    for seed, text in enumerate(draw.sample(texts, len(texts))):
        sentences = re.findall(r"[^.!?]+[.!?]+[\"'’”]*", text)
        words = re.findall(r"\b[a-z]{4,}\b", draw.choice(texts))
        if not sentences or not words or not 4 < len(sentences[0].split()) < PROMPT_TOKENS:
            continue
        word = draw.choice(words)
        is_frequent = model.vocabulary.encode([word])[0] < 300
        if word in model.vocabulary and not is_frequent and word not in text:
            found.append(Case(sentences[0].strip(), word, seed))
    return found[:count]


def written(model: LanguageModel, case: Case, ids: Sequence[int]) -> Written:
    """Cut ids at the end of the first sentence and look for the word."""
    sentences = required_words.Sentences(model.tokenizer, model.vocabulary)
    ends = (n for n in range(1, len(ids) + 1) if sentences.has_ended(ids[:n]))
    sentence = list(ids[: next(ends, len(ids))])
    wanted = set(model.word_index.required_ids(case.word))
    places = [place for place, id_ in enumerate(sentence) if id_ in wanted]
    return Written(sentence, places[0] if places else None)


def free(model: LanguageModel, case: Case, seed: int) -> Written:
    request = model.request(
        model.prompts.read(case.prompt), GenerationSettings(max_len=MAX_LEN, seed=seed)
    )
    generate(model.runtime, request.sequences[0])
    return written(model, case, request.sequences[0].ids)


def rejection(model: LanguageModel, case: Case) -> Written:
    """Generate until a sentence has the word."""
    tried = [free(model, case, case.seed)]
    while tried[-1].place is None and len(tried) < TRIES:
        tried.append(free(model, case, case.seed + 10_000 * len(tried)))
    return tried[-1]


def boost(growth: float) -> Callable[[LanguageModel, Case], Written]:
    def write(model: LanguageModel, case: Case) -> Written:
        request = model.request(
            model.prompts.read(case.prompt), GenerationSettings(max_len=MAX_LEN, seed=case.seed)
        )
        [sequence] = request.sequences
        sentences = required_words.Sentences(model.tokenizer, model.vocabulary)
        ends = [EOS_ID, *np.flatnonzero(sentences._ends).tolist()]
        ids = model.word_index.required_ids(case.word)
        sequence.processors.append(Boost(ids, ends, growth))
        generate(model.runtime, sequence)
        return written(model, case, sequence.ids)

    return write


def rollouts(count: int) -> Callable[[LanguageModel, Case], Written]:
    def write(model: LanguageModel, case: Case) -> Written:
        required_words.NUM_ROLLOUTS = count
        settings = GenerationSettings(max_len=MAX_LEN, seed=case.seed, must_contain=[case.word])
        request = model.request(model.prompts.read(case.prompt), settings)
        model.prepare(request, model._generate_together)
        generate(model.runtime, request.sequences[0])
        return written(model, case, request.sequences[0].ids)

    return write


def logs_of(model: LanguageModel, case: Case, ids: Sequence[int]) -> list[float]:
    """Return the log-probability of each id after the prompt, under the model alone."""
    prompt = model.prompts.read(case.prompt).ids.tolist()
    request = model.scoring_request(
        model.prompts.of_ids([*prompt, *ids]), num_alternatives=0, num_samples=1
    )
    generate(model.runtime, request.sequences[0])
    return [each.log_probability for each in request.sequences[0].prompt_scores][len(prompt) :]


def report(name: str, model: LanguageModel, given: Sequence[Case], write: Callable) -> None:
    began = time.perf_counter()
    results = [write(model, case) for case in given]
    seconds = (time.perf_counter() - began) / len(given)
    others, of_word = [], []
    for case, (ids, place) in zip(given, results, strict=True):
        for number, log in enumerate(logs_of(model, case, ids)):
            (of_word if number == place else others).append(log)
    success = np.mean([place is not None for _, place in results])
    length = np.mean([len(ids) for ids, _ in results])
    word = f"{np.mean(of_word):7.2f}" if of_word else "      –"
    print(
        f"{name:24} {success:6.1%} {word} {np.exp(-np.mean(others)):10.1f} {length:7.1f}"
        f" {seconds:8.3f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle")
    parser.add_argument("file")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--read", type=int, default=0, help="print this many texts instead")
    args = parser.parse_args()
    model = lorelm.load(args.bundle)
    given = cases(model, args.file, args.count)
    if args.read:
        for case in given[: args.read]:
            ids = rollouts(16)(model, case).ids
            text = model.tokenizer.detokenize(model.vocabulary.decode(ids))
            print(f"[{case.word}] {case.prompt} | {text}\n")
        return
    print(f"{len(given)} prompts of {args.file}, {args.bundle}")
    print(f"{'':24} {'has it':>6} {'word':>7} {'perplexity':>10} {'tokens':>7} {'seconds':>8}")
    report("free", model, given, lambda model, case: free(model, case, case.seed))
    report(f"best of {TRIES}", model, given, rejection)
    for growth in (0.3, 0.6, 1.0):
        report(f"boost {growth} a token", model, given, boost(growth))
    for count in (1, 4, 16, 64):
        report(f"{count} rollouts", model, given, rollouts(count))


if __name__ == "__main__":
    main()
