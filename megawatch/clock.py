"""The clock of a running monitor: wall time that never jumps."""

from __future__ import annotations

import time
from typing import Final

SLEW: Final = 0.01
"""How fast a difference from the wall clock is made up: 10 ms in a second."""
STEP_MS: Final = 1_000
"""A difference of more than this is reported as a step of the wall clock."""


class SteadyClock:
    """Wall time at the start and monotonic time from then on, drawn slowly to the wall clock.

    Somebody who sets the machine's clock by an hour must not make the monitor miss an hour of judgements, or
    make them twice.

    Args:
        least_ms: The time is never before this: what the journal was last stamped with [ms].
    """

    def __init__(self, least_ms: int = 0) -> None:
        self._wall_s = _wall_s()
        self._start_s = time.monotonic()
        self._offset_s = max(0.0, least_ms / 1_000 - self._wall_s)
        self._last_ms = least_ms
        self._checked_s = self._start_s

    def now_ms(self) -> int:
        """Return the time [ms]. It never falls."""
        monotonic_s = time.monotonic()
        elapsed_s = monotonic_s - self._start_s
        wall_s = self._wall_s + elapsed_s + self._offset_s
        most_s = (monotonic_s - self._checked_s) * SLEW
        self._offset_s += max(-most_s, min(most_s, _wall_s() - wall_s))
        self._checked_s = monotonic_s
        self._last_ms = max(self._last_ms, int((self._wall_s + elapsed_s + self._offset_s) * 1_000))
        return self._last_ms

    def monotonic_s(self) -> float:
        """Return seconds since some moment, to measure with [s]."""
        return time.monotonic()

    def ahead_of_wall_ms(self) -> int:
        """Return how far this clock is ahead of the machine's: large after somebody set that one [ms]."""
        return self.now_ms() - int(_wall_s() * 1_000)


def _wall_s() -> float:
    return time.time()  # noqa: TID251 - the one place that asks the machine for the time
