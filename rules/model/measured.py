"""Measured quantities as intervals, and conditions on them that are true, false or not known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from facility.invariants import require
from facility.readings import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One quantity of every row of a table, in its canonical unit; arrays of shape (rows,).

    Attributes:
        low: It is at least this, float64; -inf where it is not known.
        best: The last value that was heard, float64; NaN where there was none.
        high: It is at most this, float64; inf where it is not known.
        is_fresh: Whether everything that measures it counts as heard.
        age_ms: How long ago the oldest value of it was measured [ms], int64; -1 where there is none.
        cause: Why it is not known, int8 codes of `rules.telemetry.cause.Cause`; 0 where it is.
    """

    low: FloatArray
    best: FloatArray
    high: FloatArray
    is_fresh: BoolArray
    age_ms: IntArray
    cause: NDArray[np.int8]

    def __post_init__(self) -> None:
        if self.low is not self.high:
            wrong = np.count_nonzero(self.low > self.high)
            require(wrong == 0, "low at most high", f"{wrong} rows where it is above")

    @property
    def is_known(self) -> BoolArray:
        """Whether it is known within its errors, shape (rows,)."""
        known: BoolArray = self.cause == 0
        return known


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
