"""What can be measured: each quantity with its canonical unit and the range beyond which it is impossible.

The ranges are our choice: what no plant and no instrument of this kind reaches. A value outside the hard
range cannot be true and is dead-lettered, unless the asset's rating allows it. A value outside `rating_low`
to `rating_high` times the rating is kept, but not trusted, because the rating may be what is wrong. Meters
carry more than a rack can: their power range ends at 1 GW, more than any site of this kind draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from facility.units import Dimension

OF_NOTHING: Final = -5.0
"""What a meter of a dead circuit shows at the lowest: its zero is off, as any of its readings [V, A, kVA]."""


class Kind(StrEnum):
    """How successive values of a quantity hang together."""

    GAUGE = "gauge"
    COUNTER = "counter"
    STATE = "state"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One measurable thing.

    Attributes:
        name: The identity: in series, files and queries.
        dimension: What it is measured in; its value is the canonical unit.
        low: Lowest possible value [canonical unit].
        high: Highest possible value [canonical unit].
        kind: Gauge, counter or state.
        rating_low: Lowest credible value as a multiple of the asset's rating, None where unrelated.
        rating_high: Highest credible value as a multiple of the asset's rating, None where unrelated.
        title: What people call it.
    """

    name: str
    dimension: Dimension
    low: float
    high: float
    title: str
    kind: Kind = Kind.GAUGE
    rating_low: float | None = None
    rating_high: float | None = None

    @property
    def unit(self) -> str:
        """The symbol of the canonical unit."""
        return self.dimension.value

    def credible(self, rating: float | None) -> tuple[float, float]:
        """Return the lowest and the highest value that an asset's rating allows [canonical unit].

        Args:
            rating: What the asset is rated [canonical unit]; None where that is not known.
        """
        low = self.low if rating is None or self.rating_low is None else self.rating_low * rating
        high = self.high if rating is None or self.rating_high is None else self.rating_high * rating
        return low, high

    def possible(self, rating: float | None) -> tuple[float, float]:
        """Return the hard range [canonical unit]: never narrower than what the asset's rating allows.

        Args:
            rating: What the asset is rated [canonical unit]; None where that is not known.
        """
        low, high = self.credible(rating)
        return min(self.low, low), max(self.high, high)


def _table(*rows: Quantity) -> MappingProxyType[str, Quantity]:
    return MappingProxyType({row.name: row for row in rows})


_D = Dimension

