"""The tables of one moment: every quantity of every subject as an interval, with why it is not known.

A table is made where a rule asks for it, once for all rules, and each of its columns likewise. What was not
asked for by the end of the tick cannot be asked for any more: what is known goes on changing.

Of a column that was asked for at the moment before, only rows are made anew of which something may be known
otherwise (`rules.telemetry.news`); one without any is the same object.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from facility.names import AssetId
from facility.readings import BoolArray, FloatArray, IntArray
from rules.draw.metering_boundary import CREDIBLE
from rules.draw.summation_plan import UNMETERED, Index
from rules.model.measured import Measured, chosen, largest_of
from rules.model.rows import DRAW, PHASES, SHARED, SUPPLY, Column, Lines, Links, Place, Rows, Topology
from rules.model.trip import FOR_EVER_S, TripCurves
from rules.model.windows import BY_CURVES, OF_LINES, Window, Windows
from rules.subject import SubjectKind
from rules.telemetry.cause import Cause, most_telling
from rules.view import KILOWATT, NO_LIMIT

if TYPE_CHECKING:
    from rules.telemetry.state import Knowledge, Values


class Fold(StrEnum):
    """What is made of several points of a row."""

    HULL = "hull"
    LARGEST = "largest"
    SMALLEST = "smallest"
    TOTAL = "total"
    COUNT = "count"


HIGHEST_VOLTAGE: Final = 1.1
"""The most that a voltage is of its nominal one in normal operation (EN 50160)."""
LEAST_CURRENT_A: Final = 1.0
"""Below this a current is the resolution of its meter (our choice)."""

_ColumnKey = tuple[Any, ...]
"""A quantity and how it is measured; or a quantity, its place and how."""
Key = _ColumnKey | Window
"""What a table is asked for: a column, or a figure over time."""
_AGREED: Final = ("agreed",)
_Fold = Callable[[Measured, Column], Measured]
_TrioFold = Callable[..., Measured]
_NO_ROWS: Final[Index] = np.zeros(0, np.intp)


class Table:
    """Every subject of a kind at one moment.

    Attributes:
        kind: What each row is.
        ids: The identity of each row.
        assets: The asset that each row belongs to, "" for none.
        racks: The racks that each row serves or is, as rows of the racks' table.
        moment: What it is made of.
    """

    def __init__(self, rows: Rows, moment: Moment, topology: Topology, before: Table | None = None) -> None:
        self.kind: SubjectKind = rows.kind
        self.ids: tuple[str, ...] = rows.ids
        self.assets: tuple[str, ...] = rows.assets
        self.racks: Links = rows.racks
        self._rows = rows
        self.moment = moment
        self._topology = topology
        self._before = {} if before is None else before._measured  # noqa: SLF001 - its own kind
        self._curves_before = None if before is None else before._curves  # noqa: SLF001 - its own kind
        self._measured: dict[Key, Measured] = {}
        self._curves: TripCurves | None = None
        self._changed: dict[int, Index] = {}
        self._uses: set[Key] = set()

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

    def has_any(self, quantities: Iterable[str]) -> bool:
        """Tell whether some point of any row measures one of some quantities."""
        return not self._rows.columns.keys().isdisjoint(quantities)

    def rack_rows(self) -> Index:
        """Return which rack the asset of each row is, as rows of the racks' table; -1 where it is none."""
        return self._topology.rack_rows(self._rows)

    def measured(self, quantity: str) -> Measured:
        """Return a quantity of each row; where several points measure it, the hull of what they say."""
        return self._get(quantity, "hull", _hull)

    def measured_above(self, quantity: str, level: float) -> Measured:
        """Return a quantity of each row, without points that are known to say nothing above a level.

        Where every point says no more than that, it is what these say.

        Args:
            quantity: Name of a quantity that the rule declares.
            level: What a point must be above to count, in the quantity's canonical unit.
        """
        return self._get(quantity, f"above {level!r}", partial(_hull_above, level=level))

    def largest(self, quantity: str) -> Measured:
        """Return the largest of a quantity's points, of the phases of a circuit for one."""
        return self._get(quantity, "largest", _largest)

    def smallest(self, quantity: str) -> Measured:
        """Return the smallest of a quantity's points."""
        return self._get(quantity, "smallest", _smallest)

    def rack_cap(self) -> FloatArray:
        """Return the most that each rack may draw by its contract [kW], of the table of racks.

        NaN where nothing is agreed; shape (rows,).
        """
        self._uses.add(_AGREED)
        return self.moment.agreed.each_kw

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
        return self._asked((quantity, place, fold), _FOLDS[fold])

    def together(self, quantity: str) -> Measured:
        """Return what all feeds of each rack carry together, of the phase that carries most.

        It may be anything above what is measured where some feed of the rack is not.
        """
        column = self._rows.columns.get(quantity)
        if column is None or not column.is_single:
            return self._asked((quantity, "together"), None)
        return _where_lacking(
            self._get(quantity, "total", _total), self._topology.lines(self._rows, quantity)
        )

    def trios(self, quantity: str) -> int:
        """Return how many times three phases the row has that has most of them, such as in and out."""
        column = self._rows.columns.get(quantity)
        return 0 if column is None else len(column.trios)

    def unbalance(self, quantity: str, trio: int = 0) -> Measured:
        """Return how unbalanced three phases of each row are: the largest deviation from their mean.

        As a share of that mean, the unbalance of NEMA MG-1. Nothing measures it of a row that has not three
        points of three phases.

        Args:
            quantity: Name of a quantity that the rule declares.
            trio: Which three of those of a row, below `trios`.
        """
        return self._of_trio(quantity, trio, "unbalance", _unbalance)

    def largest_of_trio(self, quantity: str, trio: int = 0) -> Measured:
        """Return the largest of three phases of each row, with the arguments of `unbalance`."""
        return self._of_trio(quantity, trio, "largest", _largest_of_three)

    def _of_trio(self, quantity: str, trio: int, how: str, fold: _TrioFold) -> Measured:
        if trio >= self.trios(quantity):
            return _unmeasured(len(self))
        return self._get(quantity, f"{how} of trio {trio}", partial(fold, trio=trio))

    def noted(self, window: Window) -> Measured:
        """Return what a window takes in of each row at the moment."""
        if window.statistic in OF_LINES:
            return self.line_current()
        if window.places:
            found = (self.at(window.quantity, place, fold=Fold.LARGEST) for place in window.places)
            return largest_of(*found)
        if window.of_total or window.quantity == DRAW:
            return self.total(window.quantity)
        if window.of_smallest:
            return self.smallest(window.quantity)
        return self.largest(window.quantity) if window.of_largest else self.measured(window.quantity)

    def pause_s(self, quantity: str) -> FloatArray:
        """Return how long after a reading of each row the next may come [s]; 0 of what tells of each change.

        Of several points the longest; shape (rows,).
        """
        column = self._rows.columns.get(quantity)
        if column is None:
            return np.zeros(len(self))
        pauses: FloatArray = np.maximum.reduceat(self.moment.pauses_s(column), column.starts)
        return pauses

    def all_draw(self) -> Measured:
        """Return what all racks draw together [kW], of the table of racks; shape (1,).

        A rack that is not known draws between nothing and the most that it may draw by its rating.
        """
        draw = self.drawn()
        low, high = np.maximum(draw.low, 0.0).sum(), self.most_draw().sum()
        best = np.where(draw.is_known, draw.best, np.clip(np.nan_to_num(draw.best), 0.0, None)).sum()
        is_bounded = np.isfinite(high)
        return Measured(
            low=np.array([min(low, high)]),
            best=np.array([best]),
            high=np.array([max(low, high)]),
            cause=np.array([Cause.NONE if is_bounded else Cause.GAPS], np.int8),
        )

    def load(self, draw: Measured) -> Measured:
        """Return what tells whether each rack is loaded [kW], of the table of racks.

        That is its draw, or all that its meters measure where these serve others as well: it may be its own.

        Args:
            draw: What each rack draws, now or over a time [kW].
        """
        if SHARED not in self._rows.columns:
            return draw
        shared = self.total(SHARED)
        return chosen(shared.cause != Cause.NO_POINT, shared, draw)

    def drawn(self) -> Measured:
        """Return what each rack adds to a sum over racks [kW], of the table of racks.

        Of racks that share all that feeds them, the first adds what all of them draw and the others nothing.
        """
        draw, groups = self.total(DRAW), self._topology.sharing
        if not len(groups.members):
            return draw
        sizes = np.diff(groups.starts)
        firsts = groups.members[groups.starts[:-1]]
        shared = self.total(SHARED).take(firsts)
        told = shared.is_known
        members = groups.members[np.repeat(told, sizes)]
        without = draw.put(members, Measured.exact(np.zeros(len(members))))
        return without.put(firsts[told], shared.take(np.flatnonzero(told)))

    def most_draw(self) -> FloatArray:
        """Return the most that each rack adds to a sum over racks [kW], of the table of racks; shape (rows,).

        Of one that is not known that is its rating, as long as nothing more was ever measured of it; else it
        is what is credible of the rating, or inf where that was exceeded as well or nothing is rated.
        """
        draw = self.drawn()
        lacking = np.flatnonzero(~np.isfinite(draw.high))
        if not len(lacking):
            return draw.high
        rating = self.setting("rating_kw")[lacking]
        proved_kw = np.fmax(self.moment.proved(len(self))[lacking] / KILOWATT, draw.best[lacking])
        credible = np.where(proved_kw <= rating * CREDIBLE, rating * CREDIBLE, np.inf)
        high = draw.high.copy()
        high[lacking] = np.where(proved_kw <= rating, rating, credible)
        return high

    def line_current(self) -> Measured:
        """Return the current of the line that carries most: of the phases, or the circuit's own current."""
        of = ("current.phase", "current")
        return self._made_of(of, lambda table: largest_of(*(table.largest(quantity) for quantity in of)))

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
        if not flags.any():
            return np.zeros(len(self), np.bool_)
        counted = np.concatenate(([0], np.cumsum(flags[self.racks.members])))
        return counted[self.racks.starts[1:]] > counted[self.racks.starts[:-1]]

    def rated_current(self) -> FloatArray:
        """Return what each circuit may carry [A]: as the site file says, else the limit that the bus tells.

        A limit of 0 A is one that was never set in the meter, and says nothing. NaN where neither says
        anything; shape (rows,).
        """
        rated, told = self.setting("rated_a"), self.measured("current.limit").best
        return np.where(np.isnan(rated), np.where(told > 0, told, np.nan), rated)

    def is_of(self, kind: str) -> BoolArray:
        """Return which rows are assets of a kind."""
        return self._topology.is_of(self._rows, kind)

    def is_balanced(self) -> BoolArray:
        """Return of which power nodes all the load is metered once more beneath them."""
        found = np.zeros(len(self), np.bool_)
        found[self._topology.balance(self._rows).nodes] = True
        return found

    def losses(self, racks: Table) -> Measured:
        """Return what each power node carries and does not pass on, as a share of how much it carries.

        Nothing measures it of a node that cannot be balanced; of one that may carry nothing it is not known.
        Readings count with their sign: of a node that reads power flowing upwards over loads that draw,
        the share is below zero.

        Args:
            racks: The table of racks, of the same moment.
        """
        balance, found = self._topology.balance(self._rows), _unmeasured(len(self))
        if not len(balance.nodes):
            return found
        carried, draw = self.measured(SUPPLY), racks.drawn()
        wide, rack_wide = (self._topology.tolerance(table._rows) for table in (self, racks))  # noqa: SLF001 - its own kind
        low, high = _widened(carried, wide)
        rack_low, rack_high = _widened(draw, rack_wide)
        # What is not known draws at least nothing.
        at_least = [np.where(np.isfinite(side), side, 0.0) for side in (low, rack_low)]
        least, most = balance.passed_on(*at_least), balance.passed_on(high, rack_high)
        likely = balance.passed_on(carried.best, draw.best)
        rows = balance.nodes
        is_told = carried.is_known[rows] & ((low[rows] > 0) | (high[rows] < 0))
        is_bounded = is_told & np.isfinite(most)
        ends = [np.where(is_told, side[rows], 1.0) for side in (low, high)]
        shares = [(end - passed) / np.abs(end) for end in ends for passed in (least, most)]
        likely_kw = np.where(is_told, carried.best[rows], 1.0)
        found.low[rows] = np.where(is_bounded, np.minimum.reduce(shares), -np.inf)
        found.high[rows] = np.where(is_told, np.maximum.reduce(shares), np.inf)
        found.best[rows] = np.where(is_told, (likely_kw - likely) / np.abs(likely_kw), np.nan)
        found.cause[rows] = np.where(is_bounded, Cause.NONE, Cause.GAPS)
        return found

    def nearest_racks(self) -> Links:
        """Return the racks that each row serves by no other row of its kind that lies between them."""
        return self._topology.nearest(self._rows)

    def that_fail_over(self) -> Index:
        """Return the circuits to which the load of a rack would move if another part of the path failed."""
        return self._topology.failover(self._rows).moved_to

    def open_to_failover(self) -> Index:
        """Return the circuits of none of these to which load may move that cannot be attributed."""
        return self._topology.failover(self._rows).open_to

    def failover_current(self, racks: Table, light_a: FloatArray, power_factor: float) -> Measured:
        """Return the line current that each of them would carry then [A].

        Its own current now, for each kilowatt that it carries now, for all that it would carry then. What a
        circuit takes for a kilowatt while it carries next to nothing is more than it takes under load: there
        it tells the most only, and the least is told by the nominal voltage.

        Args:
            racks: The table of racks, of the same moment.
            light_a: Below which current each of them carries too little to tell [A], shape (circuits,).
            power_factor: The least that is assumed of the load that would move to such a circuit.
        """
        failover, rows = self._topology.failover(self._rows), self.that_fail_over()
        draw, part = racks.drawn(), self.part(rows)
        least_kw, most_kw = (
            each[rows] for each in failover.loads(np.maximum(draw.low, 0.0), racks.most_draw())
        )
        most_kw = most_kw / (1 - self._topology.path_loss)
        amps, power = part.line_current(), part.measured("meter.power.active")
        is_told = amps.is_known & power.is_known & (power.low > 0)
        # What a kilowatt takes now, at least and at most; anything where that is not told.
        least_a, most_a = (np.where(is_told, np.maximum(each, 0.0), 0.0) for each in (amps.low, amps.high))
        low_kw, best_kw, high_kw = (
            np.where(is_told, each, 1.0) for each in (power.low, power.best, power.high)
        )
        least_each = least_a / high_kw
        best_each = np.where(is_told, amps.best / best_kw, np.nan)
        most_each = np.where(is_told, most_a / low_kw, np.inf)
        is_light, of_voltage = amps.is_known & (amps.best < light_a), part.amperes_of_a_kilowatt()
        by_voltage = is_light & ~np.isnan(of_voltage)
        least_each = np.where(is_light, np.where(by_voltage, of_voltage / HIGHEST_VOLTAGE, 0.0), least_each)
        best_each = np.where(is_light, of_voltage, best_each)
        most_each = np.where(is_light & (amps.best < LEAST_CURRENT_A), np.inf, most_each)
        # A line of a circuit that has not three may carry all of it.
        has_three = by_voltage & self._has_three_lines()[rows]
        most_each = np.where(has_three, np.fmin(most_each, of_voltage / power_factor), most_each)
        is_bounded = np.isfinite(most_each) & np.isfinite(most_kw)
        low = np.where(is_told | is_light, least_each * least_kw, -np.inf)
        most_each, most_kw = (np.where(is_bounded, each, 0.0) for each in (most_each, most_kw))
        high = np.where(is_bounded, most_each * most_kw, np.inf)
        cause = np.where(amps.cause == Cause.NONE, power.cause, amps.cause)
        return Measured(
            low=low,
            best=best_each * least_kw,
            high=np.maximum(low, high),
            cause=np.where(has_three, Cause.NONE, cause).astype(np.int8),
        )

    def amperes_of_a_kilowatt(self) -> FloatArray:
        """Return what each line of three carries for each kilowatt of all [A/kW], at the nominal voltage.

        At a power factor of 1 and in balance; NaN where the site file names no voltage, shape (rows,).
        """
        amperes: FloatArray = 1_000 / (math.sqrt(3) * self.setting("nominal_v"))
        return amperes

    def _has_three_lines(self) -> BoolArray:
        """Return which rows have a current of each of three phases, shape (rows,)."""
        found, column = np.zeros(len(self), np.bool_), self._rows.columns.get("current.phase")
        if column is not None:
            for three in column.trios:
                found[three.rows] = True
        return found

    def trip_curves(self) -> TripCurves:
        """Return by which curve each circuit's breaker trips."""
        limit = self.measured("current.limit")
        if self._curves is None and limit is self._kept(self._key_of("current.limit", "hull")):
            # By another limit that the bus tells, a breaker is another.
            self._curves = self._curves_before
        if self._curves is None:
            set_a = self.setting("trip_ir_a")
            self._curves = TripCurves(
                set_a=np.where(np.isnan(set_a), self.rated_current(), set_a),
                tr_s=self.setting("trip_tr_s"),
                pickup=self.setting("trip_pickup"),
            )
        return self._curves

    def trip_time(self, window: Window, swing: Window) -> Measured:
        """Return for how long each circuit's breaker still holds the present current [s], at most a day.

        Where a current that swings trips it sooner, for how long that is held. No swing proves that it holds.

        Args:
            window: What is used up of what trips it, by the current of the line that carries most.
            swing: How much that wears it.
        """
        key = "time to trip", window, swing
        self._uses.add(key)
        if key in self._measured:
            return self._measured[key]
        curves, current = self.trip_curves(), self.line_current()
        is_known = current.is_known & curves.is_known
        # Of a line that is not known the others prove how much it is at least.
        least = np.where(curves.is_known, np.maximum(current.low, 0.0), 0.0)
        swings = self.moment.window(self.kind, swing)
        if curves.hold_all(np.where(is_known, current.high, least)) and (
            swings is None or not swings.low.any()
        ):
            self.moment.check(self.kind, window)
            held = replace(
                current,
                low=np.where(is_known, FOR_EVER_S, 0.0),
                best=np.where(is_known, FOR_EVER_S, np.nan),
                high=np.full(len(self), FOR_EVER_S),
            )
            before = self._kept(key)
            is_same = before is not None and before.is_like(held)
            self._measured[key] = before if before is not None and is_same else held
            return self._measured[key]
        used = self.over(window)
        likely, most = (np.where(is_known, each, 0.0) for each in (current.best, current.high))

        def left_s(share: FloatArray, current_a: FloatArray) -> FloatArray:
            left = curves.left_s(np.clip(share, 0.0, 1.0), np.maximum(current_a, 0.0))
            return np.minimum(left, FOR_EVER_S)

        wear = np.zeros(len(self)) if swings is None else swings.low
        by_swing = np.minimum(curves.left_of_swing_s(np.clip(used.low, 0.0, 1.0), wear), FOR_EVER_S)
        high = np.minimum(np.where(curves.is_known, left_s(used.low, least), FOR_EVER_S), by_swing)
        best = np.where(is_known, left_s(used.best, likely), np.nan)
        self._measured[key] = replace(
            current,
            low=np.minimum(np.where(is_known, left_s(used.high, most), 0.0), by_swing),
            best=np.where(high < FOR_EVER_S, np.fmin(best, high), best),
            high=high,
        )
        return self._measured[key]

    def over(self, window: Window) -> Measured:
        """Return a window's figure of each row, of a window that a rule declares."""
        self._uses.add(window)
        if window not in self._measured:
            found = self.moment.window(self.kind, window)
            self._measured[window] = _unmeasured(len(self)) if found is None else found
        return self._measured[window]

    def end(self) -> None:
        """Let go of the moment before: what was asked for stays."""
        self._before, self._curves_before = {}, None

    def _kept(self, key: Key) -> Measured | None:
        """Return what was found by a key at the moment before; None where it was not asked for."""
        return self._before.get(key)

    def watch(self) -> set[Key]:
        """Return what takes, from now on, by what keys columns and figures are asked for."""
        self._uses = set()
        return self._uses

    def changed(self, uses: Iterable[Key]) -> Index | None:
        """Return the rows of which something may be known otherwise than at the moment before; None for any.

        Args:
            uses: What counts, as `watch` took it at moments before.
        """
        is_other, flags = self.moment.is_new is None, np.zeros(len(self), np.bool_)
        for use in uses:
            if use == _AGREED:
                is_other = is_other or self.moment.agreed.is_other
            elif isinstance(use, Window):
                is_other = is_other or self.over(use) is not self._kept(use)
            elif isinstance(use[1], Window):
                is_other = is_other or self.trip_time(use[1], use[2]) is not self._kept(use)
            elif not is_other:
                flags[self._rows_of(self._column(use))] = True
        return None if is_other else np.flatnonzero(flags)

    def _column(self, key: _ColumnKey) -> Column | None:
        """Return what measures what is asked for by a key; None where nothing does of any row."""
        quantity, place = key[0], key[1]
        if isinstance(place, Place):
            return self._topology.at(self._rows, quantity, place)
        return self._rows.columns.get(quantity)

    def part(self, rows: Index | slice) -> Table:
        """Return the table of some of the rows, for rules that look at nothing but a row.

        Args:
            rows: Their places; or from which up to which, as a slice with both ends.
        """
        return _Part(self, rows)

    def _rows_of(self, column: Column | None) -> Index:
        """Return the rows of a column of which something may be known otherwise; where any may, all."""
        if column is None:
            return _NO_ROWS
        if id(column) not in self._changed:
            is_new = self.moment.is_new
            every = np.arange(len(column.starts)) if is_new is None else column.rows_of(is_new)
            self._changed[id(column)] = every
        return self._changed[id(column)]

    def _get(self, quantity: str, how: str, fold: _Fold) -> Measured:
        return self._asked(self._key_of(quantity, how), fold)

    def _key_of(self, quantity: str, how: str) -> _ColumnKey:
        """Return the key of a column: one point of a row is the hull, the largest and the sum of itself."""
        column = self._rows.columns.get(quantity)
        is_the_one = column is not None and column.is_single
        return quantity, "the one" if is_the_one else how

    def _asked(self, key: _ColumnKey, fold: _Fold | None) -> Measured:
        """Return a column of the table: that of the moment before, and anew what may be otherwise.

        Args:
            key: What is asked for.
            fold: What is made of several points of a row; None for the lines of a rack's feeds.
        """
        self._uses.add(key)
        if key not in self._measured:
            column = self._column(key)
            before, rows = self._kept(key), self._rows_of(column)
            if before is not None and not len(rows):
                found = before
            elif column is None:
                found = _unmeasured(len(self))
            elif fold is None:
                lines = self._topology.lines(self._rows, str(key[0]))
                found = _together(_intervals(column, self.moment), column, lines)
            elif before is None or len(rows) > len(self) // 2:
                found = _folded_by(fold, _intervals(column, self.moment), column)
            else:
                part = column.take(rows)
                found = before.put(rows, _folded_by(fold, _intervals(part, self.moment), part))
            self._measured[key] = found
        return self._measured[key]

    def _made_of(self, quantities: tuple[str, ...], make: Callable[[Table], Measured]) -> Measured:
        """Return what is made of several columns of the same row, anew where one may be otherwise.

        Args:
            quantities: What the columns measure.
            make: Makes it of the table, or of a part of it.
        """
        keys = [(quantity, "with others") for quantity in quantities]
        self._uses.update(keys)
        if quantities not in self._measured:
            before = self._kept(quantities)
            flags = np.zeros(len(self), np.bool_)
            for key in keys:
                flags[self._rows_of(self._column(key))] = True
            rows = np.flatnonzero(flags)
            if before is None or len(rows) > len(self) // 2:
                self._measured[quantities] = make(self)
            else:
                self._measured[quantities] = before.put(rows, make(self.part(rows))) if len(rows) else before
        return self._measured[quantities]


