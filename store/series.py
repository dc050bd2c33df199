"""The engine's own results as series: what Grafana shows beside the readings and statements are made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

# Rows hold nothing but texts and numbers: the search for cycles of references leaves them out (`gc=False`).
MILLIWATT_MS_IN_KWH: Final = 3_600_000_000_000


class TenantDraw(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False, tag="tenant"):
    """One tenant at one moment.

    Attributes:
        tenant: Id of the tenant.
        low_milliwatts: The draw is at least this [mW].
        best_milliwatts: The best estimate of it [mW]; None where there is none yet.
        high_milliwatts: At most this [mW]; None where there is no bound.
        limit_milliwatts: What may be drawn [mW]; None without a contract in force.
        coverage: Share of the held rating that is covered by fresh readings, 0 to 1.
        demand_kw: Mean of the open demand block so far [kW]; None without blocks.
        forecast_kw: Its mean at its end if nothing changes [kW]; None without blocks.
        block_limit_kw: Its mean limit [kW]; None without blocks.
    """

    tenant: str
    low_milliwatts: int
    best_milliwatts: int | None
    high_milliwatts: int | None
    limit_milliwatts: int | None
    coverage: float
    demand_kw: float | None
    forecast_kw: float | None
    block_limit_kw: float | None


class RackDraw(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False, tag="rack"):
    """One rack over one minute, looked at once a second, whatever meters it is measured by.

    Attributes:
        rack: Id of the rack.
        tenant: Id of the tenant that held it at the minute's end.
        start_ms: When the minute begins [ms].
        mean_milliwatts: The mean of what it drew while its power was known [mW].
        most_milliwatts: The most of it [mW].
        coverage: The share of the minute in which it was known, above 0 to 1.
    """

    rack: str
    tenant: str
    start_ms: int
    mean_milliwatts: int
    most_milliwatts: int
    coverage: float


class FeedDraw(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False, tag="feed"):
    """One node of the power chain over one minute: what it carried, and what it would carry alone.

    Attributes:
        feed: Id of the node.
        kind: Its object type, such as PowerMeter or UPS.
        start_ms: When the minute begins [ms].
        racks: How many racks hang on it, with one feed or with several.
        metered_milliwatts: The mean of what its own meter said [mW]; None where it said nothing.
        racks_milliwatts: The mean of what its racks drew, from whatever feeds [mW], best estimate: what it
            would carry, without losses, were every other feed of them lost.
        most_milliwatts: The most of that [mW].
        coverage: The share of racks and minute in which their power was known, 0 to 1.
        amps: Its highest line current at the minute's end [A]; None where that is not known.
        limit_amps: What it may carry [A]; None where that is not known.
        alone_amps: What that current would be were every other feed of its racks lost [A]: it grows as the
            power does. None where that is not known, or where it carries nothing now.
    """

    feed: str
    kind: str
    start_ms: int
    racks: int
    metered_milliwatts: int | None
    racks_milliwatts: int
    most_milliwatts: int
    coverage: float
    amps: float | None = None
    limit_amps: float | None = None
    alone_amps: float | None = None


class SiteDraw(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False, tag="site"):
    """The site over one minute, and what was promised and can be delivered at its end.

    Attributes:
        start_ms: When the minute begins [ms].
        racks_milliwatts: The mean of what all racks drew [mW], best estimate.
        most_milliwatts: The most of that [mW].
        supply_milliwatts: The mean of what the meters of the site's supply said together, while all of
            them spoke [mW]; None where they never did, or none are named.
        limit_milliwatts: What all tenants together may draw now [mW].
        sold_milliwatts: What is committed to them once every ramp is over [mW].
        firm_milliwatts: What the plant delivers with one unit lost [mW]; None where that is not known.
        coverage: The share of racks and minute in which their power was known, above 0 to 1.
    """

    start_ms: int
    racks_milliwatts: int
    most_milliwatts: int
    supply_milliwatts: int | None
    limit_milliwatts: int
    sold_milliwatts: int
    firm_milliwatts: int | None
    coverage: float


class DemandBlock(msgspec.Struct, frozen=True, kw_only=True):
    """The demand block of one tenant, closed.

    Energies are exact integers of milliwatt-milliseconds: 3.6e12 of them are a kilowatt-hour.

    Attributes:
        tenant: Id of the tenant.
        from_ms: Its start [ms].
        to_ms: Its end [ms].
        method: The contract's limit method, such as `block` or `rolling`.
        version_from_ms: From when the contract version is in force by which it was judged [ms].
        low_milliwatt_ms: What was drawn at least [mW·ms].
        best_milliwatt_ms: The best estimate of it [mW·ms].
        high_milliwatt_ms: What was drawn at most [mW·ms]; None where there is no bound.
        allowed_milliwatt_ms: The integral of the limit over it [mW·ms].
        coverage: Share of it that was covered by readings, 0 to 1.
        verdict: 0 where it kept its allowance for certain, 1 where it broke it for certain, else 2.
        is_settled: Whether everything that arrived later at its own source time is in it; else it is what
            was known as the block closed.
    """

    tenant: str
    from_ms: int
    to_ms: int
    method: str
    version_from_ms: int
    low_milliwatt_ms: int
    best_milliwatt_ms: int
    high_milliwatt_ms: int | None
    allowed_milliwatt_ms: int
    coverage: float
    verdict: int
    is_settled: bool = False

    @property
    def demand_kw(self) -> float:
        """Its mean [kW], best estimate."""
        return self.mean_kw(self.best_milliwatt_ms)

    @property
    def limit_kw(self) -> float:
        """Its mean limit [kW]."""
        return self.mean_kw(self.allowed_milliwatt_ms)

    def mean_kw(self, milliwatt_ms: int) -> float:
        """Return an energy over the block as a mean [kW]."""
        return milliwatt_ms / (self.to_ms - self.from_ms) / 1e6

    @staticmethod
    def kwh(milliwatt_ms: int) -> float:
        """Return an energy in kilowatt-hours."""
        return milliwatt_ms / MILLIWATT_MS_IN_KWH


Rollup = RackDraw | FeedDraw | SiteDraw
"""What is told once a minute."""
AnyDraw = TenantDraw | Rollup
"""A row of the engine's series; tenants have one each second."""


def tenants_of(rows: Iterable[AnyDraw]) -> list[TenantDraw]:
    """Return the rows that are of tenants."""
    return [row for row in rows if isinstance(row, TenantDraw)]


def rollups_of(rows: Iterable[AnyDraw]) -> list[Rollup]:
    """Return the rows that are told once a minute."""
    return [row for row in rows if not isinstance(row, TenantDraw)]


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How the pipeline itself does, at one moment: what stands on the site's own dashboard.

    Attributes:
        at_ms: When [ms].
        figures: Counters and gauges by name (`received`, `influx_lag_s`, ...): names as in `status`.
        dead_lettered: Readings and messages refused since the beginning, by reason.
    """

    at_ms: int
    figures: dict[str, float]
    dead_lettered: dict[str, int] = msgspec.field(default_factory=dict)


class DrawMean(msgspec.Struct, frozen=True, kw_only=True):
    """One tenant over one step.

    Attributes:
        tenant: Id of the tenant.
        step_ms: Length of the step [ms].
        start_ms: When it begins [ms].
        known: The share of it for which there were draws, 0 to 1.
        most_mw: The highest best estimate in it [MW].
        figures: Means by the name of the figure; power in MW. What is not known is not there.
    """

    tenant: str
    step_ms: int
    start_ms: int
    known: float
    most_mw: float
    figures: dict[str, float]
