"""What is known of a few points, for the tests of how long a value holds."""

from __future__ import annotations

from collections.abc import Iterable

from facility.points import Cadence
from facility.readings import Flag, Quality
from rules.telemetry.state import Knowledge
from rules.telemetry.timing import Timing
from store.journal.entries import Known
from testing.builders import T0_MS
from testing.rules.halls import (
    BUS,
    EVERY_SECOND,
    at_once,
    known_heartbeat,
    known_rack,
)

LATENESS_MS = 200
JITTERY = Timing(repeat_ms=100_000, heartbeat_ms=10_000, period_ms=1_000, certain_ms=1_500)
STREAM = f"{BUS}:g1"


def knowing(*known: Known, timing: Timing = EVERY_SECOND) -> Knowledge:
    """Return what knows of points, and has heard nothing of them."""
    knowledge = Knowledge({BUS: timing}, LATENESS_MS)
    for entry in known:
        knowledge.add(entry.id, entry.point)
    return knowledge


def on_change(racks: int = 1) -> Knowledge:
    """Return what knows of racks whose gateway publishes on change, and of its heartbeat."""
    points = [known_rack(i, f"r{i}", stream=STREAM, cadence=Cadence.ON_CHANGE) for i in range(racks)]
    return knowing(*points, known_heartbeat(racks, STREAM))


def periodic() -> Knowledge:
    """Return what knows of one rack that says something every second."""
    return knowing(known_rack(0, "r0"), timing=JITTERY)


def says(
    knowledge: Knowledge,
    seconds: Iterable[float],
    *powers_kw: float | None,
    late_ms: int = 5,
    flags: Flag = Flag.NONE,
    quality: Quality = Quality.GOOD,
) -> None:
    """Let every point say something at seconds after `T0_MS`; None for one that does not."""
    for second in seconds:
        at_ms = T0_MS + round(second * 1_000)
        batch = at_once(powers_kw, at_ms, received_ms=at_ms + late_ms, flags=flags, quality=quality)
        # The monitor looks at what it knows between any two messages.
        knowledge.at(at_ms - 1)
        knowledge.heard.hear(batch)


def is_certain(knowledge: Knowledge, second: float, point: int = 0) -> bool:
    """Tell whether a point's value is the power at a second."""
    return bool(knowledge.at(T0_MS + round(second * 1_000)).is_certain[point])


def is_fresh(knowledge: Knowledge, second: float, point: int = 0) -> bool:
    """Tell whether a point counts as heard at a second."""
    return bool(knowledge.at(T0_MS + round(second * 1_000)).is_fresh[point])
