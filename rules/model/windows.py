"""Figures over time, computed once for all rules that declare them, with bounds that hold over gaps.

A window is parted into slots, so its memory is bounded whatever the rate, and it slides by a slot. Time in
which a quantity was not known counts with the whole hard range of the quantity: a mean over a gap is wider,
never wrong. What was heard of a subject is found again by its id after a restart.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from facility.quantities import QUANTITIES
from facility.readings import FloatArray
from rules.model.measured import Measured
from rules.subject import SubjectKind
from rules.telemetry.cause import Cause

SLOTS: Final = 12
"""Parts of a window (our choice): 12 columns of 8 bytes a row for each figure that is kept."""


class Statistic(StrEnum):
    """What a window gives."""

    MEAN = "mean"
    LEAST = "least"
    MOST = "most"
    SLOPE = "slope"  # per second, between the oldest part of the window and the newest
    UNCHANGED = "unchanged"  # seconds for which the value has not changed, at most the window
    DOSE = "dose"  # the mean square with exponential memory: what heats a conductor


@dataclass(frozen=True, slots=True)
class Window:
    """A figure over the last time.

    Attributes:
        quantity: Of which quantity.
        statistic: Which figure.
        over_s: Over how long [s]; the time constant of a dose.
    """

    quantity: str
    statistic: Statistic
    over_s: float

    def __str__(self) -> str:
        return f"{self.quantity} {self.statistic} over {self.over_s:g} s"


class _Figure(ABC):
    """One window of all subjects of a kind: arrays of shape (slots, rows) by name.

    Args:
        window: Quantity, statistic and length.

    Attributes:
        ids: The subjects, one for each row.
        at_ms: The moment of the last note [ms], 0 before the first.
        columns: What is kept.
    """

    FILL: ClassVar[Mapping[str, float]]
    SLOTS: ClassVar[int] = SLOTS

    def __init__(self, window: Window) -> None:
        quantity = QUANTITIES[window.quantity]
        self._window = window
        self._least, self._most = quantity.low, quantity.high
        self._slot_ms = max(1, round(window.over_s * 1_000 / SLOTS))
        self.ids: tuple[str, ...] = ()
        self.at_ms = 0
        self.columns = self._empty(0)

    def _empty(self, rows: int) -> dict[str, FloatArray]:
        return {name: np.full((self.SLOTS, rows), fill) for name, fill in self.FILL.items()}

    def note(self, ids: tuple[str, ...], found: Measured, at_ms: int) -> None:
        """Take in what the quantity of each subject is at a moment [ms]."""
        self._align(ids)
        past_ms, self.at_ms = (at_ms - self.at_ms if self.at_ms else 0), at_ms
        self._note(found, past_ms)

    def figure(self) -> Measured:
        """Return the figure at the moment of the last note."""
        low, best, high = self._bounds()
        is_known = np.isfinite(low) & np.isfinite(high)
        return Measured(
            low=np.where(is_known, low, -np.inf),
            best=best,
            high=np.where(is_known, high, np.inf),
            is_fresh=is_known,
            age_ms=np.zeros(len(self.ids), np.int64),
            cause=np.where(is_known, Cause.NONE, Cause.LATE).astype(np.int8),
        )

    @abstractmethod
    def _note(self, found: Measured, past_ms: int) -> None:
        """Take in what holds for the time since the note before [ms]."""

    @abstractmethod
    def _bounds(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return at least, best and at most of the figure."""

    def _align(self, ids: tuple[str, ...]) -> None:
        """Give every subject its place, with what was known of it."""
        if ids is not self.ids and ids != self.ids:
            place = {name: row for row, name in enumerate(self.ids)}
            kept = [(place[name], row) for row, name in enumerate(ids) if name in place]
            sources, targets = (np.array([pair[end] for pair in kept], np.intp) for end in (0, 1))
            old, self.columns = self.columns, self._empty(len(ids))
            for name, column in self.columns.items():
                column[:, targets] = old[name][:, sources]
        self.ids = ids