class _Part(Table):
    """Some rows of a table.

    Args:
        whole: The table of all of them.
        rows: Their places in it; or from which up to which, as a slice with both ends.
    """

    def __init__(self, whole: Table, rows: Index | slice) -> None:
        super().__init__(whole._rows, whole.moment, whole._topology)  # noqa: SLF001 - its own kind
        self._whole = whole
        self._of_whole = rows

    def __len__(self) -> int:
        rows = self._of_whole
        return rows.stop - rows.start if isinstance(rows, slice) else len(rows)

    def setting(self, name: str) -> FloatArray:
        """Return what the site file says of each of the rows."""
        found = self._rows.settings.get(name)
        return np.full(len(self), np.nan) if found is None else found[self._of_whole]

    def rack_cap(self) -> FloatArray:
        """Return the most that each of the racks may draw by its contract [kW]."""
        return self._whole.rack_cap()[self._of_whole]

    def is_measured(self, quantity: str) -> BoolArray:
        """Return of which of the rows some point measures a quantity."""
        return self._whole.is_measured(quantity)[self._of_whole]

    def is_of(self, kind: str) -> BoolArray:
        """Return which of the rows are assets of a kind."""
        return self._whole.is_of(kind)[self._of_whole]

    def at(self, quantity: str, place: Place, *, fold: Fold = Fold.HULL) -> Measured:
        """Return a quantity at a place of each of the rows' assets."""
        return self._whole.at(quantity, place, fold=fold).take(self._of_whole)

    def together(self, quantity: str) -> Measured:
        """Return what all feeds of each of the rows carry together."""
        return self._whole.together(quantity).take(self._of_whole)

    def over(self, window: Window) -> Measured:
        """Return a window's figure of each of the rows."""
        return self._whole.over(window).take(self._of_whole)

    def trip_time(self, window: Window, swing: Window) -> Measured:
        """Return for how long the breakers of the rows still hold their present current [s]."""
        return self._whole.trip_time(window, swing).take(self._of_whole)

    def trip_curves(self) -> TripCurves:
        """Return by which curve each of these breakers trips."""
        curves = self._whole.trip_curves()
        return TripCurves(*(each[self._of_whole] for each in (curves.set_a, curves.tr_s, curves.pickup)))

    def _made_of(self, quantities: tuple[str, ...], make: Callable[[Table], Measured]) -> Measured:
        return self._whole._made_of(quantities, make).take(self._of_whole)  # noqa: SLF001 - its own kind

    def _get(self, quantity: str, how: str, fold: _Fold) -> Measured:
        return self._whole._get(quantity, how, fold).take(self._of_whole)  # noqa: SLF001 - its own kind


