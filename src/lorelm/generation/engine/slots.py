"""The rows of the batch: what a step does to all of them at once lies in arrays."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from lorelm.corpus.vocabulary import EOS_ID, UNK_ID
from lorelm.generation.engine.request import Row
from lorelm.generation.token_scores import TokenScore
from lorelm.runtime.base import Runtime
from lorelm.typing import Floats32, Ids

BLOCK_LEN: Final = 64
"""A row reads or writes so many ids before its draft is told, unless each of them matters."""


class Slots:
    """The drafts that are advanced together, each in one row of some arrays.

    The live rows are the first ones. A row that leaves is overwritten by the last one, so rows
    change their places.

    Attributes:
        rows: the live ones, in the order of the arrays.
        batch: the states of the model, a text a row.
    """

    def __init__(self, num_slots: int, runtime: Runtime) -> None:
        self.num_slots = num_slots
        self.rows: list[Row] = []
        self.batch = runtime.batch(num_slots)
        self._next_ids_S = np.zeros(num_slots, dtype=np.int64)
        self._is_writing_S = np.zeros(num_slots, dtype=np.bool_)
        self._has_rules_S = np.zeros(num_slots, dtype=np.bool_)
        self._bans_eos_S = np.zeros(num_slots, dtype=np.bool_)
        self._wants_scores_S = np.zeros(num_slots, dtype=np.bool_)
        self._deadline_S = np.zeros(num_slots)
        self._block_len_S = np.zeros(num_slots, dtype=np.int64)
        self._num_done_S = np.zeros(num_slots, dtype=np.int64)
        self._block_SN = np.zeros((num_slots, BLOCK_LEN), dtype=np.int64)
        self._uniforms_SN = np.zeros((num_slots, BLOCK_LEN))
        self._places_S = np.arange(num_slots)
        self._arrays: Sequence[npt.NDArray[np.generic]] = (
            *(self._next_ids_S, self._is_writing_S, self._has_rules_S, self._bans_eos_S),
            *(self._wants_scores_S, self._deadline_S),
            *(self._block_len_S, self._num_done_S, self._block_SN, self._uniforms_SN),
        )

    @property
    def num_free(self) -> int:
        return self.num_slots - len(self.rows)

    @property
    def next_ids(self) -> Ids:
        """What each live row reads next, `[B]`."""
        return self._next_ids_S[: len(self.rows)]

    @property
    def uniforms(self) -> npt.NDArray[np.float64]:
        """The number that picks the next id of each live row, `[B]`."""
        places_B = self._places_S[: len(self.rows)]
        uniforms_B: npt.NDArray[np.float64] = self._uniforms_SN[
            places_B, self._num_done_S[places_B]
        ]
        return uniforms_B

    @property
    def at_end_of_reading(self) -> list[int]:
        """The places of rows that have now read a block of their prompt."""
        num_rows = len(self.rows)
        is_last_B = self._num_done_S[:num_rows] == self._block_len_S[:num_rows] - 1
        return _places(is_last_B & ~self._is_writing_S[:num_rows])

    @property
    def with_rules(self) -> list[int]:
        """The places of rows whose logits are to be adjusted before sampling."""
        return _places(self._has_rules_S[: len(self.rows)])

    @property
    def to_score(self) -> list[int]:
        """The places of rows whose tokens are to be scored, and that have no rules."""
        return _places(self._wants_scores_S[: len(self.rows)])

    def past_deadline(self, now: float) -> list[int]:
        """The places of rows whose time is over."""
        return _places(self._deadline_S[: len(self.rows)] <= now)

    def apply_bans(self, logits_BV: Floats32) -> None:
        """Forbids `<unk>` to all rows, and `<eos>` to those that may not end yet."""
        logits_BV[:, UNK_ID] = -np.inf
        banning = _places(self._bans_eos_S[: len(self.rows)])
        if banning:
            logits_BV[banning, EOS_ID] = -np.inf

    def take(self, place: int, row: Row) -> None:
        """A row takes the place of another that leaves, or the next one."""
        if place == len(self.rows):
            self.rows.append(row)
        self.rows[place] = row
        self._deadline_S[place] = row.draft.deadline

    def leave(self, place: int) -> None:
        """A row leaves; the last one takes its place."""
        last = len(self.rows) - 1
        if place != last:
            self.rows[place] = self.rows[last]
            self.batch.move(last, place)
            for array in self._arrays:
                array[place] = array[last]
        self.rows.pop()

    def prepare(self, place: int) -> None:
        """Sets up the next block of a row, by what its draft has read and written."""
        row = self.rows[place]
        draft = row.draft
        is_reading, has_rules = draft.is_reading, draft.has_rules
        self._next_ids_S[place] = draft.next_input
        self._is_writing_S[place] = not is_reading
        self._has_rules_S[place] = has_rules and not is_reading
        self._bans_eos_S[place] = draft.bans_eos and not has_rules
        self._wants_scores_S[place] = draft.wants_scores and not (has_rules or is_reading)
        length = min(draft.num_until_look, BLOCK_LEN)
        if is_reading:
            ahead = draft.inputs_ahead(length)
            self._block_SN[place, : len(ahead)] = ahead
        else:
            if row.request.on_token is not None or not draft.ids:
                length = 1
            self._uniforms_SN[place, :length] = draft.uniforms(length)
        self._block_len_S[place] = length
        self._num_done_S[place] = 0

    def go_on(self, ids_B: Ids) -> list[int]:
        """Rows that write have the next id of theirs; returns the places of those at a block's end.

        Rows that read go on to what they read next.
        """
        num_rows = len(self.rows)
        places_B = self._places_S[:num_rows]
        is_writing_B = self._is_writing_S[:num_rows]
        num_done_B = self._num_done_S[:num_rows]
        next_ids_B = np.where(is_writing_B, ids_B, self._block_SN[places_B, num_done_B])
        self._block_SN[places_B, num_done_B] = next_ids_B
        self._next_ids_S[:num_rows] = next_ids_B
        num_done_B += 1
        is_at_end_B = num_done_B == self._block_len_S[:num_rows]
        is_at_end_B |= ids_B == EOS_ID
        is_at_end_B &= is_writing_B
        return _places(is_at_end_B)

    def num_read(self, place: int) -> int:
        """How many ids a row that is at a block's end of reading has read in it."""
        return int(self._block_len_S[place])

    def hand_over(self, place: int, score: TokenScore | None = None) -> None:
        """Gives a row's draft what was written in its block."""
        if not self._is_writing_S[place]:
            return
        ids: list[int] = self._block_SN[place, : self._num_done_S[place]].tolist()
        if ids:
            self.rows[place].draft.take(ids, score)
            self._num_done_S[place] = 0


def _places(is_it_B: npt.NDArray[np.bool_]) -> list[int]:
    # Not flatnonzero, which takes 2 µs more, several times a step.
    places: list[int] = is_it_B.nonzero()[0].tolist()
    return places