QUANTITIES: Final = _table(
    # Power and energy
    Quantity(
        name="rack.power.active",
        dimension=_D.POWER,
        low=-5,
        high=1_200,
        rating_low=-0.02,
        rating_high=2.0,
        title="rack power",
    ),
    Quantity(
        name="rack.power.apparent",
        dimension=_D.APPARENT_POWER,
        low=OF_NOTHING,
        high=1_200,
        rating_high=2.0,
        title="rack apparent power",
    ),
    Quantity(
        name="rack.power.reactive",
        dimension=_D.REACTIVE_POWER,
        low=-1_200,
        high=1_200,
        rating_low=-2.0,
        rating_high=2.0,
        title="rack reactive power",
    ),
    Quantity(name="meter.power.active", dimension=_D.POWER, low=-1e6, high=1e6, title="metered power"),
    Quantity(
        name="meter.power.apparent",
        dimension=_D.APPARENT_POWER,
        low=OF_NOTHING,
        high=1e6,
        title="metered apparent power",
    ),
    Quantity(
        name="meter.power.reactive",
        dimension=_D.REACTIVE_POWER,
        low=-1e6,
        high=1e6,
        title="metered reactive power",
    ),
    # Of a point type that is not known: a design, a limit or a share. It is never what an asset draws.
    Quantity(name="power.other", dimension=_D.POWER, low=-1e6, high=1e6, title="power of another kind"),
    Quantity(name="power.factor", dimension=_D.RATIO, low=-1, high=1, title="power factor"),
    Quantity(
        name="energy.active",
        dimension=_D.ENERGY,
        low=0,
        high=1e12,
        kind=Kind.COUNTER,
        title="energy register",
    ),
    Quantity(name="current", dimension=_D.CURRENT, low=OF_NOTHING, high=200_000, title="current"),
    Quantity(name="current.phase", dimension=_D.CURRENT, low=OF_NOTHING, high=200_000, title="phase current"),
    Quantity(
        name="current.neutral", dimension=_D.CURRENT, low=OF_NOTHING, high=200_000, title="neutral current"
    ),
    Quantity(name="current.limit", dimension=_D.CURRENT, low=0, high=200_000, title="current limit"),
    Quantity(
        name="voltage.ln", dimension=_D.VOLTAGE, low=OF_NOTHING, high=400, title="line-to-neutral voltage"
    ),
    # Medium voltage is measured line to line as well; 52 kV is where IEC 62271 calls it high.
    Quantity(
        name="voltage.ll", dimension=_D.VOLTAGE, low=OF_NOTHING, high=52_000, title="line-to-line voltage"
    ),
    Quantity(name="voltage.dc", dimension=_D.VOLTAGE, low=OF_NOTHING, high=1_000, title="DC voltage"),
    Quantity(name="frequency", dimension=_D.FREQUENCY, low=0, high=70, title="frequency"),
    Quantity(name="thd.voltage", dimension=_D.PERCENT, low=0, high=100, title="voltage distortion"),
    Quantity(name="thd.current", dimension=_D.PERCENT, low=0, high=300, title="current distortion"),
    Quantity(name="unbalance", dimension=_D.PERCENT, low=0, high=100, title="phase unbalance"),
    Quantity(name="ups.load", dimension=_D.PERCENT, low=0, high=200, title="UPS load"),
    Quantity(name="battery.charge", dimension=_D.PERCENT, low=0, high=100, title="battery charge"),
    Quantity(name="gpu.power", dimension=_D.POWER, low=0, high=15, title="GPU or tray power"),
    # Air
    Quantity(name="air.inlet", dimension=_D.TEMPERATURE, low=-20, high=80, title="air inlet temperature"),
    Quantity(
        name="air.outlet",
        dimension=_D.TEMPERATURE,
        low=-20,
        high=100,
        title="air outlet temperature",
    ),
    Quantity(name="air.temperature", dimension=_D.TEMPERATURE, low=-20, high=100, title="air temperature"),
    Quantity(name="humidity", dimension=_D.PERCENT, low=0, high=100, title="relative humidity"),
    Quantity(name="dew.point", dimension=_D.TEMPERATURE, low=-40, high=40, title="dew point"),
    Quantity(name="air.pressure", dimension=_D.PRESSURE, low=-10, high=200, title="air pressure"),
    Quantity(
        name="air.pressure.differential",
        dimension=_D.PRESSURE,
        low=-10,
        high=10,
        title="air differential pressure",
    ),
    Quantity(name="air.flow", dimension=_D.FLOW, low=-1e7, high=1e8, title="air flow"),
    # Liquid
    Quantity(
        name="coolant.supply",
        dimension=_D.TEMPERATURE,
        low=-5,
        high=110,
        title="coolant supply temperature",
    ),
    Quantity(
        name="coolant.return",
        dimension=_D.TEMPERATURE,
        low=-5,
        high=110,
        title="coolant return temperature",
    ),
    Quantity(
        name="coolant.temperature",
        dimension=_D.TEMPERATURE,
        low=-5,
        high=110,
        title="coolant temperature",
    ),
    Quantity(
        name="rack.coolant.flow",
        dimension=_D.FLOW,
        low=-5,
        high=1_000,
        title="rack coolant flow",
    ),
    Quantity(name="coolant.flow", dimension=_D.FLOW, low=-5, high=100_000, title="coolant flow"),
    Quantity(
        name="coolant.pressure",
        dimension=_D.PRESSURE,
        low=-100,
        high=2_000,
        title="coolant pressure",
    ),
    Quantity(
        name="coolant.pressure.differential",
        dimension=_D.PRESSURE,
        low=-1_000,
        high=1_500,
        title="coolant differential pressure",
    ),
    Quantity(
        name="filter.pressure.differential",
        dimension=_D.PRESSURE,
        low=-10,
        high=500,
        title="filter differential pressure",
    ),
    Quantity(name="valve.position", dimension=_D.PERCENT, low=-5, high=105, title="valve position"),
    Quantity(name="damper.position", dimension=_D.PERCENT, low=-5, high=105, title="damper position"),
    Quantity(name="pump.speed", dimension=_D.PERCENT, low=-5, high=105, title="pump speed"),
    Quantity(name="fan.speed", dimension=_D.PERCENT, low=-5, high=105, title="fan speed"),
    Quantity(name="rotation", dimension=_D.SPEED, low=-100, high=100_000, title="rotation speed"),
    Quantity(name="level", dimension=_D.PERCENT, low=-5, high=105, title="level"),
    Quantity(
        name="heat.removed",
        dimension=_D.POWER,
        low=-1e5,
        high=1e6,
        rating_low=-0.2,
        rating_high=2.0,
        title="heat removed",
    ),
    Quantity(name="sound", dimension=_D.SOUND, low=-20, high=200, title="sound level"),
    # States: what the numbers mean is in the point's own state texts
    Quantity(name="leak", dimension=_D.STATE, low=-1, high=1, kind=Kind.STATE, title="leak"),
    Quantity(
        name="leak.fault",
        dimension=_D.STATE,
        low=-1,
        high=1,
        kind=Kind.STATE,
        title="leak sensor fault",
    ),
    Quantity(name="isolation", dimension=_D.STATE, low=-1, high=1, kind=Kind.STATE, title="isolation"),
    Quantity(
        name="state",
        dimension=_D.STATE,
        low=-2_147_483_648,
        high=2_147_483_647,
        kind=Kind.STATE,
        title="state",
    ),
    Quantity(name="heartbeat", dimension=_D.TIME, low=0, high=1e16, title="heartbeat time stamp"),
    # What an integrator measures and no table here knows; kept as it came
    Quantity(name="other", dimension=_D.UNKNOWN, low=-1e15, high=1e15, title="other value"),
)
"""Every quantity, by its name."""

# A quantity to fall back on for a point type that no table knows but whose unit is known.
_BY_DIMENSION: Final = MappingProxyType(
    {
        _D.POWER: "power.other",
        _D.APPARENT_POWER: "meter.power.apparent",
        _D.REACTIVE_POWER: "meter.power.reactive",
        _D.ENERGY: "energy.active",
        _D.TEMPERATURE: "air.temperature",
        _D.FLOW: "coolant.flow",
        _D.PRESSURE: "coolant.pressure",
        _D.CURRENT: "current",
        _D.VOLTAGE: "voltage.ll",
        _D.FREQUENCY: "frequency",
        _D.SPEED: "rotation",
        _D.SOUND: "sound",
        _D.STATE: "state",
    }
)


def quantity_for(dimension: Dimension) -> Quantity:
    """Return the quantity to record a value of `dimension` as when its point type is not known."""
    return QUANTITIES[_BY_DIMENSION.get(dimension, "other")]


def known_or_none(value: float) -> float | None:
    """Return a value as it is written down: None for NaN, which stands for a value that is not known."""
    return None if math.isnan(value) else float(value)