@dataclass(frozen=True, slots=True)
class Agreed:
    """What contracts say of each rack.

    Attributes:
        holders: The tenant that holds each rack, shape (racks,): the same object until one holds others.
        rack_cap: The most that each rack of a tenant may draw [mW], `NO_LIMIT` where nothing is agreed.
        each_kw: The most that each rack may draw [kW], NaN where nothing is agreed, shape (racks,).
        is_other: Whether it says something else than at the moment before.
    """

    holders: Index
    rack_cap: IntArray
    each_kw: FloatArray
    is_other: bool

    @classmethod
    def of(cls, holders: Index, rack_cap: IntArray, before: Agreed) -> Agreed:
        """Return what they say.

        Args:
            holders: The tenant that holds each rack, shape (racks,).
            rack_cap: The most that each rack of a tenant may draw [mW], shape (tenants,).
            before: What they said at the moment before.
        """
        if before.holders is holders and np.array_equal(before.rack_cap, rack_cap):
            return replace(before, is_other=False)
        each_kw = np.where(rack_cap == NO_LIMIT, np.nan, rack_cap / KILOWATT)[holders]
        return cls(holders, rack_cap, each_kw, is_other=True)


NOTHING_AGREED: Final = Agreed(_NO_ROWS, np.zeros(0, np.int64), np.zeros(0), is_other=True)
"""Where there are no racks."""


