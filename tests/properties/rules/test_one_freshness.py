"""A point of any quantity is certain and fresh exactly when a power point that heard the same is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from facility.points import Cadence
from facility.readings import Batch, Flag, Quality
from rules.telemetry.cause import Cause
from rules.telemetry.liveness import SEASON_MS
from rules.telemetry.state import Knowledge
from rules.telemetry.timing import Timing
from testing.builders import T0_MS, a_point

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


def knowing(quantity: str, unit: str) -> Knowledge:
    """Return what knows of a point of each cadence and stream, and of two heartbeats."""
    knowledge = Knowledge({"bus": TIMING, "other": TIMING}, 200)
    for number, (stream, cadence) in enumerate(POINTS):
        point = a_point(f"p{number}", quantity=quantity, unit=unit, stream=stream, cadence=cadence)
        knowledge.add(number, point, is_judged=True)
    for number, stream in zip(BEATS, STREAMS[:2], strict=True):
        knowledge.add(number, a_point(f"b{number}", quantity="heartbeat", unit="1", stream=stream))
    for broker in ("bus", "other"):
        knowledge.heard.connect(broker, is_connected=True, at_ms=T0_MS - 1_000)
    return knowledge


def restarted(knowledge: Knowledge, quantity: str, unit: str) -> Knowledge:
    """Return what knows the same, from a snapshot."""
    arrays, values = knowledge.save()
    again = knowing(quantity, unit)
    again.load(arrays, values)
    return again


@given(course=courses)
def test_a_point_of_any_quantity_is_known_as_a_power_is(course: list[Event]) -> None:
    """Over dead publishers, breaks, retained values, conflicts, wrong clocks, seasons and restarts."""
    power = knowing("rack.power.active", "kW")
    flow = knowing("rack.coolant.flow", "L/min")
    numbers = np.arange(len(POINTS))
    at_ms = T0_MS
    for event in course:
        at_ms += event.after_ms
        for knowledge in (power, flow):
            # The monitor looks at what it knows between any two messages.
            knowledge.at(at_ms - 1)
            event.act(knowledge, at_ms)
        if event.is_restarted:
            flow = restarted(flow, "rack.coolant.flow", "L/min")
        known = power.at(at_ms)
        flow.at(at_ms)

        for found in (power.values_at(numbers, at_ms), flow.values_at(numbers, at_ms)):
            assert found.is_certain.tolist() == known.is_certain[numbers].tolist()
            assert found.is_fresh.tolist() == known.is_fresh[numbers].tolist()
            assert (found.cause == Cause.NONE).tolist() == found.is_certain.tolist()
            assert found.measured_ms.tolist() == known.measured_ms[numbers].tolist()
