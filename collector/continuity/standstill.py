"""Whether this process ran all the time: it may have been stopped, or its machine may have been."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

STANDSTILL_S: Final = 3.0
"""A pause between two beats that is longer is a standstill of ours: shorter than any silence (our choice)."""
BEAT_S: Final = 0.5
"""How often it is noted that the process runs."""


class Pulse:
    """Notes that the process runs.

    Args:
        monotonic_s: Gives monotonic time [s].
    """

    def __init__(self, monotonic_s: Callable[[], float]) -> None:
        self._monotonic_s = monotonic_s
        self._beat_s = monotonic_s()

    def beat(self) -> float:
        """Note that the process runs; return for how long it had stood still [s], 0 where it had not."""
        now_s = self._monotonic_s()
        stood_s, self._beat_s = now_s - self._beat_s, now_s
        return stood_s if stood_s > STANDSTILL_S else 0.0
