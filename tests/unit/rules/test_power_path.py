"""What is lost where a part of the power path fails."""

from __future__ import annotations

import pytest

from facility.graph import Graph
from facility.names import AssetId
from facility.points import Asset
from rules.model.powerpath import PowerPath

EDGES = {"U": "A B", "A": "PA", "B": "PB", "PA": "R1 R2", "PB": "R1 R3"}


def path_of(edges: dict[str, str]) -> PowerPath:
    """Return a power path, given what each node feeds."""
    graph = Graph()
    for node, children in edges.items():
        serves = tuple(AssetId(child) for child in children.split())
        graph.add(Asset(id=AssetId(node), kind="PDU", serves=serves))
    return PowerPath(graph)


@pytest.mark.parametrize(
    ("dead", "lost"),
    [
        ("", ""),
        ("PA", "PA R2"),
        ("A", "A PA R2"),
        ("A B", "A B PA PB R1 R2 R3"),
        ("U", "A B PA PB R1 R2 R3 U"),
        ("nobody", "nobody"),
    ],
)
def test_what_hangs_on_dead_nodes_alone_is_lost(dead: str, lost: str) -> None:
    """R1 has two feeds, and lives as long as one of them does."""
    found = path_of(EDGES).lost_with(AssetId(node) for node in dead.split())

    assert " ".join(sorted(found)) == lost


def test_a_loop_of_the_bus_holds_nothing_up() -> None:
    """Two that feed each other are lost together or not at all."""
    path = path_of({"X": "Y", "Y": "X R"})

    assert path.lost_with([AssetId("X")]) == {"X", "Y", "R"}
