"""The rows that a site's tables have: what the bus and the site file describe, and what hangs on what."""

from __future__ import annotations

from typing import Final

import numpy as np
import pytest
from msgspec.structs import replace

from facility.graph import Graph
from facility.names import AssetId
from facility.points import Asset, Point
from facility.sitefile.reader import read_site
from formats.dsx import REQUESTS
from rules.model.rows import DRAW, Place, Topology
from rules.model.tables import Tables
from rules.model.windows import Windows
from rules.subject import SubjectKind
from rules.telemetry.cause import Cause
from rules.telemetry.state import Knowledge
from testing.builders import T0_MS, a_point

HALL: Final = """
[site]
name = "hall"
rack_rating_kw = 132
supply_meters = ["M1"]
[[rack]]
ids = ["R1", "R2"]
rating_kw = 100
rated_lpm = 90
[[asset]]
id = "M1"
kind = "PowerMeter"
serves = ["T1"]
[[asset]]
id = "T1"
kind = "Transformer"
serves = ["B1", "B2"]
[[asset]]
id = "B1"
kind = "Breaker"
rated_a = 400
serves = ["R1", "R2"]
[[asset]]
id = "B2"
kind = "Busway"
rated_a = 800
serves = ["R2"]
[[asset]]
id = "CDU1"
kind = "CDU"
serves = ["R1"]
[[asset]]
id = "V1"
kind = "Valve"
[[asset]]
id = "S1"
kind = "Sensor"
[[asset]]
id = "HALL1"
kind = "Hall"
serves = ["R1", "R2", "CDU1"]
[[tenant]]
id = "acme"
holds = [{ racks = ["R1"], from = 2026-01-01 }]
"""
QUANTITIES: Final = frozenset({"current.phase", "coolant.flow", "meter.power.active", "valve.position"})


def points_of_hall() -> dict[int, Point]:
    """Return points of several assets, and two that no table may show."""
    phase = a_point("b1", asset="B1", quantity="current.phase", unit="A")
    points = [
        *(replace(phase, key=f"b1{p}", phase=p) for p in ("L1", "L2", "L3")),
        *(replace(phase, key=f"r1{f}{p}", asset=AssetId("R1"), feed=f, phase=p) for f in "AB" for p in "12"),
        replace(
            a_point("c1", asset="CDU1", quantity="coolant.flow", unit="L/min"), area=("Secondary", "Supply")
        ),
        replace(
            a_point("c2", asset="CDU1", quantity="coolant.flow", unit="L/min"), area=("Primary", "Supply")
        ),
        a_point("m1", asset="M1", quantity="meter.power.active"),
        a_point("v0", asset="V1", quantity="valve.position", unit="%"),
        replace(a_point("v1", asset="V1", quantity="valve.position", unit="%"), is_setpoint=True),
        replace(a_point("s1", asset="S1", quantity="coolant.flow", unit="L/min"), is_withdrawn=True),
        a_point("u1", asset="S1", quantity="humidity", unit="%"),
    ]
    return dict(enumerate(points))


def topology_of(text: str, *more: Asset, points: dict[int, Point] | None = None) -> Topology:
    """Return the rows of a site file's tables, with what the bus adds."""
    site, graph = read_site(text).site, Graph()
    for asset in (*site.assets, *more):
        graph.add(asset)
    racks = dict.fromkeys(site.racks, (0,))
    return Topology(site, graph, points_of_hall() if points is None else points, QUANTITIES, racks)


@pytest.mark.parametrize(
    ("kind", "ids", "racks"),
    [
        (SubjectKind.SITE, ["hall"], [""]),
        (SubjectKind.TENANT, ["acme", "operator"], ["", ""]),
        (SubjectKind.ROOM, ["HALL1"], ["R1 R2"]),
        (SubjectKind.RACK, ["R1", "R2"], ["R1", "R2"]),
        (SubjectKind.FEED, ["R1 feed A", "R1 feed B"], ["R1", "R1"]),
        (SubjectKind.NODE, ["M1", "T1", "B1", "B2"], ["R1 R2", "R1 R2", "R1 R2", "R2"]),
        (SubjectKind.METER, ["M1"], ["R1 R2"]),
        (SubjectKind.BREAKER, ["B1", "B2"], ["R1 R2", "R2"]),
        (
            SubjectKind.PHASE,
            ["B1 L1", "B1 L2", "B1 L3", "R1 feed A 1", "R1 feed A 2", "R1 feed B 1", "R1 feed B 2"],
            ["R1 R2", "R1 R2", "R1 R2", "R1", "R1", "R1", "R1"],
        ),
        (SubjectKind.COOLANT_UNIT, ["CDU1"], ["R1"]),
        (SubjectKind.LOOP, ["CDU1 Secondary", "CDU1 Primary"], ["R1", "R1"]),
        (SubjectKind.VALVE, ["V1"], [""]),
        (SubjectKind.SENSOR, ["S1"], [""]),
    ],
)
def test_each_kind_has_its_rows_and_the_racks_behind_them(
    kind: SubjectKind, ids: list[str], racks: list[str]
) -> None:
    """By power through a transformer and a busway, by cooling, and by the hall that they stand in."""
    rows = topology_of(HALL).rows(kind)

    names = np.array(["R1", "R2"])
    assert list(rows.ids) == ids
    assert [" ".join(names[rows.racks[row]]) for row in range(len(ids))] == racks


