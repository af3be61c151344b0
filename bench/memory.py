"""What a memory is worth to the text that comes 250 tokens later, by several ways of using it.

    python bench/memory.py BUNDLE FILE [--windows 80]

FILE is a text that the model has not seen, such as `wikitext2-test.txt` for a model of
`wikitext2-valid.txt`. A memory is 45 tokens of it; the text that is predicted comes 250 tokens
later and has 100, after the 100 before it. Gains are in nats a token: over all tokens, and over
those that are one of the rarer words of the memory. "Wrong" is with the memory of another place,
which should cost little.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import lorelm
from lorelm.corpus.readers import read_documents
from lorelm.corpus.special_tokens import NEWLINE
from lorelm.corpus.vocabulary import EOS_ID
from lorelm.generation.memory import RECENT
from lorelm.runtime.mixture import log_softmax, mix_logs
from lorelm.typing import Floats, Ids

import numpy as np

MEMORY: Final = 45
GAP: Final = 250
CONTEXT: Final = 100
TARGETS: Final = 100


class Window(NamedTuple):
    memory: Ids
    context: Ids
    targets: Ids


class Place(NamedTuple):
    """A window as the model sees it without a memory; `raised_V` is what `memory` adds."""

    window: Window
    logs_TV: Floats
    h_TH: Floats
    raised_V: Floats


Way = Callable[[Place, Ids, Floats], Floats]
"""Return log-probabilities `[T, V]` from a place, a memory, and what that raises."""


def windows(ids: Ids, count: int) -> list[Window]:
    starts = np.linspace(0, len(ids) - MEMORY - GAP - TARGETS - 1, count).astype(int)
    found = []
    for start in starts:
        first = start + MEMORY + GAP
        parts = (ids[start : start + MEMORY], ids[first - CONTEXT : first])
        found.append(Window(*parts, ids[first : first + TARGETS]))
    return found


class Model:
    def __init__(self, name: str) -> None:
        self._model = lorelm.load(name)
        self.vocabulary, self.tokenizer = self._model.vocabulary, self._model.tokenizer

    def read(self, ids: Sequence[int], num_last: int) -> tuple[Floats, Floats]:
        """Return log-probabilities and states after the last ids."""
        state, logs, states = self._model.runtime.initial_state(1), [], []
        for place, id_ in enumerate(ids):
            logits_1V, state = self._model.runtime.step(np.array([id_]), state)
            if place >= len(ids) - num_last:
                logs.append(log_softmax(logits_1V[0]))
                states.append(state.hidden[-1][0])
        return np.array(logs), np.array(states)

    def raised(self, memory: Ids) -> Floats:
        tokens = [self.vocabulary.words[id_] for id_ in memory if id_ > EOS_ID]
        return self._model._memory_words.bias(tokens, self._model.prompts.read("")).bias_V

    def place(self, window: Window) -> Place:
        ids = [EOS_ID, *window.context, *window.targets[:-1]]
        return Place(window, *self.read(ids, TARGETS), self.raised(window.memory))


def normalised(logits_TV: Floats) -> Floats:
    return log_softmax(logits_TV)


def ours(place: Place, _memory: Ids, raised_V: Floats) -> Floats:
    """As :class:`lorelm.generation.memory.MemoryBias` does."""
    logits_TV = place.logs_TV + raised_V
    ids = np.concatenate((place.window.context, place.window.targets))
    for step in range(TARGETS):
        recent = ids[CONTEXT + step - RECENT : CONTEXT + step]
        logits_TV[step, recent] = place.logs_TV[step, recent]
    return normalised(logits_TV)


def constant(bias: float) -> Way:
    return lambda place, _, raised_V: normalised(place.logs_TV + bias * (raised_V > 0))


def unigram(weight: float) -> Way:
    def mixed(place: Place, _memory: Ids, raised_V: Floats) -> Floats:
        with np.errstate(divide="ignore"):
            logs_V = np.log((raised_V > 0) / max(1, (raised_V > 0).sum()))
        return mix_logs(place.logs_TV, logs_V[None], 1 - weight)

    return mixed


def read_before(model: Model, num_context: int, *, with_memory: bool) -> Way:
    newline = [int(id_) for id_ in model.vocabulary.encode([NEWLINE]) if id_]

    def read(place: Place, memory: Ids, _raised_V: Floats) -> Floats:
        before = [*memory, *newline] if with_memory else []
        ids = [EOS_ID, *before, *place.window.context[-num_context:], *place.window.targets[:-1]]
        return model.read(ids, TARGETS)[0]

    return read


def cache(model: Model, theta: float, weight: float) -> Way:
    def mixed(place: Place, memory: Ids, _raised_V: Floats) -> Floats:
        _, h_NH = model.read([EOS_ID, *memory[:-1]], MEMORY)
        shares_TN = np.exp(theta * (place.h_TH @ h_NH.T).astype(np.float64))
        shares_TN /= shares_TN.sum(axis=1, keepdims=True)
        cache_TV = np.zeros_like(place.logs_TV)
        for number, id_ in enumerate(memory):
            cache_TV[:, id_] += shares_TN[:, number]
        with np.errstate(divide="ignore"):
            return mix_logs(place.logs_TV, np.log(cache_TV), 1 - weight)

    return mixed


def gains(places: Sequence[Place], others: Sequence[Place], way: Way) -> tuple[float, float]:
    """Return the mean gain over all tokens, and over the words of the memory."""
    of_all, of_words = [], []
    for place, other in zip(places, others, strict=True):
        targets, steps = place.window.targets, np.arange(TARGETS)
        logs_TV = way(place, other.window.memory, other.raised_V)
        gain = logs_TV[steps, targets] - place.logs_TV[steps, targets]
        of_all.append(gain)
        of_words.append(gain[other.raised_V[targets] > 0])
    words = np.concatenate(of_words)
    return float(np.mean(of_all)), float(words.mean()) if len(words) else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle")
    parser.add_argument("file")
    parser.add_argument("--windows", type=int, default=80)
    args = parser.parse_args()
    model = Model(args.bundle)
    text = "\n".join(read_documents(args.file).texts)
    ids = model.vocabulary.encode(model.tokenizer.tokenize(text))
    places = [model.place(window) for window in windows(ids, args.windows)]
    wrong = places[len(places) // 2 :] + places[: len(places) // 2]
    loss = -np.mean([p.logs_TV[np.arange(TARGETS), p.window.targets].mean() for p in places])
    print(f"{args.file}, {len(places)} windows, {loss:.3f} nats a token without a memory")
    print(f"{'':34} {'right':>8} {'words':>7} {'wrong':>8} {'words':>7}")
    ways: dict[str, Way] = {
        "context of 20 alone": read_before(model, 20, with_memory=False),
        "memory read before 20": read_before(model, 20, with_memory=True),
        "memory read before 100": read_before(model, 100, with_memory=True),
        "neural cache of it, 2 %": cache(model, 0.3, 0.02),
        "neural cache of it, 5 %": cache(model, 0.3, 0.05),
        "its words, mixed in with 1 %": unigram(0.01),
        "its words, mixed in with 2 %": unigram(0.02),
        "its words raised by 1": constant(1),
        "its words raised by 2": constant(2),
        "its words raised by their rarity": ours,
    }
    for name, way in ways.items():
        (right, words), (off, off_words) = gains(places, places, way), gains(places, wrong, way)
        print(f"{name:34} {right:+8.4f} {words:+7.2f} {off:+8.4f} {off_words:+7.2f}", flush=True)


if __name__ == "__main__":
    main()