class Moment:
    """What tables are made of at one moment; it knows none of them, so that they go when nobody needs them.

    Args:
        at_ms: The moment [ms].
        knowledge: What is known of every point.
        windows: The figures over time that rules declare.
        agreed: What contracts say of each rack.
        before_ms: The moment of the tables before [ms]; None where nothing is kept of them.
        proved: Gives the most that was ever measured of each rack [mW], shape (racks,); 0 where that is not
            remembered.

    Attributes:
        at_ms: The moment [ms].
        before_ms: The moment of the tables before [ms]; None where nothing is kept of them.
        is_new: Which judged points may be known otherwise than then, shape (points,); None for any of them.
        windows: The figures over time that rules declare.
        agreed: What contracts say of each rack.
        faults: What a window of a kind raised at the moment.
    """

    def __init__(
        self,
        at_ms: int,
        knowledge: Knowledge,
        windows: Windows,
        agreed: Agreed = NOTHING_AGREED,
        before_ms: int | None = None,
        proved: Callable[[], IntArray] | None = None,
    ) -> None:
        self.at_ms = at_ms
        self._proved = proved
        self.before_ms = before_ms
        news = knowledge.take_news(at_ms)
        self.is_new = None if before_ms is None else news
        self._knowledge: Knowledge | None = knowledge
        self.windows = windows
        self.agreed = agreed
        self.faults: dict[tuple[SubjectKind, Window], Exception] = {}

    def proved(self, racks: int) -> IntArray:
        """Return the most that was ever measured of each of so many racks [mW], 0 where nothing was."""
        return np.zeros(racks, np.int64) if self._proved is None else self._proved()

    def window(self, kind: SubjectKind, window: Window) -> Measured | None:
        """Return a window's figure of each row of a kind; raises what the window raised at the moment.

        None where nobody ever measured what it is of.
        """
        self.check(kind, window)
        if not self.windows.has_begun((kind, window)):
            return None
        return self.windows.figure((kind, window))

    def check(self, kind: SubjectKind, window: Window) -> None:
        """Raise what a window of a kind raised at the moment, if it did."""
        if (kind, window) in self.faults:
            raise self.faults[kind, window]

    def values(self, column: Column) -> Values:
        """Return what is known of a column's points.

        Raises:
            LookupError: Where the moment is over.
        """
        if self._knowledge is None:
            raise LookupError(f"no rule asked for it at {self.at_ms}")
        return self._knowledge.values_at(column.points, self.at_ms)

    def pauses_s(self, column: Column) -> FloatArray:
        """Return how long after a reading of each of a column's points the next may come [s].

        Raises:
            LookupError: Where the moment is over.
        """
        if self._knowledge is None:
            raise LookupError(f"no rule asked for it at {self.at_ms}")
        found = self._knowledge.pauses_ms(column.points) / 1_000
        return np.where(column.points == UNMETERED, 0.0, found)

    def end(self) -> None:
        """End it: what was asked for stays."""
        self._knowledge = self._proved = None


