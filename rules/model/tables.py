"""The tables of one moment: every quantity of every subject as an interval, with why it is not known.

A table is made where a rule asks for it, once for all rules, and each of its columns likewise. What was not
asked for by the end of the tick cannot be asked for any more: what is known goes on changing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from facility.names import AssetId
from facility.readings import BoolArray, FloatArray
from rules.draw.summation_plan import UNMETERED
from rules.model.measured import Measured, chosen, largest_of
from rules.model.rows import DRAW, SUPPLY, Column, Lines, Links, Place, Rows, Topology
from rules.model.trip import FOR_EVER_S, TripCurves
from rules.model.windows import Statistic, Window, Windows
from rules.subject import SubjectKind
from rules.telemetry.cause import Cause, most_telling
from rules.telemetry.liveness import NEVER

if TYPE_CHECKING:
    from rules.telemetry.state import Knowledge, Values


class Fold(StrEnum):
    """What is made of several points of a row."""

    HULL = "hull"
    LARGEST = "largest"
    SMALLEST = "smallest"
    TOTAL = "total"


class Table:
    """Every subject of a kind at one moment.

    Attributes:
        kind: What each row is.
        ids: The identity of each row.
        assets: The asset that each row belongs to, "" for none.
        racks: The racks that each row serves or is, as rows of the racks' table.
    """

    def __init__(self, rows: Rows, moment: Moment, topology: Topology) -> None:
        self.kind: SubjectKind = rows.kind
        self.ids: tuple[str, ...] = rows.ids
        self.assets: tuple[str, ...] = rows.assets
        self.racks: Links = rows.racks
        self._rows = rows
        self._moment = moment
        self._topology = topology
        self._measured: dict[tuple[str, str], Measured] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def setting(self, name: str) -> FloatArray:
        """Return what the site file says that each row is rated, NaN where it says nothing; shape (rows,)."""
        found = self._rows.settings.get(name)
        return np.full(len(self), np.nan) if found is None else found

    def is_measured(self, quantity: str) -> BoolArray:
        """Return of which rows some point measures a quantity, known or not; shape (rows,)."""
        column = self._rows.columns.get(quantity)
        if column is None:
            return np.zeros(len(self), np.bool_)
        return np.logical_or.reduceat(column.points != UNMETERED, column.starts)

    def measured(self, quantity: str) -> Measured:
        """Return a quantity of each row; where several points measure it, the hull of what they say."""
        return self._get(quantity, "hull", _hull)

    def largest(self, quantity: str) -> Measured:
        """Return the largest of a quantity's points, of the phases of a circuit for one."""
        return self._get(quantity, "largest", _largest)

    def smallest(self, quantity: str) -> Measured:
        """Return the smallest of a quantity's points."""
        return self._get(quantity, "smallest", _smallest)

    def total(self, quantity: str) -> Measured:
        """Return the sum of a quantity's points, of the feeds of a rack for one."""
        return self._get(quantity, "total", _total)

    def at(self, quantity: str, place: Place, *, fold: Fold = Fold.HULL) -> Measured:
        """Return a quantity at a place of each row's asset, or its set point; of rows that are an asset each.

        Args:
            quantity: Name of a quantity that the rule declares.
            place: Which of its points.
            fold: What is made of several.
        """
        key = quantity, f"{place} {fold}"
        if key not in self._measured:
            column = self._topology.at(self._rows, quantity, place)
            self._measured[key] = (
                _unmeasured(len(self))
                if column is None
                else _FOLDS[fold](_intervals(column, self._moment), column)
            )
        return self._measured[key]

    def together(self, quantity: str) -> Measured:
        """Return what all feeds of each rack carry together, of the phase that carries most.

        It may be anything above what is measured where some feed of the rack is not.
        """
        key = quantity, "together"
        if key not in self._measured:
            column = self._rows.columns.get(quantity)
            found = _unmeasured(len(self))
            if column is not None:
                found = _together(
                    _intervals(column, self._moment), column, self._topology.lines(self._rows, quantity)
                )
            self._measured[key] = found
        return self._measured[key]

    def unbalance(self, quantity: str) -> Measured:
        """Return how unbalanced the three phases of each row are: the largest deviation from their mean.

        As a share of that mean, the unbalance of NEMA MG-1. Nothing measures it of a row that has not three
        points of three phases.
        """
        return self._get(quantity, "unbalance", _unbalance)

    def noted(self, window: Window) -> Measured:
        """Return what a window takes in of each row at the moment."""
        if window.statistic is Statistic.TRIP:
            return self.line_current()
        if window.of_total:
            return self.total(window.quantity)
        return self.largest(window.quantity) if window.of_largest else self.measured(window.quantity)

    def all_draw(self) -> Measured:
        """Return what all racks draw together [kW], of the table of racks; shape (1,).

        A rack that is not known draws between nothing and its rating.
        """
        draw = self.total(DRAW)
        low, high = np.maximum(draw.low, 0.0).sum(), np.fmin(draw.high, self.setting("rating_kw")).sum()
        best = np.where(draw.is_known, draw.best, np.clip(np.nan_to_num(draw.best), 0.0, None)).sum()
        is_bounded = np.isfinite(high)
        return Measured(
            low=np.array([min(low, high)]),
            best=np.array([best]),
            high=np.array([max(low, high)]),
            is_fresh=np.array([draw.is_fresh.all()]),
            age_ms=np.array([draw.age_ms.max(initial=-1)]),
            cause=np.array([Cause.NONE if is_bounded else Cause.GAPS], np.int8),
        )

    def line_current(self) -> Measured:
        """Return the current of the line that carries most: of the phases, or the circuit's own current."""
        return largest_of(self.largest("current.phase"), self.largest("current"))

    def line_voltage(self, *, highest: bool) -> Measured:
        """Return the voltage from line to line of each row [V], of the phase that has most or least.

        Measured, or √3 times that to neutral.

        Args:
            highest: Whether it is that of the phase that has most.
        """
        to_line, to_neutral = (
            self.largest(name) if highest else self.smallest(name) for name in ("voltage.ll", "voltage.ln")
        )
        is_there = to_line.cause != Cause.NO_POINT
        return chosen(is_there, to_line, to_neutral * math.sqrt(3))

    def magnitude(self, quantity: str) -> Measured:
        """Return how large a quantity is, whatever its sign, of the point where it is smallest."""
        least, most = self.smallest(quantity), self.largest(quantity)
        crosses = (least.low <= 0) & (most.high >= 0)
        low = np.where(crosses, 0.0, np.minimum(np.abs(least.low), np.abs(most.high)))
        high = np.minimum(
            np.maximum(np.abs(least.low), np.abs(least.high)), np.maximum(np.abs(most.low), np.abs(most.high))
        )
        best = np.minimum(np.abs(least.best), np.abs(most.best))
        return replace(least, low=low, best=best, high=np.maximum(low, high))

    def dark_racks(self, is_dead: BoolArray) -> BoolArray:
        """Return which racks hang on dead power nodes alone, shape (racks,).

        Args:
            is_dead: Which rows are dead for certain, shape (rows,).
        """
        dead = [AssetId(self.assets[row]) for row in np.flatnonzero(is_dead).tolist()]
        return self._topology.without_supply(dead)

    def any_rack(self, flags: BoolArray) -> BoolArray:
        """Return of which rows a flag holds of any rack that they serve.

        Args:
            flags: The flag of each rack, shape (racks,).
        """
        counted = np.concatenate(([0], np.cumsum(flags[self.racks.members])))
        return counted[self.racks.starts[1:]] > counted[self.racks.starts[:-1]]

    def rated_current(self) -> FloatArray:
        """Return what each circuit may carry [A]: as the site file says, else the limit that the bus tells.

        NaN where neither says anything; shape (rows,).
        """
        rated = self.setting("rated_a")
        return np.where(np.isnan(rated), self.measured("current.limit").best, rated)

    def is_of(self, kind: str) -> BoolArray:
        """Return which rows are assets of a kind."""
        return self._topology.is_of(self._rows, kind)

    def is_balanced(self) -> BoolArray:
        """Return of which power nodes all the load is metered once more beneath them."""
        found = np.zeros(len(self), np.bool_)
        found[self._topology.balance(self._rows).nodes] = True
        return found

    def losses(self, racks: Table) -> Measured:
        """Return what each power node carries and does not pass on, as a share of what it carries.

        Nothing measures it of a node that cannot be balanced.

        Args:
            racks: The table of racks, of the same moment.
        """
        balance, found = self._topology.balance(self._rows), _unmeasured(len(self))
        if not len(balance.nodes):
            return found
        carried, draw = self.measured(SUPPLY), racks.total(DRAW)
        wide, rack_wide = (self._topology.tolerance(table._rows) for table in (self, racks))  # noqa: SLF001 - its own kind
        low, high = np.maximum(carried.low, 0.0) / (1 + wide), carried.high / np.maximum(1 - wide, 1e-9)
        least = balance.passed_on(low, np.maximum(draw.low, 0.0) / (1 + rack_wide))
        most = balance.passed_on(high, draw.high / np.maximum(1 - rack_wide, 1e-9))
        likely = balance.passed_on(carried.best, draw.best)
        rows = balance.nodes
        is_told = carried.is_known[rows] & (low[rows] > 0)
        least_kw, most_kw = (np.where(is_told, side[rows], 1.0) for side in (low, high))
        found.low[rows] = np.where(is_told & np.isfinite(most), (least_kw - most) / least_kw, -np.inf)
        found.high[rows] = np.where(is_told, (most_kw - least) / most_kw, np.inf)
        likely_kw = np.where(is_told, carried.best[rows], 1.0)
        found.best[rows] = np.where(is_told, (likely_kw - likely) / likely_kw, np.nan)
        found.cause[rows] = np.where(is_told & np.isfinite(most), Cause.NONE, Cause.GAPS)
        return found

    def can_fail_over(self) -> BoolArray:
        """Return to which circuits the load of a rack would move if another part of the path failed."""
        found = np.zeros(len(self), np.bool_)
        found[self._topology.failover(self._rows).circuits] = True
        return found

    def failover_current(self, racks: Table) -> Measured:
        """Return the line current that each circuit would carry if another part of the path failed [A].

        Its own current now, for each kilowatt that it carries now, for all that it would carry then. Nothing
        measures it where nothing can move to a circuit.

        Args:
            racks: The table of racks, of the same moment.
        """
        draw, rating = racks.total(DRAW), racks.setting("rating_kw")
        least_kw, most_kw = self._topology.failover(self._rows).loads(
            np.maximum(draw.low, 0.0), np.fmin(draw.high, rating)
        )
        most_kw = most_kw / (1 - self._topology.path_loss)
        amps, power = self.line_current(), self.measured("meter.power.active")
        can_move = ~np.isnan(least_kw)
        is_told = can_move & amps.is_known & power.is_known & (power.low > 0)
        is_bounded = is_told & np.isfinite(most_kw)
        # What a kilowatt takes now, at least and at most; anything where that is not told.
        least_a, most_a = (np.where(is_told, np.maximum(each, 0.0), 0.0) for each in (amps.low, amps.high))
        low_kw, best_kw, high_kw = (
            np.where(is_told, each, 1.0) for each in (power.low, power.best, power.high)
        )
        low = np.where(is_told, least_a / high_kw * np.where(can_move, least_kw, 0.0), -np.inf)
        high = np.where(is_bounded, most_a / low_kw * np.where(is_bounded, most_kw, 0.0), np.inf)
        cause = np.where(amps.cause == Cause.NONE, power.cause, amps.cause)
        return replace(
            amps,
            low=low,
            best=np.where(is_told, amps.best / best_kw * least_kw, np.nan),
            high=np.maximum(low, high),
            cause=np.where(can_move, cause, Cause.NO_POINT).astype(np.int8),
        )

    def trip_curves(self) -> TripCurves:
        """Return by which curve each circuit's breaker trips."""
        set_a = self.setting("trip_ir_a")
        return TripCurves(
            set_a=np.where(np.isnan(set_a), self.rated_current(), set_a),
            tr_s=self.setting("trip_tr_s"),
            pickup=self.setting("trip_pickup"),
        )

    def trip_time(self, window: Window) -> Measured:
        """Return for how long each circuit's breaker still holds the present current [s], at most a day.

        Args:
            window: What is used up of what trips it, by the current of the line that carries most.
        """
        curves, used, current = self.trip_curves(), self.over(window), self.line_current()

        is_known = current.is_known & curves.is_known
        least, likely, most = (
            np.where(is_known, each, 0.0) for each in (current.low, current.best, current.high)
        )

        def left_s(share: FloatArray, current_a: FloatArray, otherwise: float) -> FloatArray:
            found = np.minimum(
                curves.left_s(np.clip(share, 0.0, 1.0), np.maximum(current_a, 0.0)), FOR_EVER_S
            )
            return np.where(is_known, found, otherwise)

        return replace(
            current,
            low=left_s(used.high, most, 0.0),
            best=left_s(used.best, likely, np.nan),
            high=left_s(used.low, least, FOR_EVER_S),
        )

    def over(self, window: Window) -> Measured:
        """Return a window's figure of each row, of a window that a rule declares."""
        key = (str(window), "window")
        if key not in self._measured:
            found = self._moment.window(self.kind, window)
            self._measured[key] = _unmeasured(len(self)) if found is None else found
        return self._measured[key]

    def _get(self, quantity: str, how: str, reduce: Callable[[Measured, Column], Measured]) -> Measured:
        key = quantity, how
        if key not in self._measured:
            self._measured[key] = self._make(quantity, reduce)
        return self._measured[key]

    def _make(self, quantity: str, reduce: Callable[[Measured, Column], Measured]) -> Measured:
        column = self._rows.columns.get(quantity)
        if column is None:
            return _unmeasured(len(self))
        found = _intervals(column, self._moment)
        return found if column.is_single and reduce is not _unbalance else reduce(found, column)


