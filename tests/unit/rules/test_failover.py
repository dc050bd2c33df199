"""What circuits would carry if another part of the power path failed, by hand for small plants."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Final, cast

import numpy as np
import pytest

from facility.graph import Graph
from facility.names import AssetId
from facility.points import Asset
from facility.sitefile.reader import read_site
from rules.base import Verdict
from rules.draw.summation_plan import UNMETERED
from rules.library.electrical.e3_failover_headroom import FailoverHeadroom
from rules.model.failover import Failover, failover_of
from rules.model.powerpath import PowerPath
from rules.model.rows import Topology
from rules.model.tables import Tables
from rules.model.windows import Windows
from rules.telemetry.state import Knowledge
from rules.view import View
from testing.builders import T0_MS

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


FOUR: Final = {"A": "W1 W2", "B": "W3 W4", "W1": "R1", "W2": "R1", "W3": "R1", "W4": "R1"}


def test_with_more_feeds_all_of_it_moves_where_no_other_way_is_left() -> None:
    """Without B, A carries all of R1; of the two taps of A then, each carries some part."""
    assert loads(failover(FOUR, "A B W1", "R1", feeds=4), 60) == [(60, 60), (60, 60), (0, 60)]


def test_a_tap_beneath_another_one_of_the_rack_loses_nothing_to_it() -> None:
    """W2 hangs on W1, so W1 does not fail without it."""
    found = failover({"W1": "R1 W2", "W2": "R1"}, "W1 W2", "R1")

    assert found.moved_to.tolist() == []


SWITCHES: Final = {"U": "A C B", "A": "S1", "C": "S1 S2", "B": "S2", "S1": "R1", "S2": "R2"}
"""A catcher C behind two switches, and one utility above all."""


@pytest.mark.parametrize(
    ("edges", "feeds", "circuits"),
    [
        (SWITCHES, 1, "A C B"),  # not the utility, on which all hangs whatever happens
        ({"A": "R1"}, 2, "A"),  # the other feed of the rack is not described
        ({"A": "R1 PUMP"}, 1, ""),  # a load with one feed moves nowhere
        ({"A": "R1 PUMP", "B": "PUMP"}, 1, "A B"),
        (TWO_N, 2, ""),
    ],
)
def test_a_circuit_is_open_to_what_may_move_to_it_and_cannot_be_attributed(
    edges: dict[str, str], feeds: int, circuits: str
) -> None:
    """Of such a circuit nothing is known, though no rack is seen to move."""
    names = "U A C B S1 S2"
    found = failover(edges, names, "R1 R2", feeds)

    assert [names.split()[row] for row in found.open_to.tolist()] == circuits.split()


def test_a_feed_that_is_not_described_may_carry_its_share() -> None:
    """Of three feeds two are described: where one is lost, the other one need not carry all."""
    assert loads(failover({"A": "R1", "B": "R1"}, "A", "R1", feeds=3), 60) == [(0, np.inf)]


def test_a_circuit_that_load_may_move_to_is_not_clear() -> None:
    """The rule leaves it UNKNOWN, which is no alarm; one that nothing can move to is clear."""
    site = read_site(CIRCUITS).site
    graph = Graph()
    for asset in site.assets:
        graph.add(asset)
    topology = Topology(site, graph, {}, frozenset(), dict.fromkeys(site.racks, (UNMETERED,)))
    view = cast(View, SimpleNamespace(table=Tables(T0_MS, topology, Knowledge({}), Windows()).table))

    found = FailoverHeadroom().judge(view)

    assert found.verdict.tolist() == [Verdict.UNKNOWN, Verdict.CLEAR]
    assert found.returned.tolist() == [False, True]
    assert not FailoverHeadroom.unknown_pages


CIRCUITS: Final = """
[site]
name = "hall"
[[asset]]
id = "A"
kind = "Busway"
rated_a = 100
serves = ["R1"]
[[asset]]
id = "SPARE"
kind = "Busway"
rated_a = 100
[[rack]]
ids = ["R1"]
feeds = 2
"""


def test_a_plant_without_circuits_has_no_failover() -> None:
    """Nothing is rated, nothing is judged."""
    least, most = failover(TWO_N, "", "R1 R2").loads(np.array([60.0, 40.0]), np.array([60.0, 40.0]))

    assert (len(least), len(most)) == (0, 0)
