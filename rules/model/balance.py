"""What a power node carries and does not pass on: its losses, by the meters next beneath it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from facility.names import AssetId
from facility.readings import FloatArray
from rules.draw.summation_plan import Index, in_a_row
from rules.model.powerpath import PowerPath


@dataclass(frozen=True, slots=True)
class Balance:
    """The nodes all of whose load is metered once more beneath them.

    Attributes:
        nodes: Rows of these nodes, shape (balances,).
        parts: Rows of the nodes next beneath each, one's after the other's.
        part_starts: Where those of each begin; each has a place more, that of no node.
        racks: Rows of the racks next beneath each.
        rack_starts: Where those of each begin; each has a place more, that of no rack.
    """

    nodes: Index
    parts: Index
    part_starts: Index
    racks: Index
    rack_starts: Index

    def passed_on(self, nodes_kw: FloatArray, racks_kw: FloatArray) -> FloatArray:
        """Return what is metered beneath each [kW], shape (balances,).

        Args:
            nodes_kw: What each power node carries [kW].
            racks_kw: What each rack draws [kW].
        """
        if not len(self.nodes):
            return np.zeros(0)
        nodes, racks = np.append(nodes_kw, 0.0), np.append(racks_kw, 0.0)
        passed: FloatArray = np.add.reduceat(nodes[self.parts], self.part_starts)
        return passed + np.add.reduceat(racks[self.racks], self.rack_starts)


def balance_of(
    power: PowerPath,
    metered: Mapping[AssetId, int],
    racks: Mapping[AssetId, int],
    feeds: Sequence[int],
    rows: int,
) -> Balance:
    """Return the nodes that can be balanced: everything beneath them is metered, and hangs on them alone.

    Args:
        power: The power path.
        metered: The row of each node that has a meter of its power.
        racks: The row of each rack, in their order.
        feeds: How many feeds each rack has.
        rows: How many rows of nodes there are.
    """
    found: list[tuple[int, list[int], list[int]]] = []
    for node, row in metered.items():
        nodes_below, racks_below = list[int](), list[int]()
        stack, is_whole = list(power.children.get(node, ())), True
        while stack and is_whole:
            child = stack.pop()
            is_whole = len(power.parents[child]) == 1
            if child in racks:
                is_whole = is_whole and feeds[racks[child]] == 1
                racks_below.append(racks[child])
            elif child in metered:
                nodes_below.append(metered[child])
            else:
                below = power.children.get(child, [])
                is_whole = is_whole and bool(below)
                stack += below
        if is_whole and (nodes_below or racks_below):
            found.append((row, [*sorted(nodes_below), rows], [*sorted(racks_below), len(racks)]))
    nodes = np.array([row for row, _, _ in found], np.intp)
    return Balance(
        nodes, *in_a_row([parts for _, parts, _ in found]), *in_a_row([drawn for *_, drawn in found])
    )