class Moment:
    """What tables are made of at one moment; it knows none of them, so that they go when nobody needs them.

    Args:
        at_ms: The moment [ms].
        knowledge: What is known of every point.
        windows: The figures over time that rules declare.

    Attributes:
        at_ms: The moment [ms].
        windows: The figures over time that rules declare.
        faults: What a window of a kind raised at the moment.
    """

    def __init__(self, at_ms: int, knowledge: Knowledge, windows: Windows) -> None:
        self.at_ms = at_ms
        self._knowledge: Knowledge | None = knowledge
        self.windows = windows
        self.faults: dict[tuple[SubjectKind, Window], Exception] = {}

    def window(self, kind: SubjectKind, window: Window) -> Measured | None:
        """Return a window's figure of each row of a kind; raises what the window raised at the moment.

        None where nobody ever measured what it is of.
        """
        if (kind, window) in self.faults:
            raise self.faults[kind, window]
        if not self.windows.has_begun((kind, window)):
            return None
        return self.windows.figure((kind, window))

    def values(self, column: Column) -> Values:
        """Return what is known of a column's points.

        Raises:
            LookupError: Where the moment is over.
        """
        if self._knowledge is None:
            raise LookupError(f"no rule asked for it at {self.at_ms}")
        return self._knowledge.values_at(column.points, self.at_ms)

    def end(self) -> None:
        """End it: what was asked for stays."""
        self._knowledge = None


