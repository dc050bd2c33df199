"""Who is summed of what: the arrays by which a draw is computed, for as long as nothing of it changes.

A unit is what is bounded as one: a rack, or a meter that a contract names. It has elements: the points
that its power is the sum of. Units stand in the order of their tenants, and within a tenant in the order of
the parent meters that see them, so that every sum is over neighbours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facility.contracts import Boundary, Version
from facility.graph import METER, RACK, Graph, Reach
from facility.names import OPERATOR, AssetId, TenantId
from facility.points import Point
from facility.readings import BoolArray, IntArray
from facility.site import Site

Index = NDArray[np.intp]
UNMETERED: Final = -1
"""In place of a point, where an element has none."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Rows of neighbours that are summed, each row at least one element.

    Attributes:
        points: The point of each element, shape (elements,); `UNMETERED` where it has none.
        starts: Where each row begins, shape (rows,).
        rows: Which unit or group each row is of, shape (rows,).
    """

    points: IntArray
    starts: Index
    rows: Index


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The arrays of one span of time.

    Attributes:
        tenants: Whom each place of a tenant array is about, the operator's own load last.
        versions: The contract version in force of each, None where there is none.
        units: What each unit is, by the id of its rack or meter.
        unit_tenant: The tenant of each unit, shape (units,).
        unit_cell: The cell of each unit: its tenant's part of a group, shape (units,).
        elements: The points of each unit.
        cap: The most that each unit can draw [mW], shape (units,); 0 where nobody knows.
        is_capped: Where that is known, shape (units,).
        floor: The least that each unit draws [mW], shape (units,).
        weight: What each unit counts in coverage, shape (units,).
        parents: Metered parents that see one unit each, and it alone.
        cell_starts: Where each cell begins among the units, shape (cells,).
        cell_group: The group of each cell, shape (cells,); the last group has no parent.
        groups: Metered parents of each group that has some.
        group_count: How many groups there are, the one without a parent included.
        tenant_cells: Where each tenant's cells begin, shape (tenants with units,).
        tenant_rows: Which tenants have units, shape (tenants with units,).
        loss_ppm: Power at the delivery point for a million at the boundary, shape (tenants,).
    """

    tenants: tuple[TenantId, ...]
    versions: tuple[Version | None, ...]
    units: tuple[AssetId, ...]
    unit_tenant: Index
    unit_cell: Index
    elements: Sums
    cap: IntArray
    is_capped: BoolArray
    floor: IntArray
    weight: IntArray
    parents: Sums
    cell_starts: Index
    cell_group: Index
    groups: Sums
    group_count: int
    tenant_cells: Index
    tenant_rows: Index
    loss_ppm: IntArray


@dataclass(frozen=True, slots=True)
class _Unit:
    """One unit before the arrays are made."""

    id: AssetId
    tenant: int
    elements: tuple[int, ...]
    cap: int | None
    floor: int
    parents: tuple[int, ...]
    group: tuple[int, ...]


