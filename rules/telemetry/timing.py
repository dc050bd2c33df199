"""When the points of a broker are published, and after how long silence is news."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

REPEAT_MARGIN: Final = 1.1
"""How much later than promised a repeated value may come: 110 s for the 100 s of the DSX bus (our choice)."""
MISSED_PERIODS: Final = 3
LEAST_FRESH_MS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Timing:
    """When the points of a broker are published.

    Attributes:
        repeat_ms: How often an unchanged value is repeated [ms].
        heartbeat_ms: How often a heartbeat comes [ms].
        period_ms: How often a periodic source publishes [ms].
        certain_ms: How long a periodic value stands for the power now, at most [ms].
    """

    repeat_ms: int
    heartbeat_ms: int
    period_ms: int
    certain_ms: int

    @property
    def repeated_ms(self) -> int:
        """After how long an unchanged value must have been repeated [ms]."""
        return round(self.repeat_ms * REPEAT_MARGIN)

    @property
    def missed_ms(self) -> int:
        """After how long a periodic source is silent [ms]."""
        return max(MISSED_PERIODS * self.period_ms, LEAST_FRESH_MS)

    @property
    def patience_ms(self) -> int:
        """After how long every point must have spoken [ms]."""
        return max(self.repeated_ms, self.missed_ms)


GONE: Final = Timing(repeat_ms=100_000, heartbeat_ms=10_000, period_ms=1_000, certain_ms=1_000)
"""Of a broker that the site file names no longer: its points are only ever silent."""
