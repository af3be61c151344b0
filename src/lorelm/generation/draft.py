"""One sample in the making: :class:`Draft`."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from lorelm.corpus.vocabulary import EOS_ID, UNK_ID
from lorelm.generation.token_scores import TokenScore, score_tokens
from lorelm.sampling import Penalties, SamplingSettings
from lorelm.typing import Floats32, Ids

FinishReason = Literal["eos", "length", "stop", "timeout", "cancelled"]

Adjustment = Callable[[Floats32, Sequence[int]], Floats32]
"""Changes the logits `[V]` of what comes next, given ids that came before."""


class Draft:
    """A sample that is asked for, and what is written of it so far.

    The prompt is read as the beginning of a document, that is, after an `<eos>`; where the model
    was trained elsewhere, without one, unless the prompt is empty. `<unk>` is never
    generated. Each token takes one number from the sample's own generator (Philox, which counts),
    so the sample of a seed is the same whatever is written beside it.

    Args:
        max_len: it ends after so many tokens; with 0 the prompt is only read.
        reads_eos_first: the prompt is read after an `<eos>`.
        min_len: it does not end by `<eos>` before it has so many, but where no word is left.
        model_adjustment: makes the network's logits those of the model, given all ids before,
            an `<eos>` in front of the prompt included.
        limits: applied to the logits of the model in this order, given the generated ids.
        num_alternatives: each token is scored, with so many alternatives; None scores none.
        scores_prompt: the tokens of the prompt are scored too.
        is_stopped: told each generated id; True ends the sample.
        deadline: on the clock `time.monotonic`; it ends there, finished or not.

    Attributes:
        ids: what was generated, without the `<eos>` that may have ended it.
        finish_reason: None, it is not finished; "eos", the model ended the document; "stop", a
            stop text came up; "length", neither did within the length asked for; "timeout", nor
            within the time.
        error: what went wrong with this sample alone.
        scores: of the generated tokens, where they are asked for.
        prompt_scores: of the prompt's tokens, where they are asked for, but for the first
            :attr:`num_not_foretold`.
    """

    def __init__(
        self,
        prompt_ids: Ids,
        *,
        seed: int,
        settings: SamplingSettings,
        max_len: int,
        reads_eos_first: bool = True,
        min_len: int = 1,
        model_adjustment: Adjustment | None = None,
        limits: Sequence[Adjustment] = (),
        num_alternatives: int | None = None,
        scores_prompt: bool = False,
        is_stopped: Callable[[int], bool] | None = None,
        deadline: float = math.inf,
    ) -> None:
        self.seed = seed
        self.settings = settings
        self.deadline = deadline
        self.scores_prompt = scores_prompt
        self.num_alternatives = num_alternatives
        self.ids: list[int] = []
        self.scores: list[TokenScore] = []
        self.prompt_scores: list[TokenScore] = []
        self.finish_reason: FinishReason | None = None
        self.error: Exception | None = None
        has_eos = reads_eos_first or len(prompt_ids) == 0
        self._inputs: list[int] = [*([EOS_ID] if has_eos else []), *prompt_ids.tolist()]
        self._num_prompt_ids = len(prompt_ids)
        self._prompt_start = int(has_eos)
        self._num_read = 0
        self._max_len = max_len
        self._min_len = min_len
        self._model_adjustment = model_adjustment
        self._limits = limits
        self._is_stopped = is_stopped
        self._random = np.random.Generator(np.random.Philox(seed))
        self._penalties: Penalties | None = None
        self._model_logits_V: Floats32 | None = None
        self._has_rules = bool(model_adjustment or limits or settings.has_penalties)

    @property
    def known_ids(self) -> Sequence[int]:
        """All ids that are known: an `<eos>` if one is read, the prompt's, the generated ones."""
        return self._inputs

    @property
    def read_ids(self) -> Sequence[int]:
        """Those of them that the model has read."""
        return self._inputs[: self._num_read]

    @property
    def next_input(self) -> int:
        """The id that the model is to read next."""
        return self._inputs[self._num_read]

    @property
    def num_unread(self) -> int:
        """How many known ids the model has not read yet."""
        return len(self._inputs) - self._num_read

    @property
    def is_reading(self) -> bool:
        """Whether nothing is to be sampled after the next input."""
        return self._max_len == 0 or len(self._inputs) - self._num_read > 1

    @property
    def lacks_scores(self) -> bool:
        """Whether tokens of the prompt that are to be scored have not been read."""
        num_foretold = self._num_prompt_ids - self.num_not_foretold
        return self.scores_prompt and len(self.prompt_scores) < num_foretold

    @property
    def num_not_foretold(self) -> int:
        """How many tokens of the prompt nothing is read before: one, where it is no `<eos>`."""
        return 1 - self._prompt_start

    @property
    def is_over(self) -> bool:
        return self.finish_reason is not None or self.error is not None

    @property
    def has_rules(self) -> bool:
        """Whether the logits have to go through :meth:`adjusted`; else only bans apply to them."""
        return self._has_rules

    @property
    def wants_scores(self) -> bool:
        return self.num_alternatives is not None

    @property
    def bans_eos(self) -> bool:
        """Whether it may not end yet."""
        return len(self.ids) < self._min_len

    @property
    def num_until_look(self) -> int:
        """How many ids may be read or sampled before :meth:`read` or :meth:`take` is told."""
        if self.is_reading:
            return 1 if self.scores_prompt else self.num_unread - (self._max_len > 0)
        if self._has_rules or self.wants_scores or self._is_stopped is not None:
            return 1
        goal = self._min_len if self.bans_eos else self._max_len
        return min(goal, self._max_len) - len(self.ids)

    def inputs_ahead(self, count: int) -> Sequence[int]:
        """The ids to read after the next one, as far as they are known."""
        return self._inputs[self._num_read + 1 : self._num_read + 1 + count]

    def skip(self, num_ids: int) -> None:
        """Takes the first ids for read: the state after them is known."""
        self._num_read = num_ids

    def read(self, logits_V: Floats32, num_ids: int = 1) -> None:
        """Notes that the next inputs were read, after which nothing is sampled.

        Args:
            logits_V: the network's, of what comes next.
            num_ids: how many were read, not more than :attr:`num_until_look`.
        """
        self._num_read += num_ids
        if self.num_unread == 0:
            self.finish_reason = "length"
        elif self.scores_prompt:
            logits_V = self._model_logits(logits_V, self.read_ids)
            self.prompt_scores.append(self._score(logits_V, self.next_input))

    def adjusted(self, logits_V: Floats32) -> Floats32:
        """The logits that the next id is to be sampled from, bans included."""
        logits_V = self._model_logits(logits_V, self._inputs)
        if self.wants_scores:
            self._model_logits_V = logits_V.copy()
        for limit in self._limits:
            logits_V = limit(logits_V, self.ids)
        if self.settings.has_penalties:
            if self._penalties is None:
                start = self._prompt_start
                prompt_ids = self._inputs[start : start + self._num_prompt_ids]
                self._penalties = Penalties(self.settings, prompt_ids, len(logits_V))
            logits_V = self._penalties.applied(logits_V)
        return self._with_bans(logits_V)

    def uniforms(self, count: int) -> npt.NDArray[np.float64]:
        """The numbers in [0, 1) that pick the next ids."""
        return self._random.random(count)

    def take(self, ids: Sequence[int], score: TokenScore | None = None) -> None:
        """Adds ids that were sampled, not more than :attr:`num_until_look`.

        Args:
            score: of the one id, where it is wanted and the logits did not come through
                :meth:`adjusted`.
        """
        *before, last = ids
        self.ids += before
        self._inputs += before
        self._num_read = len(self._inputs)
        if last == EOS_ID:
            self.finish_reason = "eos"
            return
        if self._model_logits_V is not None:
            score = self._score(self._model_logits_V, last)
        if score is not None:
            self.scores.append(score)
        self.ids.append(last)  # after its score: another thread may look in between
        self._inputs.append(last)
        if self._penalties is not None:
            self._penalties.add(last)
        if self._is_stopped is not None and self._is_stopped(last):
            self.finish_reason = "stop"
        elif len(self.ids) >= self._max_len:
            self.finish_reason = "length"

    def _score(self, logits_V: Floats32, id_: int) -> TokenScore:
        [score] = score_tokens(logits_V[None], [id_], [self.num_alternatives or 0])
        return score

    def _model_logits(self, logits_V: Floats32, ids: Sequence[int]) -> Floats32:
        if self._model_adjustment is None:
            return logits_V
        return self._model_adjustment(logits_V, ids)

    def _with_bans(self, logits_V: Floats32) -> Floats32:
        banned_V = logits_V.copy()
        banned_V[UNK_ID] = -np.inf
        if not self.bans_eos:
            return banned_V
        with_eos = banned_V[EOS_ID]
        banned_V[EOS_ID] = -np.inf
        if not np.isfinite(banned_V.max()):  # no word is left, so there must be an end
            banned_V[EOS_ID] = with_eos
        return banned_V
