"""The clock of a running monitor: wall time, moved by corrections of the machine's clock as little as may be.

Three times are told apart. What is measured between two moments is monotonic. What is written down is the
time of this clock. What a source stamps is its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import Final

from facility.instants import STEP_MS

SLEW: Final = 0.01
"""How fast a small difference from the wall clock is made up: 10 ms in a second."""


class SteadyClock:
    """Wall time at the start and monotonic time from then on, drawn slowly to the wall clock.

    Where the two differ by more than a second, the machine's clock was set, or the machine stood still: then
    the wall clock is right, and is followed at once. `take_step` says so to the journal.

    Args:
        wall_s: Gives the machine's time [s].
        monotonic_s: Gives its monotonic time [s].
    """

    def __init__(
        self,
        wall_s: Callable[[], float] = time.time,  # noqa: TID251 - the one place that asks the machine for the time
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._machine_s = wall_s
        self.monotonic_s = monotonic_s
        self._lock = Lock()
        self._step: tuple[int, int] | None = None
        self._begin(wall_s())

    def _begin(self, wall_s: float) -> None:
        """Go on from a time of the machine [s]."""
        self._wall_s, self._offset_s = wall_s, 0.0
        self._start_s = self._checked_s = self.monotonic_s()
        self._last_ms = int(wall_s * 1_000)

    def now_ms(self) -> int:
        """Return the time [ms]. It falls only where the machine's clock was set back by over a second."""
        with self._lock:
            monotonic_s, machine_s = self.monotonic_s(), self._machine_s()
            now_s = self._wall_s + (monotonic_s - self._start_s) + self._offset_s
            difference_s = machine_s - now_s
            if abs(difference_s) * 1_000 > STEP_MS:
                from_ms = max(self._last_ms, int(now_s * 1_000)) if self._step is None else self._step[0]
                self._step = (from_ms, int(machine_s * 1_000))
                self._begin(machine_s)
                return self._last_ms
            most_s = (monotonic_s - self._checked_s) * SLEW
            slewed_s = max(-most_s, min(most_s, difference_s))
            self._offset_s += slewed_s
            self._checked_s = monotonic_s
            self._last_ms = max(self._last_ms, int((now_s + slewed_s) * 1_000))
            return self._last_ms

    def take_step(self) -> tuple[int, int] | None:
        """Return once what this clock said before it was set, and what it says since [ms]."""
        with self._lock:
            step, self._step = self._step, None
            return step
