"""The engine's series, the alarms' events and the pipeline's health as lines. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from facility.instants import MINUTE_MS, to_iso
from facility.readings import Rejection
from store.influx.names import FaultyName, a_line, plain, rejection
from store.ledger.alarms import AlarmChange
from store.series import DemandBlock, DrawMean, FeedDraw, Health, RackDraw, Rollup, SiteDraw, TenantDraw

_MILLIWATTS_IN_MW: Final = 1_000_000_000
_MILLIWATTS_IN_KW: Final = 1_000_000
_KW_IN_MW: Final = 1_000
VERDICTS: Final = ("kept", "exceeded", "cannot be verified")
"""What became of a demand block, by its verdict."""
_FIELDS: Final = MappingProxyType({"coverage": "coverage"})


def draw_lines(draws: Iterable[tuple[int, Sequence[TenantDraw]]]) -> Iterable[bytes | Rejection]:
    """Yield the draw of every tenant at every tick [ms], in megawatts, or why it has no line."""
    for at_ms, rows in draws:
        for draw in rows:
            yield _line(draw, "tenant_draw", {"tenant": draw.tenant}, _figures(draw), at_ms)


def draw_mean_lines(means: Iterable[DrawMean]) -> Iterable[bytes | Rejection]:
    """Yield tenants' means over minutes or quarter-hours, or why they have no line."""
    for mean in means:
        measurement = "tenant_draw_1m" if mean.step_ms == MINUTE_MS else "tenant_draw_15m"
        fields = {_FIELDS.get(name, f"{name}_mw"): value for name, value in mean.figures.items()}
        fields |= {"known": mean.known, "most_mw": mean.most_mw}
        yield _line(mean, measurement, {"tenant": mean.tenant}, fields, mean.start_ms)


def rollup_lines(rollups: Iterable[Rollup]) -> Iterable[bytes | Rejection]:
    """Yield what racks and feeds drew over minutes [kW], and the site [MW], or why it has no line."""
    for one in rollups:
        match one:
            case RackDraw():
                tags = {"asset": one.rack, "tenant": one.tenant}
                fields = _in_kw(mean=one.mean_milliwatts, most=one.most_milliwatts)
                yield _line(one, "rack_draw_1m", tags, fields | {"coverage": one.coverage}, one.start_ms)
            case FeedDraw():
                fields = _in_kw(
                    metered=one.metered_milliwatts, most=one.most_milliwatts, racks=one.racks_milliwatts
                )
                fields |= {"alone_amps": one.alone_amps, "amps": one.amps, "limit_amps": one.limit_amps}
                fields |= {"coverage": one.coverage, "count": one.racks}
                tags = {"asset": one.feed, "kind": one.kind}
                yield _line(one, "feed_draw_1m", tags, fields, one.start_ms)
            case SiteDraw():
                yield _line(one, "site_draw_1m", {}, _site_figures(one), one.start_ms)


def block_lines(blocks: Iterable[DemandBlock]) -> Iterable[bytes | Rejection]:
    """Yield demand blocks at the time at which they end, or why they have no line."""
    for block in blocks:
        fields: dict[str, float | str | None] = {
            "coverage": block.coverage,
            **block_figures(block),
            "lasted_s": (block.to_ms - block.from_ms) / 1_000,
            "method": block.method,
            "verdict": VERDICTS[block.verdict],
            "version_from": to_iso(block.version_from_ms),
        }
        tags = {"judged": "settled" if block.is_settled else "live", "tenant": block.tenant}
        yield _line(block, "demand_block", tags, fields, block.to_ms)


def block_figures(block: DemandBlock) -> dict[str, float | None]:
    """Return the energies of a demand block [kWh], each with its mean [kW]; None where there is no bound."""
    energies = {
        "low": block.low_milliwatt_ms,
        "best": block.best_milliwatt_ms,
        "high": block.high_milliwatt_ms,
        "allowed": block.allowed_milliwatt_ms,
    }
    figures: dict[str, float | None] = {}
    for name, energy in energies.items():
        figures[f"{name}_kwh"] = None if energy is None else block.kwh(energy)
        figures[f"{name}_kw"] = None if energy is None else block.mean_kw(energy)
    return figures


def alarm_lines(changes: Iterable[AlarmChange]) -> Iterable[bytes | Rejection]:
    """Yield what happened to alarms, or why it has no line."""
    for change in changes:
        alarm = change.alarm
        tags = {
            "change": change.change,
            "rule": alarm.rule,
            "severity": alarm.severity,
            "subject": alarm.subject,
        }
        fields = {
            "by": alarm.acknowledged_by if change.change == "acknowledged" else None,
            "id": alarm.id,
            "limit": alarm.limit,
            "unit": alarm.unit or None,
            "value": alarm.value,
        }
        yield _line(change, "alarm_event", tags, fields, change.at_ms)


def health_lines(health: Iterable[Health]) -> Iterable[bytes | Rejection]:
    """Yield how the pipeline does, or why it has no line."""
    for one in health:
        if one.figures:
            yield _line(one, "pipeline", {}, one.figures, one.at_ms)
        for reason, count in sorted(one.dead_lettered.items()):
            yield _line(one, "dead_letters", {"reason": reason}, {"count": count}, one.at_ms)


def _figures(draw: TenantDraw) -> dict[str, float | None]:
    limit, high = draw.limit_milliwatts, draw.high_milliwatts
    headroom = None if limit is None or high is None else limit - high
    return {
        "best_mw": _divide(draw.best_milliwatts, _MILLIWATTS_IN_MW),
        "block_limit_mw": _divide(draw.block_limit_kw, _KW_IN_MW),
        "coverage": draw.coverage,
        "demand_mw": _divide(draw.demand_kw, _KW_IN_MW),
        "forecast_mw": _divide(draw.forecast_kw, _KW_IN_MW),
        "headroom_mw": _divide(headroom, _MILLIWATTS_IN_MW),
        "high_mw": _divide(high, _MILLIWATTS_IN_MW),
        "limit_mw": _divide(limit, _MILLIWATTS_IN_MW),
        "low_mw": _divide(draw.low_milliwatts, _MILLIWATTS_IN_MW),
    }


def _site_figures(draw: SiteDraw) -> dict[str, float | None]:
    powers = {
        "firm_mw": draw.firm_milliwatts,
        "limit_mw": draw.limit_milliwatts,
        "most_mw": draw.most_milliwatts,
        "racks_mw": draw.racks_milliwatts,
        "sold_mw": draw.sold_milliwatts,
        "supply_mw": draw.supply_milliwatts,
    }
    figures = {name: _divide(power, _MILLIWATTS_IN_MW) for name, power in powers.items()}
    return figures | {"coverage": draw.coverage}


def _in_kw(**milliwatts: int | None) -> dict[str, float | None]:
    return {f"{name}_kw": _divide(power, _MILLIWATTS_IN_KW) for name, power in milliwatts.items()}


def _line(
    of: TenantDraw | Rollup | DemandBlock | DrawMean | AlarmChange | Health,
    measurement: str,
    tags: Mapping[str, str],
    fields: Mapping[str, float | str | None],
    at_ms: int,
) -> bytes | Rejection:
    try:
        return a_line(measurement, tags, fields, at_ms)
    except FaultyName as error:
        return rejection(measurement, plain(repr(of)), str(error), at_ms)


def _divide(value: float | None, by: int) -> float | None:
    return None if value is None else value / by
