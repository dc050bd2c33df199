"""Tables that make anew only what may be known otherwise are those that are made of everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
from hypothesis import given

from facility.graph import Graph
from facility.names import AssetId
from facility.points import Asset, Point
from facility.site import Site
from rules.model.measured import Measured
from rules.model.rows import Topology
from rules.model.tables import Table, Tables
from rules.model.windows import Windows
from rules.subject import SubjectKind
from rules.telemetry.state import Knowledge
from testing.builders import T0_MS, a_point
from testing.rules.courses import BEATS, POINTS, STREAMS, TIMING, Event, courses

QUANTITY: Final = "current.phase"
METERS: Final = (3, 1, 2)
"""How many of the points each meter has."""
WAYS: Final[Mapping[str, Callable[[Table], Measured]]] = {
    "measured": lambda table: table.measured(QUANTITY),
    "largest": lambda table: table.largest(QUANTITY),
    "smallest": lambda table: table.smallest(QUANTITY),
    "total": lambda table: table.total(QUANTITY),
    "unbalance": lambda table: table.unbalance(QUANTITY),
    "line current": Table.line_current,
}


def a_hall() -> tuple[Knowledge, Topology]:
    """Return what knows of three meters, whose points come by several streams, and their rows."""
    knowledge, graph, points = Knowledge({"bus": TIMING, "other": TIMING}, 200), Graph(), dict[int, Point]()
    meter_of = np.repeat(np.arange(len(METERS)), METERS)
    for number, (stream, cadence) in enumerate(POINTS):
        asset = f"m{meter_of[number]}"
        graph.add(Asset(id=AssetId(asset), kind="PowerMeter"))
        point = a_point(
            f"p{number}", asset=asset, quantity=QUANTITY, unit="A", stream=stream, cadence=cadence
        )
        points[number] = msgspec.structs.replace(point, phase=f"L{number % 3 + 1}")
        knowledge.add(number, points[number], is_judged=True)
    for number, stream in zip(BEATS, STREAMS[:2], strict=True):
        knowledge.add(number, a_point(f"b{number}", quantity="heartbeat", unit="1", stream=stream))
    for broker in ("bus", "other"):
        knowledge.heard.connect(broker, is_connected=True, at_ms=T0_MS - 1_000)
    site = Site(name="hall", zone=ZoneInfo("UTC"))
    return knowledge, Topology(site, graph, points, frozenset({QUANTITY}), {})


def columns_of(found: Measured) -> list[list[float | None]]:
    """Return a quantity as plain numbers, None in place of NaN."""
    return [
        [None if np.isnan(one) else one for one in column.tolist()]
        for column in (found.low, found.best, found.high, found.cause)
    ]


@pytest.mark.parametrize("way", WAYS)
@given(course=courses)
def test_what_tables_keep_is_what_they_would_make(way: str, course: list[Event]) -> None:
    """Over dead publishers, breaks, retained values, conflicts, wrong clocks, seasons and lapses."""
    (knowledge, topology), kept = a_hall(), None
    at_ms = T0_MS
    for event in course:
        at_ms += event.after_ms + 1
        knowledge.at(at_ms - 1)
        event.act(knowledge, at_ms)
        knowledge.at(at_ms)

        kept = Tables(at_ms, topology, knowledge, Windows(), before=kept)
        found = WAYS[way](kept.table(SubjectKind.METER))
        kept.close()
        anew = Tables(at_ms, topology, knowledge, Windows()).table(SubjectKind.METER)
        assert columns_of(found) == columns_of(WAYS[way](anew))


@given(course=courses)
def test_rows_that_count_as_unchanged_are_what_they_were(course: list[Event]) -> None:
    """A rule that looks at rows alone needs to look at no other than those that changed."""
    (knowledge, topology), kept, before = a_hall(), None, None
    at_ms = T0_MS
    for event in course:
        at_ms += event.after_ms + 1
        event.act(knowledge, at_ms)
        knowledge.at(at_ms)
        kept = Tables(at_ms, topology, knowledge, Windows(), before=kept)
        table = kept.table(SubjectKind.METER)
        uses = table.watch()
        found = table.largest(QUANTITY)
        rows = table.changed(frozenset(uses))
        if before is not None and rows is not None:
            rest = np.setdiff1d(np.arange(len(METERS)), rows)
            assert columns_of(found.take(rest)) == columns_of(before.take(rest))
            part = table.part(rows)
            assert columns_of(part.largest(QUANTITY)) == columns_of(found.take(rows))
        neighbours = table.part(slice(1, len(METERS)))
        assert columns_of(neighbours.largest(QUANTITY)) == columns_of(found.take(np.arange(1, len(METERS))))
        before = found
