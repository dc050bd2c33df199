"""What circuits would carry if another part of the power path failed, by hand for small plants."""

from __future__ import annotations

from typing import Final

import numpy as np
import pytest

from facility.graph import Graph
from facility.names import AssetId
from facility.points import Asset
from rules.model.failover import Failover, failover_of
from rules.model.powerpath import PowerPath

TWO_N: Final = {"U": "A B", "A": "PA", "B": "PB", "PA": "R1 R2", "PB": "R1 R2"}
THREE_TO_TWO: Final = {"X": "R1 R2", "Y": "R1 R3", "Z": "R2 R3"}
"""Three blocks, and racks on two of them each."""


def failover(edges: dict[str, str], circuits: str, racks: str, feeds: int = 2) -> Failover:
    """Return which racks move where, given what each node feeds."""
    graph = Graph()
    for node, children in edges.items():
        serves = tuple(AssetId(child) for child in children.split())
        graph.add(Asset(id=AssetId(node), kind="PDU", serves=serves))
    rows = [{AssetId(name): row for row, name in enumerate(names.split())} for names in (circuits, racks)]
    return failover_of(PowerPath(graph), rows[0], rows[1], [feeds] * len(rows[1]))


def loads(found: Failover, *draws_kw: float, unsure_kw: float = 0) -> list[tuple[float, float]]:
    """Return what each circuit would carry at least and at most [kW]."""
    draws = np.array(draws_kw)
    return list(zip(*(each.tolist() for each in found.loads(draws, draws + unsure_kw)), strict=True))


def test_one_of_two_feeds_carries_both() -> None:
    """At each level, and the draw of each rack counts once; the utility above both carries it anyway."""
    found = loads(failover(TWO_N, "U A PA PB", "R1 R2"), 60, 40)

    assert found[1:] == [(100, 100)] * 3
    assert np.isnan(found[0]).all()


def test_a_silent_rack_widens_what_would_be_carried() -> None:
    """Between nothing and its rating."""
    found = failover(TWO_N, "PA", "R1 R2").loads(np.array([60.0, 0.0]), np.array([60.0, 100.0]))

    assert [each.tolist() for each in found] == [[60], [160]]


def test_a_rack_with_one_feed_is_always_carried_and_moves_nowhere() -> None:
    """It is part of what a circuit carries then; alone it makes no failover."""
    edges = {"A": "R1 R2", "B": "R1"}

    assert loads(failover(edges, "A B", "R1 R2", feeds=1), 60, 40) == [(100, 100), (60, 60)]
    assert np.isnan(loads(failover({"A": "R1"}, "A", "R1", feeds=1), 60)).all()


def test_with_three_blocks_the_worst_neighbour_counts() -> None:
    """X would carry all of R1 if Y failed, all of R2 if Z did; of the other it carries some part."""
    found = loads(failover(THREE_TO_TWO, "X Y Z", "R1 R2 R3"), 60, 40, 30)

    assert found == [(60, 100), (60, 90), (40, 70)]


def test_both_feeds_on_one_circuit_are_one_load() -> None:
    """A rack with two taps of one busway does not move off it: the busway carries it anyway."""
    edges = {"BUS": "T1 T2", "T1": "R1", "T2": "R1", "OTHER": "R2", "BUS2": "R2"}
    found = loads(failover({**edges, "BUS": "T1 T2 R2", "BUS2": ""}, "BUS T1 OTHER", "R1 R2"), 60, 40)

    assert found == [(100, 100), (60, 60), (40, 40)]


@pytest.mark.parametrize(
    ("edges", "feeds"),
    [
        ({"A": "R1 PUMPS", "B": "R1"}, 2),  # something else hangs on it
        ({"A": "R1", "B": "R1"}, 3),  # a feed that nobody described
        ({"A": "STS", "C": "STS", "STS": "R1", "B": "R1"}, 2),  # a switch that may be on either side
    ],
)
def test_what_cannot_be_attributed_has_no_upper_bound(edges: dict[str, str], feeds: int) -> None:
    """What a circuit would carry at least stays known, where anything moves to it."""
    _, most = failover(edges, "A", "R1", feeds).loads(np.array([60.0]), np.array([60.0]))

    assert np.isnan(most[0]) or np.isinf(most[0])


def test_a_plant_without_circuits_has_no_failover() -> None:
    """Nothing is rated, nothing is judged."""
    least, most = failover(TWO_N, "", "R1 R2").loads(np.array([60.0, 40.0]), np.array([60.0, 40.0]))

    assert (len(least), len(most)) == (0, 0)
