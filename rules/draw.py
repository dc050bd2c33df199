"""A tenant's draw as an interval that contains the truth, in integer milliwatts.

Points whose value is certain give a sum. What is not certain adds between its floor and its cap; parent
meters that see the same racks narrow that. With parents that read m together, each within a share e of what
truly flows, and with at most a share l of that lost on the way:

    low  = Σ certain + Σ floors        high = Σ certain + Σ caps
    Σ beneath ∈ [m · (1 - l) / (1 + e),  m / (1 - e)]
    a tenant's part of it ∈ [least - others' high,  most - others' low]

If the two do not meet, the topology or a meter is wrong: the wider one stands and the tenant is marked. A cap
that a measurement has disproved is none: a rack that was seen above its rating may draw what is credible of
one, and one that was seen above that may draw anything.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facility.readings import BoolArray, FloatArray, IntArray
from rules.figures import PPM, share
from rules.layout import OPEN, UNMETERED, Index, Layout, Sums
from rules.view import UNBOUNDED


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
        power: The last power that was to be trusted [mW], int64; 0 where there was none.
        is_certain: Whether that is the power now.
        is_fresh: Whether the point counts as heard.
        beyond_rating: Whether more than is credible of its asset's rating was measured since then.
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
    if not len(layout.cap):
        nothing = np.zeros(count, np.int64)
        return Draw(nothing, nothing, nothing, nothing, np.ones(count), np.ones(count, np.bool_))
    units, best, cap = _unit_bounds(layout, known)
    consistent = _narrow_alone(layout, units, known, tolerance)
    best = _within(best, units)
    starts = layout.cell_starts
    cells = _Bounds(
        np.add.reduceat(units.low, starts),
        np.add.reduceat(units.high, starts),
        np.logical_or.reduceat(units.is_open, starts),
    )
    agrees = np.logical_and.reduceat(consistent, starts) & _narrow_shared(layout, cells, known, tolerance)
    cell_best = _within(np.add.reduceat(best, starts), cells)
    return _by_tenant(layout, cells, cell_best, agrees, _Seen(cap, _fresh_units(layout, known)))


@dataclass(frozen=True, slots=True)
class _Seen:
    """What each unit could draw at most [mW], `OPEN` where nobody knows, and whether it counts as heard."""

    cap: IntArray
    is_fresh: BoolArray


def _unit_bounds(layout: Layout, known: Known) -> tuple[_Bounds, IntArray, IntArray]:
    """Bound each unit by its own elements; with what was last known of each, and the cap that it leaves."""
    elements = layout.elements
    value, certain = _gather(elements, known)
    last = _reduced(np.add, value, elements.starts)
    whole = _reduced(np.logical_and, certain, elements.starts)
    total = last if whole.all() else _reduced(np.add, np.where(certain, value, 0), elements.starts)
    # Each part of a unit draws something or nothing: what was measured of it proves as much of the whole.
    proved = np.maximum(last, total)
    cap = np.where(proved <= layout.cap, layout.cap, np.where(proved <= layout.ceiling, layout.ceiling, OPEN))
    if known.beyond_rating.any():
        doubted = known.beyond_rating[elements.points] & (elements.points != UNMETERED)
        cap[_reduced(np.logical_or, doubted, elements.starts)] = OPEN
    is_open = ~whole & (cap == OPEN)
    low = np.where(whole, total, np.maximum(total, layout.floor))
    high = np.where(whole, total, np.where(is_open, 0, cap))
    return _Bounds(low, high, is_open), last, cap


def _narrow_alone(layout: Layout, units: _Bounds, known: Known, tolerance: Tolerance) -> BoolArray:
    """Narrow each unit by the meters that see it and nothing else; tell where the two agree."""
    consistent = np.ones(len(units.low), np.bool_)
    rows = layout.parents.rows
    if not len(rows):
        return consistent
    least, most, tells = _beneath(layout.parents, known, tolerance)
    low, is_open = units.low[rows], units.is_open[rows]
    new_low = np.maximum(low, least)
    new_high = np.where(is_open, most, np.minimum(units.high[rows], most))
    meets = (new_low <= new_high) | ~tells
    narrow = tells & meets
    units.low[rows] = np.where(narrow, new_low, low)
    units.high[rows] = np.where(narrow, new_high, units.high[rows])
    units.is_open[rows] = is_open & ~narrow
    consistent[rows] = meets
    return consistent


def _narrow_shared(layout: Layout, cells: _Bounds, known: Known, tolerance: Tolerance) -> BoolArray:
    """Narrow each tenant's part of a group by the group's parents; tell where the two agree."""
    if not len(layout.groups.rows):
        return np.ones(len(cells.low), np.bool_)
    count, group = layout.group_count, layout.cell_group
    least, most = np.zeros(count, np.int64), np.zeros(count, np.int64)
    tells = np.zeros(count, np.bool_)
    rows = layout.groups.rows
    least[rows], most[rows], tells[rows] = _beneath(layout.groups, known, tolerance)
    low, high, opens = (np.zeros(count, np.int64) for _ in range(3))
    np.add.at(low, group, cells.low)
    np.add.at(high, group, cells.high)
    np.add.at(opens, group, cells.is_open)
    others_open = (opens[group] - cells.is_open) > 0
    others_low, others_high = low[group] - cells.low, high[group] - cells.high
    new_low = np.where(others_open, cells.low, np.maximum(cells.low, least[group] - others_high))
    new_high = most[group] - others_low
    new_high = np.where(cells.is_open, new_high, np.minimum(cells.high, new_high))
    meets = (new_low <= new_high) | ~tells[group]
    narrow = tells[group] & meets
    cells.low = np.where(narrow, new_low, cells.low)
    cells.high = np.where(narrow, new_high, cells.high)
    cells.is_open = cells.is_open & ~narrow
    return meets


def _by_tenant(layout: Layout, cells: _Bounds, best: IntArray, agrees: BoolArray, seen: _Seen) -> Draw:
    count, rows, starts = len(layout.tenants), layout.tenant_rows, layout.tenant_cells
    low, middle, high, most = (np.zeros(count, np.int64) for _ in range(4))
    is_consistent, coverage = np.ones(count, np.bool_), np.ones(count)
    loss = layout.loss_ppm[rows]
    low[rows] = _scaled(np.add.reduceat(cells.low, starts), loss)
    middle[rows] = _scaled(np.add.reduceat(best, starts), loss)
    top = -_scaled(-np.add.reduceat(cells.high, starts), loss)
    high[rows] = np.where(np.logical_or.reduceat(cells.is_open, starts), UNBOUNDED, top)
    is_consistent[rows] = np.logical_and.reduceat(agrees, starts)
    heard = np.add.reduceat(np.where(seen.is_fresh, layout.weight, 0), layout.tenant_units)
    coverage[rows] = heard / layout.tenant_weight
    uncapped = seen.cap == OPEN
    caps = -_scaled(-np.add.reduceat(np.where(uncapped, 0, seen.cap), layout.tenant_units), loss)
    most[rows] = np.where(np.logical_or.reduceat(uncapped, layout.tenant_units), UNBOUNDED, caps)
    return Draw(low, middle, high, most, coverage, is_consistent)


def _fresh_units(layout: Layout, known: Known) -> BoolArray:
    elements = layout.elements
    fresh = known.is_fresh[elements.points]
    if elements.has_unmetered:
        fresh &= elements.points != UNMETERED
    return _reduced(np.logical_and, fresh, elements.starts)


def _within(best: IntArray, bounds: _Bounds) -> IntArray:
    return np.clip(best, bounds.low, np.where(bounds.is_open, UNBOUNDED, bounds.high))


def _gather(sums: Sums, known: Known) -> tuple[IntArray, BoolArray]:
    """Return the power of each element, and whether it is certain."""
    value, certain = known.power[sums.points], known.is_certain[sums.points]
    if sums.has_unmetered:
        metered = sums.points != UNMETERED
        value, certain = np.where(metered, value, 0), metered & certain
    return value, certain


def _reduced(operation: np.ufunc, values: NDArray[Any], starts: Index) -> NDArray[Any]:
    """Return one value for each row of neighbours."""
    reduced: NDArray[Any] = values if len(values) == len(starts) else operation.reduceat(values, starts)
    return reduced


def _beneath(parents: Sums, known: Known, tolerance: Tolerance) -> tuple[IntArray, IntArray, BoolArray]:
    """Return between what the sum beneath parents lies, and where they tell that at all.

    A meter that says less than nothing is wired wrongly, and one that may be wrong by all it says tells
    nothing.
    """
    value, certain = _gather(parents, known)
    tells = _reduced(np.logical_and, certain & (value >= 0), parents.starts)
    total = np.where(tells, _reduced(np.add, value, parents.starts), 0)
    error, loss = tolerance.meter_ppm, tolerance.loss_ppm
    if error >= PPM:
        return total, total, np.zeros_like(tells)
    return share(total, PPM - loss, PPM + error), -share(-total, PPM, PPM - error), tells


def _scaled(power: IntArray, ppm: IntArray) -> IntArray:
    """Return power times millionths, rounded down, exact where there is nothing to scale."""
    return np.where(ppm == PPM, power, share(power, ppm, PPM))