class _Slotted(_Figure):
    """A figure of what was known in each slot of the window."""

    def _slot(self, past_ms: int) -> int | None:
        """Return the slot of now, with those emptied that passed; None where the time since was a gap."""
        now, before = self.at_ms // self._slot_ms, (self.at_ms - past_ms) // self._slot_ms
        first = now if not past_ms else max(before + 1, now - SLOTS + 1)
        for slot in range(first, now + 1):
            for name, fill in self.FILL.items():
                self.columns[name][slot % SLOTS] = fill
        return now % SLOTS if 0 < past_ms <= self._slot_ms else None

    def _unknown_ms(self) -> tuple[FloatArray, FloatArray]:
        """Return for how long of the window each row was not known, and how long the window is [ms]."""
        span_ms = float((SLOTS - 1) * self._slot_ms + self.at_ms % self._slot_ms)
        known_ms = self.columns["known_ms"].sum(axis=0)
        return np.maximum(span_ms - known_ms, 0.0), np.maximum(span_ms, known_ms)


class _Sums(_Slotted):
    """Means over slots."""

    FILL: ClassVar[Mapping[str, float]] = {"known_ms": 0.0, "low_sum": 0.0, "high_sum": 0.0}

    def _note(self, found: Measured, past_ms: int) -> None:
        slot = self._slot(past_ms)
        if slot is not None:
            known = found.is_known
            self.columns["known_ms"][slot] += np.where(known, past_ms, 0.0)
            self.columns["low_sum"][slot] += np.where(known, found.low, 0.0) * past_ms
            self.columns["high_sum"][slot] += np.where(known, found.high, 0.0) * past_ms