class Tables:
    """The tables of one moment.

    Args:
        at_ms: The moment [ms].
        topology: The rows.
        knowledge: What is known of every point.
        windows: The figures over time that rules declare.

    Attributes:
        at_ms: The moment [ms].
        topology: The rows.
        moment: What they are made of.
    """

    def __init__(
        self,
        at_ms: int,
        topology: Topology,
        knowledge: Knowledge,
        windows: Windows,
    ) -> None:
        self.at_ms = at_ms
        self.topology = topology
        self.moment = Moment(at_ms, knowledge, windows)
        self._tables: dict[SubjectKind, Table] = {}

    def table(self, kind: SubjectKind) -> Table:
        """Return the table of a kind."""
        if kind not in self._tables:
            self._tables[kind] = Table(self.topology.rows(kind), self.moment, self.topology)
        return self._tables[kind]

    @property
    def measured(self) -> frozenset[str]:
        """The quantities that any point measures, of those that rules judge."""
        return self.topology.measured

    def note(self) -> None:
        """Let every window take in the moment; not one of a quantity that nobody measures, nor ever did.

        One that raises begins anew, and what it raised is raised once more for whoever asks for its figure:
        only the rules that use it are unhealthy.
        """
        windows, faults = self.moment.windows, self.moment.faults
        for kind, window in windows:
            if window.quantities.isdisjoint(self.measured) and not windows.has_begun((kind, window)):
                continue
            try:
                table = self.table(kind)
                curves = table.trip_curves() if window.statistic is Statistic.TRIP else None
                windows.note((kind, window), table.ids, table.noted(window), self.at_ms, curves)
            except Exception as error:  # noqa: BLE001 - no fault of one window may end the others
                windows.begin_anew((kind, window))
                faults[kind, window] = error

    def close(self) -> None:
        """End the moment: what was asked for stays."""
        self.moment.end()


