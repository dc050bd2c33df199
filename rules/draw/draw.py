"""A tenant's draw as an interval that contains the truth, in integer milliwatts.

A meter of class error e that reads v tells that between v / (1 + e) and v / (1 - e) flows. Points whose value
is certain give a sum of such intervals; what is not certain adds between its floor and its cap:

    low  = Σ certain, at least + Σ floors        high = Σ certain, at most + Σ caps

Other meters claim something of the same power (`rules.draw.summation_plan.Level`). One that is believed
narrows what is not certain: a tenant's part of what it speaks for lies in [least - others' high, most -
others' low]. One that contradicts what is beneath it proves nothing, and neither does what it contradicts:
the interval is then the hull of both, until the two are seen to agree again (`rules.telemetry.trust`).

A cap that a measurement has disproved is none: a rack that was ever seen above its rating may draw what is
credible of one, and one that was seen above that may draw anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from facility.contracts import PPM
from facility.readings import BoolArray, FloatArray, IntArray
from rules.draw.summation_plan import OPEN, UNMETERED, Index, Layout, Level, Sums
from rules.fixed_point import at_least, at_most, share
from rules.telemetry.trust import Memory
from rules.view import UNBOUNDED

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Draw:
    """The draw of each tenant at the boundary of its contract, exact; arrays of shape (tenants,).

    Attributes:
        low: At least this [mW], int64.
        best: The best estimate [mW], int64.
        high: At most this [mW], int64; `UNBOUNDED` where there is no bound.
        most: What it could draw if nothing were known [mW], int64; `UNBOUNDED` where there is no bound.
        loss_ppm: Power at the delivery point for a million at the boundary, int64.
        coverage: Share of the rating that is covered by fresh readings, 0 to 1, float64.
        is_consistent: Whether no other meter contradicts what its draw is summed of.
    """

    low: IntArray
    best: IntArray
    high: IntArray
    most: IntArray
    loss_ppm: IntArray
    coverage: FloatArray
    is_consistent: BoolArray

    @property
    def is_estimated(self) -> BoolArray:
        """Whether there is an estimate: something is fresh, or was heard that says more than the bound."""
        estimated: BoolArray = (self.coverage > 0) | (self.best > self.low)
        return estimated

    def delivered(self) -> tuple[IntArray, IntArray, IntArray]:
        """Return low, best and high at the delivery point [mW], bounds rounded outwards."""
        if (self.loss_ppm == PPM).all():
            return self.low, self.best, self.high
        high = np.where(self.high == UNBOUNDED, UNBOUNDED, -_scaled(-self.high, self.loss_ppm))
        return _scaled(self.low, self.loss_ppm), _scaled(self.best, self.loss_ppm), high

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
        times: Gives when that was so, which is now for what is published on change, and for how long from
            then on it is so [ms], int64.
        measured_ms: When its value was last measured, as far as that is known [ms], int64.
        least: The least that is read of it now [mW], int64; `power` itself where no points say the same.
        most: The most that is read of it now [mW], int64.
        arrives: Gives whether something of it arrived lately, whatever that is worth.
        news: Gives when something of it last arrived [ms], int64, and whether that was a value to be trusted.
    """

    power: IntArray
    is_certain: BoolArray
    is_fresh: BoolArray
    beyond_rating: BoolArray
    times: Callable[[], tuple[IntArray, IntArray]]
    arrives: Callable[[], BoolArray]
    news: Callable[[], tuple[IntArray, BoolArray]]
    measured_ms: IntArray
    least: IntArray
    most: IntArray


@dataclass(slots=True)
class _Bounds:
    """An interval for each unit or cell; `is_open` where there is no upper end."""

    low: IntArray
    high: IntArray
    is_open: BoolArray

    def summed(self, starts: Index) -> _Bounds:
        """Return the sums of neighbours."""
        return _Bounds(
            _reduced(np.add, self.low, starts),
            _reduced(np.add, self.high, starts),
            _reduced(np.logical_or, self.is_open, starts),
        )

    def clip(self, best: IntArray) -> IntArray:
        """Return estimates within the bounds."""
        if self.low is self.high:  # all is known exactly
            return self.low
        return np.clip(best, self.low, np.where(self.is_open, UNBOUNDED, self.high))


@dataclass(frozen=True, slots=True)
class _Units:
    """What units are by themselves; arrays of shape (units,).

    Attributes:
        cap: The most that each could draw [mW], `OPEN` where that is not known.
        is_whole: Whether all of its elements are certain.
        last: The last that was known of it [mW].
    """

    cap: IntArray
    is_whole: BoolArray
    last: IntArray


