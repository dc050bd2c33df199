"""From the site and its graph to units: what each tenant is summed of at an instant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from facility.contracts import Boundary, Version
from facility.graph import METER, RACK, Graph
from facility.names import OPERATOR, AssetId, TenantId
from facility.points import Point
from facility.quantities import QUANTITIES
from facility.site import Site
from rules.cuts import Cut, Cuts
from rules.layout import UNMETERED, Index, Layout, Unit, arrange

CREDIBLE: Final = QUANTITIES["rack.power.active"].rating_high or 1.0
"""What a rack may be measured at and still be believed, as a multiple of its rating."""


@dataclass(frozen=True, slots=True)
class Feed:
    """A node of the power chain that racks hang on.

    Attributes:
        kind: Its object type.
        point: The point of its own power, `UNMETERED` where it has none.
        currents: The points of its line currents.
        limit: The point of what it may carry, `UNMETERED` where it has none.
        racks: The places of the racks beneath it among all racks, ascending.
    """

    kind: str
    point: int
    currents: tuple[int, ...]
    limit: int
    racks: Index


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
        self._currents: dict[AssetId, list[int]] = defaultdict(list)
        self._limits: dict[AssetId, int] = {}
        for number, point in sorted(points.items()):
            if point.is_boundary:
                self._power[point.asset].append((point.feed, number))
            elif point.is_line_current:
                self._currents[point.asset].append(number)
            elif point.is_current_limit:
                self._limits.setdefault(point.asset, number)
        self._meter_points = {
            asset: self._whole(asset)
            for asset in self._power
            if asset in graph.assets and graph.assets[asset].kind == METER
        }
        self._cuts = Cuts(graph, self._meter_points, lambda rack: site.rack(rack).feeds)
        self.racks = self._all_racks()

    def _all_racks(self) -> tuple[AssetId, ...]:
        heard = (asset.id for asset in self._graph.assets.values() if asset.kind == RACK)
        return tuple(dict.fromkeys((*self._site.racks, *heard)))

    def build(self, instant_ms: int) -> Layout:
        """Make the layout that holds at an instant."""
        held: dict[AssetId, int] = {}
        units: list[Unit] = []
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
        return arrange(tenants, tuple(versions), self._checked(units))

    def power_of(self, rack: AssetId) -> tuple[int, ...]:
        """Return the points that tell a rack's power: its own, or those of the meters that serve it."""
        own = self._own(rack)
        return own if own != (UNMETERED,) else self._taps([rack], self._direct(rack))

    def point_of(self, meter: AssetId) -> int:
        """Return the point of a meter's power, `UNMETERED` where it has none."""
        return self._meter_points.get(meter, UNMETERED)

    def feeds(self) -> dict[AssetId, Feed]:
        """Return the nodes of the power chain that racks hang on, with one feed or with several."""
        place = {rack: i for i, rack in enumerate(self.racks)}
        return {
            node: Feed(
                self._graph.assets[node].kind,
                self._whole(node),
                tuple(self._currents.get(node, ())),
                self._limits.get(node, UNMETERED),
                np.array(sorted(place[rack] for rack in reach.racks), np.intp),
            )
            for node, reach in self._cuts.reach.items()
            if reach.racks and node not in place
        }

    def holders(self, instant_ms: int) -> tuple[TenantId, ...]:
        """Return who holds each rack at an instant."""
        held = {rack: tenant.id for tenant in self._site.tenants for rack in tenant.racks_at(instant_ms)}
        return tuple(held.get(rack, OPERATOR) for rack in self.racks)

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
        for node, reach in self._cuts.reach.items():
            members[node] |= {place[rack] for rack in reach.racks if rack != node}
        for child, parents in self._graph.parents(electrical=False).items():
            for parent in parents:
                if child in place:
                    members[parent].add(place[child])
        return {
            name: np.array(sorted(places), np.intp) for name, places in members.items() if len(places) > 1
        }

    def _checked(self, units: list[Unit]) -> list[Unit]:
        """Take groups away whose meters see a rack that is not one of the group's units."""
        members: dict[tuple[int, ...], set[AssetId]] = defaultdict(set)
        for unit in units:
            members[unit.group] |= unit.racks
        meters = {point: meter for meter, point in self._meter_points.items()}
        broken = {
            group
            for group, racks in members.items()
            if group and self._cuts.sees(tuple(meters[point] for point in group)) != racks
        }
        return [replace(unit, group=()) if unit.group in broken else unit for unit in units]

    # Units ----------------------------------------------------------------------------

    def _units(self, place: int, racks: list[AssetId], version: Version | None) -> list[Unit]:
        boundary = version.boundary if version else Boundary.RACK_INPUT
        if version is not None and boundary is Boundary.NAMED_METERS:
            meters = dict.fromkeys(AssetId(meter) for meter in version.meters)
            return [Unit(frozenset(), place, (self._whole(meter),)) for meter in meters]
        if boundary is Boundary.TAP_METER:
            return [
                self._unit(place, together, version, self._taps(together, taps), taps)
                for together, taps in self._by_taps(racks)
            ]
        return [self._unit(place, [rack], version, self._own(rack)) for rack in racks]

    def _unit(
        self,
        place: int,
        racks: list[AssetId],
        version: Version | None,
        elements: tuple[int, ...],
        taps: Iterable[AssetId] | None = None,
    ) -> Unit:
        ratings = [self._site.rack(rack).rating_milliwatts for rack in racks]
        agreed = version.rack_cap_milliwatts if version else None
        caps = [min((cap for cap in (rating, agreed) if cap is not None), default=None) for rating in ratings]
        own = frozenset(racks)
        cuts = self._cuts.above(racks[0], None if taps is None else frozenset(taps))
        seen = [(cut, self._cuts.sees(cut)) for cut in cuts]
        alone: Cut = next((cut for cut, beneath in seen if beneath == own), ())
        shared: Cut = next((cut for cut, beneath in seen if beneath > own), ())
        return Unit(
            racks=own,
            tenant=place,
            elements=elements,
            cap=_total(caps),
            ceiling=_total([rating and round(rating * CREDIBLE) for rating in ratings]),
            floor=sum(self._site.rack(rack).floor_milliwatts for rack in racks),
            parents=tuple(self._meter_points[meter] for meter in alone),
            group=tuple(self._meter_points[meter] for meter in shared),
        )

    def _own(self, rack: AssetId) -> tuple[int, ...]:
        """Return the points that a rack's own power is the sum of."""
        whole = self._whole(rack)
        by_feed = dict(reversed([(feed, number) for feed, number in self._power.get(rack, ()) if feed]))
        if whole != UNMETERED or not by_feed:
            return (whole,)
        found = tuple(sorted(by_feed.values()))
        return found + (UNMETERED,) * (self._site.rack(rack).feeds - len(found))

    def _whole(self, asset: AssetId) -> int:
        """Return the point of an asset's power as a whole, the first that was known."""
        return next((number for feed, number in self._power.get(asset, ()) if not feed), UNMETERED)

    def _direct(self, rack: AssetId) -> list[AssetId]:
        """Return the meters that serve a rack directly."""
        return [meter for meter in self._cuts.parents.get(rack, ()) if meter in self._meter_points]

    def _taps(self, racks: list[AssetId], taps: Iterable[AssetId]) -> tuple[int, ...]:
        """Return the points of the meters that serve racks directly, and one for each that is missing."""
        own = frozenset(taps)
        found = [sum(meter in own for meter in self._direct(rack)) for rack in racks]
        missing = sum(
            max(self._site.rack(rack).feeds - count, 0 if count else 1)
            for rack, count in zip(racks, found, strict=True)
        )
        return (*sorted(self._meter_points[meter] for meter in own), *(UNMETERED,) * missing)

    def _by_taps(self, racks: list[AssetId]) -> list[tuple[list[AssetId], list[AssetId]]]:
        """Part racks so that no meter serves two parts; each with the meters that serve it alone.

        A meter that serves something else as well, such as a rack of another tenant, tells nobody's part: it
        is no tap of anyone.
        """
        held = frozenset(racks)
        home = {rack: rack for rack in racks}

        def find(rack: AssetId) -> AssetId:
            while home[rack] != rack:
                home[rack] = rack = home[home[rack]]
            return rack

        taps: dict[AssetId, tuple[AssetId, ...]] = {}
        for meter in dict.fromkeys(meter for rack in racks for meter in self._direct(rack)):
            served = self._graph.assets[meter].serves
            if held.issuperset(served):
                taps[meter] = served
                for rack in served:
                    home[find(rack)] = find(served[0])
        parts: dict[AssetId, tuple[list[AssetId], list[AssetId]]] = {}
        for rack in racks:
            parts.setdefault(find(rack), ([], []))[0].append(rack)
        for meter, served in taps.items():
            parts[find(served[0])][1].append(meter)
        return list(parts.values())


def _total(parts: Iterable[int | None]) -> int | None:
    """Return the sum, None where a part is not known."""
    known = list(parts)
    return None if None in known else sum(part for part in known if part is not None)
