"""Cuts of the power graph cost a bounded amount, whatever somebody says of it."""

from __future__ import annotations

from facility.graph import Graph
from facility.names import AssetId
from facility.points import Asset
from rules.draw.meter_cutsets import LEVELS, Cuts
from testing.rules.halls import a_meter

RACKS = [f"r{i}" for i in range(500)]
CHAIN = 300


def two_chains() -> Graph:
    """Return 500 racks beneath two chains of 300 meters."""
    graph = Graph()
    for feed in "ab":
        for level in range(CHAIN):
            below = [f"{feed}{level - 1}"] if level else RACKS
            graph.add(a_meter(f"{feed}{level}", *below))
    for rack in RACKS:
        graph.add(Asset(id=AssetId(rack), kind="Rack"))
    return graph


def test_long_chains_of_meters_cost_a_bounded_amount_for_each_rack() -> None:
    """Two chains of 300 meters above 500 racks: each rack is asked about once for each level looked at."""
    asked: list[AssetId] = []

    def feeds_of(rack: AssetId) -> int:
        asked.append(rack)
        return 2

    graph = two_chains()
    cuts = Cuts(graph, dict.fromkeys(graph.assets, 0), feeds_of)

    found = [cuts.above(AssetId(rack)) for rack in RACKS]
    seen = [cuts.sees(cut) for cut in found[0]]

    assert found[0] == [(f"a{level}", f"b{level}") for level in range(LEVELS)]
    assert all(beneath == set(RACKS) for beneath in seen)
    assert len(asked) <= len(RACKS) * (LEVELS + 1)


def test_racks_of_a_row_share_the_work_of_their_cuts() -> None:
    """Racks with the same meters above them are told the very same cuts."""
    graph = two_chains()
    cuts = Cuts(graph, dict.fromkeys(graph.assets, 0), lambda _: 2)

    assert cuts.above(AssetId("r0")) is cuts.above(AssetId("r499"))
