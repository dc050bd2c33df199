"""What circuits would carry if another part of the power path failed: the racks beneath them, each once.

A rack with two feeds draws from both. Where one part of the path takes one of them away, all that the rack
draws comes over the other, through every circuit of it; with more feeds, where all are lost that go past the
circuit. So a circuit has to carry, for the part whose failure is worst for it, the whole draw of the racks
that lose all other feeds, and at least nothing of all others beneath it. The draw of a rack is counted once,
whatever meters of its feeds say.

What cannot be attributed to one circuit has no upper bound: what hangs on a circuit by one of several
parents, racks of which a feed is not described, and whatever else a circuit serves.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from facility.names import AssetId
from facility.readings import BoolArray, FloatArray
from rules.draw.summation_plan import Index, in_a_row
from rules.model.powerpath import PowerPath

Line = list[AssetId]
"""A feed of a rack and what alone feeds it, upwards."""


@dataclass(frozen=True, slots=True)
class Failover:
    """Which racks move where, for each circuit and each part of the path whose failure it may see.

    Attributes:
        circuits: Row of the circuit of each case, shape (cases,).
        whole: Rows of the racks whose whole draw it then carries, one case's after the other's.
        whole_starts: Where those of each case begin; each case has a place more, that of no rack.
        others: Rows of the racks of which it carries some part.
        others_starts: Where those of each case begin; each case has a place more, that of no rack.
        is_attributed: Whether all that each circuit carries is known, shape (circuits,).
        moved_to: The circuits of any case, each once.
        open_to: Circuits of no case to which something may move all the same that cannot be attributed.
    """

    circuits: Index
    whole: Index
    whole_starts: Index
    others: Index
    others_starts: Index
    is_attributed: BoolArray
    moved_to: Index
    open_to: Index

    def loads(self, low_kw: FloatArray, high_kw: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return what each circuit would carry at least and at most in the worst case [kW].

        NaN where nothing can move to a circuit; shape (circuits,) each.

        Args:
            low_kw: What each rack draws at least [kW], shape (racks,).
            high_kw: What it draws at most [kW].
        """
        least, most = (np.full(len(self.is_attributed), np.nan) for _ in range(2))
        if len(self.circuits):
            # The last place is that of no rack.
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
    is_attributed, is_open = np.ones(len(circuits), np.bool_), np.zeros(len(circuits), np.bool_)
    lacking = (
        rack for rack, count in zip(racks, feeds, strict=True) if len(power.parents.get(rack, ())) < count
    )
    undescribed = ((node, True) for rack in lacking for node in power.feeding(rack) & circuits.keys())
    for node, may_move in chain(_shared(power, circuits, racks), undescribed):
        is_attributed[circuits[node]] = False
        is_open[circuits[node]] |= may_move
    for (rack, row), count in zip(racks.items(), feeds, strict=True):
        lines = [power.line(feed) for feed in power.parents.get(rack, ())]
        is_whole = len(lines) >= count
        losses: dict[tuple[int, ...], list[tuple[AssetId, bool]]] = {}
        for node in dict.fromkeys(chain.from_iterable(lines)):
            circuit = circuits.get(node)
            if circuit is None:
                continue
            beneath[circuit].append(row)
            past = tuple([i for i, line in enumerate(lines) if node not in line])
            if not past and is_whole:
                always[circuit].append(row)
            if past not in losses:
                losses[past] = _losses(lines, past)
            for lost, is_all in losses[past]:
                moved = moves[circuit, lost]
                if is_all and is_whole:
                    moved.append(row)
    cases = list(moves.items())
    nobody = len(racks)
    whole = [[*always[circuit], *moved] for (circuit, _), moved in cases]
    others_of = [
        [*sorted(set(beneath[circuit]).difference(full)), nobody]
        for ((circuit, _), _), full in zip(cases, whole, strict=True)
    ]
    # The last place of each is that of no rack, so that none is empty.
    whole = [[*full, nobody] for full in whole]
    circuits_of = np.array([circuit for (circuit, _), _ in cases], np.intp)
    moved_to = np.unique(circuits_of)
    is_open[moved_to] = False
    return Failover(
        circuits_of, *in_a_row(whole), *in_a_row(others_of), is_attributed, moved_to, np.flatnonzero(is_open)
    )


def _losses(lines: Sequence[Line], past: Sequence[int]) -> list[tuple[AssetId, bool]]:
    """Return the parts of the path whose failure moves load to a circuit, each once: the highest ones.

    Each with whether all comes to the circuit then, for no line is left that goes past it.

    Args:
        lines: The lines of a rack.
        past: The places of those that go past the circuit.
    """
    own = {node for i, line in enumerate(lines) if i not in past for node in line}
    highest = [next((node for node in reversed(lines[i]) if node not in own), None) for i in past]
    return [
        (node, all(node in lines[i] for i in past)) for node in dict.fromkeys(highest) if node is not None
    ]


def _shared(
    power: PowerPath, circuits: Collection[AssetId], racks: Collection[AssetId]
) -> Iterator[tuple[AssetId, bool]]:
    """Yield the circuits to which not all can be attributed that hangs on them.

    Each with whether something of that may move to it: what is fed from elsewhere as well.
    """
    for node in circuits:
        stack, seen = [node], {node}
        is_shared, several = False, list[AssetId]()
        while stack:
            for child in power.children.get(stack.pop(), ()):
                if child in racks or child in seen:
                    continue
                seen.add(child)
                stack.append(child)
                is_shared |= child not in power.children
                if len(power.parents[child]) > 1:
                    several.append(child)
        if is_shared or several:
            yield node, bool(several) and not power.lost_with([node]).issuperset(several)
