"""What circuits would carry if another part of the power path failed: the racks beneath them, each once.

A rack with two feeds draws from both. Where one part of the path takes one of them away, all that the rack
draws comes over the other, through every circuit of it. So a circuit has to carry, for the part whose failure
is worst for it, the whole draw of the racks that lose their other feed, and at least nothing of all others
beneath it. The draw of a rack is counted once, whatever meters of both feeds say.

What cannot be attributed to one circuit has no upper bound: what hangs on a circuit by one of several
parents, racks of which a feed is not described, and whatever else a circuit serves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from facility.names import AssetId
from facility.readings import BoolArray, FloatArray
from rules.draw.summation_plan import Index, in_a_row
from rules.model.powerpath import PowerPath

_PAIR: Final = 2
"""Feeds of a rack whose load moves wholly where one of them is lost."""


@dataclass(frozen=True, slots=True)
class Failover:
    """Which racks move where, for each circuit and each part of the path whose failure it may see.

    Attributes:
        circuits: Row of the circuit of each case, shape (cases,).
        whole: Rows of the racks whose whole draw it then carries, one case's after the other's.
        whole_starts: Where those of each case begin.
        others: Rows of the racks of which it carries some part.
        others_starts: Where those of each case begin; each case has a place more, that of no rack.
        is_attributed: Whether all that each circuit carries is known, shape (circuits,).
        moved_to: The circuits of any case, each once.
    """

    circuits: Index
    whole: Index
    whole_starts: Index
    others: Index
    others_starts: Index
    is_attributed: BoolArray
    moved_to: Index

    def loads(self, low_kw: FloatArray, high_kw: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return what each circuit would carry at least and at most in the worst case [kW].

        NaN where nothing can move to a circuit; shape (circuits,) each.

        Args:
            low_kw: What each rack draws at least [kW], shape (racks,).
            high_kw: What it draws at most [kW].
        """
        least, most = (np.full(len(self.is_attributed), np.nan) for _ in range(2))
        if len(self.circuits):
            # The last place is that of no rack, so that no case is empty.
            low, high = np.append(low_kw, 0.0), np.append(high_kw, 0.0)
            lows = np.add.reduceat(low[self.whole], self.whole_starts)
            highs = np.add.reduceat(high[self.whole], self.whole_starts)
            highs = highs + np.add.reduceat(high[self.others], self.others_starts)
            np.fmax.at(least, self.circuits, lows)
            np.fmax.at(most, self.circuits, highs)
        return least, np.where(self.is_attributed | np.isnan(most), most, np.inf)


def failover_of(
    power: PowerPath, circuits: Mapping[AssetId, int], racks: Mapping[AssetId, int], feeds: Sequence[int]
) -> Failover:
    """Return which racks move to which circuits.

    Args:
        power: The power path.
        circuits: The row of each circuit.
        racks: The row of each rack, in their order.
        feeds: How many feeds each rack has.
    """
    moves: dict[tuple[int, AssetId], list[int]] = defaultdict(list)
    always: dict[int, list[int]] = defaultdict(list)
    beneath: dict[int, list[int]] = defaultdict(list)
    is_attributed = np.ones(len(circuits), np.bool_)
    for node in _shared(power, circuits, racks):
        is_attributed[circuits[node]] = False
    for (rack, row), count in zip(racks.items(), feeds, strict=True):
        lines = [power.line(feed) for feed in power.parents.get(rack, ())]
        for i, line in enumerate(lines):
            rest = [other for j, other in enumerate(lines) if j != i]
            for node in line:
                circuit = circuits.get(node)
                if circuit is None:
                    continue
                if len(lines) < count:
                    is_attributed[circuit] = False
                if i and node in lines[0]:
                    continue  # it is on both feeds, and was counted
                beneath[circuit].append(row)
                if all(node in other for other in rest):
                    always[circuit].append(row)
                elif len(lines) == _PAIR:
                    apart = [other for other in rest[0] if other not in line]
                    moves[circuit, apart[-1]].append(row)
    cases = list(moves.items())
    nobody = len(racks)
    whole = [[*always[circuit], *moved] for (circuit, _), moved in cases]
    others = [
        [*sorted(set(beneath[circuit]).difference(full)), nobody]
        for ((circuit, _), _), full in zip(cases, whole, strict=True)
    ]
    circuits_of = np.array([circuit for (circuit, _), _ in cases], np.intp)
    return Failover(circuits_of, *in_a_row(whole), *in_a_row(others), is_attributed, np.unique(circuits_of))


def _shared(power: PowerPath, circuits: Collection[AssetId], racks: Collection[AssetId]) -> Iterator[AssetId]:
    """Yield the circuits to which not all can be attributed that hangs on them."""
    for node in circuits:
        stack, seen = [node], {node}
        while stack:
            children = power.children.get(stack.pop(), ())
            for child in children:
                is_leaf = child not in racks and child not in power.children
                if is_leaf or (child not in racks and len(power.parents[child]) > 1):
                    yield node
                    stack.clear()
                    break
                if child not in racks and child not in seen:
                    seen.add(child)
                    stack.append(child)
