"""The power and cooling graph: what serves what, and which meters see a rack.

Nodes are assets; an edge goes from what feeds or cools to what is fed or cooled. The bus tells it
(`servesId`), the site file adds to it. A node may be known only because another says it serves it: such a
node has no kind, and what hangs on it is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from facility.kinds import ELECTRICAL, RACK
from facility.names import AssetId
from facility.points import Asset


def cycle_in(assets: Iterable[Asset]) -> list[AssetId]:
    """Return a cycle of the graph as the ids along it, the first repeated last; empty where none is."""
    try:
        TopologicalSorter({asset.id: asset.serves for asset in assets}).prepare()
    except CycleError as error:
        found: list[AssetId] = error.args[1]
        return found[::-1]
    return []


@dataclass(frozen=True, slots=True)
class Reach:
    """What is served, directly or not, by one node through power edges.

    Attributes:
        racks: Ids of the racks beneath it.
        is_whole: Whether everything beneath it is known; if not, it serves something that is not described.
    """

    racks: frozenset[AssetId]
    is_whole: bool


@dataclass(slots=True)
class Graph:
    """The graph, merged from all who describe it.

    Attributes:
        assets: Every described asset, by id; what serves is the union of what all descriptions say.
    """

    assets: dict[AssetId, Asset] = field(default_factory=dict)

    def copy(self) -> Graph:
        """Return a graph of the same assets, in which nothing changes when this one does."""
        return Graph(dict(self.assets))

    def add(self, asset: Asset) -> bool:
        """Merge a description into the graph.

        Returns:
            Whether anything of it was new.
        """
        known = self.assets.get(asset.id)
        if known is None:
            self.assets[asset.id] = asset
            return True
        if not (asset.serves or known.serves) and (known.name or not asset.name):
            return False  # as most are: racks, which each of their points describes
        serves = tuple(dict.fromkeys((*known.serves, *asset.serves)))
        name = known.name or asset.name
        if serves == known.serves and name == known.name:
            return False
        self.assets[asset.id] = Asset(id=asset.id, kind=known.kind, name=name, serves=serves)
        return True

    def parents(self, *, electrical: bool) -> dict[AssetId, list[AssetId]]:
        """Return who serves each node, by power edges or by cooling edges."""
        found: dict[AssetId, list[AssetId]] = {}
        for asset in self.assets.values():
            if (asset.kind in ELECTRICAL) == electrical:
                for child in asset.serves:
                    found.setdefault(child, []).append(asset.id)
        return found

    def reach(self) -> dict[AssetId, Reach]:
        """Return, for every electrical node, the racks beneath it and whether that is all."""
        found: dict[AssetId, Reach] = {}
        for start in self.assets:
            self._reach(start, found)
        return found

    def _reach(self, start: AssetId, found: dict[AssetId, Reach]) -> None:
        # Depth first without recursion; a cycle on the bus must not take the monitor down.
        entered: set[AssetId] = set()
        stack = [start]
        while stack:
            node = stack[-1]
            asset = self.assets.get(node)
            if node in found:
                stack.pop()
            elif asset is None or asset.kind == RACK or asset.kind not in ELECTRICAL:
                is_rack = asset is not None and asset.kind == RACK
                found[node] = Reach(frozenset({node}) if is_rack else frozenset(), is_rack)
                stack.pop()
            elif node in entered:
                children = [found.get(c, Reach(frozenset(), is_whole=False)) for c in asset.serves]
                racks = frozenset[AssetId]().union(*(child.racks for child in children))
                found[node] = Reach(racks, bool(children) and all(c.is_whole for c in children))
                stack.pop()
            else:
                entered.add(node)
                stack += [c for c in asset.serves if c not in found and c not in entered]

    def meters_above(
        self,
        rack: AssetId,
        metered: Mapping[AssetId, int],
        parents: Mapping[AssetId, list[AssetId]],
        levels: int | None = None,
    ) -> list[list[AssetId]]:
        """Return the metered nodes on each power path up from a rack, nearest first.

        Args:
            rack: Id of the rack.
            metered: Nodes that have a power point.
            parents: What `parents(electrical=True)` gave.
            levels: How many of each path are looked for; None for all.
        """
        paths: list[list[AssetId]] = []
        for feed in parents.get(rack, []):
            path: list[AssetId] = []
            node: AssetId | None = feed
            seen: set[AssetId] = set()
            while node is not None and node not in seen and len(path) != levels:
                seen.add(node)
                if node in metered:
                    path.append(node)
                above = parents.get(node, [])
                # Where paths join above a rack the load of each is no longer told apart.
                node = above[0] if len(above) == 1 else None
            paths.append(path)
        return paths
