"""The model's tables: ten quantities of 100,000 rows as intervals, while readings come in.

The competing way is one object for each point, asked one after the other.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from bench.frame import Figure
from facility.graph import Graph
from facility.names import AssetId
from facility.points import Cadence, Point
from facility.quantities import QUANTITIES
from facility.readings import Batch, IntArray
from facility.site import Site
from rules.model.rows import Column, Links, Rows, Topology
from rules.model.tables import Table, Tables
from rules.model.windows import Windows
from rules.subject import SubjectKind
from rules.telemetry.state import Knowledge
from rules.telemetry.timing import Timing

ROWS: Final = 100_000
NAMES: Final = tuple(list(QUANTITIES)[:10])
POINTS: Final = ROWS * len(NAMES)
READINGS: Final = 20_000
"""What a second brings."""
WARM_UP: Final = 2
T0_MS: Final = 1_780_000_000_000
TIMING: Final = Timing(repeat_ms=100_000, heartbeat_ms=10_000, period_ms=60_000, certain_ms=90_000)


def knowledge_of(count: int) -> Knowledge:
    """Return what knows of so many points that speak every minute, all alike."""
    point = Point(
        key="r", asset=AssetId("r"), quantity=NAMES[0], unit="kW", stream="bus:g", cadence=Cadence.PERIODIC
    )
    knowledge = Knowledge({"bus": TIMING})
    knowledge.add(0, point, is_judged=True)
    arrays, values = knowledge.save()
    # A place for each, and a clock for each, as if each had been added.
    grown = {name: np.repeat(column[:1], count) for name, column in arrays.items()}
    grown["clock"] = np.arange(count)
    knowledge.load(grown, values | {"clock_count": count})
    knowledge.heard.connect("bus", is_connected=True, at_ms=T0_MS - 1_000)
    return knowledge


def readings_of(points: IntArray, at_ms: int, seed: int) -> Batch:
    """Return a reading of each point."""
    count = len(points)
    times, nothing = np.full(count, at_ms), np.zeros(count)
    values = np.random.default_rng(seed).normal(95, 3, count)
    return Batch.of([points, times, times, values, nothing, nothing])


def rows_of() -> Rows:
    """Return the rows of racks, each with a point of each quantity."""
    starts = np.arange(ROWS)
    return Rows(
        kind=SubjectKind.RACK,
        ids=tuple(f"r{row:06d}" for row in range(ROWS)),
        assets=tuple(f"r{row:06d}" for row in range(ROWS)),
        columns={
            name: Column(
                starts + place * ROWS,
                starts,
                np.zeros(0, np.intp),
                is_single=True,
                at_least=None,
                at_most=None,
            )
            for place, name in enumerate(NAMES)
        },
        settings={},
        racks=Links(starts, np.arange(ROWS + 1)),
    )


@dataclass(slots=True)
class PointObject:
    """A point as the competing way knows it."""

    value: float = math.nan
    heard_ms: int = 0


def run(*, quick: bool = False) -> list[Figure]:
    """Measure one making of ten columns, what is heard in a second, and the same with objects."""
    seconds = 5 if quick else 30
    knowledge, rows = knowledge_of(POINTS), rows_of()
    knowledge.heard.hear(readings_of(np.arange(POINTS), T0_MS - 1_000, 0))
    topology = Topology(Site(name="bench", zone=ZoneInfo("UTC")), Graph(), {}, frozenset(), {})
    objects = [PointObject() for _ in range(POINTS)]
    ours, theirs = _Samples(), _Samples()
    random = np.random.default_rng(7)
    for second in range(seconds + WARM_UP):
        at_ms = T0_MS + second * 1_000
        batch = readings_of(np.sort(random.choice(POINTS, READINGS, replace=False)), at_ms, second)
        tables = Tables(at_ms, topology, knowledge, Windows())
        ours.hear.append(_ms(partial(knowledge.heard.hear, batch)))
        knowledge.at(at_ms)
        ours.make.append(_ms(partial(_columns, rows, tables)))
        if second % 5 == 0:
            theirs.hear.append(_ms(partial(_hear_objects, objects, batch)))
            theirs.make.append(_ms(partial(_columns_of_objects, objects, at_ms)))
    return [
        Figure(
            what=f"{len(NAMES)} columns of {ROWS:,} rows, once a second",
            unit="ms",
            samples=ours.make[WARM_UP:],
            beside="an object for each point",
            theirs=theirs.make,
            aim="below 10 ms",
        ),
        Figure(
            what=f"{READINGS:,} readings taken in, of a second",
            unit="ms",
            samples=ours.hear[WARM_UP:],
            beside="an object for each point, values alone",
            theirs=theirs.hear,
        ),
    ]


@dataclass(slots=True)
class _Samples:
    """What was measured of one way [ms]."""

    hear: list[float] = field(default_factory=list)
    make: list[float] = field(default_factory=list)


def _ms(work: Callable[[], object]) -> float:
    begin_s = time.perf_counter()
    work()
    return 1_000 * (time.perf_counter() - begin_s)


def _columns(rows: Rows, tables: Tables) -> Table:
    table = Table(rows, tables.moment, tables.topology)
    for name in NAMES:
        table.measured(name)
    return table


def _hear_objects(objects: list[PointObject], batch: Batch) -> None:
    for number, at_ms, value in zip(
        batch.point.tolist(), batch.received_ms.tolist(), batch.value.tolist(), strict=True
    ):
        point = objects[number]
        point.value, point.heard_ms = value, at_ms


def _columns_of_objects(objects: list[PointObject], at_ms: int) -> list[tuple[float, float]]:
    """Return low and high of each point."""
    return [
        (point.value, point.value) if at_ms - point.heard_ms < TIMING.certain_ms else (-math.inf, math.inf)
        for point in objects
    ]
