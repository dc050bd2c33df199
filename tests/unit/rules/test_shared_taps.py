"""Racks without meters of their own, behind meters that serve others as well: each draws some part of it."""

from __future__ import annotations

import numpy as np
import pytest

from facility.graph import Graph
from facility.names import AssetId
from facility.points import Asset
from facility.sitefile.reader import read_site
from rules.draw.metering_boundary import LayoutBuilder
from rules.model.rows import DRAW, Topology
from rules.model.tables import Table, Tables
from rules.model.windows import Windows
from rules.subject import SubjectKind
from rules.telemetry.state import Knowledge
from testing.builders import T0_MS, a_point
from testing.rules.halls import BUS, EVERY_SECOND, at_once

SITE = '[site]\nname = "hall"\n[[rack]]\nids = ["r0", "r1"]\nrating_kw = 100\nfeeds = {feeds}\n'


def builder_of(edges: dict[str, str], *, feeds: int = 2) -> LayoutBuilder:
    """Return what is known of two racks and of meters, given what each meter serves."""
    site, graph = read_site(SITE.format(feeds=feeds)).site, Graph()
    for meter, served in edges.items():
        serves = tuple(AssetId(one) for one in served.split())
        graph.add(Asset(id=AssetId(meter), kind="PowerMeter", serves=serves))
    names = [name for name in edges if not name.startswith("X")]
    points = {
        number: a_point(f"p{number}", asset=name, quantity="meter.power.active")
        for number, name in enumerate(names)
    }
    return LayoutBuilder(site, graph, points)


def racks_of(builder: LayoutBuilder, kw: tuple[float | None, ...], edges: dict[str, str]) -> Table:
    """Return the table of racks, given what each meter reads."""
    site = read_site(SITE.format(feeds=2)).site
    points = {
        number: a_point(f"p{number}", asset=name, quantity="meter.power.active")
        for number, name in enumerate(edges)
    }
    knowledge = Knowledge({BUS: EVERY_SECOND})
    knowledge.heard.connect(BUS, is_connected=True)
    knowledge.add_all(points, set(points))
    knowledge.heard.hear(at_once(kw, T0_MS))
    knowledge.at(T0_MS)
    powers = {rack: builder.power_of(rack) for rack in builder.racks}
    topology = Topology(site, Graph(), points, frozenset({"meter.power.active"}), powers, builder.sharing())
    return Tables(T0_MS, topology, knowledge, Windows()).table(SubjectKind.RACK)


@pytest.mark.parametrize(
    ("edges", "shared", "groups"),
    [
        ({"a": "r0", "b": "r0", "c": "r1"}, {}, ()),
        ({"a": "r0 r1", "b": "r0 r1"}, {"r0": 2, "r1": 2}, (("r0", "r1"),)),
        ({"a": "r0 r1", "b": "r0"}, {"r0": 2, "r1": 2}, ()),  # they are fed otherwise
        ({"a": "r0 r1", "X": "r0"}, {"r0": 2, "r1": 2}, ()),
        ({"a": "r0 r1 fan", "b": "r0 r1"}, {"r0": 2, "r1": 2}, ()),  # whatever else hangs on it
        ({"a": "r0 fan"}, {"r0": 1}, ()),
    ],
)
def test_racks_share_meters_that_serve_others(
    edges: dict[str, str], shared: dict[str, int], groups: tuple[tuple[str, ...], ...]
) -> None:
    """They are a group where all is the same that feeds them, and nobody else is fed by it."""
    found = builder_of(edges).sharing()

    assert (found.parts, found.groups) == (shared, groups)


def test_what_racks_share_is_counted_once() -> None:
    """Each of them draws between nothing and all of it; together they draw all of it."""
    edges = {"a": "r0 r1", "b": "r0 r1"}
    racks = racks_of(builder_of(edges), (60.0, 50.0), edges)

    own, together = racks.total(DRAW), racks.all_draw()

    assert (own.low.tolist(), own.high.tolist()) == ([0, 0], [110, 110])
    assert (together.low[0], together.best[0], together.high[0]) == (110, 110, 110)
    assert racks.load(own).low.tolist() == [110, 110]


def test_what_racks_share_and_nobody_measures_is_bounded_by_their_ratings() -> None:
    """A tap is silent: together they draw between nothing and the rating of each."""
    edges = {"a": "r0 r1", "b": "r0 r1"}
    racks = racks_of(builder_of(edges), (60.0, None), edges)

    together = racks.all_draw()

    assert (together.low[0], together.high[0]) == (0, 200)
    assert np.isinf(racks.total(DRAW).high).all()


def test_racks_that_share_in_part_are_no_sum() -> None:
    """r1 hangs on one tap of two: no more is known of both than what the taps leave open."""
    edges = {"a": "r0 r1", "b": "r0", "c": "r1"}
    racks = racks_of(builder_of(edges), (60.0, 50.0, 40.0), edges)

    together = racks.all_draw()

    assert (together.low[0], together.high[0]) == (0, 210)
