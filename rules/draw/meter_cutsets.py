"""Cuts of the power graph: sets of meters that together carry all the power of some racks, each part once.

What the meters of a cut say, less what is lost on the way, is the sum of what the racks beneath draw. That
only holds where every feed of every rack beneath passes exactly one of them, and where nothing else hangs on
them; a set where that is not sure is no cut.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Final

from facility.graph import Graph, Reach
from facility.names import AssetId

Cut = tuple[AssetId, ...]
Paths = tuple[tuple[AssetId, ...], ...]
LEVELS: Final = 8
"""How many meters above each other are looked at, from the rack up: more than a plant has between a rack and
the utility (our choice). It bounds what a rack costs."""


class Cuts:
    """Finds cuts.

    Args:
        graph: The power graph.
        metered: Nodes that have a power point.
        feeds_of: Gives how many power feeds a rack has.

    Attributes:
        parents: Who serves each node by power edges.
        reach: What is served by each node.
    """

    def __init__(
        self, graph: Graph, metered: Mapping[AssetId, int], feeds_of: Callable[[AssetId], int]
    ) -> None:
        self._graph = graph
        self._metered = metered
        self._feeds_of = feeds_of
        self.parents = graph.parents(electrical=True)
        self.reach: dict[AssetId, Reach] = graph.reach()
        self._paths: dict[AssetId, Paths] = {}
        self._cuts: dict[Paths, list[Cut]] = {}
        self._seen: dict[Cut, frozenset[AssetId]] = {}

    def above(self, rack: AssetId, taps: Container[AssetId] | None = None) -> list[Cut]:
        """Return the sets of meters that all feeds of a rack pass, nearest first.

        Args:
            rack: Id of the rack.
            taps: Where it is measured at the meters that serve it directly, those of them that are its own
                boundary and no parents of it. A feed without any meter there is measured nowhere, and then
                nothing stands in for the boundary.
        """
        paths = self._paths_of(rack)
        if taps is not None:
            direct = self.parents.get(rack, [])
            paths = tuple(path[path[0] in taps :] if path and path[0] in direct else () for path in paths)
        if len(paths) != self._feeds_of(rack) or not all(paths):
            return []
        # Racks of a row have their paths in common.
        if paths not in self._cuts:
            found = [_frontier(paths, level) for level in range(max(map(len, paths)))]
            self._cuts[paths] = list(dict.fromkeys(found))
        return self._cuts[paths]

    def sees(self, cut: Cut) -> frozenset[AssetId]:
        """Return the racks whose power all flows through these meters, once; none where that is not sure."""
        if cut not in self._seen:
            self._seen[cut] = self._racks_beneath(cut)
        return self._seen[cut]

    def _racks_beneath(self, cut: Cut) -> frozenset[AssetId]:
        reaches = [self.reach[meter] for meter in cut]
        if not reaches or not all(reach.is_whole for reach in reaches):
            return frozenset()
        racks = frozenset[AssetId]().union(*(reach.racks for reach in reaches))
        passed = dict.fromkeys(cut, 0)
        for rack in racks:
            paths = self._paths_of(rack)
            on_path = [[meter for meter in path if meter in passed] for path in paths]
            if len(paths) != self._feeds_of(rack) or any(len(meters) != 1 for meters in on_path):
                return frozenset()
            for meter in {meters[0] for meters in on_path}:
                passed[meter] += 1
        # A rack that a meter reaches by a way that joins others is on none of that rack's paths.
        every = all(passed[meter] == len(reach.racks) for meter, reach in zip(cut, reaches, strict=True))
        return racks if every else frozenset()

    def _paths_of(self, rack: AssetId) -> Paths:
        if rack not in self._paths:
            found = self._graph.meters_above(rack, self._metered, self.parents, LEVELS)
            self._paths[rack] = tuple(map(tuple, found))
        return self._paths[rack]


def _frontier(paths: Paths, level: int) -> Cut:
    """Return one meter of each path, so far up; further where that of one path is above that of another."""
    places = [min(level, len(path) - 1) for path in paths]
    while True:
        cut = {path[place] for path, place in zip(paths, places, strict=True)}
        raised = [max(i for i, meter in enumerate(path) if meter in cut) for path in paths]
        if raised == places:
            return tuple(sorted(cut))
        places = raised