class LayoutBuilder:
    """Makes layouts of what is known of the site.

    Args:
        site: The site.
        graph: The power graph, of the bus and the site file together.
        points: Every known point, by its number.
    """

    def __init__(self, site: Site, graph: Graph, points: Mapping[int, Point]) -> None:
        self._site = site
        self._graph = graph
        self._power: dict[AssetId, list[tuple[str, int]]] = defaultdict(list)
        for number, point in sorted(points.items()):
            if point.is_boundary:
                self._power[point.asset].append((point.feed, number))
        self._parents = graph.parents(electrical=True)
        self._reach: dict[AssetId, Reach] = graph.reach()
        self._meter_points = {
            asset: self._whole(asset)
            for asset in self._power
            if asset in graph.assets and graph.assets[asset].kind == METER
        }
        self.racks = self._all_racks()

    def _all_racks(self) -> tuple[AssetId, ...]:
        heard = (asset.id for asset in self._graph.assets.values() if asset.kind == RACK)
        return tuple(dict.fromkeys((*self._site.racks, *heard)))

    def build(self, instant_ms: int) -> Layout:
        """Make the layout that holds at an instant."""
        held: dict[AssetId, int] = {}
        units: list[_Unit] = []
        tenants = (*(tenant.id for tenant in self._site.tenants), OPERATOR)
        versions: list[Version | None] = []
        for place, tenant in enumerate(self._site.tenants):
            version = tenant.contract.version_at(instant_ms) if tenant.contract else None
            versions.append(version)
            racks = tenant.racks_at(instant_ms)
            held.update((rack, place) for rack in racks)
            units += self._units(place, racks, version)
        own = [rack for rack in self.racks if rack not in held]
        units += self._units(len(self._site.tenants), own, None)
        versions.append(None)
        return _arrange(tenants, tuple(versions), self._checked(units))

    def power_of(self, rack: AssetId) -> tuple[int, ...]:
        """Return the points that tell a rack's power: its own, or those of the meters that serve it."""
        feeds = self._site.rack(rack).feeds
        own = self._own(rack, feeds)
        return own if own != (UNMETERED,) else self._taps(rack, feeds)

    def groups(self, streams: Mapping[AssetId, Iterable[str]]) -> dict[str, Index]:
        """Return what racks have in common, each with the places of its racks among `racks`.

        Args:
            streams: The streams that each rack's power comes by.
        """
        place = {rack: i for i, rack in enumerate(self.racks)}
        members: dict[str, set[int]] = defaultdict(set)
        for rack, names in streams.items():
            for name in names:
                if rack in place:
                    members[name].add(place[rack])
        for node, reach in self._reach.items():
            members[node] |= {place[rack] for rack in reach.racks if rack != node}
        for child, parents in self._graph.parents(electrical=False).items():
            for parent in parents:
                if child in place:
                    members[parent].add(place[child])
        return {
            name: np.array(sorted(places), np.intp) for name, places in members.items() if len(places) > 1
        }

    def _checked(self, units: list[_Unit]) -> list[_Unit]:
        """Take groups away whose meters see a rack that is not one of the group's units."""
        members: dict[tuple[int, ...], set[AssetId]] = defaultdict(set)
        for unit in units:
            members[unit.group].add(unit.id)
        meters = {point: meter for meter, point in self._meter_points.items()}
        broken = {
            group
            for group, racks in members.items()
            if group and self._sees(tuple(meters[point] for point in group)) != racks
        }
        return [replace(unit, group=()) if unit.group in broken else unit for unit in units]

    # One unit -------------------------------------------------------------------------

    def _units(self, place: int, racks: list[AssetId], version: Version | None) -> list[_Unit]:
        boundary = version.boundary if version else Boundary.RACK_INPUT
        if version is not None and boundary is Boundary.NAMED_METERS:
            return [self._meter_unit(place, AssetId(meter)) for meter in version.meters]
        return [self._rack_unit(place, rack, boundary, version) for rack in racks]

    def _meter_unit(self, place: int, meter: AssetId) -> _Unit:
        return _Unit(
            id=meter,
            tenant=place,
            elements=(self._whole(meter),),
            cap=None,
            floor=0,
            parents=(),
            group=(),
        )

    def _rack_unit(self, place: int, rack: AssetId, boundary: Boundary, version: Version | None) -> _Unit:
        declared = self._site.rack(rack)
        caps = [declared.rating_milliwatts, version.rack_cap_milliwatts if version else None]
        known = [cap for cap in caps if cap is not None]
        above = self._graph.meters_above(rack, self._meter_points, self._parents)
        if boundary is Boundary.TAP_METER:
            elements = self._taps(rack, declared.feeds)
            cuts = self._cuts(above, declared.feeds, first=1)
        else:
            elements = self._own(rack, declared.feeds)
            cuts = self._cuts(above, declared.feeds, first=0)
        alone = next((cut for cut in cuts if self._sees(cut) == {rack}), ())
        shared = next((cut for cut in cuts if len(self._sees(cut)) > 1), ())
        return _Unit(
            id=rack,
            tenant=place,
            elements=elements,
            cap=min(known) if known else None,
            floor=declared.floor_milliwatts,
            parents=tuple(self._meter_points[meter] for meter in alone),
            group=tuple(self._meter_points[meter] for meter in shared),
        )

    def _own(self, rack: AssetId, feeds: int) -> tuple[int, ...]:
        """Return the points that a rack's own power is the sum of."""
        whole = self._whole(rack)
        by_feed = dict(reversed([(feed, number) for feed, number in self._power[rack] if feed]))
        if whole != UNMETERED or not by_feed:
            return (whole,)
        found = tuple(sorted(by_feed.values()))
        return found + (UNMETERED,) * (feeds - len(found))

    def _taps(self, rack: AssetId, feeds: int) -> tuple[int, ...]:
        """Return the points of the meters that serve a rack directly, and one for each that is missing."""
        meters = (self._meter_points.get(p, UNMETERED) for p in self._parents.get(rack, []))
        found = tuple(sorted(point for point in meters if point != UNMETERED))
        return found + (UNMETERED,) * max(feeds - len(found), 0 if found else 1)

    def _whole(self, asset: AssetId) -> int:
        """Return the point of an asset's power as a whole, the first that was known."""
        return next((number for feed, number in self._power.get(asset, []) if not feed), UNMETERED)

    def _cuts(self, above: list[list[AssetId]], feeds: int, *, first: int) -> list[tuple[AssetId, ...]]:
        """Return the sets of meters that together carry all of a rack's power, nearest first."""
        if len(above) != feeds:
            return []
        depth = min(len(path) for path in above)
        return [tuple(sorted({path[i] for path in above})) for i in range(first, depth)]

    def _sees(self, cut: tuple[AssetId, ...]) -> frozenset[AssetId]:
        """Return the racks whose power all flows through these meters; nothing where that is not sure."""
        reaches = [self._reach[meter] for meter in cut]
        racks = reaches[0].racks
        whole = all(reach.is_whole and reach.racks == racks for reach in reaches)
        return racks if whole else frozenset()


