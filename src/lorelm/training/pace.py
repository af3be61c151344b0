"""How far a training run is, from 0 to 1: by its updates, by the clock, or by both."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Pace:
    """What a run ends with: so many updates, so many seconds, or whichever of them comes first.

    By the clock, progress is the share of the time that is over. On a machine that becomes slower,
    or after a way back to a checkpoint, the updates that are left are each a larger part of the
    run, so that the learning rate has come down when the time is over.

    Attributes:
        num_updates: None: as many as there is time for.
        seconds: since training began; None: as long as the updates take.
    """

    num_updates: int | None = None
    seconds: float | None = None

    def progress(self, *, num_updates: int, seconds: float) -> float:
        """The share of the run that is over after so many updates and so many seconds."""
        return max(_share(num_updates, self.num_updates), _share(seconds, self.seconds))


def _share(done: float, whole: float | None) -> float:
    """From 0 to 1; 0 of what has no end."""
    if whole is None:
        return 0.0
    return done / whole if done < whole else 1.0