@dataclass(frozen=True, slots=True)
class Compared:
    """What claims say beside what is beneath them says itself; arrays of shape (claims,).

    Attributes:
        least: At least this is claimed [mW], int64.
        most: At most this is claimed [mW], int64.
        tells: Whether anything is claimed.
        low: It is at least this by what is beneath [mW], int64.
        high: It is at most this by what is beneath [mW], int64; `OPEN` where there is no bound.
        is_whole: Whether all that is beneath is certain.
    """

    least: IntArray
    most: IntArray
    tells: BoolArray
    low: IntArray
    high: IntArray
    is_whole: BoolArray

    @property
    def meets(self) -> BoolArray:
        """Whether both can be true."""
        return (self.low <= self.most) & (self.least <= self.high)


def find_draw(layout: Layout, known: Known, memory: Memory, at_ms: int) -> tuple[Draw, tuple[Compared, ...]]:
    """Compute the draw of every tenant.

    Args:
        layout: Who is summed of what.
        known: What is known of each point.
        memory: What is remembered of the ticks before; what this one shows is added.
        at_ms: The moment [ms].

    Returns:
        The draws, and what was compared with what at each level of the layout.
    """
    memory.align(layout)
    count = len(layout.tenants)
    if not len(layout.cap):
        nothing = np.zeros(count, np.int64)
        known_all = np.ones(count, np.bool_)
        return Draw(nothing, nothing, nothing, nothing, layout.loss_ppm, np.ones(count), known_all), ()
    cells, units = _unit_bounds(layout, known, memory)
    best, is_denied = cells.clip(units.last), np.zeros(len(units.cap), np.bool_)
    hull: _Bounds | None = None
    ages, found = _Ages(layout, known, at_ms), []
    for level, trust in zip(layout.levels, memory.levels, strict=True):
        cells, best = cells.summed(level.starts), _reduced(np.add, best, level.starts)
        hull = None if hull is None else hull.summed(level.starts)
        is_denied = _reduced(np.logical_or, is_denied, level.starts)
        groups = _Groups(level, cells, known, units.is_whole)
        compared = groups.compared
        agrees = compared.tells & compared.meets & compared.is_whole
        trust.judge(compared.tells & ~compared.meets, agrees, partial(ages.oldest_ms, level), at_ms)
        if trust.is_denied.any():
            is_denied |= groups.each(trust.is_denied, nothing=False)
            hull = groups.widened(cells if hull is None else hull, trust.is_denied, layout, units.cap)
        cells = groups.narrowed(trust.is_believed, ages)
        best = cells.clip(best)
        found.append(compared)
    if hull is not None:
        cells, best = hull, hull.clip(best)
    return _by_tenant(layout, cells, best, is_denied, units.cap, known), tuple(found)


def _unit_bounds(layout: Layout, known: Known, memory: Memory) -> tuple[_Bounds, _Units]:
    """Bound each unit by its own elements."""
    elements = layout.elements
    value, certain = _gather(elements, known)
    last = _reduced(np.add, value, elements.starts)
    whole = _reduced(np.logical_and, certain, elements.starts)
    is_exact = elements.is_exact and known.least is known.power
    if is_exact:
        total = last if whole.all() else _reduced(np.add, np.where(certain, value, 0), elements.starts)
        least = most = total
    else:
        floors, tops = _read(elements, known)
        least = _reduced(np.add, np.where(certain, floors, 0), elements.starts)
        most = _reduced(np.add, np.where(certain, tops, 0), elements.starts)
    # Each part of a unit draws something or nothing: what was measured of it proves as much of the whole.
    proved = memory.proved
    np.maximum(proved, last if least is last else np.maximum(last, least), out=proved)
    cap, beyond = layout.cap, np.flatnonzero(proved > layout.cap)
    if len(beyond):
        ceiling = layout.ceiling[beyond]
        cap = cap.copy()
        cap[beyond] = np.where(proved[beyond] <= ceiling, ceiling, OPEN)
    if known.beyond_rating.any():
        doubted = known.beyond_rating[elements.points] & (elements.points != UNMETERED)
        cap = np.where(_reduced(np.logical_or, doubted, elements.starts), OPEN, cap)
    if whole.all():
        return _Bounds(least, most, np.zeros(len(whole), np.bool_)), _Units(cap, whole, last)
    is_open = ~whole & (cap == OPEN)
    low = np.where(whole, least, np.maximum(least, layout.floor))
    high = np.where(whole, most, np.where(is_open, 0, cap if is_exact else np.maximum(cap, most)))
    return _Bounds(low, high, is_open), _Units(cap, whole, last)


