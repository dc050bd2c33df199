"""Arithmetic on measured intervals: whatever the true values are, the result holds theirs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.model.measured import Measured
from rules.telemetry.cause import Cause

Pair = tuple[Measured, Measured]
NUMBERS = st.integers(-1_000, 1_000).map(float)

OPERATIONS: dict[str, tuple[Callable[[Measured, Measured], Measured], Callable[[float, float], float]]] = {
    "difference": (lambda a, b: a - b, lambda a, b: a - b),
    "product": (lambda a, b: a.times(b), lambda a, b: a * b),
    "quotient": (lambda a, b: a.per(b), lambda a, b: a / b if b else np.nan),
}


def measured(low: float, high: float, cause: Cause = Cause.NONE) -> Measured:
    """Return one row: an interval, or a value that is not known for a cause."""
    return Measured(
        low=np.array([-np.inf if cause else low]),
        best=np.array([(low + high) / 2]),
        high=np.array([np.inf if cause else high]),
        cause=np.array([cause], np.int8),
    )


@st.composite
def truths(draw: st.DrawFn) -> tuple[float, float, float]:
    """Draw a truth and an interval that holds it."""
    low, truth, high = sorted(draw(st.tuples(NUMBERS, NUMBERS, NUMBERS)))
    return low, truth, high


@pytest.mark.parametrize("name", OPERATIONS)
@given(one=truths(), other=truths(), unknown=st.sampled_from(["", "one", "other", "both"]))
def test_the_result_holds_the_truth(
    name: str, one: tuple[float, float, float], other: tuple[float, float, float], unknown: str
) -> None:
    """Of what is known the result is bounded; of what is not it may be anything, and says why."""
    of_intervals, of_numbers = OPERATIONS[name]
    causes = [Cause.LATE if unknown in (which, "both") else Cause.NONE for which in ("one", "other")]
    a, b = (measured(each[0], each[2], cause) for each, cause in zip((one, other), causes, strict=True))

    found = of_intervals(a, b)

    truth = of_numbers(one[1], other[1])
    if not np.isnan(truth):
        slack = 1e-9 * max(1.0, abs(truth))
        assert found.low[0] - slack <= truth <= found.high[0] + slack
    assert found.is_known[0] == (not unknown)
    if unknown and name != "product":
        assert (found.low[0], found.high[0]) == (-np.inf, np.inf)


def test_what_is_divided_by_nothing_may_be_anything() -> None:
    """A quotient is bounded only where the divisor is certainly above 0."""
    found = measured(1, 2).per(measured(0, 5))

    assert (found.low[0], found.high[0]) == (-np.inf, np.inf)


def test_another_unit_is_a_factor() -> None:
    """Bounds and best value alike; a factor that would turn them round is refused."""
    found = measured(1, 3) * 100

    assert (found.low[0], found.best[0], found.high[0]) == (100, 200, 300)
    with pytest.raises(Exception, match="a factor above 0"):
        measured(1, 3) * -1
