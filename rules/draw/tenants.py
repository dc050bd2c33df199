"""Every tenant at one moment: its draw beside what its contract says then, for the rules and as series."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from facility.contracts import PPM, Version
from facility.quantities import known_or_none
from facility.readings import BoolArray, IntArray
from rules.draw.draw import Draw, Known, rated_share
from rules.draw.summation_plan import Layout
from rules.telemetry.starting import Awaited, starting_tenants
from rules.view import NO_LIMIT, UNBOUNDED, TenantView, View
from store.series import TenantDraw


def tenant_view(layout: Layout, found: Draw, known: Known, awaited: Awaited) -> TenantView:
    """Return every tenant at a moment.

    Args:
        layout: Who is summed of what.
        found: What each draws.
        known: What is known of every point.
        awaited: Which points still have time to speak, at the moment.
    """
    versions, at_ms = layout.versions, awaited.at_ms
    limits = tuple(version.limit_at(at_ms) if version else NO_LIMIT for version in versions)
    terms = _terms(versions, limits)
    low, best, high = found.delivered()
    for place, version in enumerate(versions):
        if version is not None and version.loss_ppm != PPM:
            # Of a draw that is no whole number of milliwatts, no rounding may cross the limit.
            most = int(version.exact_limit_at(at_ms) * PPM / version.loss_ppm)
            if found.low[place] > most:
                low[place] = max(low[place], limits[place] + 1)
            if found.high[place] <= most:
                high[place] = min(high[place], limits[place])
    has_units = np.zeros(len(layout.tenants), np.bool_)
    has_units[layout.tenant_rows] = True
    return TenantView(
        ids=layout.tenants,
        low=low,
        best=best,
        is_estimated=found.is_estimated,
        high=high,
        limit=terms.limit,
        final=terms.final,
        warn=terms.warn,
        critical=terms.critical,
        coverage=found.coverage,
        binds_instantly=terms.binds_instantly,
        binds_blocks=terms.binds_blocks,
        sustain_ms=terms.sustain_ms,
        rack_cap=terms.rack_cap,
        has_racks=has_units,
        is_consistent=found.is_consistent,
        is_starting=starting_tenants(layout, awaited),
        certain=rated_share(layout, known.is_certain),
    )


@dataclass(frozen=True, slots=True)
class _Terms:
    """What contracts say at a moment, as `TenantView` has it; read only."""

    limit: IntArray
    final: IntArray
    warn: IntArray
    critical: IntArray
    binds_instantly: BoolArray
    binds_blocks: BoolArray
    sustain_ms: IntArray
    rack_cap: IntArray


@lru_cache(maxsize=16)
def _terms(versions: tuple[Version | None, ...], limits: tuple[int, ...]) -> _Terms:
    """Return what contracts say, found once for as long as no limit changes."""
    pairs = list(zip(versions, limits, strict=True))
    finals = [
        v.with_tolerance(v.committed_milliwatts + v.burst_milliwatts) if v else NO_LIMIT for v in versions
    ]
    return _Terms(
        limit=np.array(limits, np.int64),
        final=np.array(finals, np.int64),
        warn=np.array([_level(limit, v.limit.warn_percent if v else 0) for v, limit in pairs], np.int64),
        critical=np.array(
            [_level(limit, v.limit.critical_percent if v else 0) for v, limit in pairs], np.int64
        ),
        binds_instantly=np.array([v is not None and v.limit.binds_instantly for v in versions], np.bool_),
        binds_blocks=np.array([v is not None and v.limit.binds_blocks for v in versions], np.bool_),
        sustain_ms=np.array([v.limit.sustain_ms if v else 0 for v in versions], np.int64),
        rack_cap=np.array([_cap(v) for v in versions], np.int64),
    )


def _cap(version: Version | None) -> int:
    """Return the most that one rack may draw [mW]; `NO_LIMIT` where nothing is agreed."""
    cap = None if version is None else version.rack_cap_milliwatts
    return NO_LIMIT if cap is None else cap


def _level(limit: int, percent: float) -> int:
    """Return a share of a limit [mW], rounded down; `NO_LIMIT` without one."""
    return NO_LIMIT if limit == NO_LIMIT else limit * round(percent * PPM / 100) // PPM


def tenant_series(view: View) -> tuple[TenantDraw, ...]:
    """Return what is kept of every tenant at the moment of a view."""
    tenants, demand = view.tenants, view.demand
    return tuple(
        TenantDraw(
            tenant=tenant,
            low_milliwatts=int(tenants.low[i]),
            best_milliwatts=tenants.estimate(i),
            high_milliwatts=None if tenants.high[i] == UNBOUNDED else int(tenants.high[i]),
            limit_milliwatts=None if tenants.limit[i] == NO_LIMIT else int(tenants.limit[i]),
            coverage=float(tenants.coverage[i]),
            demand_kw=known_or_none(demand.demand_kw[i]),
            forecast_kw=known_or_none(demand.forecast_kw[i]),
            block_limit_kw=known_or_none(demand.limit_kw[i]),
        )
        for i, tenant in enumerate(tenants.ids)
    )
