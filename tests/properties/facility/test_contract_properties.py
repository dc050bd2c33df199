"""What a contract allows adds up, however a span is cut."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from facility.contracts import Contract, Shape, Version
from facility.instants import HOUR_MS, SECOND_MS
from testing.builders import T0_MS
from testing.contract_models import MW, a_version, exact_integral, exact_limit, rounding

SPAN_MS = 2 * HOUR_MS
"""How much of time the drawn contracts lie around in."""

seconds = st.integers(0, SPAN_MS // SECOND_MS).map(lambda second: T0_MS + second * SECOND_MS)
instants = st.integers(T0_MS, T0_MS + SPAN_MS)
powers = st.integers(0, 400 * MW)


@st.composite
def a_drawn_version(draw: st.DrawFn, from_ms: int) -> Version:
    """Draw a version with a ramp of any shape, whose levels lie on whole seconds."""
    later = draw(st.lists(seconds, max_size=4, unique=True))
    levels = sorted({from_ms, *(at for at in later if at > from_ms)}) if draw(st.booleans()) else []
    shapes = st.sampled_from(Shape)
    return a_version(
        from_ms,
        committed=draw(powers),
        ramp=[(at, draw(powers), Shape.STEP if at == from_ms else draw(shapes)) for at in levels],
        burst=draw(st.integers(0, MW)),
        tolerance_percent=draw(st.sampled_from([0.0, 0.0001, 0.5, 1.0, 10.0])),
    )


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """Draw a contract of up to three versions, in force from the start of the span or from within it."""
    starts = sorted(draw(st.lists(seconds, min_size=1, max_size=3, unique=True)))
    if draw(st.booleans()):
        starts[0] = T0_MS
    ends = draw(st.none() | seconds.filter(lambda end: end > starts[-1]))
    return Contract(tuple(draw(a_drawn_version(start)) for start in starts), ends)


@given(contracts(), st.lists(instants, min_size=3, max_size=3))
def test_a_span_may_take_what_its_parts_may_take(contract: Contract, cuts: list[int]) -> None:
    """Cut anywhere, the two parts together allow the same, within the rounding of each."""
    start, middle, end = sorted(cuts)
    parts = [contract.limit_integral(start, middle), contract.limit_integral(middle, end)]
    whole = contract.limit_integral(start, end)

    if whole is None or None in parts:
        assert (whole is None) == (None in parts)
        return

    together = sum(part for part in parts if part is not None)
    assert abs(whole - together) <= 2 * rounding(contract, start, end)


@given(contracts(), seconds, st.integers(0, 900))
def test_an_integral_is_the_sum_over_its_seconds(contract: Contract, start: int, length: int) -> None:
    """The integral is the exact sum of the limit of every second, less no more than its rounding."""
    end = start + length * SECOND_MS
    exact, found = exact_integral(contract, start, end), contract.limit_integral(start, end)

    if exact is None or found is None:
        assert exact is None
        assert found is None
        return

    assert 0 <= exact - found <= rounding(contract, start, end)


@given(contracts(), instants)
def test_the_limit_of_a_moment_is_the_exact_one_rounded_down(contract: Contract, instant: int) -> None:
    """The limit is at most two milliwatts below what the contract says, and never above it."""
    version = contract.version_at(instant)
    if version is not None:
        assert 0 <= exact_limit(version, Fraction(instant)) - version.limit_at(instant) <= 2


@given(contracts(), instants)
def test_a_version_is_in_force_from_its_beginning_to_the_next(contract: Contract, instant: int) -> None:
    """At every instant the last version that has begun is in force, until the contract ends."""
    begun = [version for version in contract.versions if version.from_ms <= instant]
    is_over = contract.ends_ms is not None and instant >= contract.ends_ms

    assert contract.version_at(instant) is (begun[-1] if begun and not is_over else None)
