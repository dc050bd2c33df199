"""The power path as a graph: what is lost where a part of it fails."""

from __future__ import annotations

from collections.abc import Iterable

from facility.graph import Graph
from facility.names import AssetId


class PowerPath:
    """Power edges of the graph, both ways.

    Args:
        graph: The power and cooling graph.

    Attributes:
        parents: What feeds each node directly.
        children: What each node feeds directly.
    """

    def __init__(self, graph: Graph) -> None:
        self.parents: dict[AssetId, list[AssetId]] = graph.parents(electrical=True)
        self.children: dict[AssetId, list[AssetId]] = {}
        for child, above in self.parents.items():
            for node in above:
                self.children.setdefault(node, []).append(child)

    def lost_with(self, dead: Iterable[AssetId]) -> frozenset[AssetId]:
        """Return what has no power where some nodes are dead: these, and what is fed by such alone."""
        lost = set(dead)
        stack = list(lost)
        while stack:
            for child in self.children.get(stack.pop(), ()):
                if child not in lost and lost.issuperset(self.parents[child]):
                    lost.add(child)
                    stack.append(child)
        return frozenset(lost)

    def feeding(self, node: AssetId) -> set[AssetId]:
        """Return everything that a node is fed through, by any of several parents."""
        found, stack = set[AssetId](), [*self.parents.get(node, ())]
        while stack:
            if (above := stack.pop()) not in found:
                found.add(above)
                stack += self.parents.get(above, ())
        return found

    def line(self, node: AssetId) -> list[AssetId]:
        """Return a node and what alone feeds it, upwards, as far as each has one parent."""
        found = [node]
        while len(above := self.parents.get(found[-1], [])) == 1 and above[0] not in found:
            found.append(above[0])
        return found
