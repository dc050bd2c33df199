"""The same scenario and seed give the same bytes on the wire, on every run and in any batch size."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.publish.publisher import slices
from simulators.run import Second, Simulation
from simulators.scenario.scenario import FaultKind, Scenario
from simulators.wire.bus import payloads
from simulators.wire.frames import MQTT_3, MQTT_5, Framer
from simulators.wire.rows import Rows
from testing.simulators.simulated import a_fault, a_scenario, lines, run

SECONDS = 25


def _noisy(wire: str = "dsx", seed: int = 5) -> Scenario:
    """Return a scenario with chance everywhere: noise, drops, echoes, and messages that come late."""
    faults = (
        a_fault(FaultKind.DROP, "P01A-01", strength=0.3),
        a_fault(FaultKind.DUPLICATE, "P01A-02", strength=0.3),
        a_fault(FaultKind.REORDER, "P01A-03", strength=4.0),
        a_fault(FaultKind.SPIKE, "P01B-01", strength=2.0),
        a_fault(FaultKind.LATE_BATCH, "P01B-02"),
    )
    return a_scenario(seconds=SECONDS, wire=wire, seed=seed, faults=faults)


@cache
def _said(wire: str = "dsx") -> tuple[list[Second], list[str]]:
    simulation, seconds = run(_noisy(wire), is_recorded=True)
    return seconds, simulation.topics


def _digest(seconds: list[Second], topics: list[str]) -> str:
    found = hashlib.sha256()
    for second in seconds:
        for topic, payload, sent, retained in lines(second.rows, topics):
            found.update(f"{topic} {sent} {retained} ".encode() + payload)
    return found.hexdigest()


@pytest.mark.parametrize("wire", ["dsx", "rack-documents"])
def test_a_run_can_be_repeated(wire: str) -> None:
    """A second run, taken one second at a time, says what the first said when it was taken whole."""
    seconds, topics = _said(wire)
    again = Simulation(_noisy(wire), instruments=None)
    again_recorded, whole = run(_noisy(wire), is_recorded=True)
    stepped = [again.step() for _ in range(SECONDS)]
    plain, plain_topics = run(_noisy(wire))
    assert _digest(whole, again_recorded.topics) == _digest(seconds, topics)
    assert _digest(stepped, again.topics) == _digest(plain_topics, plain.topics)


def test_another_seed_says_something_else() -> None:
    """The test above would notice a difference."""
    seconds, topics = _said()
    other, others = run(_noisy(seed=6), is_recorded=True)
    assert _digest(others, other.topics) != _digest(seconds, topics)


def test_a_longer_run_begins_the_same() -> None:
    """What is said does not depend on how long the scenario goes on."""
    seconds, topics = _said()
    longer = Simulation(replace(_noisy(), seconds=SECONDS + 5), instruments=None)
    short, expected = run(_noisy())
    found = [longer.step() for _ in range(SECONDS)]
    assert _digest(found, longer.topics) == _digest(expected, short.topics)
    assert len(seconds) == SECONDS
    assert topics == short.topics


@given(cuts=st.lists(st.integers(0, 2_000), max_size=8), version=st.sampled_from([MQTT_3, MQTT_5]))
@settings(max_examples=25)
def test_any_split_of_the_rows_gives_the_same_packets(cuts: list[int], version: int) -> None:
    """Messages are framed the same one by one, all at once, or in batches of any size."""
    seconds, topics = _said()
    rows = seconds[0].rows
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    whole = Framer(version, topics).frames(rows.channel.tolist(), payloads(rows), None)
    framer = Framer(version, topics)
    parts = [rows.take(slice(a, b)) for a, b in pairwise(edges)]
    assert b"".join(framer.frames(p.channel.tolist(), payloads(p), None) for p in parts) == whole


@given(slice_ms=st.integers(1, 1_500))
@settings(max_examples=25)
def test_slices_of_time_lose_nothing(slice_ms: int) -> None:
    """A second in slices is the second; none is due before it begins, nor after what is in it is sent."""
    seconds, _ = _said()
    second = seconds[7]
    found = slices(second.rows, second.time_ms, slice_ms)
    joined = Rows.joined([rows for _, rows in found])
    assert np.array_equal(joined.sent_ms, second.rows.sent_ms)
    assert payloads(joined) == payloads(second.rows)
    dues = [due for due, _ in found]
    assert dues == sorted(set(dues))
    assert all(
        second.time_ms <= due <= int(rows.sent_ms.min()) or due == second.time_ms for due, rows in found
    )


def test_messages_are_in_order_of_time() -> None:
    """Every second holds what is sent in it, in order, whatever was held back."""
    seconds, _ = _said()
    for second in seconds:
        sent = second.rows.sent_ms
        assert bool((np.diff(sent) >= 0).all())
        assert not len(sent) or second.time_ms <= int(sent[0]) <= int(sent[-1]) < second.time_ms + 1_000
