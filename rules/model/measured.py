"""Measured quantities as intervals, and conditions on them that are true, false or not known."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from facility.invariants import require
from facility.readings import BoolArray, FloatArray
from rules.telemetry.cause import Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One quantity of every row of a table, in its canonical unit; arrays of shape (rows,).

    Attributes:
        low: It is at least this, float64; -inf where it is not known.
        best: The last value that was heard, float64; NaN where there was none.
        high: It is at most this, float64; inf where it is not known.
        cause: Why it is not known, int8 codes of `rules.telemetry.cause.Cause`; 0 where it is.
    """

    low: FloatArray
    best: FloatArray
    high: FloatArray
    cause: NDArray[np.int8]

    def __post_init__(self) -> None:
        if self.low is not self.high:
            wrong = np.count_nonzero(self.low > self.high)
            require(wrong == 0, "low at most high", f"{wrong} rows where it is above")

    @classmethod
    def exact(cls, value: FloatArray) -> Self:
        """Return what is known exactly in every row, shape (rows,)."""
        return cls(low=value, best=value, high=value, cause=np.zeros(len(value), np.int8))

    @property
    def is_known(self) -> BoolArray:
        """Whether it is known within its errors, shape (rows,)."""
        known: BoolArray = self.cause == 0
        return known

    def is_like(self, other: Measured) -> bool:
        """Tell whether the bounds, and why they are not known, are the same of each row."""
        return (
            np.array_equal(self.low, other.low)
            and np.array_equal(self.high, other.high)
            and np.array_equal(self.cause, other.cause)
        )

    @property
    def _is_exact(self) -> bool:
        """Whether every row is known exactly, as is seen at once."""
        return self.low is self.best and self.low is self.high and not self.cause.any()

    def take(self, rows: NDArray[np.intp] | slice) -> Measured:
        """Return it of some rows; of neighbours as a view, which is exact where each of them is."""
        low, best, high, cause = self.low[rows], self.best, self.high, self.cause[rows]
        best = low if self.low is best else best[rows]
        high = low if self.low is high else high[rows]
        if low is not best and isinstance(rows, slice) and not cause.any():
            is_exact = np.array_equal(low, high) and np.array_equal(low, best)
            low, high = (best, best) if is_exact else (low, high)
        return Measured(low=low, best=best, high=high, cause=cause)

    def put(self, rows: NDArray[np.intp], other: Measured) -> Measured:
        """Return it with other values in some rows; this one stays as it is."""
        best, cause = _put(self.best, other.best, rows), _put(self.cause, other.cause, rows)
        is_read = self.low is self.best and other.low is other.best
        low = best if is_read else _put(self.low, other.low, rows)
        is_exact = self.low is self.high and other.low is other.high
        high = low if is_exact else _put(self.high, other.high, rows)
        return Measured(low=low, best=best, high=high, cause=cause)

    def __mul__(self, factor: float) -> Measured:
        """Return it in another unit: a positive number of times as much."""
        require(factor > 0, "a factor above 0", f"{factor}")
        if self._is_exact:
            return self._exactly(self.low * factor)
        return replace(self, low=self.low * factor, best=self.best * factor, high=self.high * factor)

    def __sub__(self, other: Measured) -> Measured:
        """Return the difference, which is known where both are."""
        if self._is_exact and other._is_exact:
            return self._exactly(self.low - other.low)
        return self._with(other, self.low - other.high, self.best - other.best, self.high - other.low)

    def times(self, other: Measured) -> Measured:
        """Return the product, which is known where both are."""
        if self._is_exact and other._is_exact:
            return self._exactly(self.low * other.low)
        with np.errstate(invalid="ignore"):
            corners = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        # Infinity times nothing is anything.
        for corner, end in zip(corners, (-np.inf, -np.inf, np.inf, np.inf), strict=True):
            corner[np.isnan(corner)] = end
        low, high = np.minimum.reduce(corners), np.maximum.reduce(corners)
        return self._with(other, low, self.best * other.best, high)

    def per(self, other: Measured) -> Measured:
        """Return the quotient, which is known where both are and what divides is certainly above 0."""
        divides = other.low > 0
        if self._is_exact and other._is_exact and divides.all():
            return self._exactly(self.low / other.low)
        by_low, by_high = (np.where(divides, side, 1.0) for side in (other.low, other.high))
        with np.errstate(invalid="ignore"):
            low = np.where(self.low < 0, self.low / by_low, self.low / by_high)
            high = np.where(self.high < 0, self.high / by_high, self.high / by_low)
        low, high = np.where(divides, low, -np.inf), np.where(divides, high, np.inf)
        best = np.divide(self.best, other.best, out=np.full(len(divides), np.nan), where=other.best > 0)
        return self._with(other, low, best, high)

    def _exactly(self, value: FloatArray) -> Measured:
        """Return what was made of two quantities that are known exactly in every row."""
        return Measured(low=value, best=value, high=value, cause=self.cause)

    def _with(self, other: Measured, low: FloatArray, best: FloatArray, high: FloatArray) -> Measured:
        """Return what was made of two quantities: not known where either is not."""
        low[np.isnan(low)] = -np.inf
        high[np.isnan(high)] = np.inf
        return Measured(
            low=low,
            best=best,
            high=high,
            cause=np.where(self.cause == 0, other.cause, self.cause),
        )


