"""From the site and its graph to units: what each tenant is summed of at an instant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from facility.contracts import Boundary, Version
from facility.graph import Graph
from facility.kinds import METER, RACK
from facility.names import OPERATOR, AssetId, TenantId
from facility.points import Point
from facility.quantities import QUANTITIES
from facility.site import Site
from rules.draw.meter_cutsets import Cut, Cuts
from rules.draw.summation_plan import UNMETERED, Claim, Index, Layout, Meters, Sharing, Unit, arrange
from rules.view import UNBOUNDED

CREDIBLE: Final = QUANTITIES["rack.power.active"].rating_high or 1.0
"""What a rack may be measured at and still be believed, as a multiple of its rating."""
NAMED: Final = 4
"""How many meters the name of a claim names."""


USED: Final = frozenset(
    {"rack.power.active", "meter.power.active", "current", "current.phase", "current.limit"}
)
"""Quantities that layouts are made of: a glance at them tells of most points that they are not."""


@dataclass(frozen=True, slots=True)
class Feed:
    """A node of the power chain that racks hang on.

    Attributes:
        kind: Its object type.
        point: The point of its own power, `UNMETERED` where it has none.
        currents: Numbers of the points of its line currents.
        limit: The point of what it may carry, `UNMETERED` where it has none.
        racks: The places of the racks beneath it among all racks, ascending.
    """

    kind: str
    point: int
    currents: tuple[int, ...]
    limit: int
    racks: Index


@dataclass(frozen=True, slots=True)
class Twins:
    """Points that say the same: one power of one asset, by several sources.

    Attributes:
        asset: Id of the asset.
        feed: Which of its power feeds, "" for the whole.
        points: The points; the first stands for all.
        error_ppm: The class error of each [millionths].
    """

    asset: AssetId
    feed: str
    points: tuple[int, ...]
    error_ppm: int


class LayoutBuilder:
    """Makes layouts of what is known of the site.

    Args:
        site: What the site file declares.
        graph: The power graph, of the bus and the site file together, which no longer changes.
        points: Every known point that it uses, by its number; others make no difference.
    """

    @staticmethod
    def uses(point: Point) -> bool:
        """Tell whether layouts are made of such a point."""
        return point.quantity in USED and (
            point.is_boundary or point.is_line_current or point.is_current_limit
        )

    def __init__(self, site: Site, graph: Graph, points: Mapping[int, Point]) -> None:
        self._site = site
        self._graph = graph
        self._power: dict[AssetId, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        self._currents: dict[AssetId, list[int]] = defaultdict(list)
        self._limits: dict[AssetId, int] = {}
        self._tolerance_ppm = round(site.meter_tolerance_percent * 10_000)
        self._loss_ppm = round(site.path_loss_percent * 10_000)
        for number, point in sorted(points.items()):
            if point.is_boundary:
                self._power[point.asset][point.feed].append(number)
            elif point.is_line_current:
                self._currents[point.asset].append(number)
            elif point.is_current_limit:
                self._limits.setdefault(point.asset, number)
        self._keep_first_of(points)
        self._meter_points = {
            asset: self._whole(asset)
            for asset in self._power
            if asset in graph.assets and graph.assets[asset].kind == METER
        }
        self._cuts = Cuts(graph, self._meter_points, lambda rack: site.rack(rack).feeds)
        self.racks = self._all_racks()
        self._holders: tuple[TenantId, ...] = ()
        self._held_from_ms = self._held_until_ms = 0

    def _keep_first_of(self, points: Mapping[int, Point]) -> None:
        """Leave of the points of each power those that come before all others."""
        for by_feed in self._power.values():
            for numbers in by_feed.values():
                first = min(points[number].precedence for number in numbers)
                numbers[:] = [number for number in numbers if points[number].precedence == first]

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
        return arrange(tenants, tuple(versions), units, self._claims(tenants, units))

    def twins(self) -> tuple[Twins, ...]:
        """Return the points that measure one power by several sources."""
        return tuple(
            Twins(asset, feed, tuple(numbers), self._error(asset, self._tolerance_ppm))
            for asset, by_feed in self._power.items()
            for feed, numbers in by_feed.items()
            if len(numbers) > 1
        )

    def power_of(self, rack: AssetId) -> tuple[int, ...]:
        """Return the points that tell a rack's power: its own, or those of the meters that serve it."""
        own = self._own(rack)
        return own.points if own.points != (UNMETERED,) else self._taps([rack], self._direct(rack)).points

    def sharing(self) -> Sharing:
        """Return the racks whose power is told by meters that serve others as well."""
        parts: dict[AssetId, int] = {}
        together: dict[tuple[AssetId, ...], list[AssetId]] = defaultdict(list)
        listed = frozenset(self.racks)
        serves = {meter: frozenset(self._graph.assets[meter].serves) for meter in self._meter_points}
        for rack in self.racks:
            if self._own(rack).points != (UNMETERED,):
                continue
            taps = self._direct(rack)
            if any(serves[tap] != {rack} for tap in taps):
                parts[rack] = len(listed.intersection(child for tap in taps for child in serves[tap]))
                together[tuple(self._cuts.parents[rack])].append(rack)
        groups = tuple(
            tuple(racks)
            for racks in together.values()
            if len(racks) > 1 and all(serves[tap] == set(racks) for tap in self._direct(racks[0]))
        )
        return Sharing(parts, groups)

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
        """Return who holds each rack at an instant; the same object while no holding begins or ends."""
        if not self._held_from_ms <= instant_ms < self._held_until_ms:
            changes = self._site.changes_ms()
            self._held_from_ms = max((ms for ms in changes if ms <= instant_ms), default=-UNBOUNDED)
            self._held_until_ms = min((ms for ms in changes if ms > instant_ms), default=UNBOUNDED)
            held = {rack: tenant.id for tenant in self._site.tenants for rack in tenant.racks_at(instant_ms)}
            self._holders = tuple(held.get(rack, OPERATOR) for rack in self.racks)
        return self._holders

    def groups(self, streams: Mapping[AssetId, Iterable[str]]) -> dict[str, Index]:
        """Return what racks have in common, each with the places of its racks among `racks`.

        Args:
            streams: Names of the streams that each rack's power comes by.
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

    # Units ----------------------------------------------------------------------------

    def _units(self, place: int, racks: list[AssetId], version: Version | None) -> list[Unit]:
        boundary = version.boundary if version else Boundary.RACK_INPUT
        if version is not None and boundary is Boundary.NAMED_METERS:
            meters = dict.fromkeys(AssetId(meter) for meter in version.meters)
            return [Unit(frozenset(), place, self._meters([meter]), meters=(meter,)) for meter in meters]
        if boundary is Boundary.TAP_METER:
            return [
                self._unit(place, together, version, self._taps(together, taps), tuple(taps))
                for together, taps in self._by_taps(racks)
            ]
        return [self._unit(place, [rack], version, self._own(rack)) for rack in racks]

    def _unit(
        self,
        place: int,
        racks: list[AssetId],
        version: Version | None,
        elements: Meters,
        taps: tuple[AssetId, ...] | None = None,
    ) -> Unit:
        ratings = [self._site.rack(rack).rating_milliwatts for rack in racks]
        agreed = version.rack_cap_milliwatts if version else None
        caps = [min((cap for cap in (rating, agreed) if cap is not None), default=None) for rating in ratings]
        return Unit(
            racks=frozenset(racks),
            tenant=place,
            elements=elements,
            cap=_total(caps),
            ceiling=_total([rating and round(rating * CREDIBLE) for rating in ratings]),
            floor=sum(self._site.rack(rack).floor_milliwatts for rack in racks),
            meters=taps,
        )

    def _own(self, rack: AssetId) -> Meters:
        """Return the meters that a rack's own power is the sum of."""
        error = self._error(rack, 0)
        whole, feeds = self._whole(rack), self._feed_points(rack)
        if whole != UNMETERED or not feeds:
            return Meters((whole,), (error,))
        found = feeds + (UNMETERED,) * (self._site.rack(rack).feeds - len(feeds))
        return Meters(found, (error,) * len(found))

    def _feed_points(self, rack: AssetId) -> tuple[int, ...]:
        by_feed = self._power.get(rack, {})
        return tuple(numbers[0] for feed, numbers in sorted(by_feed.items()) if feed)

    def _whole(self, asset: AssetId) -> int:
        """Return the point of an asset's power as a whole, the first that was known of several."""
        return self._power[asset][""][0] if asset in self._power and "" in self._power[asset] else UNMETERED

    def _error(self, asset: AssetId, otherwise: int) -> int:
        given = self._site.error_ppm(asset)
        return otherwise if given is None else given

    def _meters(self, meters: Iterable[AssetId], otherwise: int = 0) -> Meters:
        """Return meters, with an error for those without a class error."""
        listed = list(meters)
        errors = tuple(self._error(meter, otherwise) for meter in listed)
        return Meters(tuple(self._whole(meter) for meter in listed), errors)

    # What other meters claim ----------------------------------------------------------

    def _claims(self, tenants: tuple[TenantId, ...], units: list[Unit]) -> Iterator[Claim]:
        """Yield what meters claim that are not those of the boundary."""
        yield from self._claims_above(units)
        named: dict[int, list[int]] = defaultdict(list)
        for place, unit in enumerate(units):
            if unit.racks:
                yield from self._claims_beneath(tenants[unit.tenant], unit, place)
            else:
                named[unit.tenant].append(place)
        for tenant, places in named.items():
            groups = [[place] for place in places] + ([places] if len(places) > 1 else [])
            for group in groups:
                meters = tuple(sorted(meter for place in group for meter in units[place].meters or ()))
                racks = self._cuts.sees(meters) if self._meter_points.keys() >= set(meters) else frozenset()
                yield from self._beneath(tenants[tenant], meters, racks, frozenset(group))

    def _claims_above(self, units: list[Unit]) -> Iterator[Claim]:
        """Yield what the meters above units claim, where these are all that they see."""
        groups: dict[Cut, list[int]] = defaultdict(list)
        for place, unit in enumerate(units):
            if not unit.racks:
                continue
            taps = None if unit.meters is None else frozenset(unit.meters)
            for cut in self._cuts.above(min(unit.racks), taps):
                if unit.racks <= self._cuts.sees(cut):
                    groups[cut].append(place)
        taken: set[AssetId] = set()
        for cut, places in sorted(groups.items(), key=lambda group: (len(group[1]), group[0])):
            if sum(len(units[place].racks) for place in places) == len(self._cuts.sees(cut)):
                # A meter of its own, as an operator knows it, stands for all of them.
                first = next((meter for meter in cut if meter not in taken), None)
                taken |= set() if first is None else {first}
                yield Claim(
                    key=first or _called(cut),
                    meters=self._meters(cut, self._tolerance_ppm),
                    names=cut,
                    loss_ppm=self._loss_ppm,
                    is_above=True,
                    units=frozenset(places),
                )

    def _claims_beneath(self, tenant: TenantId, unit: Unit, place: int) -> Iterator[Claim]:
        """Yield what the racks beneath taps claim, or the feeds of a rack that is metered as a whole."""
        if unit.meters is not None:
            yield from self._beneath(tenant, unit.meters, unit.racks, frozenset([place]))
            return
        (rack,) = unit.racks
        feeds = self._feed_points(rack)
        if self._whole(rack) != UNMETERED and len(feeds) == self._site.rack(rack).feeds:
            yield Claim(
                key=f"{rack} by feed",
                meters=Meters(feeds, (self._error(rack, self._tolerance_ppm),) * len(feeds)),
                names=tuple(f"{rack} feed {feed}" for feed in sorted(self._power[rack]) if feed),
                loss_ppm=0,
                is_above=False,
                units=frozenset([place]),
            )

    def _beneath(
        self, tenant: TenantId, meters: tuple[AssetId, ...], racks: frozenset[AssetId], units: frozenset[int]
    ) -> Iterator[Claim]:
        """Yield what racks claim of the meters that serve them all, where each has a meter of its own."""
        own = [self._own(rack) for rack in sorted(racks)]
        points = tuple(point for one in own for point in one.points)
        if not meters or not points or UNMETERED in points:
            return
        errors = (
            self._error(rack, self._tolerance_ppm)
            for rack, one in zip(sorted(racks), own, strict=True)
            for _ in one.points
        )
        yield Claim(
            key=f"{_called(meters)} for {tenant}",
            meters=Meters(points, tuple(errors)),
            names=tuple(rack for rack, one in zip(sorted(racks), own, strict=True) for _ in one.points),
            loss_ppm=self._loss_ppm,
            is_above=False,
            units=units,
        )

    # Taps -----------------------------------------------------------------------------

    def _direct(self, rack: AssetId) -> list[AssetId]:
        """Return the meters that serve a rack directly."""
        return [meter for meter in self._cuts.parents.get(rack, ()) if meter in self._meter_points]

    def _taps(self, racks: list[AssetId], taps: Iterable[AssetId]) -> Meters:
        """Return the meters that serve racks directly, with one for each that is missing."""
        own = frozenset(taps)
        found = [sum(meter in own for meter in self._direct(rack)) for rack in racks]
        missing = sum(
            max(self._site.rack(rack).feeds - count, 0 if count else 1)
            for rack, count in zip(racks, found, strict=True)
        )
        there = self._meters(sorted(own, key=self._meter_points.__getitem__))
        return Meters(there.points + (UNMETERED,) * missing, there.errors + (0,) * missing)

    def _by_taps(self, racks: list[AssetId]) -> list[tuple[list[AssetId], list[AssetId]]]:
        """Part racks so that no meter serves two parts; each with the meters that serve it alone.

        A meter that serves something else as well, such as a rack of another tenant, tells no part: it is no
        tap of any tenant.
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


def _called(meters: Sequence[AssetId]) -> str:
    """Return what several meters are called together."""
    more = f"+{len(meters) - NAMED} more" if len(meters) > NAMED else ""
    return "+".join(meters[:NAMED]) + more


def _total(parts: Iterable[int | None]) -> int | None:
    """Return the sum, None where a part is not known."""
    known = list(parts)
    return None if None in known else sum(part for part in known if part is not None)