class _Groups:
    """The cells of a level beside what is claimed of their groups."""

    def __init__(self, level: Level, cells: _Bounds, known: Known, is_whole: BoolArray) -> None:
        self._level = level
        self._cells = cells
        count = len(level.keys)
        self._low, self._high, self._open, in_doubt = (np.zeros(count + 1, np.int64) for _ in range(4))
        np.add.at(self._low, level.claim, cells.low)
        np.add.at(self._high, level.claim, cells.high)
        np.add.at(self._open, level.claim, cells.is_open)
        np.add.at(in_doubt, level.claim, ~np.logical_and.reduceat(is_whole, level.units))
        least, most, tells = _claimed(level, known)
        self.compared = Compared(
            least=least,
            most=most,
            tells=tells,
            low=self._low[:count],
            high=np.where(self._open[:count] > 0, OPEN, self._high[:count]),
            is_whole=in_doubt[:count] == 0,
        )

    def each(self, claims: NDArray[Any], *, nothing: float) -> NDArray[Any]:
        """Return for each cell what holds of the claim about it."""
        return np.append(claims, np.asarray(nothing, claims.dtype))[self._level.claim]

    def _left(self) -> tuple[IntArray, IntArray, BoolArray]:
        """Return what is left of each claim for a cell once the others have theirs; whether the least is."""
        claim, cells, compared = self._level.claim, self._cells, self.compared
        others_low, others_high = self._low[claim] - cells.low, self._high[claim] - cells.high
        is_bounded = (self._open[claim] - cells.is_open) == 0
        least = self.each(compared.least, nothing=0) - others_high
        return least, self.each(compared.most, nothing=0) - others_low, is_bounded

    def narrowed(self, is_believed: BoolArray, ages: _Ages) -> _Bounds:
        """Return the cells as far as the claims that are believed narrow them."""
        cells, compared = self._cells, self.compared
        can = compared.tells & compared.meets & is_believed & (compared.low < compared.high)
        if not can.any():
            return cells
        narrows = self.each(can & ages.is_of_one_time(self._level), nothing=False)
        least, most, is_bounded = self._left()
        low = np.where(narrows & is_bounded, np.maximum(cells.low, least), cells.low)
        high = np.where(narrows, np.where(cells.is_open, most, np.minimum(cells.high, most)), cells.high)
        return _Bounds(low, high, cells.is_open & ~narrows)

    def widened(self, hull: _Bounds, is_denied: BoolArray, layout: Layout, cap: IntArray) -> _Bounds:
        """Return bounds that hold whether a claim that is denied is right, or what is beneath it.

        A claim that was denied and tells nothing now may be whatever the units can draw.
        """
        units = self._level.units
        floor, uncapped = np.add.reduceat(layout.floor, units), cap == OPEN
        top = np.add.reduceat(np.where(uncapped, 0, cap), units)
        is_denied, tells = self.each(is_denied, nothing=False), self.each(self.compared.tells, nothing=False)
        least, most, is_bounded = self._left()
        low = np.where(tells & is_bounded, np.maximum(floor, least), floor)
        high = np.where(tells, most, top)
        is_open = ~tells & np.logical_or.reduceat(uncapped, units)
        return _Bounds(
            np.where(is_denied, np.minimum(hull.low, low), hull.low),
            np.where(is_denied, np.maximum(hull.high, high), hull.high),
            hull.is_open | (is_denied & is_open),
        )


class _Ages:
    """How old the readings are that take part in a comparison."""

    def __init__(self, layout: Layout, known: Known, at_ms: int) -> None:
        self._layout = layout
        self._known = known
        self._at_ms = at_ms

    @cached_property
    def _times(self) -> tuple[IntArray, IntArray]:
        return self._known.times()

    def oldest_ms(self, level: Level) -> IntArray:
        """Return when the oldest reading of each claim and of what is certain beneath it was made [ms]."""
        return self._least_of(level, self._times[0], self._at_ms)

    def is_of_one_time(self, level: Level) -> BoolArray:
        """Tell which claims have only readings younger than the shortest time for which one of them lasts.

        Beside a meter that speaks every second, what one said some seconds ago is of another time, and
        together they say nothing.
        """
        lasts_ms = self._least_of(level, self._times[1], OPEN)
        is_of_one_time: BoolArray = self._at_ms - self.oldest_ms(level) < lasts_ms
        return is_of_one_time

    def _least_of(self, level: Level, times: IntArray, otherwise: int) -> IntArray:
        def within(sums: Sums) -> IntArray:
            certain = _gather(sums, self._known)[1]
            return _reduced(np.minimum, np.where(certain, times[sums.points], otherwise), sums.starts)

        found = np.append(within(level.sums), otherwise)
        beneath = np.minimum.reduceat(within(self._layout.elements), level.units)
        np.minimum.at(found, level.claim, beneath)
        return found[:-1]


