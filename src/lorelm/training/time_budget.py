"""How long a run may take: :class:`TimeBudget`."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from lorelm.errors import RecipeError
from lorelm.training.processes import SINGLE_PROCESS, Processes


@dataclass(frozen=True, kw_only=True)
class TimeBudget:
    """How long a run may take, from the start of the command to the saved and evaluated bundle.

    Attributes:
        started: by `time.perf_counter`.
    """

    seconds: float
    started: float
    processes: Processes = SINGLE_PROCESS

    @property
    def left(self) -> float:
        """Seconds left by the main process's clock; all processes must ask together."""
        return self.processes.number_from_main(self.left_here)

    @property
    def left_here(self) -> float:
        """Seconds left by the clock of this process."""
        return self.seconds - (time.perf_counter() - self.started)

    def watch(self, work: str) -> Callable[[float], None]:
        """Return a progress callback that raises if some work would take too long."""
        began, left = time.perf_counter(), self.left

        def check(share: float) -> None:
            forecast = (time.perf_counter() - began) / share
            if forecast > 2 * left:  # half of it may be a slow start
                raise self.too_short(f"{work} alone takes about {forecast:.0f} s", 2 * forecast)

        return check

    def too_short(self, reason: str, seconds_needed: float) -> RecipeError:
        """Return the error that no useful run fits into the time."""
        minutes = math.ceil(seconds_needed / 60)
        needed = f"{math.ceil(seconds_needed)}s" if minutes <= 2 else f"{minutes}m"
        return RecipeError(
            f"a time budget of {self} is too short: {reason}; set time_budget_seconds "
            f"(--time-budget) to {needed} or more, or give a part of the corpus or a smaller "
            "hidden_size (--hidden-size)",
            code="recipe.budget_too_short",
        )

    def __str__(self) -> str:
        return f"{self.seconds:g} s" if self.seconds < 120 else f"{self.seconds / 60:g} min"
