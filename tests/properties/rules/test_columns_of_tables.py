"""Columns of tables, against a plain reading of what points say: one row after the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility.graph import Graph
from facility.invariants import InvariantBroken
from facility.names import AssetId
from facility.points import Asset, Cadence, Point
from facility.readings import Batch, Quality
from facility.site import Site
from rules.model.measured import Condition, Measured, above, below
from rules.model.rows import Topology
from rules.model.tables import Table, Tables
from rules.model.windows import Windows
from rules.subject import SubjectKind
from rules.telemetry.cause import Cause
from rules.telemetry.state import Knowledge
from rules.telemetry.timing import Timing
from testing.builders import T0_MS, a_point

TIMING: Final = Timing(repeat_ms=100_000, heartbeat_ms=10_000, period_ms=1_000, certain_ms=1_500)
QUANTITY: Final = "meter.power.active"
ERRORS_PPM: Final = (0, 5_000, 10_000, 1_000_000)
BEFORE: Final = {Quality.GOOD: Cause.NONE, Quality.SOURCE_DOUBTS: Cause.SOURCE_DOUBTS}


@dataclass(frozen=True)
class Said:
    """What one point said at the moment, and whether that is to be believed."""

    value: float
    quality: Quality


@dataclass(frozen=True)
class Row:
    """A meter: its class error, and what each of its points said; None for one that never spoke."""

    error_ppm: int
    said: tuple[Said | None, ...]


sayings = st.one_of(
    st.none(),
    st.builds(
        Said,
        value=st.one_of(st.sampled_from([-5.0, 0.0, 90.0]), st.floats(-1_000, 1_000)),
        quality=st.sampled_from(list(BEFORE)),
    ),
)
rows = st.lists(
    st.builds(Row, error_ppm=st.sampled_from(ERRORS_PPM), said=st.lists(sayings, max_size=3).map(tuple)),
    max_size=6,
)


def table_of(course: Sequence[Row]) -> Table:
    """Return the table of meters at the moment."""
    graph, knowledge, points = Graph(), Knowledge({"bus": TIMING}), dict[int, Point]()
    said: list[tuple[int, Said]] = []
    for place, row in enumerate(course):
        graph.add(Asset(id=AssetId(f"m{place}"), kind="PowerMeter"))
        for one in row.said:
            number = len(points)
            points[number] = a_point(
                f"p{number}", asset=f"m{place}", quantity=QUANTITY, stream="bus:g", cadence=Cadence.PERIODIC
            )
            knowledge.add(number, points[number], is_judged=True)
            if one is not None:
                said.append((number, one))
    errors = {AssetId(f"m{place}"): row.error_ppm for place, row in enumerate(course) if row.error_ppm}
    site = Site(name="hall", zone=ZoneInfo("UTC"), meter_errors_ppm=MappingProxyType(errors))
    knowledge.heard.connect("bus", is_connected=True, at_ms=T0_MS - 1_000)
    if said:
        times = np.full(len(said), T0_MS)
        knowledge.heard.hear(
            Batch.of(
                [
                    [number for number, _ in said],
                    times,
                    times,
                    [one.value for _, one in said],
                    [one.quality for _, one in said],
                    np.zeros(len(said)),
                ]
            )
        )
    at_ms = T0_MS + 500
    knowledge.at(at_ms)
    topology = Topology(site, graph, points, frozenset({QUANTITY}), {})
    return Tables(at_ms, topology, knowledge, Windows()).table(SubjectKind.METER)


def interval(row: Row, one: Said | None) -> tuple[float, float]:
    """Return what flows at least and at most where a point says that."""
    if one is None or one.quality is not Quality.GOOD:
        return -math.inf, math.inf
    share = row.error_ppm / 1e6
    ends = one.value / (1 + share), one.value / max(1 - share, 1e-9)
    return min(ends), max(ends)


def cause_of(row: Row) -> Cause:
    """Return the most telling cause why a row is not known."""
    causes = [Cause.NEVER_HEARD if one is None else BEFORE[one.quality] for one in row.said]
    return min((cause for cause in causes if cause is not Cause.NONE), default=Cause.NONE)


def hull(row: Row, ends: Sequence[tuple[float, float]]) -> tuple[float, float, Cause]:
    """Return what lies between the points that are known."""
    known = [pair for pair in ends if pair[0] > -math.inf]
    if not known:
        return -math.inf, math.inf, cause_of(row)
    agree = max(low for low, _ in known) <= min(high for _, high in known)
    cause = Cause.NONE if agree else Cause.DISAGREE
    return min(low for low, _ in known), max(high for _, high in known), cause


def largest(row: Row, ends: Sequence[tuple[float, float]]) -> tuple[float, float, Cause]:
    """Return the largest of the points, all of which count."""
    return max(low for low, _ in ends), max(high for _, high in ends), cause_of(row)


def total(row: Row, ends: Sequence[tuple[float, float]]) -> tuple[float, float, Cause]:
    """Return the sum of the points, all of which count."""
    return sum(low for low, _ in ends), sum(high for _, high in ends), cause_of(row)


WAYS: Final[Mapping[str, Callable[[Row, Sequence[tuple[float, float]]], tuple[float, float, Cause]]]] = {
    "measured": hull,
    "largest": largest,
    "total": total,
}


@pytest.mark.parametrize("way", WAYS)
@given(course=rows)
def test_a_column_is_what_its_points_say(way: str, course: list[Row]) -> None:
    """Low, best, high and the cause of each row, for several points, none, errors and values below zero."""
    found: Measured = getattr(table_of(course), way)(QUANTITY)

    assert len(found.low) == len(course)
    for place, row in enumerate(course):
        ends = [interval(row, one) for one in row.said]
        low, high, cause = WAYS[way](row, ends) if ends else (-math.inf, math.inf, Cause.NO_POINT)
        assert found.low[place] == pytest.approx(low)
        assert found.high[place] == pytest.approx(high)
        assert found.cause[place] == cause
        best = float(found.best[place])
        if not math.isnan(best):
            slack = 1e-9 * (1 + abs(best))
            assert found.low[place] - slack <= best <= found.high[place] + slack


def a_measured(low: Sequence[float], high: Sequence[float]) -> Measured:
    """Return a quantity with these bounds."""
    lows, highs = np.array(low, np.float64), np.array(high, np.float64)
    count = len(lows)
    nothing = np.zeros(count, np.int64)
    return Measured(
        low=lows,
        best=(lows + highs) / 2,
        high=highs,
        cause=nothing.astype(np.int8),
    )


levels = st.one_of(st.just(math.nan), st.integers(-5, 5).map(float))
pairs = st.tuples(st.integers(-5, 5), st.integers(-5, 5)).map(sorted)


@given(bounds=st.lists(st.tuples(pairs, levels, st.integers(0, 10)), min_size=1))
def test_a_condition_says_only_what_holds_whatever_the_value_is(
    bounds: list[tuple[list[int], float, int]],
) -> None:
    """Where it holds, it does for each value between low and high; where it fails, for none."""
    measured = a_measured([pair[0] for pair, _, _ in bounds], [pair[1] for pair, _, _ in bounds])
    level = np.array([level for _, level, _ in bounds])
    over, under = above(measured, level), below(measured, level)
    both, either, neither = over & under, over | under, ~over

    for row, (pair, limit, _) in enumerate(bounds):
        values = range(pair[0], pair[1] + 1)
        assert over.holds[row] == all(value > limit for value in values)
        assert over.fails[row] == (not any(value > limit for value in values))
        assert under.holds[row] == all(value < limit for value in values)
        assert under.fails[row] == (not any(value < limit for value in values))
        assert (neither.holds[row], neither.fails[row]) == (over.fails[row], over.holds[row])
        assert either.holds[row] == (over.holds[row] or under.holds[row])
        assert both.fails[row] == (over.fails[row] or under.fails[row])
    for each in (over, under, both, either, neither, Condition.of(over.holds)):
        assert not (each.holds & each.fails).any()


def test_a_quantity_whose_low_is_above_its_high_is_refused() -> None:
    """It cannot be; whoever makes one has a fault."""
    with pytest.raises(InvariantBroken, match="low at most high"):
        a_measured([2], [1])


def test_what_was_not_asked_for_in_time_cannot_be_asked_for() -> None:
    """What is known goes on changing; a table is of one moment."""
    table = table_of([Row(0, (Said(5.0, Quality.GOOD), Said(6.0, Quality.GOOD)))])
    asked = table.measured(QUANTITY)
    table.moment.end()

    assert table.measured(QUANTITY) is asked
    with pytest.raises(LookupError, match="no rule asked for it"):
        table.total(QUANTITY)
