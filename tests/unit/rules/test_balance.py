"""Which power nodes can be balanced, and what is metered beneath them."""

from __future__ import annotations

import numpy as np
import pytest

from facility.graph import Graph
from facility.names import AssetId
from facility.points import Asset
from rules.model.balance import balance_of
from rules.model.powerpath import PowerPath

BUS = {"UPS": "BUS", "BUS": "T1 T2", "T1": "R1", "T2": "R2"}


@pytest.mark.parametrize(
    ("edges", "metered", "feeds", "balanced"),
    [
        (BUS, "UPS T1 T2", 1, {"UPS": 70.0, "T1": 10.0, "T2": 20.0}),  # through a busway without a meter
        (BUS, "UPS T1", 1, {"UPS": 50.0, "T1": 10.0}),  # T2 has no meter, its rack has
        (BUS, "UPS T1 T2", 2, {"UPS": 70.0}),  # the other feed of the racks is not described
        (
            {**BUS, "BUS": "T1 T2 SPARE"},
            "UPS T1 T2",
            1,
            {"T1": 10.0, "T2": 20.0},
        ),  # SPARE may take some
        ({**BUS, "OTHER": "BUS"}, "UPS OTHER", 1, {}),  # a busway on two sources
        (BUS, "", 1, {}),
    ],
)
def test_a_node_is_balanced_by_all_that_hangs_on_it_alone(
    edges: dict[str, str], metered: str, feeds: int, balanced: dict[str, float]
) -> None:
    """T1 carries 30 kW and T2 40, R1 draws 10 and R2 20."""
    graph = Graph()
    for node, children in edges.items():
        serves = tuple(AssetId(child) for child in children.split())
        graph.add(Asset(id=AssetId(node), kind="PDU", serves=serves))
    names = ["UPS", "BUS", "T1", "T2", "OTHER"]
    rows = {AssetId(name): names.index(name) for name in metered.split()}

    found = balance_of(PowerPath(graph), rows, {AssetId("R1"): 0, AssetId("R2"): 1}, [feeds] * 2, len(names))

    below = found.passed_on(np.array([0.0, 0.0, 30.0, 40.0, 0.0]), np.array([10.0, 20.0]))
    assert {names[row]: kw for row, kw in zip(found.nodes, below.tolist(), strict=True)} == balanced
