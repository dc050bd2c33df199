"""Units are what the world says they are, and nothing turns into another dimension."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from facility.units import UNITS, Dimension, Unit, find_unit

# Each figure is worked out from definitions or taken from tables of physics, not from the code: 0 °C is
# 273.15 K; 212 °F boils water; a US gallon is 231 in³ = 3.785411784 L; a psi is 6894.757293168 Pa; a
# standard atmosphere is 101.325 kPa = 14.695949 psi; a kilowatt-hour is 3.6 MJ and 60,000 watt-minutes.
CONVERSIONS = [
    ("mW", 1_000_000, 1.0, "kW"),
    ("W", 132_000, 132.0, "kW"),
    ("W", 1, 0.001, "kW"),
    ("kW", 132.5, 132.5, "kW"),
    ("MW", 0.132, 132.0, "kW"),
    ("MW", 300, 300_000.0, "kW"),
    ("VA", 133_000, 133.0, "kVA"),
    ("kVA", 133, 133.0, "kVA"),
    ("MVA", 2.5, 2_500.0, "kVA"),
    ("var", 500, 0.5, "kvar"),
    ("kvar", 12, 12.0, "kvar"),
    ("J", 3_600_000, 1.0, "kWh"),
    ("J", 1, 1 / 3_600_000, "kWh"),
    ("Wmin", 60_000, 1.0, "kWh"),
    ("Wh", 1_500, 1.5, "kWh"),
    ("kWh", 10_482.5, 10_482.5, "kWh"),
    ("MWh", 0.25, 250.0, "kWh"),
    ("°C", 23.5, 23.5, "°C"),
    ("°F", 32, 0.0, "°C"),
    ("°F", 212, 100.0, "°C"),
    ("°F", -40, -40.0, "°C"),
    ("°F", 98.6, 37.0, "°C"),
    ("K", 0, -273.15, "°C"),
    ("K", 273.15, 0.0, "°C"),
    ("K", 310.15, 37.0, "°C"),
    ("L/min", 171, 171.0, "L/min"),
    ("L/s", 2.85, 171.0, "L/min"),
    ("m³/h", 6, 100.0, "L/min"),
    ("m³/h", 10.26, 171.0, "L/min"),
    ("gpm", 1, 3.785411784, "L/min"),
    ("gpm", 45.1734212, 171.0, "L/min"),
    ("CFM", 1, 28.316846592, "L/min"),
    ("Pa", 101_325, 101.325, "kPa"),
    ("hPa", 1_013.25, 101.325, "kPa"),
    ("kPa", 250, 250.0, "kPa"),
    ("bar", 1.01325, 101.325, "kPa"),
    ("psi", 14.6959488, 101.325, "kPa"),
    ("psi", 1, 6.894757293168, "kPa"),
    ("mA", 250, 0.25, "A"),
    ("A", 82, 82.0, "A"),
    ("V", 415, 415.0, "V"),
    ("kV", 13.8, 13_800.0, "V"),
    ("Hz", 59.95, 59.95, "Hz"),
    ("%", 47, 47.0, "%"),
    ("1", 0.99, 0.99, "1"),
    ("rpm", 2_900, 2_900.0, "rpm"),
    ("dB", 71, 71.0, "dB"),
    ("s", 1.5, 1_500.0, "ms"),
    ("ms", 1_500, 1_500.0, "ms"),
    ("state", -1, -1.0, "state"),
]

SPELLINGS = [
    ("°C", ("°C", "C", "degC", "Cel", " C ", "°C\n")),
    ("°F", ("°F", "F", "degF")),
    ("K", ("K",)),
    ("L/min", ("L/min", "LPM", "lpm", "l/min")),
    ("L/s", ("L/s", "LPS", "l/s")),
    ("m³/h", ("m³/h", "m3/h")),
    ("gpm", ("gpm", "GPM", "gal/min")),
    ("CFM", ("CFM", "cfm")),
    ("psi", ("psi", "PSI")),
    ("rpm", ("rpm", "RPM")),
    ("%", ("%", "%RH", "percent")),
    ("kvar", ("kvar", "kVAR", "kVAr")),
    ("var", ("var", "VAR", "VAr")),
    ("W", ("W", "Watts")),
    ("A", ("A", "Amps")),
    ("V", ("V", "Volts")),
    ("dB", ("dB", "dBA")),
    ("Wmin", ("Wmin", "W·min")),
    ("1", ("1", "", " ")),
]

FOREIGN = [
    "kw", "KW", "Kw", "mw", "mWh", "kwh", "pa", "BAR", "psig", "L", "min", "L/h", "m3", "K/s", "°", "℃", "℉",
    "º C", "degrees", "furlong", "kW\0", "kW;drop", "kW kW", "None", "NaN", "\u212a", "\uff2b", "µs",
]  # fmt: skip


@pytest.mark.parametrize(
    ("symbol", "value", "canonical", "unit"),
    CONVERSIONS,
    ids=[f"{value:g} {symbol}" for symbol, value, _, _ in CONVERSIONS],
)
def test_a_value_is_converted_to_what_the_tables_say(
    symbol: str, value: float, canonical: float, unit: str
) -> None:
    """A value of any unit becomes the figure that definitions give, in the canonical unit."""
    known = UNITS[symbol]

    assert known.to_canonical(value) == pytest.approx(canonical, rel=1e-8, abs=1e-12)
    assert known.dimension.value == unit


def test_every_unit_has_a_figure_here() -> None:
    """No unit is converted by a factor that nobody checked."""
    assert {symbol for symbol, _, _, _ in CONVERSIONS} == set(UNITS)


@pytest.mark.parametrize("dimension", [d for d in Dimension if d is not Dimension.UNKNOWN])
def test_the_canonical_unit_of_a_dimension_changes_nothing(dimension: Dimension) -> None:
    """A value in the canonical unit is stored bit for bit as it came."""
    unit = UNITS[dimension.value]

    assert unit.dimension is dimension
    assert [unit.to_canonical(value) for value in (0.1, 1e300, -7.3)] == [0.1, 1e300, -7.3]


def test_an_unknown_dimension_has_no_unit() -> None:
    """What nobody knows the unit of is never converted."""
    assert find_unit(Dimension.UNKNOWN) is None


@pytest.mark.parametrize(("symbol", "spellings"), SPELLINGS, ids=[symbol for symbol, _ in SPELLINGS])
def test_a_unit_is_found_in_every_spelling_of_the_trade(symbol: str, spellings: tuple[str, ...]) -> None:
    """How a building system writes a unit does not change what it is."""
    assert [find_unit(spelling) for spelling in spellings] == [UNITS[symbol]] * len(spellings)


@pytest.mark.parametrize("text", FOREIGN, ids=ascii)
def test_a_unit_is_never_guessed(text: str) -> None:
    """What is not exactly a unit is none: a wrong case or a look-alike may mean a thousand times more."""
    assert find_unit(text) is None


def test_milliwatts_and_megawatts_differ_by_their_case_alone() -> None:
    """The case that tells mW from MW is kept: nine orders of magnitude lie between them."""
    milli, mega = find_unit("mW"), find_unit("MW")

    assert milli is not None
    assert mega is not None
    assert mega.to_canonical(1) / milli.to_canonical(1) == pytest.approx(1e9)


@pytest.mark.parametrize(
    ("confusable", "canonical", "ratio"),
    [("gpm", "L/min", 3.785411784), ("psi", "kPa", 6.894757293168), ("m³/h", "L/min", 16.6666666667)],
)
def test_units_that_look_plausible_as_each_other_are_not_mixed_up(
    confusable: str, canonical: str, ratio: float
) -> None:
    """45 gpm and 45 L/min, 30 psi and 30 kPa could each be true; only the unit tells which is meant."""
    first, second = find_unit(confusable), find_unit(canonical)

    assert first is not None
    assert second is not None
    assert first.dimension is second.dimension
    assert first.to_canonical(45.0) / second.to_canonical(45.0) == pytest.approx(ratio)


def test_a_unit_that_is_not_finite_does_not_exist() -> None:
    """No factor turns an ordinary value into infinity or into nothing."""
    assert all(math.isfinite(unit.factor) and unit.factor > 0 for unit in UNITS.values())
    assert all(math.isfinite(unit.offset) for unit in UNITS.values())


def test_only_temperatures_have_another_zero() -> None:
    """Nothing of another unit is nothing of the canonical unit, except for temperatures."""
    assert {unit.symbol for unit in UNITS.values() if unit.offset} == {"°F", "K"}


def test_a_unit_is_linear() -> None:
    """A unit of one's own converts by its factor and then its offset."""
    unit = Unit("x", Dimension.POWER, 2.0, -1.0)

    assert Fraction(unit.to_canonical(3.5)) == 6
