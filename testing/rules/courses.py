"""Courses of what happens to what is known of points: readings, breaks, connections and restarts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from hypothesis import strategies as st

from facility.points import Cadence
from facility.readings import Batch, Flag, Quality
from rules.telemetry.liveness import SEASON_MS
from rules.telemetry.state import Knowledge
from rules.telemetry.timing import Timing

TIMING: Final = Timing(repeat_ms=100_000, heartbeat_ms=10_000, period_ms=1_000, certain_ms=1_500)
STREAMS: Final = ("bus:g1", "bus:g2", "other:g1")
POINTS: Final = [(stream, cadence) for stream in STREAMS for cadence in Cadence]
BEATS: Final = range(len(POINTS), len(POINTS) + 2)
"""Heartbeats of the first two streams; the third has none."""
PASSED_MS: Final = (0, 200, 1_000, 4_000, 11_000, 35_000, 120_000, SEASON_MS)

Act = Callable[[Knowledge, int], None]
"""What happens to what is known, at a moment [ms]."""


@dataclass(frozen=True)
class Event:
    """Something that happens, and after how long [ms]."""

    after_ms: int
    act: Act
    is_restarted: bool


def hears(numbers: list[int], late_ms: int, quality: Quality, flags: Flag, *, is_backlog: bool) -> Act:
    """Return that points say something, in one batch."""

    def act(knowledge: Knowledge, at_ms: int) -> None:
        count = len(numbers)
        batch = Batch.of(
            [
                numbers,
                np.full(count, at_ms - late_ms),
                np.full(count, at_ms),
                np.arange(count) + 50.0,
                np.full(count, quality),
                np.full(count, flags),
            ]
        )
        knowledge.heard.hear(batch, is_backlog=is_backlog)

    return act


def breaks(broker: str, *, is_lossless: bool, is_gap: bool) -> Act:
    """Return that part of a broker's stream was not received."""
    return lambda knowledge, at_ms: (
        knowledge.heard.break_stream(broker, is_lossless=is_lossless, until_ms=at_ms)
        if is_gap
        else knowledge.heard.break_stream(broker, is_lossless=is_lossless)
    )


def connects(broker: str, *, is_connected: bool) -> Act:
    """Return that a connection is made or lost."""
    return lambda knowledge, at_ms: knowledge.heard.connect(broker, is_connected=is_connected, at_ms=at_ms)


brokers = st.sampled_from(["bus", "other"])
acts: st.SearchStrategy[Act] = st.one_of(
    st.builds(
        hears,
        st.lists(st.integers(0, BEATS.stop - 1), min_size=1, max_size=8),
        st.sampled_from([-70_000, -3_000, 0, 5, 900, 20_000]),
        st.sampled_from([Quality.GOOD, Quality.GOOD, Quality.REFUSED, Quality.SOURCE_DOUBTS]),
        st.sampled_from([Flag.NONE, Flag.NONE, Flag.AT_MOST_ONCE, Flag.RETAINED, Flag.CONFLICT]),
        is_backlog=st.booleans(),
    ),
    st.builds(breaks, brokers, is_lossless=st.booleans(), is_gap=st.booleans()),
    st.builds(connects, brokers, is_connected=st.booleans()),
    brokers.map(lambda broker: lambda knowledge, _: knowledge.heard.resume(broker)),
)
courses = st.lists(st.builds(Event, st.sampled_from(PASSED_MS), acts, st.booleans()), max_size=25)
