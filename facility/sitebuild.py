"""From the tables of a site file to the site, with everything that one table alone can not tell.

The invariants are those of the domain facts, section 10.1: a rack is one tenant's at any instant, exactly
one version of a contract is in force at any instant, a ramp rises in time and never above the commitment,
a minimum is no more than the commitment, blocks divide a day.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from facility.contractbuild import build_contract
from facility.contracts import Boundary, Method
from facility.errors import Fault
from facility.graph import cycle_in
from facility.instants import to_iso
from facility.names import OPERATOR, PATH_LENGTH, AssetId, TenantId
from facility.patterns import PatternError, choose, expand, is_open
from facility.points import Asset
from facility.site import Holding, Rack, Site, Tenant
from facility.sitenotes import KW, MW, Located, Notes
from facility.sitetables import (
    AssetTable,
    BrokerTable,
    EngineTable,
    RackTable,
    RouteTable,
    SiteTable,
    TenantTable,
)


@dataclass(frozen=True, slots=True)
class _Selection:
    """What patterns stand for: racks named outright, and patterns that only choose."""

    finite: tuple[AssetId, ...]
    open: tuple[str, ...]


class Builder:
    """Builds a site out of tables.

    Attributes:
        notes: Every fault and every warning that was found on the way.
    """

    def __init__(self, faults: list[Fault]) -> None:
        self.notes = Notes(faults)
        self._selections: dict[str, _Selection] = {}
        self._any_rack = Rack(id=AssetId(""))

    def build(
        self,
        table: SiteTable | None,
        *,
        racks: list[Located[RackTable]],
        assets: list[Located[AssetTable]],
        tenants: list[Located[TenantTable]],
    ) -> Site | None:
        """Build the site, as far as its tables could be read.

        Args:
            table: `[site]`, None where it could not be read.
            racks: The `[[rack]]` tables that could be read.
            assets: The `[[asset]]` tables that could be read.
            tenants: The `[[tenant]]` tables that could be read.

        Returns:
            The site; None where there are faults.
        """
        if table is not None:
            self._read_zone(table.timezone)
        declared = self._racks(table, racks, tenants)
        built = tuple(self._tenant(located, declared) for located in tenants)
        self._check_tenants(tenants, built)
        graph = self._assets(assets, declared)
        if table is None or self.notes.faults:
            return None
        site = Site(
            name=table.name,
            zone=self.notes.zone,
            racks=declared,
            any_rack=self._any_rack,
            tenants=built,
            assets=graph,
            firm_capacity_milliwatts=self.notes.power("site.firm_capacity_mw", table.firm_capacity_mw, MW),
            meter_tolerance_percent=table.meter_tolerance_percent,
            path_loss_percent=table.path_loss_percent,
        )
        self._warn(site)
        return site

    # What only the whole file can tell ------------------------------------------------

    def check_brokers(self, brokers: list[Located[BrokerTable]]) -> None:
        """Check that each broker can be told from the others."""
        self.notes.unique(((b.path + ".name", b.table.name) for b in brokers), "a name of its own")
        for located in brokers:
            path, broker = located.path, located.table
            if broker.password_file is not None and broker.username is None:
                self.notes.fault(f"{path}.username", "a user name beside password_file", "nothing")
            if broker.ca_file is not None and not broker.url.startswith("mqtts:"):
                self.notes.fault(f"{path}.url", "mqtts:// beside ca_file", f"'{broker.url}'")
            for i, topic in enumerate(broker.topics or ()):
                if not topic or "\0" in topic or len(topic) > PATH_LENGTH or topic.startswith("$share/"):
                    expected = "a topic filter that is not shared"
                    self.notes.fault(f"{path}.topics[{i}]", expected, f"'{topic[:60]}'")

    def check_engine(self, engine: EngineTable | None) -> None:
        """Check that ticks fall on whole seconds."""
        if engine is not None and 1_000 % engine.tick_ms:
            self.notes.fault("engine.tick_ms", "a divisor of 1,000", str(engine.tick_ms))

    def check_routes(self, routes: list[Located[RouteTable]], tenants: list[Located[TenantTable]]) -> None:
        """Check that each route leads somewhere and is about tenants that there are."""
        known = [located.table.id for located in tenants]
        for located in routes:
            target = located.table.to
            if target.webhook is None and not target.console:
                self.notes.fault(f"{located.path}.to", "webhook or console", "neither")
            for i, tenant in enumerate(located.table.tenant or ()):
                if tenant not in known:
                    self.notes.unknown(f"{located.path}.tenant[{i}]", "a tenant's id", tenant, known)

    # Racks ----------------------------------------------------------------------------

    def _racks(
        self,
        table: SiteTable | None,
        racks: list[Located[RackTable]],
        tenants: list[Located[TenantTable]],
    ) -> dict[AssetId, Rack]:
        rating = self.notes.power("site.rack_rating_kw", table.rack_rating_kw, KW) if table else None
        feeds = table.rack_feeds if table else 2
        self._any_rack = Rack(id=AssetId(""), rating_milliwatts=rating, feeds=feeds)
        declared: dict[AssetId, Rack] = {}
        for located in racks:
            path, row = f"{located.path}.ids", located.table
            own = self.notes.power(f"{located.path}.rating_kw", row.rating_kw, KW)
            own = rating if own is None else own
            chosen = self._select(path, row.ids)
            for pattern in chosen.open:
                self.notes.fault(path, "ids or finite patterns, without * and ?", f"'{pattern}'")
            for name in chosen.finite:
                if name in declared:
                    self.notes.fault(path, "racks of no other [[rack]] table", f"'{name}'")
                declared[name] = Rack(
                    id=name,
                    rating_milliwatts=own,
                    floor_milliwatts=round((own or 0) * row.floor_percent / 100),
                    feeds=row.feeds or feeds,
                )
        for tenant in tenants:
            for i, holding in enumerate(tenant.table.holds):
                for name in self._select(f"{tenant.path}.holds[{i}].racks", holding.racks).finite:
                    declared.setdefault(name, Rack(id=name, rating_milliwatts=rating, feeds=feeds))
        return declared

    def _select(self, path: str, patterns: str | list[str]) -> _Selection:
        """Sort patterns into the racks they name outright and those that only choose; once a place."""
        if path not in self._selections:
            finite: dict[AssetId, None] = {}
            undecided: list[str] = []
            for pattern in [patterns] if isinstance(patterns, str) else patterns:
                try:
                    if is_open(pattern):
                        choose(pattern, ())
                        undecided.append(pattern)
                    else:
                        finite.update((AssetId(name), None) for name in expand(pattern))
                except PatternError as error:
                    self.notes.fault(path, error.expected, error.found)
            self._selections[path] = _Selection(tuple(finite), tuple(undecided))
        return self._selections[path]

    def _chosen(
        self, path: str, patterns: str | list[str], known: Collection[AssetId]
    ) -> tuple[AssetId, ...]:
        selection = self._select(path, patterns)
        found = dict.fromkeys(selection.finite)
        for pattern in selection.open:
            matches = [AssetId(name) for name in choose(pattern, known)]
            if not matches:
                self.notes.unknown(path, "a pattern that matches a declared rack", pattern, known)
            found.update(dict.fromkeys(matches))
        return tuple(found)

    # The graph ------------------------------------------------------------------------

    def _assets(self, assets: list[Located[AssetTable]], racks: Mapping[AssetId, Rack]) -> tuple[Asset, ...]:
        self.notes.unique(((a.path + ".id", a.table.id) for a in assets), "an id of its own")
        known = [AssetId(located.table.id) for located in assets] + list(racks)
        built = tuple(
            Asset(
                id=AssetId(located.table.id),
                kind=located.table.kind,
                name=located.table.name,
                serves=self._chosen(f"{located.path}.serves", located.table.serves, known),
            )
            for located in assets
        )
        cycle = cycle_in(built)
        if cycle:
            self.notes.fault("asset", "a graph in which nothing serves itself", " → ".join(cycle))
        return built

    # Tenants --------------------------------------------------------------------------

    def _tenant(self, located: Located[TenantTable], racks: Mapping[AssetId, Rack]) -> Tenant:
        path, row = located.path, located.table
        holdings = []
        for i, entry in enumerate(row.holds):
            starts = self.notes.instant(entry.starts)
            ends = None if entry.ends is None else self.notes.instant(entry.ends)
            if ends is not None and ends <= starts:
                self.notes.fault(f"{path}.holds[{i}].to", f"an instant after {entry.starts}", str(entry.ends))
            chosen = self._chosen(f"{path}.holds[{i}].racks", entry.racks, racks)
            holdings.append(Holding(racks=chosen, from_ms=starts, to_ms=ends))
        contract = build_contract(self.notes, path, row.contract) if row.contract else None
        return Tenant(
            id=TenantId(row.id),
            name=row.name or row.id,
            holdings=tuple(holdings),
            contract=contract,
        )

    def _check_tenants(self, tenants: list[Located[TenantTable]], built: tuple[Tenant, ...]) -> None:
        self.notes.unique(((t.path + ".id", t.table.id) for t in tenants), "an id of its own")
        for located in tenants:
            if located.table.id == OPERATOR:
                self.notes.fault(
                    f"{located.path}.id", "another id: this one is the site's own load", OPERATOR
                )
        spans: dict[AssetId, list[tuple[int, float, int]]] = {}
        for index, tenant in enumerate(built):
            for holding in tenant.holdings:
                end = float("inf") if holding.to_ms is None else holding.to_ms
                for rack in holding.racks:
                    spans.setdefault(rack, []).append((holding.from_ms, end, index))
        told: set[tuple[int, int]] = set()
        for rack, held in spans.items():
            for (_, end, first), (start, _, second) in pairwise(sorted(held)):
                if start < end and (first, second) not in told:
                    told.add((first, second))
                    self.notes.fault(
                        f"{tenants[second].path}.holds",
                        f"racks that nobody else holds from {to_iso(start)} on",
                        f"'{rack}', which '{built[first].id}' holds then",
                    )

    def _warn(self, site: Site) -> None:
        committed = 0
        for tenant in site.tenants:
            if tenant.contract is None:
                continue
            version = tenant.contract.versions[-1]
            committed += version.committed_milliwatts
            if version.limit.method in (Method.PERCENTILE, Method.REGISTER):
                self.notes.warnings.append(
                    f"{tenant.id}: the method '{version.limit.method}' is recorded and not judged yet"
                )
            if version.burst_milliwatts:
                self.notes.warnings.append(
                    f"{tenant.id}: a burst counts into the limit; its minutes a month are not judged yet"
                )
            unrated = [
                rack
                for holding in tenant.holdings
                for rack in holding.racks
                if site.racks[rack].rating_milliwatts is None and version.rack_cap_milliwatts is None
            ]
            if unrated and version.boundary is not Boundary.NAMED_METERS:
                self.notes.warnings.append(
                    f"{tenant.id}: {len(unrated)} racks without a rating, such as '{unrated[0]}': "
                    "while one is silent, its draw has no upper bound"
                )
        if site.firm_capacity_milliwatts is not None and committed > site.firm_capacity_milliwatts:
            self.notes.warnings.append(
                f"{committed / MW:g} MW are committed to tenants, more than the firm "
                f"{site.firm_capacity_milliwatts / MW:g} MW of the plant"
            )

    def _read_zone(self, name: str) -> None:
        known = available_timezones()
        if name in known:
            self.notes.zone = ZoneInfo(name)
        else:
            self.notes.unknown("site.timezone", "an IANA zone such as America/Chicago", name, known)
