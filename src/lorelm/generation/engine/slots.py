"""The rows of the batch: what a step does to all of them at once lies in arrays."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from lorelm.corpus.vocabulary import EOS_ID, UNK_ID
from lorelm.generation.engine.request import Row
from lorelm.generation.token_scores import TokenScore
from lorelm.runtime.base import FloatArray, IdArray, Runtime

BLOCK_LEN: Final = 32
"""A row writes so many ids before its draft is told, unless somebody waits for each of them."""


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
        self._num_written_S = np.zeros(num_slots, dtype=np.int64)
        self._written_SN = np.zeros((num_slots, BLOCK_LEN), dtype=np.int64)
        self._uniforms_SN = np.zeros((num_slots, BLOCK_LEN))
        self._places_S = np.arange(num_slots)
        self._arrays: Sequence[npt.NDArray[np.generic]] = (
            *(self._next_ids_S, self._is_writing_S, self._has_rules_S, self._bans_eos_S),
            *(self._wants_scores_S, self._deadline_S),
            *(self._block_len_S, self._num_written_S, self._written_SN, self._uniforms_SN),
        )

    @property
    def num_free(self) -> int:
        return self.num_slots - len(self.rows)

    @property
    def next_ids(self) -> IdArray:
        """What each live row reads next, `[B]`."""
        return self._next_ids_S[: len(self.rows)]

    @property
    def uniforms(self) -> npt.NDArray[np.float64]:
        """The number that picks the next id of each live row, `[B]`."""
        places_B = self._places_S[: len(self.rows)]
        uniforms_B: npt.NDArray[np.float64] = self._uniforms_SN[
            places_B, self._num_written_S[places_B]
        ]
        return uniforms_B

    @property
    def reading(self) -> list[int]:
        """The places of rows that read their prompt: nothing is sampled for them."""
        return _places(~self._is_writing_S[: len(self.rows)])

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

    def apply_bans(self, logits_BV: FloatArray) -> None:
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

    def go_on(self, place: int) -> None:
        """Sets up what a row does after a step, by what its draft has read and written."""
        draft = self.rows[place].draft
        if draft.is_reading:
            self._next_ids_S[place] = draft.next_input
        else:
            self.prepare(place)

    def prepare(self, place: int) -> None:
        """Sets up a row that begins, or begins to write, or a block."""
        row = self.rows[place]
        draft = row.draft
        self._next_ids_S[place] = draft.next_input
        self._is_writing_S[place] = not draft.is_reading
        self._has_rules_S[place] = draft.has_rules and not draft.is_reading
        self._bans_eos_S[place] = draft.bans_eos and not draft.has_rules
        plain = not (draft.has_rules or draft.is_reading)
        self._wants_scores_S[place] = plain and draft.wants_scores
        if not draft.is_reading:
            is_watched = row.request.on_token is not None or not draft.ids
            length = 1 if is_watched else min(draft.num_until_look, BLOCK_LEN)
            self._uniforms_SN[place, :length] = draft.uniforms(length)
            self._block_len_S[place] = length
        self._num_written_S[place] = 0

    def write(self, ids_B: IdArray) -> list[int]:
        """Each row that writes has its next id; returns the places of those at a block's end."""
        num_rows = len(self.rows)
        is_writing_B = self._is_writing_S[:num_rows]
        num_written_B = self._num_written_S[:num_rows]
        self._written_SN[self._places_S[:num_rows], num_written_B] = ids_B
        num_written_B += is_writing_B
        np.copyto(self.next_ids, ids_B, where=is_writing_B)
        is_at_end_B = num_written_B == self._block_len_S[:num_rows]
        is_at_end_B |= ids_B == EOS_ID
        is_at_end_B &= is_writing_B
        return _places(is_at_end_B)

    def hand_over(self, place: int, score: TokenScore | None = None) -> None:
        """Gives a row's draft what was written in its block."""
        ids: list[int] = self._written_SN[place, : self._num_written_S[place]].tolist()
        if ids:
            self.rows[place].draft.take(ids, score)
            self._num_written_S[place] = 0


def _places(is_it_B: npt.NDArray[np.bool_]) -> list[int]:
    # Not flatnonzero, which takes 2 µs more, several times a step.
    places: list[int] = is_it_B.nonzero()[0].tolist()
    return places