def _put(column: NDArray[Any], values: NDArray[Any], rows: NDArray[np.intp]) -> NDArray[Any]:
    """Return a column with other values in some rows."""
    found = column.copy()
    found[rows] = values
    return found


@dataclass(frozen=True, slots=True)
class Condition:
    """Whether something holds of each row: for certain, certainly not, or neither.

    Attributes:
        holds: Where it holds for certain, shape (rows,).
        fails: Where it certainly does not, shape (rows,); never where it holds.
    """

    holds: BoolArray
    fails: BoolArray

    def __and__(self, other: Condition) -> Condition:
        return Condition(self.holds & other.holds, self.fails | other.fails)

    def __or__(self, other: Condition) -> Condition:
        return Condition(self.holds | other.holds, self.fails & other.fails)

    def __invert__(self) -> Condition:
        return Condition(self.fails, self.holds)

    def take(self, rows: NDArray[np.intp]) -> Condition:
        """Return it of some rows."""
        return Condition(self.holds[rows], self.fails[rows])

    @classmethod
    def of(cls, holds: BoolArray) -> Self:
        """Return a condition that is always known."""
        return cls(holds, ~holds)


def above(measured: Measured, level: FloatArray | float) -> Condition:
    """Return where a quantity is above a level; nowhere where the level is NaN."""
    return Condition(measured.low > level, (measured.high <= level) | np.isnan(level))


def below(measured: Measured, level: FloatArray | float) -> Condition:
    """Return where a quantity is below a level; nowhere where the level is NaN."""
    return Condition(measured.high < level, (measured.low >= level) | np.isnan(level))


def outside(measured: Measured, low: FloatArray | float, high: FloatArray | float) -> Condition:
    """Return where a quantity is below the lower of two levels or above the higher one."""
    return below(measured, low) | above(measured, high)


def relative(measured: Measured, to: FloatArray) -> Measured:
    """Return a quantity as a share of what each row is rated; nothing measures it where that is not known.

    Args:
        measured: The quantity.
        to: The rating of each row, above 0, in the same unit; NaN where there is none, shape (rows,).
    """
    is_rated = ~np.isnan(to)
    return replace(
        measured,
        low=np.where(is_rated, measured.low / to, -np.inf),
        best=measured.best / to,
        high=np.where(is_rated, measured.high / to, np.inf),
        cause=np.where(is_rated, measured.cause, Cause.NO_POINT).astype(np.int8),
    )


def largest_of(first: Measured, *others: Measured) -> Measured:
    """Return the largest of several quantities of each row; what nothing measures there is left out."""
    found = first
    for other in others:
        is_left, is_right = found.cause != Cause.NO_POINT, other.cause != Cause.NO_POINT
        is_both = is_left & is_right
        found = Measured(
            low=np.where(is_both, np.maximum(found.low, other.low), np.where(is_left, found.low, other.low)),
            best=np.where(
                is_both, np.fmax(found.best, other.best), np.where(is_left, found.best, other.best)
            ),
            high=np.where(
                is_both, np.maximum(found.high, other.high), np.where(is_left, found.high, other.high)
            ),
            cause=np.where(is_left & ((found.cause != Cause.NONE) | ~is_right), found.cause, other.cause),
        )
    return found


def chosen(where: BoolArray, one: Measured, other: Measured) -> Measured:
    """Return one quantity for some rows, and another for all else."""
    names = (field.name for field in fields(Measured))
    return Measured(**{name: np.where(where, getattr(one, name), getattr(other, name)) for name in names})