def _intervals(column: Column, moment: Moment) -> Measured:
    """Return each point of a column as an interval, shape (members,)."""
    values, missing = moment.values(column), column.missing
    best, fresh, cause, measured_ms = values.value, values.is_fresh, values.cause, values.measured_ms
    if len(missing):
        best[missing], fresh[missing], cause[missing] = np.nan, False, Cause.NO_POINT
        measured_ms[missing] = NEVER
    low = high = best
    if column.at_least is not None and column.at_most is not None:
        one, other = best * column.at_least, best * column.at_most
        low, high = np.minimum(one, other), np.maximum(one, other)
    unknown = np.flatnonzero(cause)
    if len(unknown):
        low, high = low.copy(), high.copy()
        low[unknown], high[unknown] = -np.inf, np.inf
    never = np.flatnonzero(measured_ms == NEVER)
    age_ms = np.subtract(moment.at_ms, measured_ms, out=measured_ms)
    age_ms[never] = -1
    return Measured(low=low, best=best, high=high, is_fresh=fresh, age_ms=age_ms, cause=cause)


def _reduced(
    found: Measured,
    column: Column,
    low: FloatArray,
    best: FloatArray,
    high: FloatArray,
    cause: NDArray[np.int8],
) -> Measured:
    return Measured(
        low=low,
        best=best,
        high=high,
        is_fresh=np.logical_and.reduceat(found.is_fresh, column.starts),
        age_ms=np.maximum.reduceat(found.age_ms, column.starts),
        cause=cause,
    )


