"""The graph tells what hangs on what, says where it does not know, and no cycle holds it up."""

from __future__ import annotations

from itertools import pairwise

import pytest

from facility.graph import Graph, Reach, cycle_in
from facility.kinds import ELECTRICAL, OF_THE_SITE_FILE, PLACES
from facility.names import AssetId
from facility.points import Asset


def an_asset(name: str, *serves: str, kind: str = "PowerMeter") -> Asset:
    """Return an asset that serves others; a power meter where nothing else is said."""
    return Asset(id=AssetId(name), kind=kind, name=name, serves=tuple(AssetId(s) for s in serves))


def a_rack(name: str) -> Asset:
    """Return a rack."""
    return an_asset(name, kind="Rack")


def a_graph(*assets: Asset) -> Graph:
    """Return the graph of these assets."""
    graph = Graph()
    for asset in assets:
        graph.add(asset)
    return graph


def reach_of(graph: Graph, name: str) -> tuple[set[str], bool]:
    """Return the racks beneath a node and whether that is all."""
    reach = graph.reach()[AssetId(name)]
    return set(reach.racks), reach.is_whole


TREE = (
    an_asset("UTILITY", "BUS-1", "BUS-2"),
    an_asset("BUS-1", "TAP-11", "TAP-21"),
    an_asset("BUS-2", "TAP-12", "TAP-22"),
    an_asset("TAP-11", "R1"),
    an_asset("TAP-12", "R1"),
    an_asset("TAP-21", "R2"),
    an_asset("TAP-22", "R2"),
    a_rack("R1"),
    a_rack("R2"),
    an_asset("CDU", "R1", "R2", kind="CDU"),
)


@pytest.mark.parametrize(
    ("node", "racks"),
    [
        ("TAP-11", {"R1"}),
        ("BUS-1", {"R1", "R2"}),
        ("BUS-2", {"R1", "R2"}),
        ("UTILITY", {"R1", "R2"}),
        ("R1", {"R1"}),
    ],
)
def test_a_node_reaches_the_racks_beneath_it(node: str, racks: set[str]) -> None:
    """What a meter sees is every rack that hangs on it, however many levels below."""
    assert reach_of(a_graph(*TREE), node) == (racks, True)


def test_the_order_of_descriptions_does_not_matter() -> None:
    """The bus tells its nodes in any order, and the graph is the same."""
    assert a_graph(*TREE).reach() == a_graph(*reversed(TREE)).reach()


@pytest.mark.parametrize(
    ("assets", "node", "racks", "is_whole"),
    [
        ((an_asset("M", "R1", "GHOST"), a_rack("R1")), "M", {"R1"}, False),
        ((an_asset("M", "T"), an_asset("T", "GHOST")), "M", set(), False),
        ((an_asset("M"),), "M", set(), False),
        ((an_asset("M", "T", "R1"), an_asset("T"), a_rack("R1")), "M", {"R1"}, False),
        ((an_asset("M", "CDU", "R1"), an_asset("CDU", "R2", kind="CDU"), a_rack("R1")), "M", {"R1"}, False),
        ((an_asset("M", "R1"), an_asset("R1", "X", kind="Rack")), "M", {"R1"}, True),
        ((an_asset("M", "R1", "R1"), a_rack("R1")), "M", {"R1"}, True),
        ((an_asset("CDU", "R1", kind="CDU"), a_rack("R1")), "CDU", set(), False),
    ],
    ids=[
        "a rack that nobody described",
        "a node two levels down that nobody described",
        "a meter that serves nothing",
        "a meter beneath that serves nothing",
        "a pump that hangs on the meter",
        "nothing is looked for beneath a rack",
        "a rack that is named twice",
        "cooling does not carry power",
    ],
)
def test_what_is_not_known_makes_a_reach_less_than_whole(
    assets: tuple[Asset, ...], node: str, racks: set[str], *, is_whole: bool
) -> None:
    """A meter may be compared with the racks beneath it only where everything beneath it is known."""
    assert reach_of(a_graph(*assets), node) == (racks, is_whole)


@pytest.mark.parametrize(
    "assets",
    [
        (an_asset("A", "A"),),
        (an_asset("A", "B"), an_asset("B", "A")),
        (an_asset("A", "B"), an_asset("B", "C"), an_asset("C", "A")),
        (an_asset("A", "B", "R"), an_asset("B", "C"), an_asset("C", "B", "R"), a_rack("R")),
    ],
    ids=["itself", "two", "three", "a tail and a loop"],
)
def test_a_cycle_ends_and_is_never_whole(assets: tuple[Asset, ...]) -> None:
    """What serves itself has no sum that could be trusted, and asking for it comes to an end."""
    reach = a_graph(*assets).reach()

    assert [reach[asset.id].is_whole for asset in assets if asset.kind != "Rack"] == [False] * len(
        [asset for asset in assets if asset.kind != "Rack"]
    )


def test_a_chain_of_any_length_is_followed_to_its_end() -> None:
    """A bus that describes a hundred thousand meters in a row does not exhaust the stack."""
    count = 100_000
    graph = a_graph(*(an_asset(f"M{i}", f"M{i + 1}") for i in range(count)), a_rack(f"M{count}"))

    assert reach_of(graph, "M0") == ({f"M{count}"}, True)


