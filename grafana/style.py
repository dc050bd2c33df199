"""How dashboards look: colours, units, thresholds.

Colours are those of Okabe and Ito ("Color Universal Design", 2008), which people with any common colour
vision tell apart. Nothing is said by colour alone: a state has its word, a line its name.
"""

from __future__ import annotations

from typing import Final

BLUE: Final = "#0072B2"
SKY: Final = "#56B4E9"
GREEN: Final = "#009E73"
YELLOW: Final = "#F0E442"
ORANGE: Final = "#E69F00"
VERMILION: Final = "#D55E00"
PURPLE: Final = "#CC79A7"
GREY: Final = "#8E8E8E"
COLOURS: Final = frozenset({BLUE, SKY, GREEN, YELLOW, ORANGE, VERMILION, PURPLE, GREY})

MODES: Final = frozenset({"fixed", "thresholds", "shades"})
"""Ways of colouring that use these colours, or shades of one of them, and nothing else."""

# Unit ids of Grafana. `mwatt` is milliwatt and `mwatth` is megawatt-hour: neither is ever meant here.
MEGAWATT: Final = "megwatt"
KILOWATT: Final = "kwatt"
AMPERE: Final = "amp"
VOLT: Final = "volt"
HERTZ: Final = "hertz"
CELSIUS: Final = "celsius"
KELVIN: Final = "kelvin"
LITRES: Final = "flowlpm"
KILOPASCAL: Final = "pressurekpa"
PERCENT: Final = "percent"
SHARE: Final = "percentunit"
SECONDS: Final = "s"
BYTES: Final = "bytes"
PER_SECOND: Final = "cps"
COUNT: Final = "none"
TEXT: Final = "string"
SINCE: Final = "dateTimeFromNow"
WHEN: Final = "dateTimeAsIso"
FLOW_PER_POWER: Final = "suffix: L/min/kW"
UNITS: Final = frozenset(
    {
        MEGAWATT, KILOWATT, AMPERE, VOLT, HERTZ, CELSIUS, KELVIN, LITRES, KILOPASCAL, PERCENT, SHARE, SECONDS,
        BYTES, PER_SECOND, COUNT, TEXT, SINCE, WHEN, FLOW_PER_POWER,
    }
)  # fmt: skip
"""Every unit that a panel may have."""

Steps = tuple[tuple[float | None, str], ...]
"""From which value on a colour holds; None for the first."""

PLAIN: Final[Steps] = ((None, BLUE),)
AGAINST_LIMIT: Final[Steps] = ((None, BLUE), (0.95, ORANGE), (1.0, VERMILION))
"""A draw as a share of its limit: warned at 95 %, the default of a contract's `warn_percent`."""
HEADROOM: Final[Steps] = ((None, VERMILION), (0.0, BLUE))
COVERAGE: Final[Steps] = ((None, VERMILION), (0.8, ORANGE), (0.95, BLUE))
"""The defaults of rule Q2."""
LOAD: Final[Steps] = ((None, BLUE), (0.8, ORANGE), (1.0, VERMILION))
"""The US National Electrical Code allows a continuous load 80 % of its breaker's rating."""
UNBALANCE: Final[Steps] = ((None, BLUE), (0.1, ORANGE))
"""Phase currents within 10 % of their mean: what utilities ask of customers."""
FLOW: Final[Steps] = ((None, VERMILION), (1.0, ORANGE), (1.2, BLUE))
"""1.0 to 1.5 L/min for each kilowatt is the range of coolant guides; our choice within it."""
MARGIN: Final[Steps] = ((None, VERMILION), (1.0, ORANGE), (3.0, BLUE))
"""Coolant is kept 2 to 3 K above the dew point; our choice of levels."""
BALANCE: Final[Steps] = ((None, ORANGE), (0.75, BLUE), (1.1, ORANGE))
"""Below the liquid share of the heat, or above all of it, a sensor is wrong; our choice of levels."""
VOLTAGE: Final[Steps] = ((None, BLUE), (0.05, ORANGE), (0.1, VERMILION))
"""Within 5 % is the range in which equipment must work for long (ANSI C84.1, range A)."""
PUE: Final[Steps] = ((None, VERMILION), (1.0, BLUE))
"""Below 1 it is impossible (ISO/IEC 30134-2): a meter is missing or wrong."""
NONE_IS_WELL: Final[Steps] = ((None, BLUE), (1.0, VERMILION))
FLOOD: Final[Steps] = ((None, BLUE), (10.0, VERMILION))
"""More than ten alarms in ten minutes are a flood (ISA-18.2)."""
LAG: Final[Steps] = ((None, BLUE), (2.0, ORANGE), (15.0, VERMILION))
CLOCK: Final[Steps] = ((None, BLUE), (0.6, ORANGE), (0.8, VERMILION))
