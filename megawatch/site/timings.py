"""When the points of a broker are published, as the rules want to know it."""

from __future__ import annotations

from facility.sitefile.tables import Pace
from rules.telemetry.timing import Timing


def timing(broker: Pace) -> Timing:
    """Return when the points of a broker are published."""
    period_ms = round(broker.period_s * 1_000)
    jitter_ms = period_ms // 2 if broker.jitter_s is None else round(broker.jitter_s * 1_000)
    return Timing(
        repeat_ms=round(broker.repeat_s * 1_000),
        heartbeat_ms=round(broker.heartbeat_s * 1_000),
        period_ms=period_ms,
        certain_ms=period_ms + jitter_ms,
    )
