"""Demand: the mean draw over clock-aligned blocks, as they fill and as they close.

Energy is integrated tick by tick as three exact integers of picojoules: what was drawn at least, at best
estimate, at most, each a whole number of milliwatts at the boundary times a loss factor of whole millionths.
A block's allowance is the integral of the limit over it, so a version or a ramp step that begins inside a
block counts for its part. A rolling demand is judged at the end of each subinterval, over the block that ends
there.

A clause is the span over which consecutive versions of a contract measure blocks alike (method, length,
subinterval). No block reaches over the border of two clauses: the last block of a clause ends with it, at
whatever instant, and the first of the next begins there.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from facility.contracts import PPM, Contract, Method, Version
from facility.instants import block_end_ms, block_start_ms
from facility.names import TenantId
from facility.site import Site
from rules.draw.draw import Draw
from rules.view import KILOWATT, UNBOUNDED, DemandView
from store.series import DemandBlock

CLEAR: Final = 0
BREACH: Final = 1
UNKNOWN: Final = 2

RECENT_MS: Final = 30_000
"""A forecast continues the mean of so much of the past, not the draw of one instant (our choice)."""


@dataclass(slots=True)
class Span:
    """What was drawn over a span of time.

    Attributes:
        from_ms: Its start [ms].
        to_ms: Its end [ms].
        low: At least [pJ].
        best: Best estimate [pJ], of the part of it in which anything was known.
        high: At most [pJ]; None where there is no bound.
        covered: How much of it was covered by readings [ms], weighted by rating.
        most: What could have been drawn in a moment that was not seen [nW]; None for no bound.
        known_ms: How long anything was known: not before the first reading since the start [ms].
    """

    from_ms: int
    to_ms: int
    low: int = 0
    best: int = 0
    high: int | None = 0
    covered: float = 0.0
    most: int | None = None
    known_ms: int = 0

    def add(self, other: Span) -> None:
        """Append a span that begins where this one ends."""
        self.to_ms = other.to_ms
        self.low += other.low
        self.best += other.best
        self.high = None if self.high is None or other.high is None else self.high + other.high
        self.covered += other.covered
        self.most = other.most
        self.known_ms += other.known_ms


@dataclass(slots=True)
class Recent:
    """The spans of the last `RECENT_MS`, whatever blocks they belong to.

    Of those in which anything was known there are sums, since they are asked for at every tick.

    Attributes:
        spans: All of them, oldest first; none is changed once it is here.
        known_ms: How long anything was known [ms].
        best: The best estimate of these [pJ].
        high: At most that, of those that have a bound [pJ].
        unbounded: How many of them have no bound.
    """

    spans: deque[Span] = field(default_factory=deque)
    known_ms: int = 0
    best: int = 0
    high: int = 0
    unbounded: int = 0

    @classmethod
    def of(cls, spans: Iterable[Span]) -> Recent:
        """Return spans that were kept."""
        recent = cls()
        for span in spans:
            recent.add(span)
        return recent

    def add(self, span: Span) -> None:
        """Append a span, and let go of those that are too old by its end."""
        self.spans.append(span)
        self._count(span, 1)
        while self.spans[0].to_ms <= span.to_ms - RECENT_MS:
            self._count(self.spans.popleft(), -1)

    def _count(self, span: Span, sign: int) -> None:
        if not span.known_ms:
            return
        self.known_ms += sign * span.known_ms
        self.best += sign * span.best
        if span.high is None:
            self.unbounded += sign
        else:
            self.high += sign * span.high


@dataclass(slots=True)
class Meter:
    """The demand of one tenant.

    Attributes:
        parts: The spans of the open block, oldest first; for a rolling demand those of the last block's
            length, cut at subintervals.
        recent: What was drawn in the last `RECENT_MS`.
        closed: The last block that closed, None before the first one.
        is_heard: Whether any reading of the tenant ever counted.
    """

    parts: deque[Span] = field(default_factory=deque)
    recent: Recent = field(default_factory=Recent)
    closed: DemandBlock | None = None
    is_heard: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    """A span in which a contract measures demand alike: no block and no version begins or ends within.

    Attributes:
        from_ms: Its start [ms].
        to_ms: Its end [ms].
        version: The version in force, None where none is.
        clause_from_ms: Since when its clause is in force [ms].
        begins: Whether a block or a subinterval may begin with it.
        closes: Whether a block or a subinterval ends with it.
        block_from_ms: Start of the block or rolling block that is open in it [ms].
        block_to_ms: Its end [ms].
        allowance: What may be drawn in that block [mW·ms]; None where no block that is judged is open.
        most: The same, rounded down [pJ].
    """

    from_ms: int
    to_ms: int
    version: Version | None = None
    clause_from_ms: int = 0
    begins: bool = False
    closes: bool = False
    block_from_ms: int = 0
    block_to_ms: int = 0
    allowance: Fraction | None = None
    most: int = 0


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
        self._changes_ms = site.changes_ms()
        self._cells: dict[TenantId, _Cell] = {}

    def advance(
        self, tenants: Sequence[TenantId], draw: Draw, from_ms: int, to_ms: int
    ) -> tuple[DemandBlock, ...]:
        """Integrate a draw that held from one tick to the next, and close the blocks that end meanwhile.

        Args:
            tenants: Id of each tenant of the draw, in its order.
            draw: What was drawn from `from_ms` on.
            from_ms: The tick before [ms].
            to_ms: This tick [ms].

        Returns:
            The blocks that closed, in the order of the tenants.
        """
        closed: list[DemandBlock] = []
        for place, tenant in enumerate(tenants):
            contract = self._contracts.get(tenant)
            if contract is None:
                continue
            at_ms = from_ms
            while at_ms < to_ms:
                cell = self._cell(tenant, contract, at_ms)
                end_ms = min(cell.to_ms, to_ms)
                if cell.version is not None and cell.version.limit.binds_blocks:
                    closed += self._fill(tenant, contract, cell, _span(draw, place, at_ms, end_ms))
                at_ms = end_ms
        return tuple(closed)

    def _cell(self, tenant: TenantId, contract: Contract, at_ms: int) -> _Cell:
        """Return the cell of a contract that holds an instant."""
        cell = self._cells.get(tenant)
        if cell is None or not cell.from_ms <= at_ms < cell.to_ms:
            cell = self._cells[tenant] = self._find_cell(contract, at_ms)
        return cell

    def _find_cell(self, contract: Contract, at_ms: int) -> _Cell:
        changes, grids = contract.changes_ms(), _grids_ms(contract)
        starts = {block_start_ms(at_ms, grid_ms, self._zone) for grid_ms in grids}
        from_ms = max(starts | {change for change in changes if change <= at_ms}, default=-UNBOUNDED)
        ends = {block_end_ms(at_ms, grid_ms, self._zone) for grid_ms in grids}
        to_ms = min(ends | {change for change in changes if change > at_ms}, default=UNBOUNDED)
        version = contract.version_at(at_ms)
        if version is None or not version.limit.binds_blocks:
            return _Cell(from_ms=from_ms, to_ms=to_ms, version=version)
        clause_from_ms, clause_to_ms = _clause_start_ms(contract, at_ms), _clause_end_ms(contract, at_ms)
        open_from_ms, block_to_ms = self._open_block(version, at_ms)
        is_last = clause_to_ms is not None and clause_to_ms <= block_to_ms
        # What is left of a rolling block by the end of its clause is no demand that anybody agreed on.
        is_cut = is_last and clause_to_ms != block_to_ms and version.limit.method is Method.ROLLING
        if clause_to_ms is not None and is_last:
            block_to_ms = clause_to_ms
        block_from_ms = max(open_from_ms, clause_from_ms)
        allowance = None if is_cut else contract.limit_integral(block_from_ms, block_to_ms)
        return _Cell(
            from_ms=from_ms,
            to_ms=to_ms,
            version=version,
            clause_from_ms=clause_from_ms,
            begins=from_ms in starts | {clause_from_ms},
            closes=to_ms == block_to_ms and not is_cut,
            block_from_ms=block_from_ms,
            block_to_ms=block_to_ms,
            allowance=allowance,
            most=0 if allowance is None else int(allowance * PPM),
        )

    def _fill(self, tenant: TenantId, contract: Contract, cell: _Cell, span: Span) -> Iterator[DemandBlock]:
        """Add a span to the open block; yield the block that ends with it, if one does."""
        meter = self._meters[tenant]
        if span.covered or meter.is_heard:
            meter.is_heard = True
        else:
            span.best = span.known_ms = 0  # bounded, and estimated by what is heard later
        meter.recent.add(span)
        # A part never spans a border of any version's blocks, nor of two clauses.
        starts = cell.begins and span.from_ms == cell.from_ms
        if meter.parts and not starts and meter.parts[-1].to_ms == span.from_ms:
            meter.parts[-1].add(span)
        else:
            meter.parts.append(replace(span))
        if not cell.closes or span.to_ms < cell.to_ms:
            return
        block = self._close(tenant, cell)
        if block is not None:
            meter.closed = block
            yield block
        oldest_ms = span.to_ms - max(v.limit.block_ms for v in contract.versions if v.limit.binds_blocks)
        while meter.parts and meter.parts[0].from_ms < oldest_ms:
            meter.parts.popleft()

    def _close(self, tenant: TenantId, cell: _Cell) -> DemandBlock | None:
        """Judge the block that ends with a cell, as far as its clause reaches back."""
        version, start_ms, at_ms, allowance = cell.version, cell.block_from_ms, cell.to_ms, cell.allowance
        if version is None or allowance is None:
            return None
        seen = self._sum(tenant, start_ms, at_ms)
        best = seen.best * (at_ms - start_ms) // max(1, seen.known_ms)
        # What was not seen of it is estimated by what was, and never against its bounds.
        best = max(seen.low, best if seen.high is None else min(best, seen.high))
        return DemandBlock(
            tenant=tenant,
            from_ms=start_ms,
            to_ms=at_ms,
            method=version.limit.method.value,
            version_from_ms=version.from_ms,
            low_milliwatt_ms=seen.low // PPM,
            best_milliwatt_ms=best // PPM,
            high_milliwatt_ms=None if seen.high is None else -(-seen.high // PPM),
            allowed_milliwatt_ms=int(allowance),
            coverage=seen.covered / (at_ms - start_ms),
            verdict=_judge(seen, cell.most),
        )

    def _sum(self, tenant: TenantId, from_ms: int, to_ms: int) -> Span:
        """Add up what was seen of a span; what was not seen may have been anything up to the caps."""
        parts = [part for part in self._meters[tenant].parts if part.from_ms >= from_ms]
        if not parts:
            return Span(from_ms=to_ms, to_ms=to_ms, high=None if to_ms > from_ms else 0)
        total = replace(parts[0])
        for part in parts[1:]:
            total.add(part)
        unseen_ms = to_ms - from_ms - sum(part.to_ms - part.from_ms for part in parts)
        if unseen_ms:
            # The caps of what it held when it was first seen bound what came before, unless it held
            # something else then.
            same = not any(from_ms < change <= total.from_ms for change in self._changes_ms)
            cap = parts[0].most if same else None
            total.high = None if total.high is None or cap is None else total.high + cap * unseen_ms
        total.to_ms = to_ms
        return total

    def view(self, tenants: Sequence[TenantId], draw: Draw, at_ms: int) -> DemandView:
        """Return every tenant's demand at a moment, with the forecast to the end of its block.

        Args:
            tenants: Id of each tenant of the draw, in its order.
            draw: What is drawn now.
            at_ms: The moment [ms].
        """
        rows = [self._row(tenant, draw, place, at_ms) for place, tenant in enumerate(tenants)]
        columns: list[Any] = [np.array(column) for column in zip(*rows, strict=True)]
        return DemandView(
            closed_verdict=columns[0].astype(np.int8),
            closed_kw=columns[1],
            closed_limit_kw=columns[2],
            forecast_verdict=columns[3].astype(np.int8),
            demand_kw=columns[4],
            forecast_kw=columns[5],
            limit_kw=columns[6],
            elapsed_share=columns[7],
            left_ms=columns[8].astype(np.int64),
            closed=tuple(
                self._meters[tenant].closed if tenant in self._meters else None for tenant in tenants
            ),
        )

    def _row(self, tenant: TenantId, draw: Draw, place: int, at_ms: int) -> tuple[float, ...]:
        meter, contract = self._meters.get(tenant), self._contracts.get(tenant)
        closed = meter.closed if meter else None
        past: tuple[float, ...] = (CLEAR, math.nan, math.nan)
        if closed is not None:
            past = (closed.verdict, closed.demand_kw, closed.limit_kw)
        cell = self._cell(tenant, contract, at_ms) if contract else None
        version = cell.version if cell else None
        if meter is None or cell is None or version is None or not version.limit.binds_blocks:
            # The last block of all is a fact for as long as another one would have taken to follow it.
            stands = closed is not None and at_ms - closed.to_ms < _last_block_ms(contract, closed.to_ms)
            return (past[0] if stands else CLEAR, *past[1:], CLEAR, math.nan, math.nan, math.nan, 0.0, 0)
        if closed is not None and closed.to_ms < cell.clause_from_ms:
            # How a block of an earlier clause ended says nothing once another clause came between.
            past = (CLEAR, math.nan, math.nan)
        start_ms, end_ms, allowance = cell.block_from_ms, cell.block_to_ms, cell.allowance
        if allowance is None:
            return (*past, CLEAR, math.nan, math.nan, math.nan, 0.0, 0)
        seen = self._sum(tenant, start_ms, at_ms)
        left_ms, lasts_ms = end_ms - at_ms, end_ms - start_ms
        elapsed_ms = at_ms - start_ms
        # What was not seen of the block so far is estimated by what was.
        so_far = seen.best * elapsed_ms // seen.known_ms if seen.known_ms else 0
        best, high = self._recent(meter, draw, place)
        demand = seen.best / seen.known_ms if seen.known_ms else math.nan
        is_known = meter.is_heard or draw.is_estimated[place]
        if not elapsed_ms and is_known:
            # A block that begins now has no mean yet, and is no gap.
            demand = int(draw.best[place]) * version.loss_ppm
        forecast = Span(
            from_ms=start_ms,
            to_ms=end_ms,
            best=so_far + best * (left_ms if seen.known_ms else lasts_ms),
            high=None if seen.high is None or high is None else seen.high + high * left_ms,
        )
        return (
            *past,
            _foresee(forecast, cell.most),
            demand / PPM / KILOWATT,
            forecast.best / lasts_ms / PPM / KILOWATT if is_known else math.nan,
            float(allowance) / lasts_ms / KILOWATT,
            elapsed_ms / lasts_ms,
            left_ms,
        )

    @staticmethod
    def _recent(meter: Meter, draw: Draw, place: int) -> tuple[int, int | None]:
        """Return the mean of the last half minute, best estimate and bound [nW], rounded up."""
        recent = meter.recent
        if not recent.known_ms:
            high, loss = int(draw.high[place]), int(draw.loss_ppm[place])
            return int(draw.best[place]) * loss, None if high == UNBOUNDED else high * loss
        best = -(-recent.best // recent.known_ms)
        return best, None if recent.unbounded else -(-recent.high // recent.known_ms)

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
                "recent": [asdict(part) for part in meter.recent.spans],
                "closed": None if meter.closed is None else msgspec.structs.asdict(meter.closed),
                "is_heard": meter.is_heard,
            }
            for tenant, meter in self._meters.items()
        }

    def since_ms(self) -> dict[TenantId, int]:
        """Return how far back the open block of each tenant that has one reaches [ms]."""
        return {tenant: meter.parts[0].from_ms for tenant, meter in self._meters.items() if meter.parts}

    def begin_anew(self, tenant: TenantId) -> None:
        """Forget what was added up of a tenant's open block.

        How its last block ended stays known, where its contract still held it against blocks then.
        """
        if tenant not in self._meters:
            return
        closed = self._meters[tenant].closed
        version = None if closed is None else self._contracts[tenant].version_at(closed.to_ms - 1)
        stays = version is not None and version.limit.binds_blocks
        self._meters[tenant] = Meter(closed=closed if stays else None)

    def load(self, values: Mapping[str, Any]) -> None:
        """Take in what `save` returned, as far as its tenants still have contracts."""
        for tenant, meter in self._meters.items():
            saved = values.get(tenant)
            if saved is not None:
                meter.parts = deque(Span(**part) for part in saved["parts"])
                meter.recent = Recent.of(Span(**part) for part in saved["recent"])
                meter.closed = None if saved["closed"] is None else DemandBlock(**saved["closed"])
                meter.is_heard = saved["is_heard"]


def _span(draw: Draw, place: int, from_ms: int, to_ms: int) -> Span:
    """Return what a tenant drew over a span in which its draw did not change."""
    lasted, loss = to_ms - from_ms, int(draw.loss_ppm[place])
    high, most = int(draw.high[place]), int(draw.most[place])
    return Span(
        from_ms=from_ms,
        to_ms=to_ms,
        low=int(draw.low[place]) * loss * lasted,
        best=int(draw.best[place]) * loss * lasted,
        high=None if high == UNBOUNDED else high * loss * lasted,
        covered=float(draw.coverage[place]) * lasted,
        most=None if most == UNBOUNDED else most * loss,
        known_ms=lasted,
    )


def _judge(span: Span, most: int) -> int:
    if span.low > most:
        return BREACH
    if span.high is not None and span.high <= most:
        return CLEAR
    return UNKNOWN


def _foresee(span: Span, most: int) -> int:
    """Judge a forecast by its best estimate; it is clear only where no bound contradicts."""
    if span.best > most:
        return BREACH
    if span.high is not None and span.high <= most:
        return CLEAR
    return UNKNOWN


def _grids_ms(contract: Contract) -> set[int]:
    """Return every length at which blocks or subintervals of some version begin [ms]."""
    return {
        version.limit.subinterval_ms if version.limit.method is Method.ROLLING else version.limit.block_ms
        for version in contract.versions
        if version.limit.binds_blocks
    }


def _clause_start_ms(contract: Contract, at_ms: int) -> int:
    """Return since when the clause in force at a moment measures blocks as it does [ms]."""
    since_ms, measure = at_ms, _measure(contract.version_at(at_ms))
    for version in reversed([version for version in contract.versions if version.from_ms <= at_ms]):
        if _measure(version) != measure:
            break
        since_ms = version.from_ms
    return since_ms


def _clause_end_ms(contract: Contract, at_ms: int) -> int | None:
    """Return until when the clause in force at a moment measures blocks as it does [ms]; None without end."""
    measure = _measure(contract.version_at(at_ms))
    changes = sorted(change for change in contract.changes_ms() if change > at_ms)
    return next((change for change in changes if _measure(contract.version_at(change)) != measure), None)


def _measure(version: Version | None) -> tuple[object, ...]:
    """Return how a version measures blocks: equal for versions of one clause; empty where it does not."""
    if version is None or not version.limit.binds_blocks:
        return ()
    limit = version.limit
    return (limit.method, limit.block_ms, limit.subinterval_ms if limit.method is Method.ROLLING else 0)


def _last_block_ms(contract: Contract | None, closed_ms: int) -> int:
    """Return how long it is from one judgement to the next, where the last one was [ms]."""
    version = contract.version_at(closed_ms - 1) if contract else None
    if version is None:
        return 0
    rolls = version.limit.method is Method.ROLLING
    return version.limit.subinterval_ms if rolls else version.limit.block_ms
