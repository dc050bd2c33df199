"""A tenant's draw as an interval that contains the truth, in integer milliwatts.

Fresh points give a sum. What is not fresh adds between its floor and its cap; a parent meter that sees the
same racks narrows that. The rule is that of the domain facts, section 7.4:

    low  = Σ fresh + Σ floors          high = Σ fresh + Σ caps
    Σ ∈ [parent · (1 - loss - e) - others' high,  parent · (1 + e) - others' low]

If the two do not meet, the topology or a meter is wrong: the wider one stands and the tenant is marked.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facility.readings import BoolArray, FloatArray, IntArray
from rules.layout import UNMETERED, Layout, Sums
from rules.view import UNBOUNDED

_PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class Draw:
    """The draw of each tenant; arrays of shape (tenants,).

    Attributes:
        low: At least this [mW], int64.
        best: The best estimate [mW], int64.
        high: At most this [mW], int64; `UNBOUNDED` where nobody can tell.
        most: What it could draw if nothing were known [mW], int64; `UNBOUNDED` where nobody can tell.
        coverage: Share of the rating that is covered by fresh readings, 0 to 1, float64.
        is_consistent: Whether parent meters and what is beneath them agree.
    """

    low: IntArray
    best: IntArray
    high: IntArray
    most: IntArray
    coverage: FloatArray
    is_consistent: BoolArray

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of every point at a moment; arrays of shape (points,), at least one place.

    Attributes:
        power: The last known power [mW], int64; 0 where never heard.
        is_certain: Whether that is the power now.
        is_fresh: Whether the point counts as heard.
        beyond_rating: Whether its last value was more than its asset's rating allows.
    """

    power: IntArray
    is_certain: BoolArray
    is_fresh: BoolArray
    beyond_rating: BoolArray


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What may lie between a parent meter and the sum beneath it.

    Attributes:
        meter_ppm: Meter error, either way [millionths].
        loss_ppm: The most that is lost on the way [millionths].
    """

    meter_ppm: int
    loss_ppm: int


@dataclass(slots=True)
class _Bounds:
    """An interval for each unit, cell or tenant; `is_open` where there is no upper end."""

    low: IntArray
    high: IntArray
    is_open: BoolArray


def find_draw(
    layout: Layout,
    known: Known,
    tolerance: Tolerance,
) -> Draw:
    """Compute the draw of every tenant.

    Args:
        layout: Who is summed of what.
        known: What is known of each point.
        tolerance: What may lie between a parent and its children.
    """
    count = len(layout.tenants)
    if not layout.units:
        nothing = np.zeros(count, np.int64)
        return Draw(nothing, nothing, nothing, nothing, np.ones(count), np.ones(count, np.bool_))
    units, best = _unit_bounds(layout, known)
    consistent = _narrow_alone(layout, units, known, tolerance)
    best = np.clip(best, units.low, np.where(units.is_open, UNBOUNDED, units.high))
    cells = _Bounds(
        np.add.reduceat(units.low, layout.cell_starts),
        np.add.reduceat(units.high, layout.cell_starts),
        np.logical_or.reduceat(units.is_open, layout.cell_starts),
    )
    cell_best = np.add.reduceat(best, layout.cell_starts)
    cell_consistent = np.logical_and.reduceat(consistent, layout.cell_starts)
    cell_consistent &= _narrow_shared(layout, cells, known, tolerance)
    cell_best = np.clip(cell_best, cells.low, np.where(cells.is_open, UNBOUNDED, cells.high))
    return _by_tenant(layout, cells, cell_best, cell_consistent, _fresh_units(layout, known))


def _unit_bounds(layout: Layout, known: Known) -> tuple[_Bounds, IntArray]:
    """Bound each unit by its own elements; with what was last known of each as the best estimate."""
    starts = layout.elements.starts
    value, certain = _gather(layout.elements, known)
    total = np.add.reduceat(np.where(certain, value, 0), starts)
    whole = np.logical_and.reduceat(certain, starts)
    low = np.where(whole, total, np.maximum(total, layout.floor))
    high = np.where(whole, total, np.maximum(total, layout.cap))
    # A value beyond what the rating allows puts the rating in doubt, and with it the cap.
    doubted = np.logical_or.reduceat(known.beyond_rating[layout.elements.points], starts)
    return _Bounds(low, high, ~whole & (~layout.is_capped | doubted)), np.add.reduceat(value, starts)


def _narrow_alone(layout: Layout, units: _Bounds, known: Known, tolerance: Tolerance) -> BoolArray:
    """Narrow each unit by the meters that see it and nothing else; tell where the two agree."""
    consistent = np.ones(len(units.low), np.bool_)
    if not len(layout.parents.rows):
        return consistent
    total, whole = _totals(layout.parents, known)
    rows = layout.parents.rows
    least, most = _beneath(total, tolerance)
    low, high = units.low[rows], units.high[rows]
    open_ended = units.is_open[rows]
    meets = (np.maximum(low, least) <= np.where(open_ended, most, np.minimum(high, most))) | ~whole
    narrow = whole & meets
    units.low[rows] = np.where(narrow, np.maximum(low, least), low)
    units.high[rows] = np.where(narrow, np.where(open_ended, most, np.minimum(high, most)), high)
    units.is_open[rows] = open_ended & ~narrow
    consistent[rows] = meets
    return consistent


def _narrow_shared(layout: Layout, cells: _Bounds, known: Known, tolerance: Tolerance) -> BoolArray:
    """Narrow each tenant's part of a group by the group's parents; tell where the two agree."""
    if not len(layout.groups.rows):
        return np.ones(len(cells.low), np.bool_)
    count, group = layout.group_count, layout.cell_group
    least, most = np.zeros(count, np.int64), np.zeros(count, np.int64)
    whole = np.zeros(count, np.bool_)
    total, whole[layout.groups.rows] = _totals(layout.groups, known)
    least[layout.groups.rows], most[layout.groups.rows] = _beneath(total, tolerance)
    low, high, opens = (np.zeros(count, np.int64) for _ in range(3))
    np.add.at(low, group, cells.low)
    np.add.at(high, group, cells.high)
    np.add.at(opens, group, cells.is_open)
    others_open = (opens[group] - cells.is_open) > 0
    others_low, others_high = low[group] - cells.low, high[group] - cells.high
    new_low = np.where(others_open, cells.low, np.maximum(cells.low, least[group] - others_high))
    new_high = most[group] - others_low
    new_high = np.where(cells.is_open, new_high, np.minimum(cells.high, new_high))
    meets = (new_low <= new_high) | ~whole[group]
    narrow = whole[group] & meets
    cells.low = np.where(narrow, new_low, cells.low)
    cells.high = np.where(narrow, new_high, cells.high)
    cells.is_open = cells.is_open & ~narrow
    return meets


def _by_tenant(
    layout: Layout, cells: _Bounds, best: IntArray, consistent: BoolArray, fresh: BoolArray
) -> Draw:
    count, rows, starts = len(layout.tenants), layout.tenant_rows, layout.tenant_cells
    low, middle, high = (np.zeros(count, np.int64) for _ in range(3))
    agrees, coverage = np.ones(count, np.bool_), np.ones(count)
    loss = layout.loss_ppm[rows]
    low[rows] = _scaled(np.add.reduceat(cells.low, starts), loss)
    middle[rows] = _scaled(np.add.reduceat(best, starts), loss)
    top = -_scaled(-np.add.reduceat(cells.high, starts), loss)
    high[rows] = np.where(np.logical_or.reduceat(cells.is_open, starts), UNBOUNDED, top)
    agrees[rows] = np.logical_and.reduceat(consistent, starts)
    covered, weight = np.zeros(count), np.zeros(count)
    np.add.at(covered, layout.unit_tenant, np.where(fresh, layout.weight, 0))
    np.add.at(weight, layout.unit_tenant, layout.weight)
    np.divide(covered, weight, out=coverage, where=weight > 0)
    most = np.zeros(count, np.int64)
    np.add.at(most, layout.unit_tenant, layout.cap)
    most[layout.unit_tenant[~layout.is_capped]] = UNBOUNDED
    return Draw(low, middle, high, most, coverage, agrees)


def _fresh_units(layout: Layout, known: Known) -> BoolArray:
    points = layout.elements.points
    fresh = known.is_fresh[points] & (points != UNMETERED)
    return np.logical_and.reduceat(fresh, layout.elements.starts)


def _gather(sums: Sums, known: Known) -> tuple[IntArray, BoolArray]:
    metered = sums.points != UNMETERED
    return np.where(metered, known.power[sums.points], 0), metered & known.is_certain[sums.points]


def _totals(sums: Sums, known: Known) -> tuple[IntArray, BoolArray]:
    value, certain = _gather(sums, known)
    return np.add.reduceat(value, sums.starts), np.logical_and.reduceat(certain, sums.starts)


def _beneath(total: IntArray, tolerance: Tolerance) -> tuple[IntArray, IntArray]:
    """Return between what the sum beneath parents lies, for what the parents read together."""
    size = np.abs(total)
    error = -(-size * tolerance.meter_ppm // _PPM)
    lost = -(-size * tolerance.loss_ppm // _PPM)
    return total - error - lost, total + error


def _scaled(power: IntArray, ppm: IntArray) -> IntArray:
    """Return power times millionths, rounded down, exact where there is nothing to scale."""
    return np.where(ppm == _PPM, power, power // _PPM * ppm + power % _PPM * ppm // _PPM)
