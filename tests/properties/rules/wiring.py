"""Halls as Hypothesis draws them: wired, and with power that truly flows through their meters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st
from msgspec.structs import replace

from facility.contracts import Boundary, Version
from facility.names import AssetId
from facility.points import Asset
from facility.site import Rack, Site, Tenant
from store.journal.entries import Known
from testing.rules.halls import (
    a_meter,
    a_site,
    a_tenant,
    a_version,
    known_meter,
    known_rack,
)

PPM = 1_000_000
TENANTS = ("acme", "bell", "operator")
RATING = 100_000_000
LEVELS = 3
"""Meters above each other on the way to a rack: tap, busway, main."""


@dataclass(frozen=True)
class RackDraft:
    """One rack as it is drawn."""

    row: int
    tenant: int
    is_rated: bool
    floor: int
    meters: str
    powers: tuple[int, int]
    has_taps: tuple[bool, bool]
    is_beyond: bool


@dataclass(frozen=True)
class RowDraft:
    """One row of racks: its busways, and whether something unknown hangs on them."""

    bus_metered: tuple[bool, bool]
    has_taps: bool
    dangling: int
    feeds: int


@dataclass(frozen=True)
class HallDraft:
    """A hall as it is drawn."""

    rows: tuple[RowDraft, ...]
    racks: tuple[RackDraft, ...]
    boundaries: tuple[Boundary, Boundary]
    loss_factors: tuple[float, float]
    main_metered: bool
    errors: tuple[int, ...]
    losses: tuple[int, ...]


@dataclass
class Hall:
    """A hall that was wired: what there is, and what truly flows.

    Attributes:
        site: The site.
        known: Its points.
        power: What each point truly measures, or says with its meter's error [mW].
        beyond: Points whose value is more than their rack's rating allows.
        truth: What each tenant truly draws at its boundary [mW].
        loss_ppm: Power at the delivery point for a million at the boundary.
    """

    site: Site
    known: list[Known] = field(default_factory=list)
    power: list[int] = field(default_factory=list)
    beyond: set[int] = field(default_factory=set)
    truth: dict[str, int] = field(default_factory=dict)
    loss_ppm: dict[str, int] = field(default_factory=dict)


_RACKS = st.builds(
    RackDraft,
    row=st.integers(0, 1),
    tenant=st.integers(0, 2),
    is_rated=st.integers(0, 4).map(bool),
    floor=st.sampled_from((0, 0, 5_000_000)),
    meters=st.sampled_from(("whole", "whole", "feeds", "one feed", "none")),
    powers=st.tuples(st.integers(3_000_000, RATING // 2), st.integers(3_000_000, RATING // 2)),
    has_taps=st.tuples(st.booleans(), st.booleans()),
    is_beyond=st.integers(0, 6).map(lambda number: number == 0),
)
_ROWS = st.builds(
    RowDraft,
    bus_metered=st.tuples(st.booleans(), st.booleans()),
    has_taps=st.booleans(),
    dangling=st.sampled_from((0, 0, 0, 7_000_000)),
    feeds=st.sampled_from((1, 2, 2)),
)
HALLS = st.builds(
    HallDraft,
    rows=st.tuples(_ROWS, _ROWS),
    racks=st.lists(_RACKS, min_size=1, max_size=6).map(tuple),
    boundaries=st.tuples(st.sampled_from(list(Boundary)), st.sampled_from(list(Boundary))),
    loss_factors=st.tuples(st.sampled_from((1.0, 1.0, 0.987654, 1.031)), st.just(1.0)),
    main_metered=st.booleans(),
    errors=st.lists(st.integers(-9_900, 9_900), min_size=8, max_size=8).map(tuple),
    losses=st.lists(st.integers(0, 15_000 // LEVELS), min_size=8, max_size=8).map(tuple),
)


class Wiring:
    """Wires a hall, and lets power flow from its racks up to the main meter."""

    def __init__(self, draft: HallDraft) -> None:
        self._draft = draft
        self._meters = 0
        self._assets: list[Asset] = []
        self._flow: dict[str, int] = {}
        self._metered: set[str] = set()
        self._racks = {f"r{number}": rack for number, rack in enumerate(draft.racks)}

    def hall(self) -> Hall:
        """Return the hall."""
        rows = sorted({rack.row for rack in self._racks.values()})
        buses = [bus for row in rows for bus in self._busways(row)]
        self._serve("main", buses, is_metered=self._draft.main_metered)
        hall = Hall(self._site())
        for name in self._racks:
            self._add_own(hall, name)
        for meter in sorted(self._metered):
            hall.known.append(known_meter(len(hall.known), meter))
            hall.power.append(self._said(meter, len(hall.known)))
        for place, tenant in enumerate(TENANTS):
            version = self._version(place)
            hall.truth[tenant] = self._truth(place, version)
            hall.loss_ppm[tenant] = round(version.loss_factor * PPM) if version else PPM
        return hall

    def _busways(self, row: int) -> list[str]:
        """Wire the busways of a row, and the taps of its racks."""
        made = self._draft.rows[row]
        racks = [name for name, rack in self._racks.items() if rack.row == row]
        for feed in range(made.feeds):
            children = []
            for name in racks:
                flow = self._feed(name, feed)
                if made.has_taps:
                    self._flow[name] = flow
                    tap = f"tap-{name}-{feed}"
                    self._serve(tap, [name], is_metered=self._racks[name].has_taps[feed])
                    children.append(tap)
                else:
                    children.append(name)
            self._flow |= {name: self._feed(name, feed) for name in racks}
            if made.dangling:
                children.append(f"unknown-{row}")
                self._flow[f"unknown-{row}"] = made.dangling
            self._serve(f"bus-{row}-{feed}", children, is_metered=made.bus_metered[feed])
        return [f"bus-{row}-{feed}" for feed in range(made.feeds)]

    def _serve(self, meter: str, children: Sequence[str], *, is_metered: bool) -> None:
        beneath = sum(self._flow.get(child, 0) for child in children)
        # On the way from a meter to a rack that it serves directly nothing is lost: it is the boundary.
        is_last = any(child in self._racks for child in children)
        lost = 0 if is_last else beneath * self._draft.losses[self._meters % 8] // PPM
        self._meters += 1
        self._flow[meter] = beneath + lost
        self._assets.append(a_meter(meter, *children))
        if is_metered:
            self._metered.add(meter)

    def _feed(self, name: str, feed: int) -> int:
        """Return what a rack truly takes from one feed."""
        rack = self._racks[name]
        power = rack.powers[feed]
        return power * 3 if self._is_beyond(name) else power

    def _feeds(self, name: str) -> int:
        return self._draft.rows[self._racks[name].row].feeds

    def _total(self, name: str) -> int:
        return sum(self._feed(name, feed) for feed in range(self._feeds(name)))

    def _is_beyond(self, name: str) -> bool:
        """Tell whether a rack draws more than it is rated, which only its own meter can say."""
        rack = self._racks[name]
        version = self._version(rack.tenant)
        measured_at_racks = version is None or version.boundary is Boundary.RACK_INPUT
        return rack.is_beyond and rack.meters != "none" and measured_at_racks

    def _version(self, place: int) -> Version | None:
        if TENANTS[place] == "operator":
            return None
        boundary = self._draft.boundaries[place]
        rows = {rack.row for rack in self._racks.values() if rack.tenant == place}
        meters = tuple(
            f"bus-{row}-{feed}" for row in sorted(rows) for feed in range(self._draft.rows[row].feeds)
        )
        if boundary is Boundary.NAMED_METERS and not meters:
            boundary = Boundary.RACK_INPUT
        return a_version(
            100,
            boundary=boundary,
            meters=meters if boundary is Boundary.NAMED_METERS else (),
            loss_factor=self._draft.loss_factors[place],
        )

    def _site(self) -> Site:
        racks = {
            AssetId(name): Rack(
                id=AssetId(name),
                rating_milliwatts=round(RATING * 1.02) if rack.is_rated else None,
                floor_milliwatts=min(rack.floor, self._total(name)),
                feeds=self._feeds(name),
            )
            for name, rack in self._racks.items()
        }
        tenants: list[Tenant] = []
        for place, tenant in enumerate(TENANTS[:2]):
            version = self._version(place)
            assert version is not None
            held = [name for name, rack in self._racks.items() if rack.tenant == place]
            tenants.append(a_tenant(tenant, held, version))
        return a_site(racks, *tenants, assets=self._assets)

    def _add_own(self, hall: Hall, name: str) -> None:
        """Give a rack its own points, exact."""
        described = replace(known_rack(0, name), id=-1)
        own = {
            "whole": [("", self._total(name))],
            "feeds": [(str(feed), self._feed(name, feed)) for feed in range(self._feeds(name))],
            "one feed": [("0", self._feed(name, 0))],
            "none": [],
        }[self._racks[name].meters]
        if not own:
            # The rack is known, by something that is no power.
            coolant = replace(described.point, quantity="coolant.flow", unit="L/min")
            hall.known.append(replace(described, id=len(hall.known), point=coolant))
            hall.power.append(0)
        for feed, power in own:
            if self._is_beyond(name):
                hall.beyond.add(len(hall.known))
            hall.known.append(known_rack(len(hall.known), name, feed=feed))
            hall.power.append(power)

    def _is_boundary(self, meter: str) -> bool:
        """Tell whether a contract is measured at a meter: then what it says is the truth."""
        for place in (0, 1):
            version = self._version(place)
            assert version is not None
            taps = {
                f"tap-{name}-{feed}"
                for name, rack in self._racks.items()
                for feed in (0, 1)
                if rack.tenant == place and version.boundary is Boundary.TAP_METER
            }
            if meter in version.meters or meter in taps or self._serves_directly(meter, place, version):
                return True
        return False

    def _serves_directly(self, meter: str, place: int, version: Version) -> bool:
        racks = {name for name, rack in self._racks.items() if rack.tenant == place}
        direct = {asset.id for asset in self._assets if racks & set(asset.serves)}
        return version.boundary is Boundary.TAP_METER and meter in direct

    def _said(self, meter: str, number: int) -> int:
        flow = self._flow[meter]
        if self._is_boundary(meter):
            return flow
        error = self._draft.errors[number % 8]
        return flow + flow * error // PPM

    def _truth(self, place: int, version: Version | None) -> int:
        boundary = Boundary.RACK_INPUT if version is None else version.boundary
        held = [name for name, rack in self._racks.items() if rack.tenant == place]
        if boundary is Boundary.NAMED_METERS and version is not None:
            return sum(self._flow[meter] for meter in version.meters)
        return sum(self._total(name) for name in held)