def _by_tenant(
    layout: Layout, cells: _Bounds, best: IntArray, is_denied: BoolArray, cap: IntArray, known: Known
) -> Draw:
    count, rows, starts = len(layout.tenants), layout.tenant_rows, layout.tenant_cells
    low, middle, high, most = (np.zeros(count, np.int64) for _ in range(4))
    is_consistent = np.ones(count, np.bool_)
    low[rows] = np.add.reduceat(cells.low, starts)
    middle[rows] = np.add.reduceat(best, starts)
    top = np.add.reduceat(cells.high, starts)
    high[rows] = np.where(np.logical_or.reduceat(cells.is_open, starts), UNBOUNDED, top)
    if is_denied.any():
        is_consistent[rows] = ~np.logical_or.reduceat(is_denied, starts)
    uncapped = cap == OPEN
    caps = np.add.reduceat(np.where(uncapped, 0, cap), layout.tenant_units)
    most[rows] = np.where(np.logical_or.reduceat(uncapped, layout.tenant_units), UNBOUNDED, caps)
    coverage = rated_share(layout, known.is_fresh)
    return sound(layout, Draw(low, middle, high, most, layout.loss_ppm, coverage, is_consistent))


def sound(layout: Layout, draw: Draw) -> Draw:
    """Return draws whose bounds hold their best estimate; any other counts as not known.

    Bounds that contradict each other are a fault of ours, which must not be taken for compliance or a breach.
    """
    is_sound = (draw.low <= draw.best) & (draw.best <= draw.high)
    if is_sound.all():
        return draw
    tenants = [str(layout.tenants[row]) for row in np.flatnonzero(~is_sound).tolist()]
    _log.error("a draw is outside its bounds, and counts as unknown", tenants=tenants)
    return replace(
        draw,
        low=np.where(is_sound, draw.low, np.minimum(draw.best, 0)),
        high=np.where(is_sound, draw.high, UNBOUNDED),
        is_consistent=draw.is_consistent & is_sound,
    )


def rated_share(layout: Layout, holds: BoolArray) -> FloatArray:
    """Return the share of each tenant's rating whose units satisfy a condition, shape (tenants,).

    Args:
        layout: Who is summed of what.
        holds: Whether it holds of each point, shape (points,).
    """
    share_of = np.ones(len(layout.tenants))
    if not len(layout.weight):
        return share_of
    elements = layout.elements
    each = holds[elements.points]
    if elements.has_unmetered:
        each &= elements.points != UNMETERED
    units = _reduced(np.logical_and, each, elements.starts)
    if units.all():
        return share_of
    counted = np.add.reduceat(np.where(units, layout.weight, 0), layout.tenant_units)
    share_of[layout.tenant_rows] = counted / layout.tenant_weight
    return share_of


def _gather(sums: Sums, known: Known) -> tuple[IntArray, BoolArray]:
    """Return the power of each element, and whether it is certain."""
    value, certain = known.power[sums.points], known.is_certain[sums.points]
    if sums.has_unmetered:
        metered = sums.points != UNMETERED
        value, certain = np.where(metered, value, 0), metered & certain
    if not sums.is_exact:
        certain &= sums.errors < PPM
    return value, certain


def _read(sums: Sums, known: Known) -> tuple[IntArray, IntArray]:
    """Return between what the power of each element lies, by its meter's class error."""
    least, most = known.least[sums.points], known.most[sums.points]
    errors = np.minimum(sums.errors, PPM - 1)
    return at_least(least, errors), at_most(most, errors)


def _reduced(operation: np.ufunc, values: NDArray[Any], starts: Index) -> NDArray[Any]:
    """Return one value for each row of neighbours."""
    reduced: NDArray[Any] = values if len(values) == len(starts) else operation.reduceat(values, starts)
    return reduced


def _claimed(level: Level, known: Known) -> tuple[IntArray, IntArray, BoolArray]:
    """Return between what each claim says that the power beneath lies, and whether it says anything.

    A meter that says less than nothing is wired wrongly, and one that may be wrong by all it says tells
    nothing.
    """
    sums = level.sums
    certain = _gather(sums, known)[1]
    least, most = known.least[sums.points], known.most[sums.points]
    speaks = certain & (least >= 0) & (level.most_of > 0)
    tells = _reduced(np.logical_and, speaks, sums.starts)
    least = share(np.where(speaks, least, 0), level.least, level.least_of)
    most = -share(np.where(speaks, -most, 0), level.most, np.maximum(level.most_of, 1))
    least, most = _reduced(np.add, least, sums.starts), _reduced(np.add, most, sums.starts)
    return np.where(tells, least, 0), np.where(tells, most, 0), tells


def _scaled(power: IntArray, ppm: IntArray) -> IntArray:
    """Return power times millionths, rounded down, exact where there is nothing to scale."""
    return np.where(ppm == PPM, power, share(power, ppm, PPM))
