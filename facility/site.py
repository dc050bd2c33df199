"""The site: its racks, its tenants and what each holds when.

This is what a site file says once it has been read (`facility.sitefile.reader`), together with what follows
from it at an instant: who holds a rack, which version of a contract is in force.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from facility.contracts import Contract
from facility.grid import Grid
from facility.names import AssetId, TenantId
from facility.points import Asset

RUNBOOKS: Final = "docs/runbooks"
"""Where the runbooks of the rules are, as they come with Megawatch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rack:
    """A rack as the site file declares it.

    Attributes:
        id: Its id, as the bus and the site file write it.
        rating_milliwatts: The most that it can draw [mW]; None where that is not known, and then its silence
            leaves its tenant's draw without an upper bound.
        floor_milliwatts: The least that it draws while it is energised [mW]; 0 where that is not proved.
        feeds: How many power feeds it has.
        error_ppm: The class error of its own meter [millionths]; None where no class is given.
    """

    id: AssetId
    rating_milliwatts: int | None = None
    floor_milliwatts: int = 0
    feeds: int = 2
    error_ppm: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Racks that a tenant holds for a time.

    Attributes:
        racks: Ids of the racks.
        from_ms: From when [ms].
        to_ms: Until when, exclusive [ms]; None where no end is known.
    """

    racks: tuple[AssetId, ...]
    from_ms: int
    to_ms: int | None = None

    def holds_at(self, instant_ms: int) -> bool:
        """Tell whether the holding is in force at an instant."""
        return self.from_ms <= instant_ms and (self.to_ms is None or instant_ms < self.to_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """Who is sold power.

    Attributes:
        id: Its id, as alarms, series and commands write it.
        name: What people call it.
        holdings: What it holds and when.
        contract: What it may draw, None where it has no contract.
    """

    id: TenantId
    name: str
    holdings: tuple[Holding, ...]
    contract: Contract | None = None

    def racks_at(self, instant_ms: int) -> list[AssetId]:
        """Return the racks that it holds at an instant, each once, in the order of the file."""
        racks = (r for h in self.holdings if h.holds_at(instant_ms) for r in h.racks)
        return list(dict.fromkeys(racks))


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Everything that a site file says about the site itself.

    Attributes:
        name: The site's name, part of client ids and topics.
        zone: The time zone in which contracts and demand blocks begin and end.
        racks: Every declared rack, by its id.
        any_rack: What is taken of a rack that is heard and not declared.
        tenants: Every tenant, in the order of the file.
        assets: What the site file adds to the graph that the bus gives.
        firm_capacity_milliwatts: What the plant can deliver with one unit lost [mW], None if not said.
        supply_meters: Meters that together measure all that the site takes; none if not said.
        meter_errors_ppm: Class error of each meter that has one [millionths].
        meter_tolerance_percent: The class error that is assumed for a meter without one, where it is
            held against others [%].
        path_loss_percent: The most that is lost between a parent meter and the racks beneath it [%].
        settings: What assets are rated, by the name of the site file's field.
        runbooks: Where the runbooks of the rules are: an address or a folder.
        grafana: Address of the Grafana that has the dashboards; "" for none.
        grid: What the operator of the grid allows it, None where that is not said.
    """

    name: str
    zone: ZoneInfo
    racks: Mapping[AssetId, Rack] = field(default_factory=lambda: MappingProxyType({}))
    any_rack: Rack = field(default_factory=lambda: Rack(id=AssetId("")))
    tenants: tuple[Tenant, ...] = ()
    assets: tuple[Asset, ...] = ()
    firm_capacity_milliwatts: int | None = None
    supply_meters: tuple[AssetId, ...] = ()
    meter_errors_ppm: Mapping[AssetId, int] = field(default_factory=lambda: MappingProxyType({}))
    meter_tolerance_percent: float = 1.0
    path_loss_percent: float = 1.5
    settings: Mapping[AssetId, Mapping[str, float]] = field(
        default_factory=lambda: MappingProxyType({}), repr=False
    )
    runbooks: str = RUNBOOKS
    grafana: str = ""
    grid: Grid | None = None

    def runbook(self, file: str) -> str:
        """Return where a runbook is, by the name of its file."""
        return f"{self.runbooks.rstrip('/')}/{file}"

    def rack(self, rack: AssetId) -> Rack:
        """Return a rack, whether it is declared or only heard."""
        return self.racks.get(rack, self.any_rack)

    def error_ppm(self, asset: AssetId) -> int | None:
        """Return the class error of a rack's meter, or of a meter [millionths]; None where none is given."""
        if asset in self.meter_errors_ppm:
            return self.meter_errors_ppm[asset]
        return self.rack(asset).error_ppm

    def changes_ms(self) -> list[int]:
        """Return every instant at which a holding or a contract version begins or ends [ms]."""
        instants: set[int] = set()
        for tenant in self.tenants:
            for holding in tenant.holdings:
                instants.add(holding.from_ms)
                if holding.to_ms is not None:
                    instants.add(holding.to_ms)
            if tenant.contract is not None:
                instants.update(tenant.contract.changes_ms())
        return sorted(instants)