def _hull(found: Measured, column: Column) -> Measured:
    """Return what lies between the points that are known: several that say the same, or do not."""
    known, starts = found.is_known, column.starts
    low = np.minimum.reduceat(np.where(known, found.low, np.inf), starts)
    high = np.maximum.reduceat(np.where(known, found.high, -np.inf), starts)
    any_known = low <= high
    # They agree where one value can be what all of them say.
    highest_low = np.maximum.reduceat(found.low, starts)
    lowest_high = np.minimum.reduceat(found.high, starts)
    cause = np.where(highest_low <= lowest_high, Cause.NONE, Cause.DISAGREE)
    best = np.fmax.reduceat(np.where(known, found.best, np.nan), starts)
    return _reduced(
        found,
        column,
        low=np.where(any_known, low, -np.inf),
        best=np.where(any_known, best, np.fmax.reduceat(found.best, starts)),
        high=np.where(any_known, high, np.inf),
        cause=np.where(any_known, cause, most_telling(found.cause, starts)).astype(np.int8),
    )


def _largest(found: Measured, column: Column) -> Measured:
    return _folded(found, column, np.maximum, np.fmax)


def _smallest(found: Measured, column: Column) -> Measured:
    return _folded(found, column, np.minimum, np.fmin)


def _total(found: Measured, column: Column) -> Measured:
    return _folded(found, column, np.add, np.add)