class _Mean(_Sums):
    def _bounds(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        low, high, known_ms = (self.columns[name].sum(axis=0) for name in ("low_sum", "high_sum", "known_ms"))
        unknown_ms, span_ms = self._unknown_ms()
        best = _divided(low + high, 2 * known_ms)
        return (low + unknown_ms * self._least) / span_ms, best, (high + unknown_ms * self._most) / span_ms


class _Slope(_Sums):
    def _bounds(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        now = self.at_ms // self._slot_ms
        new, old = (now - 1) % SLOTS, (now + 1) % SLOTS
        known_ms = self.columns["known_ms"]
        is_whole = np.minimum(known_ms[new], known_ms[old]) >= self._slot_ms / 2
        low, high = (
            {slot: _divided(self.columns[name][slot], known_ms[slot]) for slot in (new, old)}
            for name in ("low_sum", "high_sum")
        )
        over_s = (SLOTS - 2) * self._slot_ms / 1_000
        least, most = (low[new] - high[old]) / over_s, (high[new] - low[old]) / over_s
        return np.where(is_whole, least, -np.inf), (least + most) / 2, np.where(is_whole, most, np.inf)


class _Extremes(_Slotted):
    """The least or the most of each slot."""

    def _note(self, found: Measured, past_ms: int) -> None:
        slot = self._slot(past_ms)
        if slot is None:
            return
        known = found.is_known
        self.columns["known_ms"][slot] += np.where(known, past_ms, 0.0)
        for name, bound in (("low", found.low), ("high", found.high)):
            column = self.columns[name]
            column[slot] = self.PICK(column[slot], np.where(known, bound, self.FILL[name]))

    PICK: ClassVar[np.ufunc]


class _Least(_Extremes):
    FILL: ClassVar[Mapping[str, float]] = {"known_ms": 0.0, "low": np.inf, "high": np.inf}
    PICK: ClassVar[np.ufunc] = np.minimum

    def _bounds(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        low, high = self.columns["low"].min(axis=0), self.columns["high"].min(axis=0)
        best = np.where(np.isfinite(high), (low + high) / 2, np.nan)
        return np.where(self._unknown_ms()[0] > 0, np.minimum(low, self._least), low), best, high


class _Most(_Extremes):
    FILL: ClassVar[Mapping[str, float]] = {"known_ms": 0.0, "low": -np.inf, "high": -np.inf}
    PICK: ClassVar[np.ufunc] = np.maximum

    def _bounds(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        low, high = self.columns["low"].max(axis=0), self.columns["high"].max(axis=0)
        best = np.where(np.isfinite(low), (low + high) / 2, np.nan)
        return low, best, np.where(self._unknown_ms()[0] > 0, np.maximum(high, self._most), high)


class _Unchanged(_Figure):
    """For how long a value has been the same; what was not heard may have been another one."""

    FILL: ClassVar[Mapping[str, float]] = {"last": np.nan, "low_ms": 0.0, "high_ms": 0.0}
    SLOTS: ClassVar[int] = 1

    def _note(self, found: Measured, past_ms: int) -> None:
        last, low_ms, high_ms = (self.columns[name][0] for name in self.FILL)
        is_same = found.is_known & (found.best == last)
        high_ms[:] = np.where(is_same | ~found.is_known, high_ms + past_ms, 0.0)
        low_ms[:] = np.where(is_same, low_ms + past_ms, 0.0)
        last[:] = np.where(found.is_known, found.best, last)

    def _bounds(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        low, high = (
            np.minimum(self.columns[name][0] / 1_000, self._window.over_s) for name in ("low_ms", "high_ms")
        )
        return low, (low + high) / 2, high


class _Dose(_Figure):
    """The mean square with exponential memory; while it is not known, it may be anything that is possible."""

    FILL: ClassVar[Mapping[str, float]] = {"low": 0.0, "high": 0.0}
    SLOTS: ClassVar[int] = 1

    def _note(self, found: Measured, past_ms: int) -> None:
        share = -np.expm1(-past_ms / (self._window.over_s * 1_000))
        known, bounds = found.is_known, (np.abs(found.low), np.abs(found.high))
        crosses = (found.low <= 0) & (found.high >= 0)
        least = np.where(known & ~crosses, np.minimum(*bounds), 0.0)
        most = np.where(known, np.maximum(*bounds), max(abs(self._least), abs(self._most)))
        for name, bound in (("low", least), ("high", most)):
            self.columns[name][0] += (bound**2 - self.columns[name][0]) * share

    def _bounds(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        low, high = self.columns["low"][0], self.columns["high"][0]
        return low.copy(), (low + high) / 2, high.copy()


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
        Statistic.UNCHANGED: _Unchanged,
        Statistic.DOSE: _Dose,
    }
)


class Windows:
    """All windows that rules declare.

    Args:
        declared: The windows, each with the kind of its subjects.
    """

    def __init__(self, declared: Iterable[tuple[SubjectKind, Window]] = ()) -> None:
        self._figures = {key: _FIGURES[key[1].statistic](key[1]) for key in declared}

    def __iter__(self) -> Iterator[tuple[SubjectKind, Window]]:
        return iter(self._figures)

    def note(
        self, key: tuple[SubjectKind, Window], ids: tuple[str, ...], found: Measured, at_ms: int
    ) -> None:
        """Take in what a window's quantity is at a moment.

        Args:
            key: The kind of the subjects, and the window.
            ids: The subjects.
            found: The quantity of each.
            at_ms: The moment [ms].
        """
        self._figures[key].note(ids, found, at_ms)

    def figure(self, key: tuple[SubjectKind, Window]) -> Measured:
        """Return a window's figure of each subject at the moment of the last `note`."""
        return self._figures[key].figure()

    def save(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return everything as arrays and as plain values, each subject with its id."""
        arrays: dict[str, NDArray[Any]] = {}
        values: dict[str, Any] = {}
        for (kind, window), figure in self._figures.items():
            name = f"{kind} {window}"
            arrays |= {f"{name}.{column}": array.copy() for column, array in figure.columns.items()}
            values[name] = {"ids": figure.ids, "at_ms": figure.at_ms}
        return arrays, values

    def load(self, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> None:
        """Take in what `save` returned; of a window that was not declared then, nothing is known."""
        for (kind, window), figure in self._figures.items():
            name = f"{kind} {window}"
            if name in values:
                figure.ids, figure.at_ms = tuple(values[name]["ids"]), values[name]["at_ms"]
                figure.columns = {column: arrays[f"{name}.{column}"].copy() for column in figure.FILL}
