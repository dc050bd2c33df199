"""Conversions keep order and come back, whatever the value."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facility.units import UNITS, Unit

values = st.floats(-1e9, 1e9)
units = st.sampled_from(list(UNITS.values()))


@st.composite
def units_of_one_dimension(draw: st.DrawFn) -> tuple[Unit, Unit]:
    """Draw two units that measure the same."""
    first = draw(units)
    return first, draw(st.sampled_from([u for u in UNITS.values() if u.dimension is first.dimension]))


def back(unit: Unit, canonical: float) -> float:
    """Return a canonical value in a unit, worked out in exact fractions."""
    return float((Fraction(canonical) - Fraction(unit.offset)) / Fraction(unit.factor))


@given(units_of_one_dimension(), values)
def test_a_value_comes_back_through_any_unit_of_its_dimension(pair: tuple[Unit, Unit], value: float) -> None:
    """There and back through another unit nothing is lost but the last digits of a float."""
    first, second = pair
    canonical = first.to_canonical(value)

    again = back(first, second.to_canonical(back(second, canonical)))

    assert again == pytest.approx(value, rel=1e-9, abs=1e-6 / first.factor)


@given(units, values, values)
def test_a_conversion_keeps_the_order(unit: Unit, first: float, second: float) -> None:
    """What is more in one unit is never less in another."""
    low, high = sorted((first, second))

    assert unit.to_canonical(low) <= unit.to_canonical(high)


@given(units, values)
def test_a_conversion_is_its_definition(unit: Unit, value: float) -> None:
    """A converted value is the exact product and sum, to the last digits of a float."""
    exact = Fraction(value) * Fraction(unit.factor) + Fraction(unit.offset)

    assert unit.to_canonical(value) == pytest.approx(float(exact), rel=1e-12, abs=1e-9)