_FOLDS: Final[Mapping[Fold, Callable[[Measured, Column], Measured]]] = MappingProxyType(
    {Fold.HULL: _hull, Fold.LARGEST: _largest, Fold.SMALLEST: _smallest, Fold.TOTAL: _total}
)


def _together(found: Measured, column: Column, lines: Lines) -> Measured:
    """Return the largest line of each row, the sum of its points."""
    sorted_points = Measured(
        **{field.name: getattr(found, field.name)[lines.order] for field in fields(Measured)}
    )
    summed = _total(sorted_points, replace(column, starts=lines.starts))
    rows = _largest(summed, replace(column, starts=lines.rows))
    high, cause = rows.high.copy(), rows.cause.copy()
    lacking = lines.lacking[cause[lines.lacking] == Cause.NONE]
    high[lacking], cause[lacking] = np.inf, Cause.GAPS
    return replace(rows, high=high, cause=cause)


def _unbalance(found: Measured, column: Column) -> Measured:
    """Return the largest deviation of three phases from their mean, as a share of it."""
    rows = _unmeasured(len(column.starts))
    places = column.starts[column.trios][:, None] + np.arange(3)
    low, best, high = (np.maximum(each[places], 0.0) for each in (found.low, found.best, found.high))
    cause = most_telling(found.cause[places].ravel(), np.arange(0, places.size, 3))
    known = cause == Cause.NONE
    low, high = np.where(known[:, None], low, 0.0), np.where(known[:, None], high, 0.0)
    lowest, highest = low.sum(axis=1, keepdims=True), high.sum(axis=1, keepdims=True)
    # A phase less the mean is two thirds of it less a third of the others.
    least = (2 * low - (highest - high)) / 3
    most = (2 * high - (lowest - low)) / 3
    apart_least = np.maximum(np.maximum(least, -most), 0.0).max(axis=1)
    apart_most = np.maximum(np.abs(least), np.abs(most)).max(axis=1)
    mean_least, mean, mean_most = lowest[:, 0] / 3, best.mean(axis=1), highest[:, 0] / 3
    apart = np.abs(best - mean[:, None]).max(axis=1)
    is_told = known & (mean_least > 0)
    each = column.trios
    rows.low[each] = np.divide(apart_least, mean_most, out=np.full(len(each), -np.inf), where=is_told)
    rows.best[each] = np.divide(apart, mean, out=np.full(len(each), np.nan), where=mean > 0)
    rows.high[each] = np.divide(apart_most, mean_least, out=np.full(len(each), np.inf), where=is_told)
    rows.is_fresh[each] = found.is_fresh[places].all(axis=1)
    rows.age_ms[each] = found.age_ms[places].max(axis=1)
    rows.cause[each] = cause
    return rows


def _folded(found: Measured, column: Column, bounds: np.ufunc, best: np.ufunc) -> Measured:
    """Return the bounds and the best value of each row, made of those of its points."""
    starts = column.starts
    return _reduced(
        found,
        column,
        low=bounds.reduceat(found.low, starts),
        best=best.reduceat(found.best, starts),
        high=bounds.reduceat(found.high, starts),
        cause=most_telling(found.cause, starts),
    )


def _unmeasured(count: int) -> Measured:
    """Return a quantity that nothing measures."""
    return Measured(
        low=np.full(count, -np.inf),
        best=np.full(count, np.nan),
        high=np.full(count, np.inf),
        is_fresh=np.zeros(count, np.bool_),
        age_ms=np.full(count, -1),
        cause=np.full(count, Cause.NO_POINT, np.int8),
    )
