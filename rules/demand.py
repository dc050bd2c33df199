"""Demand: the mean draw over clock-aligned blocks, as they fill and as they close.

Energy is integrated tick by tick as three exact integers of mW·ms: what was drawn at least, at best
estimate, at most. A block's allowance is the integral of the limit over it, so a version or a ramp step that
begins inside a block counts for its part. A rolling demand is judged at the end of each subinterval, over the
block that ends there.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from facility.contracts import Contract, Method, Version
from facility.instants import block_end_ms, block_start_ms
from facility.names import TenantId
from facility.site import Site
from rules.draw import Draw
from rules.view import KILOWATT, UNBOUNDED, DemandView

CLEAR: Final = 0
BREACH: Final = 1
UNKNOWN: Final = 2


@dataclass(slots=True)
class Span:
    """What was drawn over a span of time.

    Attributes:
        from_ms: Its start [ms].
        to_ms: Its end [ms].
        low: At least [mW·ms].
        best: Best estimate [mW·ms].
        high: At most [mW·ms]; None where there is no bound.
        covered: How much of it was covered by readings [ms], weighted by rating.
        most: What could have been drawn in a moment that was not seen [mW]; None for no bound.
    """

    from_ms: int
    to_ms: int
    low: int = 0
    best: int = 0
    high: int | None = 0
    covered: float = 0.0
    most: int | None = None

    def add(self, other: Span) -> None:
        """Append a span that begins where this one ends."""
        self.to_ms = other.to_ms
        self.low += other.low
        self.best += other.best
        self.high = None if self.high is None or other.high is None else self.high + other.high
        self.covered += other.covered
        self.most = other.most


@dataclass(slots=True)
class Closed:
    """How a block ended.

    Attributes:
        verdict: Kept, broken, or not to be told.
        demand_kw: Its mean, best estimate [kW].
        limit_kw: Its mean limit [kW].
        coverage: Share of it that was covered by readings.
        from_ms: Its start [ms].
        to_ms: Its end [ms].
    """

    verdict: int
    demand_kw: float
    limit_kw: float
    coverage: float
    from_ms: int
    to_ms: int


@dataclass(slots=True)
class Meter:
    """The demand of one tenant.

    Attributes:
        parts: The spans of the open block, oldest first; for a rolling demand those of the last block's
            length, cut at subintervals.
        closed: How the last block ended, None before the first one.
    """

    parts: deque[Span] = field(default_factory=deque)
    closed: Closed | None = None


class Demand:
    """The demand of every tenant.

    Args:
        site: The site; its zone aligns the blocks.
    """

    def __init__(self, site: Site) -> None:
        self._zone: ZoneInfo = site.zone
        self._contracts: dict[TenantId, Contract] = {
            tenant.id: tenant.contract for tenant in site.tenants if tenant.contract is not None
        }
        self._meters: dict[TenantId, Meter] = {tenant: Meter() for tenant in self._contracts}

    def advance(self, tenants: Sequence[TenantId], draw: Draw, from_ms: int, to_ms: int) -> None:
        """Integrate a draw that held from one tick to the next, and close blocks that end there.

        Args:
            tenants: Whom each place of the draw is about.
            draw: What was drawn from `from_ms` on.
            from_ms: The tick before [ms].
            to_ms: This tick [ms].
        """
        lasted = to_ms - from_ms
        for place, tenant in enumerate(tenants):
            contract = self._contracts.get(tenant)
            version = contract.version_at(from_ms) if contract else None
            if contract is None or version is None or not version.limit.binds_blocks:
                continue
            high, most = int(draw.high[place]), int(draw.most[place])
            span = Span(
                from_ms=from_ms,
                to_ms=to_ms,
                low=int(draw.low[place]) * lasted,
                best=int(draw.best[place]) * lasted,
                high=None if high == UNBOUNDED else high * lasted,
                covered=float(draw.coverage[place]) * lasted,
                most=None if most == UNBOUNDED else most,
            )
            self._fill(self._meters[tenant], contract, version, span)

    def _fill(self, meter: Meter, contract: Contract, version: Version, span: Span) -> None:
        """Add a span to the open block, and judge the block where it ends, or where the contract ends it."""
        rolls = version.limit.method is Method.ROLLING
        step_ms = version.limit.subinterval_ms if rolls else version.limit.block_ms
        # A part never spans a border of any version's blocks: an amendment may change their length.
        grids = _grids_ms(contract)
        starts = any(block_start_ms(span.from_ms, grid, self._zone) == span.from_ms for grid in grids)
        if meter.parts and not starts and meter.parts[-1].to_ms == span.from_ms:
            meter.parts[-1].add(span)
        else:
            meter.parts.append(span)
        # What is left of a rolling block by the end of its contract is no demand that anybody agreed on.
        is_last = not rolls and not _binds_blocks(contract, span.to_ms)
        if block_end_ms(span.from_ms, step_ms, self._zone) > span.to_ms and not is_last:
            return
        meter.closed = self._close(meter, contract, version, span.to_ms)
        oldest_ms = span.to_ms - max(v.limit.block_ms for v in contract.versions if v.limit.binds_blocks)
        while meter.parts and meter.parts[0].from_ms < oldest_ms:
            meter.parts.popleft()

    def _close(self, meter: Meter, contract: Contract, version: Version, at_ms: int) -> Closed | None:
        """Judge the block that ends now, over the part of it in which a contract bound blocks."""
        if version.limit.method is Method.ROLLING:
            start_ms = at_ms - version.limit.block_ms
        else:
            start_ms = block_start_ms(at_ms - 1, version.limit.block_ms, self._zone)
        start_ms = max(start_ms, _bound_since_ms(contract, at_ms - 1))
        allowance = contract.limit_integral(start_ms, at_ms)
        if allowance is None or at_ms <= start_ms:
            return meter.closed
        seen = self._sum(meter, start_ms, at_ms)
        lasted = at_ms - start_ms
        return Closed(
            verdict=_judge(seen, allowance),
            demand_kw=seen.best / max(1, seen.to_ms - seen.from_ms) / KILOWATT,
            limit_kw=allowance / lasted / KILOWATT,
            coverage=seen.covered / lasted,
            from_ms=start_ms,
            to_ms=at_ms,
        )

    @staticmethod
    def _sum(meter: Meter, from_ms: int, to_ms: int) -> Span:
        """Add up what was seen of a span; what was not seen may have been anything up to the caps."""
        total = Span(from_ms=to_ms, to_ms=to_ms)
        seen_ms = 0
        for part in meter.parts:
            if part.from_ms >= from_ms:
                total.from_ms = min(total.from_ms, part.from_ms)
                seen_ms += part.to_ms - part.from_ms
                total.add(part)
        total.to_ms = to_ms
        unseen_ms = to_ms - from_ms - seen_ms
        if unseen_ms and total.high is not None:
            total.high = None if total.most is None else total.high + total.most * unseen_ms
        return total

    def view(self, tenants: Sequence[TenantId], draw: Draw, at_ms: int) -> DemandView:
        """Return every tenant's demand at a moment, with the forecast to the end of its block.

        Args:
            tenants: Whom each place is about.
            draw: What is drawn now.
            at_ms: The moment [ms].
        """
        rows = [self._row(tenant, draw, place, at_ms) for place, tenant in enumerate(tenants)]
        columns: list[Any] = [np.array(column) for column in zip(*rows, strict=True)]
        return DemandView(
            closed_verdict=columns[0].astype(np.int8),
            closed_kw=columns[1],
            closed_limit_kw=columns[2],
            closed_coverage=columns[3],
            forecast_verdict=columns[4].astype(np.int8),
            demand_kw=columns[5],
            forecast_kw=columns[6],
            limit_kw=columns[7],
            elapsed_share=columns[8],
            left_ms=columns[9].astype(np.int64),
        )

    def _row(self, tenant: TenantId, draw: Draw, place: int, at_ms: int) -> tuple[float, ...]:
        meter, contract = self._meters.get(tenant), self._contracts.get(tenant)
        closed = meter.closed if meter else None
        past: tuple[float, ...] = (CLEAR, math.nan, math.nan, math.nan)
        if closed is not None:
            past = (closed.verdict, closed.demand_kw, closed.limit_kw, closed.coverage)
        version = contract.version_at(at_ms) if contract else None
        if meter is None or contract is None or version is None or not version.limit.binds_blocks:
            # The last block of all is a fact for as long as another one would have taken to follow it.
            stands = closed is not None and at_ms - closed.to_ms < _last_block_ms(contract, closed.to_ms)
            return (past[0] if stands else CLEAR, *past[1:], CLEAR, math.nan, math.nan, math.nan, 0.0, 0)
        if closed is not None and closed.to_ms <= _bound_since_ms(contract, at_ms):
            # How a block of an earlier clause ended says nothing once another clause came between.
            past = (CLEAR, math.nan, math.nan, math.nan)
        start_ms, end_ms = self._open_block(version, at_ms)
        start_ms = max(start_ms, _bound_since_ms(contract, at_ms))
        until_ms = _bound_until_ms(contract, at_ms, end_ms)
        if until_ms < end_ms and version.limit.method is Method.ROLLING:
            return (*past, CLEAR, math.nan, math.nan, math.nan, 0.0, 0)
        end_ms = until_ms
        allowance = contract.limit_integral(start_ms, end_ms)
        if allowance is None:
            return (*past, CLEAR, math.nan, math.nan, math.nan, 0.0, 0)
        seen = self._sum(meter, start_ms, at_ms)
        left_ms, lasts_ms = end_ms - at_ms, end_ms - start_ms
        high = int(draw.high[place])
        seen_ms, elapsed_ms = at_ms - seen.from_ms, at_ms - start_ms
        # What was not seen of the block so far is estimated by what was.
        so_far = seen.best * elapsed_ms // seen_ms if seen_ms else 0
        forecast = Span(
            from_ms=start_ms,
            to_ms=end_ms,
            best=so_far + int(draw.best[place]) * (left_ms if seen_ms else lasts_ms),
            high=None if seen.high is None or high == UNBOUNDED else seen.high + high * left_ms,
        )
        return (
            *past,
            _foresee(forecast, allowance),
            seen.best / seen_ms / KILOWATT if seen_ms else math.nan,
            forecast.best / lasts_ms / KILOWATT,
            allowance / lasts_ms / KILOWATT,
            elapsed_ms / lasts_ms,
            left_ms,
        )

    def _open_block(self, version: Version, at_ms: int) -> tuple[int, int]:
        limit = version.limit
        if limit.method is Method.ROLLING:
            end_ms = block_end_ms(at_ms, limit.subinterval_ms, self._zone)
            return end_ms - limit.block_ms, end_ms
        start_ms = block_start_ms(at_ms, limit.block_ms, self._zone)
        return start_ms, block_end_ms(at_ms, limit.block_ms, self._zone)

    # A snapshot -----------------------------------------------------------------------

    def save(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            tenant: {
                "parts": [asdict(part) for part in meter.parts],
                "closed": None if meter.closed is None else asdict(meter.closed),
            }
            for tenant, meter in self._meters.items()
        }

    def load(self, values: Mapping[str, Any]) -> None:
        """Take in what `save` returned, as far as its tenants still have contracts."""
        for tenant, meter in self._meters.items():
            saved = values.get(tenant)
            if saved is not None:
                meter.parts = deque(Span(**part) for part in saved["parts"])
                meter.closed = None if saved["closed"] is None else Closed(**saved["closed"])


def _judge(span: Span, allowance: int) -> int:
    if span.low > allowance:
        return BREACH
    if span.high is not None and span.high <= allowance:
        return CLEAR
    return UNKNOWN


def _foresee(span: Span, allowance: int) -> int:
    """Judge a forecast by its best estimate; it is clear only where no bound contradicts."""
    if span.best > allowance:
        return BREACH
    if span.high is not None and span.high <= allowance:
        return CLEAR
    return UNKNOWN


def _grids_ms(contract: Contract) -> set[int]:
    """Return every length at which blocks or subintervals of some version begin [ms]."""
    return {
        version.limit.subinterval_ms if version.limit.method is Method.ROLLING else version.limit.block_ms
        for version in contract.versions
        if version.limit.binds_blocks
    }


def _binds_blocks(contract: Contract, at_ms: int) -> bool:
    """Tell whether a contract is in force that judges blocks."""
    version = contract.version_at(at_ms)
    return version is not None and version.limit.binds_blocks


def _bound_since_ms(contract: Contract, at_ms: int) -> int:
    """Return since when the versions up to the one in force at a moment have judged blocks [ms]."""
    since_ms = at_ms
    for version in reversed([version for version in contract.versions if version.from_ms <= at_ms]):
        if not version.limit.binds_blocks:
            break
        since_ms = version.from_ms
    return since_ms


def _bound_until_ms(contract: Contract, at_ms: int, end_ms: int) -> int:
    """Return when a block ends: at `end_ms`, or sooner where the contract stops judging blocks."""
    stops = [change for change in contract.changes_ms() if at_ms < change < end_ms]
    return next((stop for stop in sorted(stops) if not _binds_blocks(contract, stop)), end_ms)


def _last_block_ms(contract: Contract | None, closed_ms: int) -> int:
    """Return how long it is from one judgement to the next, where the last one was [ms]."""
    version = contract.version_at(closed_ms - 1) if contract else None
    if version is None:
        return 0
    rolls = version.limit.method is Method.ROLLING
    return version.limit.subinterval_ms if rolls else version.limit.block_ms