# From units to arrays -----------------------------------------------------------------


def _arrange(
    tenants: tuple[TenantId, ...], versions: tuple[Version | None, ...], units: list[_Unit]
) -> Layout:
    shared = sorted({unit.group for unit in units if unit.group})
    number = {group: i for i, group in enumerate(shared)} | {(): len(shared)}
    units = sorted(units, key=lambda unit: (unit.tenant, number[unit.group]))
    cells = [(unit.tenant, number[unit.group]) for unit in units]
    cell_starts = [i for i, cell in enumerate(cells) if i == 0 or cell != cells[i - 1]]
    firsts = [cells[i] for i in cell_starts]
    tenant_cells = [i for i, cell in enumerate(firsts) if i == 0 or cell[0] != firsts[i - 1][0]]
    rated = [unit.cap for unit in units if unit.cap]
    usual = sorted(rated)[len(rated) // 2] if rated else 1
    return Layout(
        tenants=tenants,
        versions=versions,
        units=tuple(unit.id for unit in units),
        unit_tenant=np.array([unit.tenant for unit in units], np.intp),
        unit_cell=np.repeat(np.arange(len(cell_starts)), np.diff([*cell_starts, len(units)])),
        elements=_sums((i, unit.elements) for i, unit in enumerate(units)),
        cap=np.array([unit.cap or 0 for unit in units], np.int64),
        is_capped=np.array([unit.cap is not None for unit in units], np.bool_),
        floor=np.array([unit.floor for unit in units], np.int64),
        weight=np.array([unit.cap or usual for unit in units], np.int64),
        parents=_sums((i, unit.parents) for i, unit in enumerate(units) if unit.parents),
        cell_starts=np.array(cell_starts, np.intp),
        cell_group=np.array([group for _, group in firsts], np.intp),
        groups=_sums((i, group) for i, group in enumerate(shared)),
        group_count=len(shared) + 1,
        tenant_cells=np.array(tenant_cells, np.intp),
        tenant_rows=np.array([firsts[i][0] for i in tenant_cells], np.intp),
        loss_ppm=np.array(
            [round(version.loss_factor * 1_000_000) if version else 1_000_000 for version in versions],
            np.int64,
        ),
    )


def _sums(rows: Iterable[tuple[int, tuple[int, ...]]]) -> Sums:
    listed = list(rows)
    lengths = [len(points) for _, points in listed]
    return Sums(
        points=np.array([point for _, points in listed for point in points], np.int64),
        starts=np.cumsum([0, *lengths[:-1]], dtype=np.intp)[: len(lengths)],
        rows=np.array([row for row, _ in listed], np.intp),
    )