def test_settings_are_those_of_the_site_file() -> None:
    """What is rated stands in the row of its asset; where nothing is said it is not a number."""
    topology = topology_of(HALL)

    assert topology.rows(SubjectKind.BREAKER).settings["rated_a"].tolist() == [400, 800]
    racks = topology.rows(SubjectKind.RACK).settings
    assert (racks["rated_lpm"].tolist(), racks["rating_kw"].tolist()) == ([90, 90], [100, 100])


def test_what_is_set_withdrawn_or_judged_by_no_rule_measures_nothing() -> None:
    """A column has the points of measurements that rules judge."""
    topology, points = topology_of(HALL), points_of_hall()

    (valve,) = topology.rows(SubjectKind.VALVE).columns.values()
    assert [points[number].key for number in valve.points.tolist()] == ["v0"]
    assert topology.rows(SubjectKind.SENSOR).columns == {}
    assert list(topology.rows(SubjectKind.SITE).columns) == ["meter.power.active"]


def test_a_loop_of_the_bus_holds_nothing_up() -> None:
    """Two that serve each other serve each other and themselves; racks beneath them are found once."""
    loop = (
        Asset(id=AssetId("X"), kind="PowerMeter", serves=(AssetId("Y"),)),
        Asset(id=AssetId("Y"), kind="UPS", serves=(AssetId("X"), AssetId("R1"))),
    )
    topology = topology_of(HALL, *loop)

    assert {"X", "Y"} <= topology.serving(AssetId("R1"))
    rows = topology.rows(SubjectKind.NODE)
    assert rows.racks[rows.ids.index("X")].tolist() == [0]


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in SubjectKind
        if kind
        not in {
            SubjectKind.GROUP,
            SubjectKind.COMPARISON,
            SubjectKind.PUBLISHER,
            SubjectKind.ALARM,
            SubjectKind.OTHER,
        }
    ],
)
def test_a_site_of_nothing_has_tables_of_nothing(kind: SubjectKind) -> None:
    """No rack, no asset, no point: every quantity of every row is unmeasured, and nothing raises."""
    topology = topology_of('[site]\nname = "empty"\n', points={})
    knowledge = Knowledge({})
    knowledge.at(T0_MS)
    table = Tables(T0_MS, topology, knowledge, Windows()).table(kind)

    for found in (table.measured("current.phase"), table.largest("coolant.flow"), table.total(DRAW)):
        assert found.cause.tolist() == [Cause.NO_POINT] * len(table)
    assert np.isnan(table.setting("rated_a")).all()


def test_a_place_chooses_among_the_points_of_an_asset() -> None:
    """By words of the area, by whether they are set points, by point type, and of what serves it."""
    points = points_of_hall() | {
        20: replace(a_point("f1", asset="CDU1", quantity="coolant.flow", unit="L/min"), area=("Filter2",)),
        21: replace(
            a_point("q1", asset="CDU1", quantity="coolant.flow", unit="L/min"),
            point_type=next(iter(REQUESTS)),
        ),
        22: replace(a_point("p1", asset="PUMP", quantity="coolant.flow", unit="L/min"), point_type="Flow"),
    }
    pump = Asset(id=AssetId("PUMP"), kind="Pump", serves=(AssetId("CDU1"),))
    topology = topology_of(HALL, pump, points=points)

    def at(kind: SubjectKind, quantity: str, place: Place) -> list[str]:
        column = topology.at(topology.rows(kind), quantity, place)
        return [] if column is None else [points[number].key for number in column.points.tolist()]

    unit, flow = SubjectKind.COOLANT_UNIT, "coolant.flow"
    assert at(unit, flow, Place()) == ["c1", "c2", "f1"]
    assert at(unit, flow, Place(within=("primary", "supply"))) == ["c2"]
    assert at(unit, flow, Place(without=("filter",))) == ["c1", "c2"]
    assert at(unit, flow, Place(is_target=True)) == []
    assert at(unit, flow, Place(kind="Pump", point_type="Flow")) == ["p1"]
    assert at(unit, flow, Place(kind="Pump", point_type="Speed")) == []
    assert at(SubjectKind.VALVE, "valve.position", Place(is_target=True)) == ["v1"]
