"""Figures over time, computed once for all rules that declare them, with bounds that hold over gaps.

A window is parted into slots, so its memory is bounded whatever the rate, and it slides by a slot. Time in
which a quantity was not known counts with the whole hard range of the quantity: a mean over a gap is wider,
never wrong. What was heard of a subject is found again by its id after a restart.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from facility.invariants import present
from facility.quantities import QUANTITIES
from facility.readings import BoolArray, FloatArray
from rules.model.measured import Measured
from rules.model.rows import DRAW, Place
from rules.model.trip import TripCurves
from rules.subject import SubjectKind
from rules.telemetry.cause import Cause

SLOTS: Final = 12
"""Parts of a window (our choice): 12 columns of 8 bytes a row for each figure that is kept."""
LONGEST_STEP_MS: Final = 2_000
"""What holds now has held since the note before where that is no longer ago [ms], or than two ticks where
those are longer; tables are made once a second (our choice)."""
LINE_CURRENTS: Final = frozenset({"current.phase", "current"})
"""What flows in a line of a circuit."""
OF_COOLANT: Final = frozenset({"rack.coolant.flow", "coolant.return", "pump.speed"})
"""What the draw of a rack over time is held against: without these nothing asks for it."""
FORGOTTEN: Final = 0.01
"""A dose counts as known once less than this share of its memory is not (our choice)."""


class Statistic(StrEnum):
    """What a window gives."""

    MEAN = "mean"
    LEAST = "least"
    MOST = "most"
    SLOPE = "slope"  # per second, between the oldest part of the window and the newest
    CHANGE = "change"  # per second, what it changed by over the whole window, sudden or not
    UNCHANGED = "unchanged"  # seconds for which the value has not changed, at most the window
    FALL = "fall"  # the last fall of a counter: from the high to the low of the figure, 0 for none
    COLLAPSE = "collapse"  # the last fall to less than a hundredth, until the value is back: likewise
    STEP = "step"  # how far it fell within two seconds, and stayed for one; below zero where it rose
    DOSE = "dose"  # the mean square with exponential memory: what heats a conductor
    STOOD = "stood"  # 1 where it was known to be no more than a level for a while on end, else 0
    TRIP = "trip"  # the share that is used up of what trips a breaker, by its own curve
    WEAR = "wear"  # how much that wears it, in the half of the window in which it is less; at least
    RMS = "rms"  # the root of the mean square of a line's current; at least


OF_LINES: Final = frozenset({Statistic.TRIP, Statistic.WEAR, Statistic.RMS})
"""Figures of the line of a circuit that carries most."""
BY_CURVES: Final = frozenset({Statistic.TRIP, Statistic.WEAR})
"""Figures that follow from the curve of a breaker."""


@dataclass(frozen=True, slots=True)
class Window:
    """A figure over the last time; it slides by a twelfth of that.

    Attributes:
        quantity: Of which quantity, or of the draw of a rack.
        statistic: Which figure.
        over_s: Over how long [s]; the time constant of a dose, or how soon a breaker forgets.
        of_largest: Whether it is of the largest of a row's points (phases), instead of what they agree on.
        of_smallest: Whether it is of the smallest of them.
        of_total: Whether it is of their sum (supply meters).
        places: Whether it is of the largest point at one of these places (a unit's pumps); empty for not.
        level: The most that it is while it stands, in its canonical unit; of `STOOD` alone.
        level_s: How long it must be known to stand on end [s]; of `STOOD` alone.

    Raises:
        ValueError: Where there is no such quantity, or no such time.
    """

    quantity: str
    statistic: Statistic
    over_s: float
    of_largest: bool = False
    of_total: bool = False
    of_smallest: bool = False
    places: tuple[Place, ...] = ()
    level: float = 0.0
    level_s: float = 0.0

    def __post_init__(self) -> None:
        if self.quantity not in QUANTITIES and self.quantity != DRAW:
            raise ValueError(f"expected a quantity of facility.quantities, found '{self.quantity}'")
        if not 0 < self.over_s < math.inf:
            raise ValueError(f"expected a window of more than 0 s, found {self.over_s} s")

    @property
    def quantities(self) -> frozenset[str]:
        """What is measured for it; a circuit's own current counts like that of a phase."""
        if self.quantity == DRAW:
            return frozenset()
        return LINE_CURRENTS if self.statistic in OF_LINES else frozenset({self.quantity})

    @property
    def asked_beside(self) -> frozenset[str]:
        """Without which quantities nothing asks for it: a draw is summed of points that no rule names."""
        return OF_COOLANT if self.quantity == DRAW else self.quantities

    def __str__(self) -> str:
        folds = {"largest ": self.of_largest, "smallest ": self.of_smallest, "total ": self.of_total}
        fold = "".join(name for name, is_so in folds.items() if is_so)
        where = "".join(f" at {place}" for place in self.places)
        stood = f" {self.level!r} for {self.level_s!r} s" if self.statistic is Statistic.STOOD else ""
        return f"{fold}{self.quantity}{where} {self.statistic}{stood} over {self.over_s!r} s"


_Bounds = tuple[FloatArray, FloatArray, FloatArray, BoolArray]
"""At least, best and at most of a figure, and whether nothing of the time was missed; shape (rows,) each.

Where the first and the last are one array, all three are, and nothing was missed of any row."""


class _Figure(ABC):
    """One window of all subjects of a kind: arrays of shape (slots, rows) by name.

    Args:
        window: Quantity, statistic and length.
        longest_step_ms: What holds now has held since the note before where that is no longer ago [ms].

    Attributes:
        ids: The subjects, one for each row.
        at_ms: The moment of the last note [ms], 0 before the first.
        columns: What is kept.
    """

    FILL: ClassVar[Mapping[str, float]]
    SLOTS: ClassVar[int] = SLOTS

    def __init__(self, window: Window, longest_step_ms: int) -> None:
        quantity = QUANTITIES["rack.power.active" if window.quantity == DRAW else window.quantity]
        self._window = window
        self._longest_step_ms = longest_step_ms
        self._least, self._most = quantity.low, quantity.high
        self._slot_ms = max(1, round(window.over_s * 1_000 / SLOTS))
        self.ids: tuple[str, ...]
        self.at_ms: int
        self.columns: dict[str, FloatArray]
        self._curves: TripCurves | None = None
        self._figure: Measured | None = None
        self.restore((), 0, self._empty(0))

    def _empty(self, rows: int) -> dict[str, FloatArray]:
        return {name: np.full((self.SLOTS, rows), fill) for name, fill in self.FILL.items()}

    def note(
        self, ids: tuple[str, ...], found: Measured, at_ms: int, curves: TripCurves | None = None
    ) -> None:
        """Take in what the quantity of each subject is at a moment [ms], and by which curve each trips.

        Where our own clock was set back, what was noted before belongs to no time any more.
        """
        self._curves = curves
        if at_ms < self.at_ms:
            self.restore(self.ids, 0, self._empty(len(self.ids)))
        self._align(ids)
        past_ms, self.at_ms = (at_ms - self.at_ms if self.at_ms else 0), at_ms
        if self._note(found, past_ms):
            self._figure = None

    def figure(self) -> Measured:
        """Return the figure at the moment of the last note: the same object where it is the same."""
        if self._figure is None:
            self._figure = self._measured()
        return self._figure

    def _measured(self) -> Measured:
        low, best, high, is_whole = self._bounds()
        if low is high and np.isfinite(low).all():
            return Measured.exact(low)
        cause = np.zeros(len(low), np.int8)
        cause[~is_whole] = Cause.GAPS
        is_bounded = np.isfinite(low) & np.isfinite(high)
        if is_bounded.all():
            return Measured(low=low, best=best, high=high, cause=cause)
        cause[~is_bounded] = Cause.GAPS
        return Measured(
            low=np.where(is_bounded, low, -np.inf),
            best=best,
            high=np.where(is_bounded, high, np.inf),
            cause=cause,
        )

    @abstractmethod
    def _note(self, found: Measured, past_ms: int) -> bool:
        """Take in what holds for the time since the note before [ms]; tell if the figure may be another."""

    def restore(self, ids: tuple[str, ...], at_ms: int, columns: dict[str, FloatArray]) -> None:
        """Go on with what was kept up to a moment.

        Args:
            ids: The subjects.
            at_ms: The moment of the last note [ms].
            columns: What was kept, by its name.
        """
        self.ids, self.at_ms, self.columns = ids, at_ms, columns
        self._begin()

    def _begin(self) -> None:
        """Forget what was derived from the columns: they are others."""
        self._figure = None

    @abstractmethod
    def _bounds(self) -> _Bounds:
        """Return the figure."""

    def _align(self, ids: tuple[str, ...]) -> None:
        """Give every subject its place, with what was known of it."""
        if ids is not self.ids and ids != self.ids:
            place = {name: row for row, name in enumerate(self.ids)}
            kept = [(place[name], row) for row, name in enumerate(ids) if name in place]
            sources, targets = (np.array([pair[end] for pair in kept], np.intp) for end in (0, 1))
            columns = self._empty(len(ids))
            for name, column in columns.items():
                column[:, targets] = self.columns[name][:, sources]
            self.restore(ids, self.at_ms, columns)
        self.ids = ids


class _Slotted(_Figure):
    """A figure of what was known in each slot of the window."""

    def _note(self, found: Measured, past_ms: int) -> bool:
        slots = self._slots(past_ms)
        if slots:
            known = found.is_known
            is_all = bool(known.all())
            for slot, part_ms in slots:
                self.columns["known_ms"][slot] += part_ms if is_all else np.where(known, part_ms, 0.0)
                self._put(slot, part_ms, found, None if is_all else known)
        return True

    @abstractmethod
    def _put(self, slot: int, part_ms: int, found: Measured, known: BoolArray | None) -> None:
        """Take in what each row is for a part of a slot [ms].

        Args:
            slot: The place of the slot.
            part_ms: How long it lasted [ms].
            found: What each row is.
            known: Of which rows that is known, shape (rows,); None for all.
        """

    def _slots(self, past_ms: int) -> list[tuple[int, int]]:
        """Return the slots that the time since the note before lies in, and how much of it lies in each [ms].

        None where it was too long. Slots that begin are emptied of what they held a window ago.
        """
        begin_ms = self.at_ms - past_ms
        now, before = self.at_ms // self._slot_ms, begin_ms // self._slot_ms
        oldest = now - self.SLOTS + 1
        for slot in range(max(before + 1, oldest), now + 1):
            for name, fill in self.FILL.items():
                self.columns[name][slot % self.SLOTS] = fill
        if past_ms > self._longest_step_ms:
            return []
        parts = (
            (
                slot % self.SLOTS,
                min((slot + 1) * self._slot_ms, self.at_ms) - max(slot * self._slot_ms, begin_ms),
            )
            for slot in range(max(before, oldest), now + 1)
        )
        return [(slot, part_ms) for slot, part_ms in parts if part_ms > 0]

    @property
    def _slot(self) -> int:
        """The slot that is not over, counted since 1970."""
        return self.at_ms // self._slot_ms

    @property
    def _span_ms(self) -> float:
        """How long the window is [ms]: eleven slots, and the part of the twelfth that is over."""
        return float((SLOTS - 1) * self._slot_ms + self.at_ms % self._slot_ms)


class _Sums(_Slotted):
    """Means over slots.

    Where all that was ever noted was known exactly, low and high are one array: equal sums are not added up
    twice.
    """

    FILL: ClassVar[Mapping[str, float]] = {"known_ms": 0.0, "low_sum": 0.0, "high_sum": 0.0}

    def _begin(self) -> None:
        super()._begin()
        if np.array_equal(self.columns["low_sum"], self.columns["high_sum"]):
            self.columns["high_sum"] = self.columns["low_sum"]

    @property
    def _is_exact(self) -> bool:
        return self.columns["low_sum"] is self.columns["high_sum"]

    def _put(self, slot: int, part_ms: int, found: Measured, known: BoolArray | None) -> None:
        low, high = found.low, found.high
        if known is not None:
            low, high = np.where(known, low, 0.0), np.where(known, high, 0.0)
        if low is high or np.array_equal(low, high):
            high = low
        elif self._is_exact:
            self.columns["high_sum"] = self.columns["low_sum"].copy()
        low = low * part_ms
        self.columns["low_sum"][slot] += low
        if not self._is_exact:
            self.columns["high_sum"][slot] += low if high is found.low else high * part_ms

    def _mean(self, low: FloatArray, high: FloatArray, known_ms: FloatArray, span_ms: float) -> _Bounds:
        """Return means over a time, of sums over what was known of it."""
        is_whole = known_ms == span_ms
        if low is not high:
            return *self._spread(low, high, known_ms, span_ms), is_whole
        mean, gaps = low / span_ms, np.flatnonzero(~is_whole)
        if not len(gaps):
            return mean, mean, mean, is_whole
        least, best, most = mean, mean.copy(), mean.copy()
        least[gaps], best[gaps], most[gaps] = self._spread(low[gaps], low[gaps], known_ms[gaps], span_ms)
        return least, best, most, is_whole

    def _spread(
        self, low: FloatArray, high: FloatArray, known_ms: FloatArray, span_ms: float
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return at least, best and at most of means, of which some part of the time was missed."""
        unknown_ms = span_ms - known_ms
        least, most = low + unknown_ms * self._least, high + unknown_ms * self._most
        return least / span_ms, _divided(low + high, 2 * known_ms), most / span_ms


class _Mean(_Sums):
    def _begin(self) -> None:
        super()._begin()
        self._over: tuple[int, dict[str, FloatArray]] | None = None

    def _bounds(self) -> _Bounds:
        over = self._slots_over()
        low, known_ms = (
            over[name] + self.columns[name][self._slot % SLOTS] for name in ("low_sum", "known_ms")
        )
        high = low if self._is_exact else over["high_sum"] + self.columns["high_sum"][self._slot % SLOTS]
        return self._mean(low, high, known_ms, self._span_ms)

    def _slots_over(self) -> dict[str, FloatArray]:
        """Return the sums over the slots that are over, added up once for as long as the last one lasts."""
        if (
            self._over is None
            or self._over[0] != self._slot
            or self._is_exact != ("high_sum" not in self._over[1])
        ):
            names = [name for name in self.FILL if name != "high_sum" or not self._is_exact]
            self._over = self._slot, {name: self._sum_over(self.columns[name]) for name in names}
        return self._over[1]

    def _sum_over(self, column: FloatArray) -> FloatArray:
        """Return the sum of a column over the slots that are over, always in one order; shape (rows,)."""
        found = np.zeros(column.shape[1])
        for slot in range(SLOTS):
            if slot != self._slot % SLOTS:
                found += column[slot]
        return found


class _Slope(_Sums):
    """From the mean of the oldest slot that is over to that of the newest."""

    def _note(self, found: Measured, past_ms: int) -> bool:
        super()._note(found, past_ms)
        return past_ms == 0 or (self.at_ms - past_ms) // self._slot_ms != self._slot

    def _bounds(self) -> _Bounds:
        return self._between(SLOTS - 1, 1, SLOTS - 2)

    def _between(self, first: int, last: int, slots: int) -> _Bounds:
        """Return what it changed by from one slot to another, per second.

        Args:
            first: How many slots ago the first one was.
            last: How many slots ago the last one was.
            slots: Over how many slots that is taken.
        """
        old, new = (self._mean_of((self._slot - ago) % self.SLOTS) for ago in (first, last))
        over_s = slots * self._slot_ms / 1_000
        low, best, high = new[0] - old[2], new[1] - old[1], new[2] - old[0]
        return low / over_s, best / over_s, high / over_s, new[3] & old[3]

    def _mean_of(self, slot: int) -> _Bounds:
        low, high, known_ms = (self.columns[name][slot] for name in ("low_sum", "high_sum", "known_ms"))
        return self._mean(low, high, known_ms, self._slot_ms)


class _Change(_Slope):
    """What it changed by over the whole window, from means over slots: the smaller of two figures.

    From the slot before the window to the one after it, a step is as large as it is, and a long ramp larger.
    From its first slot to its last, a ramp of any length is as steep as it is, and a step steeper.
    """

    SLOTS: ClassVar[int] = SLOTS + 3

    def _bounds(self) -> _Bounds:
        around, within = self._between(SLOTS + 2, 1, SLOTS), self._between(SLOTS + 1, 2, SLOTS - 1)
        low, best, high = (_smaller(a, b) for a, b in zip(around[:3], within[:3], strict=True))
        return low, best, high, around[3] & within[3]


def _smaller(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return the one that is nearer to 0, of two on the same side of it; else 0."""
    nearer = np.where((np.abs(one) < np.abs(other)) | np.isnan(one), one, other)
    found: FloatArray = np.where(np.sign(one) == -np.sign(other), 0.0, nearer)
    return found


class _Extremes(_Slotted):
    """The least or the most of each slot."""

    PICK: ClassVar[np.ufunc]

    def _put(self, slot: int, part_ms: int, found: Measured, known: BoolArray | None) -> None:
        del part_ms
        for name, bound in (("low", found.low), ("high", found.high)):
            column = self.columns[name][slot]
            self.PICK(column, bound if known is None else np.where(known, bound, self.FILL[name]), out=column)

    def _bounds(self) -> _Bounds:
        low, high = (self.PICK.reduce(self.columns[name], axis=0) for name in ("low", "high"))
        is_any = np.isfinite(low)
        best = np.add(low, high, out=np.full(len(low), np.nan), where=is_any) / 2
        is_whole = self.columns["known_ms"].sum(axis=0) == self._span_ms
        # What was not heard may have been anything that is possible, on either side.
        return (
            np.where(is_whole, low, self.PICK(low, self._least)),
            best,
            np.where(is_whole, high, self.PICK(high, self._most)),
            is_whole,
        )


class _Least(_Extremes):
    FILL: ClassVar[Mapping[str, float]] = {"known_ms": 0.0, "low": np.inf, "high": np.inf}
    PICK: ClassVar[np.ufunc] = np.minimum


class _Most(_Extremes):
    FILL: ClassVar[Mapping[str, float]] = {"known_ms": 0.0, "low": -np.inf, "high": -np.inf}
    PICK: ClassVar[np.ufunc] = np.maximum


class _Unchanged(_Figure):
    """For how long a value has been the same; what was not heard may have been another one.

    A change is seen at the next note: it came between the two.
    """

    FILL: ClassVar[Mapping[str, float]] = {
        "last": np.nan,
        "low_ms": -1.0,
        "high_ms": np.inf,
        "unheard_ms": 0.0,
    }
    SLOTS: ClassVar[int] = 1

    def _begin(self) -> None:
        super()._begin()
        self._is_heard = not self.columns["unheard_ms"].any()

    def _note(self, found: Measured, past_ms: int) -> bool:
        last, low_ms, high_ms, unheard_ms = (self.columns[name][0] for name in self.FILL)
        known = found.is_known
        if self._is_heard and past_ms <= self._longest_step_ms and known.all():
            # Nothing was missed of any row, then or now: only those count that changed.
            changed = np.flatnonzero(found.best != last)
            high_ms += past_ms
            high_ms[changed[~np.isnan(last[changed])]] = past_ms
            begins = np.flatnonzero(low_ms < 0)
            low_ms += past_ms
            low_ms[begins] = low_ms[changed] = 0.0
            last[changed] = found.best[changed]
            return True
        is_same = known & (found.best == last)
        has_changed = known & ~is_same & ~np.isnan(last)
        unheard_ms += past_ms
        high_ms[:] = np.where(has_changed, unheard_ms, high_ms + past_ms)
        # Below zero where it was not known: then it is not known to have stayed the same.
        is_followed = is_same & (low_ms >= 0) & (past_ms <= self._longest_step_ms)
        low_ms[:] = np.where(is_followed, low_ms + past_ms, np.where(known, 0.0, -1.0))
        last[:] = np.where(known, found.best, last)
        unheard_ms[known] = 0.0
        self._is_heard = not unheard_ms.any()
        return True

    def _bounds(self) -> _Bounds:
        low, high = (self.columns[name][0] / 1_000 for name in ("low_ms", "high_ms"))
        for bound in (low, high):
            np.clip(bound, 0.0, self._window.over_s, out=bound)
        return low, (low + high) / 2, high, high - low <= self._longest_step_ms / 1_000


class _Fall(_Figure):
    """The last fall of a counter within the window: what it was before, and after; also across a gap."""

    FILL: ClassVar[Mapping[str, float]] = {"last": np.nan, "low": 0.0, "high": 0.0, "ago_ms": np.inf}
    SLOTS: ClassVar[int] = 1
    SHARE: ClassVar[float] = 1.0
    """Below which share of the value before it is a fall."""
    BACK: ClassVar[float] = math.inf
    """Above which share of what it fell from it is forgotten."""

    def _begin(self) -> None:
        super()._begin()
        self._has_fallen = bool(np.isfinite(self.columns["ago_ms"]).any())
        self._is_heard = not np.isnan(self.columns["last"]).any()

    def _note(self, found: Measured, past_ms: int) -> bool:
        last, low, high, ago_ms = (self.columns[name][0] for name in self.FILL)
        known = found.is_known
        fell = np.flatnonzero(known & (found.best < last * self.SHARE))
        is_another = self._has_fallen or len(fell) > 0 or not self._is_heard
        if self._has_fallen:
            ago_ms += past_ms
        low[fell], high[fell], ago_ms[fell] = found.best[fell], last[fell], 0.0
        if math.isfinite(self.BACK) and is_another:
            fallen = np.flatnonzero(np.isfinite(ago_ms) & known)
            ago_ms[fallen[found.best[fallen] > high[fallen] * self.BACK]] = np.inf
        np.copyto(last, found.best, where=known)
        if is_another:
            self._has_fallen = bool(np.isfinite(ago_ms).any())
            self._is_heard = not np.isnan(last).any()
        return is_another

    def _bounds(self) -> _Bounds:
        last, low, high, ago_ms = (self.columns[name][0] for name in self.FILL)
        recent = np.flatnonzero(ago_ms <= self._window.over_s * 1_000)
        before, after = np.zeros(len(last)), np.zeros(len(last))
        before[recent], after[recent] = high[recent], low[recent]
        return after, after, before, ~np.isnan(last)


class _Collapse(_Fall):
    """The last fall to less than a hundredth; forgotten once the value is a tenth of what it was again."""

    SHARE: ClassVar[float] = 0.01
    BACK: ClassVar[float] = 0.1


class _Step(_Figure):
    """How far a value fell within two seconds, by moments of which it was known on both sides.

    What it is now and was at the moment before is held against what it was at the two moments before the one
    between: one moment that says something else is no step, such as that between readings of two meters of
    which one takes over from the other. A gap may lie between, as long as all five lie within the window.
    """

    FILL: ClassVar[Mapping[str, float]] = {"at_ms": -np.inf, "low": -np.inf, "high": np.inf}
    SLOTS: ClassVar[int] = 5

    def _note(self, found: Measured, past_ms: int) -> bool:
        del past_ms
        known = found.is_known
        for name, now in (
            ("at_ms", np.full(len(known), float(self.at_ms))),
            ("low", found.low),
            ("high", found.high),
        ):
            column = self.columns[name]
            column[1:, known] = column[:-1, known]
            column[0, known] = now[known]
        return True

    def _bounds(self) -> _Bounds:
        at_ms, low, high = (self.columns[name] for name in self.FILL)
        is_whole = (at_ms[0] == self.at_ms) & (self.at_ms - at_ms[-1] <= self._window.over_s * 1_000)
        before_low, before_high = low[3:].min(axis=0), high[3:].min(axis=0)
        now_low, now_high = low[:2].max(axis=0), high[:2].max(axis=0)
        least = np.where(is_whole, before_low - now_high, -np.inf)
        most = np.where(is_whole, before_high - now_low, np.inf)
        best = np.add(least, most, out=np.full(len(least), np.nan), where=is_whole) / 2
        return least, best, most, is_whole


class _Stood(_Figure):
    """Whether a value was known to be at most a level for a while on end, within the window.

    What was not heard is no standing, and begins the while anew: it may have been anything.
    """

    FILL: ClassVar[Mapping[str, float]] = {"stands_ms": -1.0, "ago_ms": np.inf}
    SLOTS: ClassVar[int] = 1

    def _note(self, found: Measured, past_ms: int) -> bool:
        stands_ms, ago_ms = (self.columns[name][0] for name in self.FILL)
        before = self._has_stood()
        stands = found.is_known & (found.high <= self._window.level)
        # Below zero where it is not known to stand.
        is_followed = stands & (stands_ms >= 0) & (past_ms <= self._longest_step_ms)
        stands_ms[:] = np.where(is_followed, stands_ms + past_ms, np.where(stands, 0.0, -1.0))
        ago_ms += past_ms
        ago_ms[stands_ms >= self._window.level_s * 1_000] = 0.0
        return not np.array_equal(before, self._has_stood())

    def _has_stood(self) -> BoolArray:
        within: BoolArray = self.columns["ago_ms"][0] <= self._window.over_s * 1_000
        return within

    def _bounds(self) -> _Bounds:
        found = self._has_stood().astype(np.float64)
        return found, found, found, np.ones(len(found), np.bool_)


class _Dose(_Figure):
    """The mean square with exponential memory; while it is not known, it may be anything that is possible.

    So it was before the first note: high holds what is known only, and `unknown` is the share of the rest.
    """

    FILL: ClassVar[Mapping[str, float]] = {"low": 0.0, "high": 0.0, "unknown": 1.0}
    SLOTS: ClassVar[int] = 1

    def _note(self, found: Measured, past_ms: int) -> bool:
        share = -np.expm1(-past_ms / (self._window.over_s * 1_000))
        known = found.is_known & (past_ms <= self._longest_step_ms)
        one, other = np.abs(found.low), np.abs(found.high)
        crosses = (found.low <= 0) & (found.high >= 0)
        least = np.where(known & ~crosses, np.minimum(one, other), 0.0)
        most = np.where(known, np.maximum(one, other), 0.0)
        for name, now in (("low", least**2), ("high", most**2), ("unknown", np.where(known, 0.0, 1.0))):
            self.columns[name][0] += (now - self.columns[name][0]) * share
        return True

    def _bounds(self) -> _Bounds:
        low, known_high, unknown = (self.columns[name][0] for name in self.FILL)
        high = np.maximum(low, known_high + unknown * max(self._least**2, self._most**2))
        best = np.clip(_divided((low + known_high) / 2, 1 - unknown), low, high)
        return low.copy(), best, high, unknown < FORGOTTEN


class _Trip(_Figure):
    """The share that is used up of what trips a breaker; while its current is not known, it may be all of it.

    So it was before the first note: a preload is learned from the current, as the breaker forgets it.
    """

    FILL: ClassVar[Mapping[str, float]] = {"low": 0.0, "best": 0.0, "high": 1.0}
    SLOTS: ClassVar[int] = 1

    def _note(self, found: Measured, past_ms: int) -> bool:
        curves = present(self._curves, "the curves of breakers, with their currents")
        low, best, high = (self.columns[name][0] for name in self.FILL)
        is_followed = curves.is_known & (past_ms <= self._longest_step_ms)
        known = found.is_known & is_followed
        if found.low is found.high and known.all():
            least = likely = most = np.maximum(found.best, 0.0)
        else:
            likely, most = (np.where(known, np.maximum(each, 0.0), 0.0) for each in (found.best, found.high))
            # Of a line that is not known the others prove how much it is at least.
            least = np.where(is_followed, np.maximum(found.low, 0.0), 0.0)
        past_s = past_ms / 1_000
        low[:] = curves.step(low, least, past_s)
        best[:] = np.where(known, curves.step(best, likely, past_s), best)
        high[:] = np.where(known, curves.step(high, most, past_s), 1.0)
        low[~curves.is_known] = best[~curves.is_known] = 0.0
        return True

    def _bounds(self) -> _Bounds:
        low, best, high = (self.columns[name][0] for name in self.FILL)
        return low.copy(), np.clip(best, low, high), high.copy(), high - low < FORGOTTEN


class _AtLeast(_Slotted):
    """A mean of what is certain: what was not known counts as nothing, so it is known at any time."""

    FILL: ClassVar[Mapping[str, float]] = {"known_ms": 0.0, "sum": 0.0}

    def _begin(self) -> None:
        super()._begin()
        self._is_any = bool(self.columns["sum"].any())

    def _note(self, found: Measured, past_ms: int) -> bool:
        was_any = self._is_any
        super()._note(found, past_ms)
        self._is_any = bool(self.columns["sum"].any())
        return was_any or self._is_any

    def _put(self, slot: int, part_ms: int, found: Measured, known: BoolArray | None) -> None:
        del known
        self.columns["sum"][slot] += self._amounts(np.maximum(found.low, 0.0)) * part_ms

    @abstractmethod
    def _amounts(self, least: FloatArray) -> FloatArray:
        """Return what the mean is of, by the least that the quantity of each row is, at least 0."""

    @abstractmethod
    def _mean(self) -> FloatArray:
        """Return the figure."""

    def _bounds(self) -> _Bounds:
        mean = self._mean()
        return mean, mean, mean, np.ones(len(mean), np.bool_)

    def _sums(self, first: int, count: int) -> FloatArray:
        """Return the sum over some slots, of which the first is so many before the one that is not over."""
        slots = (self._slot - first - np.arange(count)) % SLOTS
        total: FloatArray = self.columns["sum"][slots].sum(axis=0)
        return total


class _Wear(_AtLeast):
    """What certainly wears a breaker in both halves of the window: what happens once is no swing."""

    def _amounts(self, least: FloatArray) -> FloatArray:
        curves = present(self._curves, "the curves of breakers, with their currents")
        least = np.where(curves.is_known, least, 0.0)
        return np.zeros(len(least)) if curves.hold_all(least) else np.nan_to_num(curves.wear(least))

    def _mean(self) -> FloatArray:
        half = SLOTS // 2
        newer = self._sums(0, half) / (self._span_ms - half * self._slot_ms)
        older = self._sums(half, half) / (half * self._slot_ms)
        return np.minimum(newer, older)


class _Rms(_AtLeast):
    """The root of the mean square."""

    def _amounts(self, least: FloatArray) -> FloatArray:
        return least**2

    def _mean(self) -> FloatArray:
        return np.sqrt(self._sums(0, SLOTS) / self._span_ms)


def _divided(amount: FloatArray, by: FloatArray) -> FloatArray:
    """Return quotients, NaN where nothing is to divide by."""
    quotient: FloatArray = np.divide(amount, by, out=np.full(len(by), np.nan), where=by > 0)
    return quotient


_FIGURES: Final[Mapping[Statistic, type[_Figure]]] = MappingProxyType(
    {
        Statistic.MEAN: _Mean,
        Statistic.LEAST: _Least,
        Statistic.MOST: _Most,
        Statistic.SLOPE: _Slope,
        Statistic.CHANGE: _Change,
        Statistic.UNCHANGED: _Unchanged,
        Statistic.FALL: _Fall,
        Statistic.COLLAPSE: _Collapse,
        Statistic.STEP: _Step,
        Statistic.DOSE: _Dose,
        Statistic.STOOD: _Stood,
        Statistic.TRIP: _Trip,
        Statistic.WEAR: _Wear,
        Statistic.RMS: _Rms,
    }
)


class Windows:
    """All windows that rules declare.

    Args:
        declared: The windows, each with the kind of its subjects.
        tick_ms: Event time between two ticks [ms].
    """

    def __init__(self, declared: Iterable[tuple[SubjectKind, Window]] = (), *, tick_ms: int = 1) -> None:
        self._longest_step_ms = max(LONGEST_STEP_MS, 2 * tick_ms)
        self._figures = {key: self._new(key[1]) for key in declared}

    def _new(self, window: Window) -> _Figure:
        return _FIGURES[window.statistic](window, self._longest_step_ms)

    def __iter__(self) -> Iterator[tuple[SubjectKind, Window]]:
        return iter(self._figures)

    def has_begun(self, key: tuple[SubjectKind, Window]) -> bool:
        """Tell whether a window has taken in anything of anything."""
        return bool(self._figures[key].ids)

    def note(
        self,
        key: tuple[SubjectKind, Window],
        ids: tuple[str, ...],
        found: Measured,
        at_ms: int,
        curves: TripCurves | None = None,
    ) -> None:
        """Take in what a window's quantity is at a moment.

        Args:
            key: The kind of the subjects, and the window.
            ids: The subjects.
            found: The quantity of each.
            at_ms: The moment [ms].
            curves: By which curve each trips, for a window of that.
        """
        self._figures[key].note(ids, found, at_ms, curves)

    def begin_anew(self, key: tuple[SubjectKind, Window]) -> None:
        """Forget what a window holds: it may have taken in half of a moment."""
        self._figures[key] = self._new(key[1])

    def figure(self, key: tuple[SubjectKind, Window]) -> Measured:
        """Return a window's figure of each subject at the moment of the last `note`."""
        return self._figures[key].figure()

    def save(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return everything as arrays and as plain values, each subject with its id.

        The arrays are those that are used: who keeps them beyond the next note copies them.
        """
        arrays: dict[str, NDArray[Any]] = {}
        values: dict[str, Any] = {}
        for (kind, window), figure in self._figures.items():
            name = f"{kind} {window}"
            arrays |= {f"{name}.{column}": array for column, array in figure.columns.items()}
            values[name] = {"ids": figure.ids, "at_ms": figure.at_ms}
        return arrays, values

    def load(self, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> None:
        """Take in what `save` returned; of a window that was not declared then, nothing is known."""
        for (kind, window), figure in self._figures.items():
            name = f"{kind} {window}"
            if name in values and all(f"{name}.{column}" in arrays for column in figure.FILL):
                columns = {column: arrays[f"{name}.{column}"].copy() for column in figure.FILL}
                figure.restore(tuple(values[name]["ids"]), values[name]["at_ms"], columns)