class Tables:
    """The tables of one moment.

    Args:
        at_ms: The moment [ms].
        topology: The rows.
        knowledge: What is known of every point.
        windows: The figures over time that rules declare.
        agreed: What contracts say of each rack.
        before: The tables of an earlier moment, the last that were made of this knowledge; None for none.
        proved: Gives the most that was ever measured of each rack [mW], shape (racks,); None where nothing
            was.

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
        agreed: Agreed = NOTHING_AGREED,
        before: Tables | None = None,
        *,
        proved: Callable[[], IntArray] | None = None,
    ) -> None:
        self.at_ms = at_ms
        self.topology = topology
        is_alike = before is not None and before.topology is topology
        before_ms = before.at_ms if before is not None and is_alike else None
        self.moment = Moment(at_ms, knowledge, windows, agreed, before_ms, proved)
        self._before = before._tables if before is not None and is_alike else {}  # noqa: SLF001 - its own kind
        self._tables: dict[SubjectKind, Table] = {}

    def table(self, kind: SubjectKind) -> Table:
        """Return the table of a kind."""
        if kind not in self._tables:
            before = self._before.get(kind)
            self._tables[kind] = Table(self.topology.rows(kind), self.moment, self.topology, before)
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
            if window.asked_beside.isdisjoint(self.measured) and not windows.has_begun((kind, window)):
                continue
            try:
                table = self.table(kind)
                is_asked = window.quantity == DRAW or table.has_any(window.asked_beside)
                if not (is_asked or windows.has_begun((kind, window))):
                    continue
                curves = table.trip_curves() if window.statistic in BY_CURVES else None
                windows.note((kind, window), table.ids, table.noted(window), self.at_ms, curves)
            except Exception as error:  # noqa: BLE001 - no fault of one window may end the others
                windows.begin_anew((kind, window))
                faults[kind, window] = error

    def close(self) -> None:
        """End the moment: what was asked for stays."""
        self.moment.end()
        self._before = {}
        for table in self._tables.values():
            table.end()


def _intervals(column: Column, moment: Moment) -> Measured:
    """Return each point of a column as an interval, shape (members,)."""
    values, missing = moment.values(column), column.missing
    best, cause = values.value, values.cause
    if len(missing):
        best[missing], cause[missing] = np.nan, Cause.NO_POINT
    low = high = best
    if column.at_least is not None and column.at_most is not None:
        one, other = best * column.at_least, best * column.at_most
        low, high = np.minimum(one, other), np.maximum(one, other)
    unknown = np.flatnonzero(cause)
    if len(unknown):
        low, high = low.copy(), high.copy()
        low[unknown], high[unknown] = -np.inf, np.inf
    return Measured(low=low, best=best, high=high, cause=cause)


def _folded_by(fold: Callable[[Measured, Column], Measured], found: Measured, column: Column) -> Measured:
    return found if column.is_single and fold is not _count else fold(found, column)


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
    return Measured(
        low=np.where(any_known, low, -np.inf),
        best=np.where(any_known, best, np.fmax.reduceat(found.best, starts)),
        high=np.where(any_known, high, np.inf),
        cause=np.where(any_known, cause, most_telling(found.cause, starts)).astype(np.int8),
    )


def _hull_above(found: Measured, column: Column, *, level: float) -> Measured:
    """Return what lies between the points that may be above a level; between all where none may."""
    is_out, starts = found.is_known & (found.high <= level), column.starts
    all_are = np.logical_and.reduceat(is_out, starts)
    is_out &= ~np.repeat(all_are, np.diff(np.append(starts, len(is_out))))
    return _hull(
        Measured(
            low=np.where(is_out, -np.inf, found.low),
            best=np.where(is_out, np.nan, found.best),
            high=np.where(is_out, np.inf, found.high),
            # Of what is left, each cause tells more.
            cause=np.where(is_out, Cause.GAPS, found.cause).astype(np.int8),
        ),
        column,
    )


def _largest(found: Measured, column: Column) -> Measured:
    return _folded(found, column, np.maximum, np.fmax)


def _smallest(found: Measured, column: Column) -> Measured:
    return _folded(found, column, np.minimum, np.fmin)


def _total(found: Measured, column: Column) -> Measured:
    return _folded(found, column, np.add, np.add)


def _count(found: Measured, column: Column) -> Measured:
    """Return how many points of each row say 1 and not 0; one that is not known may say either.

    The best guess is the most that may be.
    """
    known, starts = found.is_known, column.starts
    cause = most_telling(found.cause, starts)
    is_there = cause != Cause.NO_POINT
    low = np.add.reduceat(np.where(known, found.low, 0.0), starts)
    high = np.add.reduceat(np.where(known, found.high, 1.0), starts)
    return Measured(
        low=np.where(is_there, low, -np.inf),
        best=np.where(is_there, high, np.nan),
        high=np.where(is_there, high, np.inf),
        cause=cause,
    )


_FOLDS: Final[Mapping[Fold, Callable[[Measured, Column], Measured]]] = MappingProxyType(
    {
        Fold.HULL: _hull,
        Fold.LARGEST: _largest,
        Fold.SMALLEST: _smallest,
        Fold.TOTAL: _total,
        Fold.COUNT: _count,
    }
)


def _together(found: Measured, column: Column, lines: Lines) -> Measured:
    """Return the largest line of each row, the sum of its points."""
    sorted_points = Measured(
        **{field.name: getattr(found, field.name)[lines.order] for field in fields(Measured)}
    )
    summed = _total(sorted_points, replace(column, starts=lines.starts))
    return _where_lacking(_largest(summed, replace(column, starts=lines.rows)), lines)


def _where_lacking(rows: Measured, lines: Lines) -> Measured:
    """Return that it may be anything above in rows of which some feed has no point."""
    lacking = lines.lacking[rows.cause[lines.lacking] == Cause.NONE]
    if not len(lacking):
        return rows
    high, cause = rows.high.copy(), rows.cause.copy()
    high[lacking], cause[lacking] = np.inf, Cause.GAPS
    return replace(rows, high=high, cause=cause)


def _largest_of_three(found: Measured, column: Column, *, trio: int) -> Measured:
    """Return the largest of three phases."""
    rows, three = _unmeasured(len(column.starts)), column.trios[trio]
    places = three.places
    for side, of in ((rows.low, found.low), (rows.best, found.best), (rows.high, found.high)):
        side[three.rows] = np.max(of[places], axis=1)
    rows.cause[three.rows] = most_telling(found.cause[places].ravel(), np.arange(0, places.size, PHASES))
    return rows


def _unbalance(found: Measured, column: Column, *, trio: int) -> Measured:
    """Return the largest deviation of three phases from their mean, as a share of it."""
    rows, three = _unmeasured(len(column.starts)), column.trios[trio]
    places = three.places
    low, best, high = (np.maximum(each[places], 0.0) for each in (found.low, found.best, found.high))
    cause = most_telling(found.cause[places].ravel(), np.arange(0, places.size, PHASES))
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
    each = three.rows
    rows.low[each] = np.divide(apart_least, mean_most, out=np.full(len(each), -np.inf), where=is_told)
    rows.best[each] = np.divide(apart, mean, out=np.full(len(each), np.nan), where=mean > 0)
    rows.high[each] = np.divide(apart_most, mean_least, out=np.full(len(each), np.inf), where=is_told)
    rows.cause[each] = cause
    return rows


def _folded(found: Measured, column: Column, bounds: np.ufunc, best: np.ufunc) -> Measured:
    """Return the bounds and the best value of each row, made of those of its points."""
    starts = column.starts
    return Measured(
        low=bounds.reduceat(found.low, starts),
        best=best.reduceat(found.best, starts),
        high=bounds.reduceat(found.high, starts),
        cause=most_telling(found.cause, starts),
    )


def _widened(found: Measured, share: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return what flows at least and at most for what is read, by an error of a share of what flows."""
    by_least, by_most = 1 + share, np.maximum(1 - share, 1e-9)
    low = np.minimum(found.low / by_least, found.low / by_most)
    return low, np.maximum(found.high / by_least, found.high / by_most)


def _unmeasured(count: int) -> Measured:
    """Return a quantity that nothing measures."""
    return Measured(
        low=np.full(count, -np.inf),
        best=np.full(count, np.nan),
        high=np.full(count, np.inf),
        cause=np.full(count, Cause.NO_POINT, np.int8),
    )
