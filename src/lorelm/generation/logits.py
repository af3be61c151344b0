"""What happens to logits between the model and the sampler: processors, bans, scores.

For each token, in this order: the mixture with the n-gram model makes the network's logits those of
the model, which are scored; then the rules of speakers, for all rows at once; then the processors
of the sequence (no copies, word biases, words that are never written, penalties); then the bans of
special tokens; then :func:`lorelm.sampling.sample`.
"""

import math
from collections import abc
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from lorelm.corpus.special_tokens import NEWLINE, OTHER_SPEAKER
from lorelm.corpus.tokenizer import WordsTokenizer
from lorelm.corpus.vocabulary import EOS_ID, UNK_ID, Vocabulary
from lorelm.ngrams.kneser_ney import KneserNey
from lorelm.runtime.mixture import log_normaliser, log_softmax, mix_logs
from lorelm.sampling import SamplingSettings
from lorelm.typing import Floats, Floats32, Ids

if TYPE_CHECKING:
    from lorelm.generation.sequence import Sequence


_LEAST_LOG_ODDS: Final = math.log(0.05)
"""Of `<other speaker>` against all speakers with a name, for the latter to be banned."""

LogitsProcessor = Callable[[Floats32, "Sequence"], Floats32]
"""Return new logits `[V]` of the next token, given the tokens that the sequence has so far."""


class Mixture:
    """Mix the network with the n-gram model of its training text.

    Args:
        weight: of the network, from 0 to 1.
    """

    def __init__(self, ngram: KneserNey, weight: float) -> None:
        self.weight = weight
        self._ngram = ngram
        self._context_len = ngram.order - 1

    def __call__(self, logits_V: Floats32, sequence: "Sequence") -> Floats32:
        return self.mixed(logits_V, self.context(sequence))

    def context(self, sequence: "Sequence") -> Ids:
        """Return the last ids that a sequence has read."""
        # The next token follows what the model has read, also while it reads the prompt.
        num_known = sequence.num_read + 1
        first = max(0, num_known - self._context_len)
        return np.array(sequence.token_ids[first:num_known], dtype=np.int64)

    def mixed(self, logits_V: Floats32, context: Ids) -> Floats32:
        """Return the logits of the mixture after these ids."""
        ngram_V = np.log(self._ngram.distribution(context))
        return mix_logs(log_softmax(logits_V), ngram_V, self.weight).astype(np.float32)


class LogitBias:
    """Add the same numbers to the logits `[V]` of every token."""

    def __init__(self, bias_V: Floats32) -> None:
        self.bias_V = bias_V

    @classmethod
    def ban(cls, words: abc.Sequence[str], vocabulary: Vocabulary) -> "LogitBias":
        """Return the bias that keeps words of the vocabulary from being generated."""
        bias_V = np.zeros(len(vocabulary), dtype=np.float32)
        bias_V[vocabulary.encode(words)] = -np.inf
        return cls(bias_V)

    def __call__(self, logits_V: Floats32, _sequence: "Sequence") -> Floats32:
        return logits_V + self.bias_V


class Penalties:
    """Make the tokens that a sequence already has less likely. Counts for one sequence.

    Args:
        prompt_ids: of the prompt alone, without an `<eos>` in front of it.
    """

    def __init__(
        self, settings: SamplingSettings, prompt_ids: abc.Sequence[int] | Ids, vocabulary_size: int
    ) -> None:
        self._factor = np.float32(settings.repetition_penalty)
        self._frequency = np.float32(settings.frequency_penalty)
        self._presence = np.float32(settings.presence_penalty)
        self._is_seen_V = np.zeros(vocabulary_size, dtype=np.bool_)
        self._is_seen_V[prompt_ids] = True
        self._counts_V = np.zeros(vocabulary_size, dtype=np.float32)
        self._num_counted = 0

    def __call__(self, logits_V: Floats32, sequence: "Sequence") -> Floats32:
        for id_ in sequence.token_ids[sequence.num_prompt_ids + self._num_counted :]:
            self._is_seen_V[id_] = True
            self._counts_V[id_] += 1
            self._num_counted += 1
        penalized_V = np.where(logits_V > 0, logits_V / self._factor, logits_V * self._factor)
        penalized_V = np.where(self._is_seen_V, penalized_V, logits_V)
        penalized_V -= self._frequency * self._counts_V
        penalized_V -= self._presence * (self._counts_V > 0)
        return penalized_V


