"""A time budget for a training run: :class:`TimeBudget`."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from lorelm.errors import RecipeError


@dataclass(frozen=True, kw_only=True)
class TimeBudget:
    """How long a run may take, from the start of the command to the saved and evaluated bundle.

    Attributes:
        started: by `time.perf_counter`.
    """

    seconds: float
    started: float

    @property
    def left(self) -> float:
        return self.seconds - (time.perf_counter() - self.started)

    def watch(self, work: str) -> Callable[[float], None]:
        """Return a progress callback that raises if some work would take too long.

        Args:
            work: its name in the message.
        """
        began, left = time.perf_counter(), self.left

        def check(share: float) -> None:
            forecast = (time.perf_counter() - began) / share
            if forecast > 2 * left:  # half of it may be a slow start
                raise self.too_short(f"{work} alone takes about {forecast:.0f} s", 2 * forecast)

        return check

    def too_short(
        self, reason: str, seconds_needed: float, *, alternative: str = "a part of the corpus"
    ) -> RecipeError:
        """Return the error that no useful run fits into the time."""
        return RecipeError(
            f"a time budget of {in_words(self.seconds)} is too short: {reason}; give "
            f"--time-budget {_rounded_up(seconds_needed)} or more, or {alternative}",
            code="recipe.budget_too_short",
        )


def in_words(seconds: float) -> str:
    """As a person writes it: 90 s, 30 min, 4 h."""
    for unit, name in ((3600, "h"), (60, "min")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:g} s"


def _rounded_up(seconds: float) -> str:
    """A time that is no shorter, as --time-budget takes it: 15s, 2m, 3h."""
    for unit, name in ((1, "s"), (60, "m"), (3600, "h")):
        for count in (1, 2, 3, 5, 10, 15, 20, 30, 45):
            if count * unit >= seconds:
                return f"{count}{name}"
    return f"{math.ceil(seconds / 3600)}h"
