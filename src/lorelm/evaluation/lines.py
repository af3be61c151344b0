"""What the lines before a line, and its speaker, are worth to a model."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from lorelm.bundle.metrics import LineMetrics
from lorelm.corpus.special_tokens import NEWLINE, SOMEONE, speaker_name
from lorelm.corpus.vocabulary import EOS_ID
from lorelm.evaluation.perplexity import perplexity
from lorelm.evaluation.scores import share_interval
from lorelm.evaluation.spelling import SpellingModel
from lorelm.evaluation.text import HeldOutText
from lorelm.ngrams.kneser_ney import KneserNey
from lorelm.runtime.base import Runtime, State
from lorelm.runtime.mixture import log_normaliser, log_softmax
from lorelm.typing import Floats, Ids

MAX_LINES: Final = 200
"""Lines that are measured, evenly spaced: naming the speakers of these, of 40, takes 5 s."""

_ROWS: Final = 64


@dataclass(frozen=True, kw_only=True)
class _Line:
    """A line of a document that has others before it: a turn, a paragraph or a verse.

    Attributes:
        before: the ids of its document before it, an `<eos>` first.
        speaker: the id of the token of its speaker; None without one.
        tokens: its words and punctuation, and `ids`, their ids.
    """

    before: Ids
    speaker: int | None
    tokens: Sequence[str]
    ids: Ids


def line_metrics(
    runtime: Runtime,
    text: HeldOutText,
    spelling: SpellingModel | None,
    ngram: KneserNey | None,
) -> LineMetrics | None:
    """Measure lines with and without those before them, and with and without their speakers.

    `<eos>`, line breaks and the tokens of speakers are not counted. Without its speaker, a line is
    said by `<other speaker>`. The speaker that the model names is the likeliest one, the lines
    before and the line itself given.

    Returns:
        None if there are fewer than two lines with lines before them.
    """
    lines = _sampled(list(_lines(text)))
    if len(lines) < 2:
        return None
    price = _Pricer(text, lines, spelling)
    states = _states_before(runtime, lines)
    start = _read(runtime, [EOS_ID])
    cues = [[] if line.speaker is None else [line.speaker] for line in lines]
    found: dict[str, Any] = {
        "lines": len(lines),
        **price(_logs(runtime, states, lines, cues)),
        **price(_logs(runtime, [start] * len(lines), lines, cues), "alone_"),
    }
    someone = text.vocabulary.speakers.get(SOMEONE)
    if any(cues) and someone is not None:  # None: only this text has speakers
        others = [[someone] if cue else [] for cue in cues]
        found |= price(_logs(runtime, states, lines, others), "unnamed_")
        found |= _speaker_metrics(runtime, text, lines, states, ngram)
    return LineMetrics(**found)


def _lines(text: HeldOutText) -> Iterator[_Line]:
    """Yield each line that has words, and lines before it in its document."""
    for tokens in text.documents:
        ids = text.vocabulary.encode(tokens)
        before = np.concatenate(([EOS_ID], ids))
        ends = [i for i, token in enumerate(tokens) if token == NEWLINE or (i and _is_cue(token))]
        for end, following in pairwise((*ends, len(tokens))):
            start = end + (tokens[end] == NEWLINE)
            has_cue = start < following and _is_cue(tokens[start])
            words = ids[start + has_cue : following]
            if len(words):
                yield _Line(
                    before=before[: start + 1],
                    speaker=int(ids[start]) if has_cue else None,
                    tokens=tokens[start + has_cue : following],
                    ids=words,
                )


def _is_cue(token: str) -> bool:
    return speaker_name(token) is not None


def _sampled(lines: Sequence[_Line]) -> list[_Line]:
    count = min(MAX_LINES, len(lines))
    return [lines[i * len(lines) // count] for i in range(count)]


@dataclass(frozen=True)
class _Prediction:
    """A state, and the log-probabilities `[V]` of the id that follows."""

    state: State
    logs_V: Floats


def _read(runtime: Runtime, ids: Iterable[int], state: State | None = None) -> _Prediction:
    logits_V, state = runtime.read(ids, state)
    return _Prediction(state, log_softmax(logits_V))


def _states_before(runtime: Runtime, lines: Sequence[_Line]) -> list[_Prediction]:
    """Read what is before each line; what is before the next one of a document goes on from it."""
    found: list[_Prediction] = []
    read: Ids = np.zeros(0, np.int64)
    for line in lines:
        goes_on = len(read) and np.array_equal(line.before[: len(read)], read)
        state = found[-1].state if goes_on else None
        rest = line.before[len(read) :] if goes_on else line.before
        found.append(_read(runtime, rest, state) if len(rest) else found[-1])
        read = line.before
    return found


def _logs(
    runtime: Runtime,
    starts: Sequence[_Prediction],
    lines: Sequence[_Line],
    cues: Sequence[Sequence[int]],
) -> list[Floats]:
    """Return the log-probabilities of the words of each line after its cue."""
    found: list[Floats] = []
    for first in range(0, len(lines), _ROWS):
        rows = slice(first, first + _ROWS)
        found += _logs_of_batch(runtime, starts[rows], lines[rows], cues[rows])
    return found


def _logs_of_batch(
    runtime: Runtime,
    starts: Sequence[_Prediction],
    lines: Sequence[_Line],
    cues: Sequence[Sequence[int]],
) -> Iterator[Floats]:
    sequences = [
        np.concatenate((cue, line.ids)).astype(np.int64)
        for cue, line in zip(cues, lines, strict=True)
    ]
    batch = runtime.batch(len(lines))
    for place, start in enumerate(starts):
        batch.put(place, start.state)
    padded_TB = np.full((max(map(len, sequences)), len(lines)), EOS_ID)
    for place, sequence in enumerate(sequences):
        padded_TB[: len(sequence), place] = sequence
    logs_TB = np.empty(padded_TB.shape)
    logs_TB[0] = [start.logs_V[id_] for start, id_ in zip(starts, padded_TB[0], strict=True)]
    for step in range(len(padded_TB) - 1):
        logits_BV = batch.step(padded_TB[step])
        target_logits_B = logits_BV[np.arange(len(lines)), padded_TB[step + 1]]
        logs_TB[step + 1] = target_logits_B - log_normaliser(logits_BV)
    for place, (cue, sequence) in enumerate(zip(cues, sequences, strict=True)):
        yield logs_TB[len(cue) : len(sequence), place]


def _speaker_metrics(
    runtime: Runtime,
    text: HeldOutText,
    lines: Sequence[_Line],
    states: Sequence[_Prediction],
    ngram: KneserNey | None,
) -> dict[str, Any]:
    """Return how many speakers that have a token are named rightly, by the model and by others."""
    candidates = [id_ for name, id_ in text.vocabulary.speakers.items() if name != SOMEONE]
    num = len(candidates)
    asked = [
        (line, state)
        for line, state in zip(lines, states, strict=True)
        if line.speaker in candidates
    ]
    if not asked:
        return {}
    speeches = _logs(
        runtime,
        [state for _, state in asked for _ in candidates],
        [line for line, _ in asked for _ in candidates],
        [[speaker] for _ in asked for speaker in candidates],
    )
    logs_NS = np.array([log.sum() for log in speeches]).reshape(-1, num)
    logs_NS += [state.logs_V[candidates] for _, state in asked]
    right = [line.speaker for line, _ in asked if line.speaker is not None]
    named = np.take(candidates, logs_NS.argmax(axis=1))
    num_right = int(np.equal(named, right).sum())
    found: dict[str, Any] = {
        "speakers": len(candidates),
        "speaker_lines": len(right),
        "speaker_accuracy": num_right / len(right),
        "speaker_accuracy_interval": share_interval(num_right, len(right)),
        "speaker_majority": float(np.bincount(right).max() / len(right)),
    }
    if ngram is not None:
        by_ngram = [_named_by_ngram(ngram, line, candidates) for line, _ in asked]
        found["ngram_speaker_accuracy"] = float(np.mean(np.equal(by_ngram, right)))
    return found


def _named_by_ngram(ngram: KneserNey, line: _Line, candidates: Sequence[int]) -> int:
    context = line.before[-ngram.order :]
    logs = [
        np.log(ngram.probabilities(np.concatenate((context, [speaker], line.ids))))[
            len(context) - 1 :
        ].sum()
        for speaker in candidates
    ]
    return candidates[int(np.argmax(logs))]


class _Pricer:
    """Perplexity and bits per character of the words of the same lines.

    An unknown word costs its spelling too.
    """

    def __init__(
        self, text: HeldOutText, lines: Sequence[_Line], spelling: SpellingModel | None
    ) -> None:
        tokenizer, vocabulary = text.tokenizer, text.vocabulary
        unknown = [
            tokenizer.piece(token, None)
            for line in lines
            for token in line.tokens
            if token not in vocabulary
        ]
        self._num_characters = sum(len(tokenizer.detokenize(line.tokens)) for line in lines)
        self._spelling_bits = None if spelling is None else float(spelling.bits(unknown).sum())

    def __call__(self, logs: Sequence[Floats], prefix: str = "") -> dict[str, float]:
        loss = -float(np.concatenate(logs).sum())
        found = {f"{prefix}perplexity": perplexity(loss / sum(map(len, logs)))}
        if self._spelling_bits is not None:
            bits = loss / math.log(2) + self._spelling_bits
            found[f"{prefix}bits_per_character"] = bits / self._num_characters
        return found