class SpeakerRules:
    """What may follow a speaker's token, and who `<other speaker>` is.

    - It is followed by a word or an opening mark, not by the end of the line, another speaker, or a
      mark that touches the word before it. The tokenizer never cuts a text like that, but a model
      that has few lines of a speaker does not know it: `english` gave such marks a quarter after
      "JULIET:".
    - `<other speaker>` stands for speakers that the model does not know. Where the prompt has one,
      it is that speaker; several take turns. Where the prompt has none, or the only one has just
      spoken, its probability goes to the speakers with a name. It may be most of what all speakers
      have: a model of 1,500 words of a script gave it 57 % at the beginning of a scene, the others
      1 %, and began with prose when it was only banned.
    - Where the prompt has two speakers or more, and the model knows none, the speakers with a name
      are banned, unless `<other speaker>` is very unlikely: an n-gram model that has seen no line
      of it has no words to go on with.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        speakers = [*vocabulary.speakers.values()]
        self._speakers = frozenset(speakers)
        self._other = int(vocabulary.encode([OTHER_SPEAKER])[0])
        self._others = np.array([self._other])
        self._named = np.array([id_ for id_ in speakers if id_ != self._other], dtype=np.int64)
        touching = [word for word in vocabulary.words if word.startswith(WordsTokenizer.MARK)]
        self._bias_V = np.zeros(len(vocabulary), np.float32)
        self._bias_V[[EOS_ID, *speakers, *vocabulary.encode(touching)]] = -np.inf
        if NEWLINE in vocabulary:
            self._bias_V[vocabulary.encode([NEWLINE])] = -np.inf

    def __call__(
        self, logits_BV: Floats32, rows: abc.Sequence[int], sequences: "abc.Sequence[Sequence]"
    ) -> None:
        """Apply the rules to the logits of some rows, in place: one sequence for each of them."""
        to_named: list[int] = []
        to_other: list[int] = []
        for row, sequence in zip(rows, sequences, strict=True):
            prompt = sequence.request.prompt
            if sequence.token_ids[-1] in self._speakers:
                logits_BV[row] += self._bias_V
            elif len(prompt.other_speakers) > 1:
                if not prompt.names_known_speaker:
                    to_other.append(row)
            elif not prompt.other_speakers or self._last_speaker(sequence) == self._other:
                to_named.append(row)
        if to_named:
            _move(logits_BV, to_named, self._others, self._named)
        if to_other:
            _move(logits_BV, to_other, self._named, self._others, least_log_odds=_LEAST_LOG_ODDS)

    def _last_speaker(self, sequence: "Sequence") -> int | None:
        num_scanned, last = sequence.last_speaker
        for id_ in sequence.token_ids[num_scanned:]:
            last = id_ if id_ in self._speakers else last
        sequence.last_speaker = len(sequence.token_ids), last
        return last


def _move(
    logits_BV: Floats32,
    rows: abc.Sequence[int],
    source_N: Ids,
    target_N: Ids,
    *,
    least_log_odds: float = -np.inf,
) -> None:
    """Give the probability of some ids to others, in proportion to what these have, in place.

    All rows at once, also those that stay: 64 rows and 684 speakers take 0.2 ms; single rows, one
    by one, 2.6 ms, and indexed together 0.4.

    Args:
        least_log_odds: of the target against the source; where they are below, nothing changes.
    """
    is_wanted_B = np.zeros(len(logits_BV), dtype=np.bool_)
    is_wanted_B[rows] = True
    target_BN = logits_BV[:, target_N]
    of_source_B, of_target_B = _log_sums(logits_BV[:, source_N]), _log_sums(target_BN)
    moves_B = is_wanted_B & (of_target_B >= of_source_B + least_log_odds)
    with np.errstate(invalid="ignore"):  # of targets that are banned, which stay so
        gains_B = np.logaddexp(of_source_B, of_target_B) - of_target_B
    gains_B[~(moves_B & np.isfinite(of_target_B))] = 0
    target_BN += gains_B[:, None]
    logits_BV[:, target_N] = target_BN
    logits_BV[np.flatnonzero(moves_B)[:, None], source_N] = -np.inf


def _log_sums(logits_BN: Floats32) -> Floats:
    """Return the logarithm of the sum of exponentials of each row; banned ids add nothing."""
    if logits_BN.shape[1] == 1:
        return logits_BN[:, 0].astype(np.float64)
    tops_B = logits_BN.max(axis=1, initial=-np.inf)
    shifts_B = np.where(np.isfinite(tops_B), tops_B, np.float32(0))
    with np.errstate(divide="ignore"):  # of rows where all are banned
        sums_B: Floats = np.log(np.exp(logits_BN - shifts_B[:, None]).sum(axis=1, dtype=np.float64))
    return shifts_B + sums_B


def ban_special_tokens(logits_BV: Floats32, early_rows: abc.Sequence[int]) -> None:
    """Ban `<unk>` from all rows and `<eos>` from those that may not end yet, in place.

    Where nothing but `<eos>` is left, it stays.
    """
    logits_BV[:, UNK_ID] = -np.inf
    for row in early_rows:
        eos, logits_BV[row, EOS_ID] = logits_BV[row, EOS_ID], -np.inf
        # Look at the last word first: to search all words of 64 rows took 0.4 ms a step.
        if logits_BV[row, -1] == -np.inf and logits_BV[row].max() == -np.inf:
            logits_BV[row, EOS_ID] = eos


class TokenScore(NamedTuple):
    """How likely a token was.

    Attributes:
        log_probability: natural logarithm of the model's own probability, over its whole
            vocabulary, before any sampling setting.
        ids: the likeliest ones, the likeliest first, without `<unk>`.
        log_probabilities: of these.
    """

    log_probability: float
    ids: list[int]
    log_probabilities: list[float]


def score_tokens(
    logits_BV: Floats32, ids_B: abc.Sequence[int] | Ids, nums_alternatives: abc.Sequence[int]
) -> list[TokenScore]:
    """Score one token per row.

    All rows at once, three alternatives each: 64 rows of 911 take 0.1 ms, of 24,687 1.4 ms.
    Exponentials in float64 and a partition took 0.6 and 10.7 ms.
    """
    normaliser_B = log_normaliser(logits_BV)
    logs_B = (logits_BV[np.arange(len(ids_B)), ids_B] - normaliser_B).tolist()
    most = min(max(nums_alternatives), logits_BV.shape[1] - 1)
    if most == 0:
        return [TokenScore(log, [], []) for log in logs_B]
    ids_BN, logits_BN = _likeliest(logits_BV, most)
    logs_BN = (logits_BN - normaliser_B[:, None]).tolist()
    rows = zip(logs_B, ids_BN.tolist(), logs_BN, nums_alternatives, strict=True)
    return [TokenScore(log, ids[:num], logs[:num]) for log, ids, logs, num in rows]


def _likeliest(logits_BV: Floats32, count: int) -> tuple[Ids, Floats32]:
    """Return the ids `[B, count]` with the highest logits without `<unk>`, and these.

    One search for each: up to 20 of them take less than a partition and a sort.
    """
    rest_BV = logits_BV.copy()
    rest_BV[:, UNK_ID] = -np.inf
    rows_B = np.arange(len(rest_BV))
    ids_BN = np.empty((len(rest_BV), count), dtype=np.int64)
    logits_BN = np.empty((len(rest_BV), count), dtype=np.float32)
    for place in range(count):
        ids_BN[:, place] = ids_B = rest_BV.argmax(axis=1)
        logits_BN[:, place] = rest_BV[rows_B, ids_B]
        rest_BV[rows_B, ids_B] = -np.inf
    return ids_BN, logits_BN