def test_a_second_description_adds_to_the_first() -> None:
    """The bus and the site file may each know a part; a name that was missing is filled in."""
    graph = Graph()

    news = [
        graph.add(Asset(id=AssetId("M"), kind="PowerMeter", serves=(AssetId("R1"),))),
        graph.add(Asset(id=AssetId("M"), kind="PowerMeter", serves=(AssetId("R1"),))),
        graph.add(an_asset("M", "R2")),
        graph.add(an_asset("M", "R1", "R2")),
        graph.add(an_asset("M")),
    ]

    assert news == [True, False, True, False, False]
    assert graph.assets[AssetId("M")] == an_asset("M", "R1", "R2")


def test_parents_are_told_apart_by_what_they_carry() -> None:
    """A rack's meters are its electrical parents and its coolant unit is not."""
    graph = a_graph(*TREE)
    rack = AssetId("R1")

    assert graph.parents(electrical=True)[rack] == ["TAP-11", "TAP-12"]
    assert graph.parents(electrical=False)[rack] == ["CDU"]


def metered(*names: str) -> dict[AssetId, int]:
    """Return nodes that have a power point."""
    return {AssetId(name): number for number, name in enumerate(names)}


@pytest.mark.parametrize(
    ("nodes", "paths"),
    [
        (("TAP-11", "TAP-12", "BUS-1", "UTILITY"), [["TAP-11", "BUS-1", "UTILITY"], ["TAP-12", "UTILITY"]]),
        (("BUS-1", "BUS-2"), [["BUS-1"], ["BUS-2"]]),
        (("TAP-11",), [["TAP-11"], []]),
        ((), [[], []]),
    ],
    ids=["all but a busway", "busways only", "one tap", "none"],
)
def test_meters_above_a_rack_are_told_feed_by_feed_nearest_first(
    nodes: tuple[str, ...], paths: list[list[str]]
) -> None:
    """Each power path up from a rack lists the nodes on it that measure."""
    graph = a_graph(*TREE)

    found = graph.meters_above(AssetId("R1"), metered(*nodes), graph.parents(electrical=True))

    assert found == paths


def test_a_path_ends_where_paths_join() -> None:
    """Above a node with two parents nobody can tell which of them carries the load."""
    graph = a_graph(an_asset("A", "M"), an_asset("B", "M"), an_asset("M", "R"), a_rack("R"))

    found = graph.meters_above(AssetId("R"), metered("A", "B", "M"), graph.parents(electrical=True))

    assert found == [["M"]]


def test_a_rack_that_nobody_serves_has_no_meters_above() -> None:
    """A rack of which the bus says nothing has no path up."""
    graph = a_graph(a_rack("R"))

    assert graph.meters_above(AssetId("R"), {}, graph.parents(electrical=True)) == []


def test_the_way_up_ends_in_a_cycle_too() -> None:
    """Meters that serve each other are each met once."""
    graph = a_graph(an_asset("A", "B", "R"), an_asset("B", "A"), a_rack("R"))

    found = graph.meters_above(AssetId("R"), metered("A", "B"), graph.parents(electrical=True))

    assert found == [["A", "B"]]


@pytest.mark.parametrize(
    ("assets", "cycle"),
    [
        ((), []),
        (TREE, []),
        ((an_asset("A", "A"),), ["A", "A"]),
        ((an_asset("A", "B"), an_asset("B", "A")), ["A", "B", "A"]),
    ],
    ids=["nothing", "a tree", "itself", "two"],
)
def test_a_cycle_is_named_along_its_edges(assets: tuple[Asset, ...], cycle: list[str]) -> None:
    """A cycle of a site file is shown as somebody would follow it, and a tree has none."""
    found = cycle_in(assets)

    assert set(found) == set(cycle)
    assert len(found) == len(cycle)


def test_each_step_of_a_found_cycle_is_an_edge() -> None:
    """The cycle that is shown is there: each node serves the one after it, and the last is the first."""
    edges = {"A": ("B", "D"), "B": ("C",), "C": ("E", "A"), "D": (), "E": ()}

    found = cycle_in([an_asset(name, *serves) for name, serves in edges.items()])

    assert found[0] == found[-1]
    assert all(after in edges[before] for before, after in pairwise(found))


def test_a_reach_is_compared_by_what_it_says() -> None:
    """Two nodes that see the same racks have equal reaches."""
    assert Reach(frozenset({AssetId("R")}), is_whole=True) == Reach(frozenset({AssetId("R")}), is_whole=True)


@pytest.mark.parametrize("kind", sorted(OF_THE_SITE_FILE & ELECTRICAL))
def test_power_passes_through_what_only_the_site_file_names(kind: str) -> None:
    """A busway between a meter and its racks hides none of them; it is no part of the cooling."""
    graph = a_graph(an_asset("M", "B"), an_asset("B", "R1", kind=kind), a_rack("R1"))

    assert reach_of(graph, "M") == ({"R1"}, True)
    assert graph.parents(electrical=True)[AssetId("R1")] == ["B"]
    assert AssetId("R1") not in graph.parents(electrical=False)


@pytest.mark.parametrize("kind", sorted(PLACES))
def test_no_power_passes_through_a_place(kind: str) -> None:
    """A room contains racks; that it serves them makes it no power source."""
    graph = a_graph(an_asset("ROOM", "R1", kind=kind), a_rack("R1"))

    assert graph.parents(electrical=True) == {}
    assert reach_of(graph, "ROOM") == (set(), False)
