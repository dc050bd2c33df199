"""From the tables of a site file to the site, with everything that one table alone cannot tell.

The invariants are our choice: a rack is one tenant's at any instant, exactly
one version of a contract is in force at any instant, a ramp rises in time and never above the commitment,
a minimum is no more than the commitment, blocks divide a day.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType
from zoneinfo import ZoneInfo

from facility.errors import Fault
from facility.graph import cycle_in
from facility.instants import to_iso
from facility.kinds import KINDS
from facility.names import OPERATOR, AssetId, TenantId, nearest
from facility.patterns import PatternError, choose, expand, is_open
from facility.points import Asset
from facility.site import Holding, Rack, Site, Tenant
from facility.sitefile.advice import warnings_of
from facility.sitefile.contracts import build_contract
from facility.sitefile.notes import Located, Notes, milliwatts_of_kw, milliwatts_of_mw
from facility.sitefile.tables import (
    NAMES_PUBLISHERS,
    RECEIVERS,
    AcknowledgeTable,
    AssetTable,
    BrokerTable,
    CanaryTable,
    GridTable,
    RackTable,
    Rated,
    RatedAsset,
    RouteTable,
    SiteTable,
    SmtpTable,
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
        self._settings: dict[AssetId, Mapping[str, float]] = {}
        self._any_rack = Rack(id=AssetId(""))

    def build(
        self,
        table: SiteTable | None,
        *,
        racks: list[Located[RackTable]],
        assets: list[Located[AssetTable]],
        tenants: list[Located[TenantTable]],
        grid: GridTable | None = None,
    ) -> Site | None:
        """Build the site, as far as its tables could be read.

        Args:
            table: `[site]`, None where it could not be read.
            racks: The `[[rack]]` tables that could be read.
            assets: The `[[asset]]` tables that could be read.
            tenants: The `[[tenant]]` tables that could be read.
            grid: `[grid]`, None where there is none.

        Returns:
            The site; None where there are faults.
        """
        if table is not None:
            self.notes.zone = ZoneInfo(table.timezone)
            meters = ((f"site.supply_meters[{i}]", meter) for i, meter in enumerate(table.supply_meters))
            self.notes.unique(meters, "a meter that is not counted twice")
        declared = self._racks(table, racks, tenants)
        built = tuple(self._tenant(located, declared) for located in tenants)
        self._check_tenants(tenants, built)
        graph = self._assets(assets, declared)
        if table is None or self.notes.faults:
            return None
        firm = table.firm_capacity_mw
        site = Site(
            name=table.name,
            zone=self.notes.zone,
            racks=declared,
            any_rack=self._any_rack,
            tenants=built,
            assets=graph,
            firm_capacity_milliwatts=None if firm is None else milliwatts_of_mw(firm),
            supply_meters=tuple(AssetId(meter) for meter in table.supply_meters),
            meter_errors_ppm=MappingProxyType(
                {
                    AssetId(a.table.id): _millionths(a.table.error_percent)
                    for a in assets
                    if a.table.error_percent is not None
                }
            ),
            meter_tolerance_percent=table.meter_tolerance_percent,
            path_loss_percent=table.path_loss_percent,
            settings=MappingProxyType(self._settings),
            runbooks=table.runbooks,
            grafana=table.grafana or "",
            grid=None if grid is None else grid.grid(),
        )
        self.notes.warnings += warnings_of(site)
        return site

    # What only the whole file can tell ------------------------------------------------

    def check_brokers(self, brokers: list[Located[BrokerTable]]) -> None:
        """Check that each broker can be told from the others."""
        self.notes.unique(((b.path + ".name", b.table.name) for b in brokers), "a name of its own")
        for located in brokers:
            path, broker = located.path, located.table
            if broker.password_file is not None and broker.username is None:
                self.notes.fault(f"{path}.username", "a user name beside password_file", "nothing")
            if (
                broker.format in NAMES_PUBLISHERS
                and broker.publishers is None
                and self.notes.could_read(path)
            ):
                self.notes.warn(
                    f"{path}.publishers",
                    "none is named, so those that describe the site in the first minutes"
                    " of the first start is believed; `megawatch discover` writes who publishes",
                )
            for name in ("ca_file", "cert_file"):
                if getattr(broker, name) is not None and broker.url.startswith("mqtt:"):
                    self.notes.fault(f"{path}.url", f"mqtts:// beside {name}", f"'{broker.url}'")
            if broker.key_file is not None and broker.cert_file is None:
                self.notes.fault(f"{path}.cert_file", "the certificate of key_file", "nothing")

    def check_feed(self, brokers: list[Located[BrokerTable]], *, is_read: bool) -> None:
        """Check that a feed is read, and that nothing else is: one source numbers the points of a site."""
        if not is_read:
            self.notes.warn("influxdb", "it is not read: say so with source = 'influxdb' in [rules]")
        elif brokers:
            expected = "no broker beside rules.source = 'influxdb', under which every judgement waits"
            self.notes.fault(brokers[0].path, expected, f"'{brokers[0].table.url}'")

    def check_routes(self, routes: list[Located[RouteTable]], tenants: list[Located[TenantTable]]) -> None:
        """Check that each route leads somewhere and is about tenants that there are."""
        known = [located.table.id for located in tenants]
        for located in routes:
            target = located.table.to
            if not any(getattr(target, name) for name in RECEIVERS):
                expected = f"{', '.join(RECEIVERS[:-1])} or {RECEIVERS[-1]}"
                self.notes.fault(f"{located.path}.to", expected, "none of them")
            for i, tenant in enumerate(located.table.tenant or ()):
                if tenant not in known:
                    self.notes.unknown(f"{located.path}.tenant[{i}]", "a tenant's id", tenant, known)
            for i, pattern in enumerate(located.table.asset or ()):
                try:
                    choose(pattern, ())
                except PatternError as error:
                    self.notes.fault(f"{located.path}.asset[{i}]", error.expected, error.found)
            if located.table.repeat_s and located.table.to.alertmanager:
                self.notes.warn(
                    f"{located.path}.repeat_s", "Alertmanager repeats by its own `repeat_interval`"
                )
        self._check_late_routes(routes)

    def _check_late_routes(self, routes: list[Located[RouteTable]]) -> None:
        """Check that what nobody acknowledges is told first, and then to somebody else."""
        late = [located for located in routes if located.table.unacknowledged_s]
        at_once = [located.table.to for located in routes if not located.table.unacknowledged_s]
        for located in late:
            if located.table.to in at_once:
                self.notes.warn(
                    f"{located.path}.unacknowledged_s",
                    "another route tells the same receiver at once: it is told of an alarm once alone",
                )
        if late and len(late) == len(routes):
            self.notes.warn(
                f"{late[0].path}.unacknowledged_s",
                "no route is told at once: every alarm waits until nobody has acknowledged it",
            )

    def check_mail(self, routes: list[Located[RouteTable]], smtp: SmtpTable) -> None:
        """Check that there is a server for the mail that routes ask for."""
        if any(located.table.to.email for located in routes):
            for name, what in (("host", "a mail server"), ("sender", "the address that mail comes from")):
                if not getattr(smtp, name):
                    self.notes.fault(f"smtp.{name}", f"{what}, as a route has email", "nothing")

    def check_canary(self, table: CanaryTable, brokers: list[Located[BrokerTable]]) -> None:
        """Check that the canary has a broker to be published at, and a receiver."""
        if not any(getattr(table.to, name) for name in RECEIVERS):
            self.notes.fault("canary.to", f"{', '.join(RECEIVERS[:-1])} or {RECEIVERS[-1]}", "none of them")
        names = [located.table.name for located in brokers]
        if not brokers:
            self.notes.fault("canary", "a broker beside it", "none")
        elif table.broker is not None and table.broker not in names:
            self.notes.unknown("canary.broker", "the name of a broker", table.broker, names)

    def check_acknowledge(self, table: AcknowledgeTable) -> None:
        """Check that links can be signed and reached, and that a port is there for what comes back."""
        for name, other in (("url", "secret_file"), ("secret_file", "url")):
            if getattr(table, name) and not getattr(table, other):
                self.notes.fault(f"acknowledge.{other}", f"one beside `{name}`", "nothing")
        if table.port and not (table.secret_file or table.pagerduty_secret_file):
            expected = "`secret_file` or `pagerduty_secret_file` beside a port"
            self.notes.fault("acknowledge.port", expected, "neither")
        if not table.port and (table.secret_file or table.pagerduty_secret_file):
            self.notes.fault("acknowledge.port", "a port that acknowledgements come back to", "none")

    # Racks ----------------------------------------------------------------------------

    def _racks(
        self,
        table: SiteTable | None,
        racks: list[Located[RackTable]],
        tenants: list[Located[TenantTable]],
    ) -> dict[AssetId, Rack]:
        rating = _milliwatts(table.rack_rating_kw) if table else None
        feeds = table.rack_feeds if table else 2
        error = table.rack_error_percent if table else None
        usual = self._any_rack = Rack(
            id=AssetId(""),
            rating_milliwatts=rating,
            feeds=feeds,
            error_ppm=None if error is None else _millionths(error),
        )
        declared: dict[AssetId, Rack] = {}
        for located in racks:
            path, row = f"{located.path}.ids", located.table
            own = rating if row.rating_kw is None else _milliwatts(row.rating_kw)
            chosen = self._select(path, row.ids)
            for pattern in chosen.open:
                self.notes.fault(path, "ids or finite patterns, without * and ?", f"'{pattern}'")
            for name in chosen.finite:
                if name in declared:
                    self.notes.fault(path, "racks of no other [[rack]] table", f"'{name}'")
                self._rate(name, row)
                declared[name] = Rack(
                    id=name,
                    rating_milliwatts=own,
                    floor_milliwatts=round((own or 0) * row.floor_percent / 100),
                    feeds=row.feeds or feeds,
                    error_ppm=usual.error_ppm
                    if row.error_percent is None
                    else _millionths(row.error_percent),
                )
        listed = frozenset(declared)
        for tenant in tenants:
            for i, holding in enumerate(tenant.table.holds):
                if holding is None:
                    continue
                path = f"{tenant.path}.holds[{i}].racks"
                for name in self._select(path, holding.racks).finite:
                    if listed and name not in listed:
                        hint = nearest(name, listed)
                        self.notes.warn(
                            path, f"no [[rack]] table names '{name}'" + (f"; {hint}" if hint else "")
                        )
                    declared.setdefault(name, replace(usual, id=name))
        return declared

    def _rate(self, asset: AssetId, row: Rated) -> None:
        """Note what an asset is rated."""
        fields = (RatedAsset if isinstance(row, RatedAsset) else Rated).model_fields
        rated = {name: getattr(row, name) for name in fields}
        if isinstance(row, RackTable) and row.live is not None:
            rated["live"] = float(row.live)
        if any(value is not None for value in rated.values()):
            self._settings[asset] = {name: value for name, value in rated.items() if value is not None}

    def _select(self, path: str, patterns: list[str]) -> _Selection:
        """Sort patterns into the racks they name outright and those that only choose; once a place."""
        if path not in self._selections:
            finite: dict[AssetId, None] = {}
            undecided: list[str] = []
            for pattern in patterns:
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

    def _chosen(self, path: str, patterns: list[str], known: Collection[AssetId]) -> tuple[AssetId, ...]:
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
        for located in assets:
            self._rate(AssetId(located.table.id), located.table)
            kind = located.table.kind
            if kind not in KINDS:
                hint = nearest(kind, KINDS)
                self.notes.warn(
                    f"{located.path}.kind",
                    f"nothing is known of the kind '{kind}', so no power is taken to pass through it"
                    + (f"; {hint}" if hint else ""),
                )
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
            if entry is None:
                continue
            place = f"{path}.holds[{i}]"
            starts = self.notes.instant(f"{place}.from", entry.starts)
            ends = None if entry.ends is None else self.notes.instant(f"{place}.to", entry.ends)
            if ends is not None and ends <= starts:
                self.notes.fault(f"{place}.to", f"an instant after {entry.starts}", str(entry.ends))
            chosen = self._chosen(f"{place}.racks", entry.racks, racks)
            holdings.append(Holding(racks=chosen, from_ms=starts, to_ms=ends))
        return Tenant(
            id=TenantId(row.id),
            name=row.name or row.id,
            holdings=tuple(holdings),
            contract=build_contract(self.notes, path, row.contract),
        )

    def _check_tenants(self, tenants: list[Located[TenantTable]], built: tuple[Tenant, ...]) -> None:
        self.notes.unique(((t.path + ".id", t.table.id) for t in tenants), "an id of its own")
        for located in tenants:
            if located.table.id == OPERATOR:
                self.notes.fault(
                    f"{located.path}.id", "another id: this one is the site's own load", OPERATOR
                )
        self._check_holders(tenants, built)

    def _check_holders(self, tenants: list[Located[TenantTable]], built: tuple[Tenant, ...]) -> None:
        spans: dict[AssetId, list[tuple[int, int, float]]] = {}
        for index, tenant in enumerate(built):
            for holding in tenant.holdings:
                end = float("inf") if holding.to_ms is None else holding.to_ms
                for rack in holding.racks:
                    spans.setdefault(rack, []).append((holding.from_ms, index, end))
        told: set[tuple[int, int]] = set()
        for rack, held in spans.items():
            until: dict[int, float] = {}
            for start, second, end in sorted(held):
                holder = next((i for i, over in until.items() if i != second and start < over), second)
                if holder != second and {(holder, second), (second, holder)}.isdisjoint(told):
                    told.add((holder, second))
                    self.notes.fault(
                        f"{tenants[second].path}.holds",
                        f"racks that no other tenant holds from {to_iso(start)} on",
                        f"'{rack}', which '{built[holder].id}' holds then",
                    )
                until[second] = max(end, until.get(second, end))


def _millionths(percent: float) -> int:
    return round(percent * 10_000)


def _milliwatts(kilowatts: Decimal | None) -> int | None:
    return None if kilowatts is None else milliwatts_of_kw(kilowatts)
