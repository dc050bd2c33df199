"""Whatever the bus says of what serves what, the graph answers, and claims to know no more than it does."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from facility.graph import Graph, cycle_in
from facility.kinds import METER, RACK
from facility.names import AssetId
from facility.points import Asset

NODES = [AssetId(f"n{i}") for i in range(8)]


@st.composite
def assets(draw: st.DrawFn) -> list[Asset]:
    """Draw descriptions of some of eight nodes, which serve any of them; cycles and unknown ones included."""
    kinds = st.sampled_from([METER, METER, METER, RACK, "UPS", "CDU"])
    known = draw(st.lists(st.sampled_from(NODES), unique=True))
    serves = st.lists(st.sampled_from(NODES), max_size=3).map(tuple)
    return [Asset(id=name, kind=draw(kinds), serves=draw(serves)) for name in known]


def a_graph(described: list[Asset]) -> Graph:
    """Return the graph of these assets."""
    graph = Graph()
    for asset in described:
        graph.add(asset)
    return graph


def carries(graph: Graph, node: AssetId) -> bool:
    """Tell whether a node passes power on."""
    asset = graph.assets.get(node)
    return asset is not None and asset.kind in (METER, "UPS")


def beneath(graph: Graph, start: AssetId) -> set[AssetId]:
    """Return every node beneath one through power edges, found step by step."""
    found: set[AssetId] = set()
    ahead = {start}
    while ahead:
        after = {child for node in ahead if carries(graph, node) for child in graph.assets[node].serves}
        ahead = after - found
        found |= after
    return found


@given(assets())
def test_a_reach_holds_no_rack_that_is_not_beneath(described: list[Asset]) -> None:
    """What a node is said to serve it serves, and the whole is all of it."""
    graph = a_graph(described)
    reach = graph.reach()

    for node in graph.assets:
        if not carries(graph, node):
            continue
        below = beneath(graph, node)
        racks = {n for n in below if n in graph.assets and graph.assets[n].kind == RACK}
        is_known = all(carries(graph, n) or n in racks for n in below)
        has_ends = all(graph.assets[n].serves for n in below | {node} if carries(graph, n))
        has_cycle = any(n in beneath(graph, n) for n in below | {node} if carries(graph, n))
        assert reach[node].racks <= racks
        assert reach[node].is_whole == (is_known and has_ends and not has_cycle)
        assert has_cycle or reach[node].racks == racks


@given(assets())
def test_every_node_is_answered_for(described: list[Asset]) -> None:
    """Every described node has a reach, and a rack reaches itself."""
    reach = a_graph(described).reach()

    assert all(asset.id in reach for asset in described)
    assert all(asset.id in reach[asset.id].racks for asset in described if asset.kind == RACK)


@given(assets())
def test_the_way_up_lists_meters_once_each(described: list[Asset]) -> None:
    """Each path above a node is one of its parents' and meets no meter twice, with or without cycles."""
    graph = a_graph(described)
    parents = graph.parents(electrical=True)
    metered = dict.fromkeys(NODES, 0)

    for node in NODES:
        paths = graph.meters_above(node, metered, parents)

        assert [path[0] for path in paths] == parents.get(node, [])
        assert all(len(set(path)) == len(path) for path in paths)


@given(assets())
def test_a_cycle_is_found_where_there_is_one(described: list[Asset]) -> None:
    """A found cycle is a walk along edges back to its beginning; where none is found none can be."""
    serves = {asset.id: set(asset.serves) for asset in described}

    found = cycle_in(described)

    if found:
        assert found[0] == found[-1]
        assert all(after in serves[before] for before, after in pairwise(found))
    else:
        ends: set[AssetId] = set()
        while True:
            now = {name for name in serves if serves[name] <= ends | (set(NODES) - set(serves))}
            if now == ends:
                break
            ends = now
        assert ends == set(serves)


@given(assets(), st.randoms(use_true_random=False))
def test_the_order_of_descriptions_does_not_matter(described: list[Asset], random: object) -> None:
    """A graph without cycles is the same in whatever order it is told."""
    del random
    if not cycle_in(described):
        assert a_graph(described).reach() == a_graph(described[::-1]).reach()
