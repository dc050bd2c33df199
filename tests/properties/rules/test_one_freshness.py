"""A point of any quantity is certain and fresh exactly when a power point that heard the same is."""

from __future__ import annotations

import numpy as np
from hypothesis import given

from rules.telemetry.cause import Cause
from rules.telemetry.state import Knowledge
from testing.builders import T0_MS, a_point
from testing.rules.courses import BEATS, POINTS, STREAMS, TIMING, Event, courses


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
            assert (found.cause == Cause.NONE).tolist() == known.is_certain[numbers].tolist()
