"""Units and the only conversions between them.

Each dimension has one canonical unit, in which everything is stored and judged. A unit says how to
come from there to the canonical one: `canonical = value * factor + offset`. A conversion between
dimensions does not exist, so kW cannot become degrees by mistake.

The units are those that building systems write. Factors are exact by definition (SI; the international
inch and pound; the US liquid gallon of 231 cubic inches) unless a comment says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Dimension(StrEnum):
    """What a unit measures; the value is the canonical unit's symbol."""

    POWER = "kW"
    APPARENT_POWER = "kVA"
    REACTIVE_POWER = "kvar"
    ENERGY = "kWh"
    TEMPERATURE = "°C"
    FLOW = "L/min"
    PRESSURE = "kPa"
    CURRENT = "A"
    VOLTAGE = "V"
    FREQUENCY = "Hz"
    PERCENT = "%"
    RATIO = "1"
    SPEED = "rpm"
    SOUND = "dB"
    TIME = "ms"
    STATE = "state"
    UNKNOWN = "?"


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit of one dimension.

    Attributes:
        symbol: How the unit is written here.
        dimension: What it measures.
        factor: Canonical units in one of these.
        offset: Canonical value of zero of these.
    """

    symbol: str
    dimension: Dimension
    factor: float = 1.0
    offset: float = 0.0

    def to_canonical(self, value: float) -> float:
        """Return `value` of this unit in the canonical unit of its dimension."""
        return value * self.factor + self.offset


_PSI_KPA = 6.894757293168361  # 1 lbf/in²: 4.4482216152605 N / 0.00064516 m²
_US_GALLON_L = 3.785411784
_CUBIC_FOOT_L = 28.316846592

_UNITS: Final = (
    Unit("mW", Dimension.POWER, 1e-6),
    Unit("W", Dimension.POWER, 1e-3),
    Unit("kW", Dimension.POWER),
    Unit("MW", Dimension.POWER, 1e3),
    Unit("VA", Dimension.APPARENT_POWER, 1e-3),
    Unit("kVA", Dimension.APPARENT_POWER),
    Unit("MVA", Dimension.APPARENT_POWER, 1e3),
    Unit("var", Dimension.REACTIVE_POWER, 1e-3),
    Unit("kvar", Dimension.REACTIVE_POWER),
    Unit("J", Dimension.ENERGY, 1 / 3.6e6),
    Unit("Wmin", Dimension.ENERGY, 1 / 60e3),
    Unit("Wh", Dimension.ENERGY, 1e-3),
    Unit("kWh", Dimension.ENERGY),
    Unit("MWh", Dimension.ENERGY, 1e3),
    Unit("°C", Dimension.TEMPERATURE),
    Unit("°F", Dimension.TEMPERATURE, 5 / 9, -160 / 9),
    Unit("K", Dimension.TEMPERATURE, 1.0, -273.15),
    Unit("L/min", Dimension.FLOW),
    Unit("L/s", Dimension.FLOW, 60.0),
    Unit("m³/h", Dimension.FLOW, 1000 / 60),
    Unit("gpm", Dimension.FLOW, _US_GALLON_L),
    Unit("CFM", Dimension.FLOW, _CUBIC_FOOT_L),
    Unit("Pa", Dimension.PRESSURE, 1e-3),
    Unit("hPa", Dimension.PRESSURE, 0.1),
    Unit("kPa", Dimension.PRESSURE),
    Unit("bar", Dimension.PRESSURE, 100.0),
    Unit("psi", Dimension.PRESSURE, _PSI_KPA),
    Unit("mA", Dimension.CURRENT, 1e-3),
    Unit("A", Dimension.CURRENT),
    Unit("V", Dimension.VOLTAGE),
    Unit("kV", Dimension.VOLTAGE, 1e3),
    Unit("Hz", Dimension.FREQUENCY),
    Unit("%", Dimension.PERCENT),
    Unit("1", Dimension.RATIO),
    Unit("rpm", Dimension.SPEED),
    Unit("dB", Dimension.SOUND),
    Unit("s", Dimension.TIME, 1e3),
    Unit("ms", Dimension.TIME),
    Unit("state", Dimension.STATE),
)

UNITS: Final = MappingProxyType({unit.symbol: unit for unit in _UNITS})
"""Every unit, by its symbol."""

# How building systems write the same units. Case matters where it carries meaning (mW and MW).
_SPELLINGS: Final = {
    "C": "°C",
    "degC": "°C",
    "Cel": "°C",
    "F": "°F",
    "degF": "°F",
    "LPM": "L/min",
    "lpm": "L/min",
    "l/min": "L/min",
    "LPS": "L/s",
    "l/s": "L/s",
    "m3/h": "m³/h",
    "GPM": "gpm",
    "gal/min": "gpm",
    "cfm": "CFM",
    "PSI": "psi",
    "RPM": "rpm",
    "%RH": "%",
    "percent": "%",
    "kVAR": "kvar",
    "kVAr": "kvar",
    "VAR": "var",
    "VAr": "var",
    "Watts": "W",
    "Amps": "A",
    "Volts": "V",
    "dBA": "dB",
    "W·min": "Wmin",
    "": "1",
}


def find_unit(symbol: str) -> Unit | None:
    """Return the unit that is written as `symbol`, or None where no such unit is known."""
    stripped = symbol.strip()
    return UNITS.get(_SPELLINGS.get(stripped, stripped))
