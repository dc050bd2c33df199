"""The engine's own results as series: what Grafana shows beside the readings and statements are made of."""

from __future__ import annotations

import msgspec


class TenantDraw(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One tenant at one moment.

    Attributes:
        tenant: Who.
        low_milliwatts: The draw is at least this [mW].
        best_milliwatts: The best estimate of it [mW].
        high_milliwatts: At most this [mW]; None where nobody can tell.
        limit_milliwatts: What may be drawn [mW]; None without a contract in force.
        coverage: Share of the held rating that is covered by fresh readings, 0 to 1.
        demand_kw: Mean of the open demand block so far [kW]; None without blocks.
        forecast_kw: Its mean at its end if nothing changes [kW]; None without blocks.
        block_limit_kw: Its mean limit [kW]; None without blocks.
    """

    tenant: str
    low_milliwatts: int
    best_milliwatts: int
    high_milliwatts: int | None
    limit_milliwatts: int | None
    coverage: float
    demand_kw: float | None
    forecast_kw: float | None
    block_limit_kw: float | None


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
        tenant: Who.
        step_ms: Length of the step [ms].
        start_ms: When it begins [ms].
        known: The share of it for which there were draws, 0 to 1.
        most_mw: The highest best estimate in it [MW].
        figures: Means by the name of the figure; power in MW. What nobody could tell is not there.
    """

    tenant: str
    step_ms: int
    start_ms: int
    known: float
    most_mw: float
    figures: dict[str, float]
