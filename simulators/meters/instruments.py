"""What meters and sensors are like: how often they look, how finely they show, how far they are off.

Periods, steps and noise of the table are fitted to NVIDIA's recording of a DSX bus (NVIDIA/dsx-exchange,
`dsx_exemplar.csv`), so that each kind of point speaks as often there as here; gains and offsets are usual of
the class of instrument, or our choice where no source is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from simulators.scenario.scenario import InstrumentSpec, Metering

PER_CENT: Final = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One kind of instrument. A reading is `(value * gain + offset + noise)` in whole steps.

    Attributes:
        period_s: How often it looks [s].
        step: The finest that it shows, in the unit of the point.
        decimals: Digits after the point that are written.
        noise: Standard deviation of the noise of each reading, in the unit of the point.
        noise_share: Standard deviation of more noise, as a share of the value.
        noise_of_rating: Standard deviation of more noise, as a share of the rating.
        threshold: By how much it must move to be published, in the unit; 0 for any step.
        threshold_of_rating: The same, as a share of the rating.
        gain_sigma: Spread of the gains of devices around 1.
        gain_error: What all of them read too high in common, as a share.
        offset_sigma: Spread of the offsets of devices, in the unit.
    """

    period_s: int = 1
    step: float = 0.01
    decimals: int = 2
    noise: float = 0.0
    noise_share: float = 0.0
    noise_of_rating: float = 0.0
    threshold: float = 0.0
    threshold_of_rating: float = 0.0
    gain_sigma: float = 0.0
    gain_error: float = 0.0
    offset_sigma: float = 0.0


# An electric meter of class 0.5 is within 0.5 % of the value (IEC 62053-22): as a sigma, less than half.
_CLASS_05: Final = 0.002
_PSI_TENTH: Final = 0.689475729  # a tenth of a pound per square inch, in which the coolant unit thinks [kPa]

_TABLE: Final[dict[str, Instrument]] = {
    "state": Instrument(step=1.0, decimals=0),  # contacts and switches: exact
    "setting": Instrument(period_s=5),  # set points and ratings: exact
    "rack.power": Instrument(period_s=5, step=0.001, decimals=3, noise=0.007, gain_sigma=_CLASS_05),
    "rack.supply": Instrument(noise=0.0005, offset_sigma=0.3),
    "rack.return": Instrument(noise=0.0031, offset_sigma=0.3),
    "rack.flow": Instrument(step=0.001, decimals=3, noise=0.2, threshold=0.02, gain_sigma=0.01),
    "rack.pressure": Instrument(noise=0.05, threshold=0.05, gain_sigma=0.005),
    "rack.valve": Instrument(period_s=5, step=1.0, decimals=0, threshold=3.0),
    "tap.power": Instrument(step=0.001, decimals=3, noise=0.006, gain_sigma=_CLASS_05),
    "tap.apparent": Instrument(step=0.001, decimals=3, noise=0.006, gain_sigma=_CLASS_05),
    "tap.current": Instrument(step=0.001, decimals=3, noise=0.007, gain_sigma=_CLASS_05),
    "tap.voltage": Instrument(period_s=5, step=1.0, decimals=0, gain_sigma=0.001),
    "tap.factor": Instrument(period_s=5, step=0.01, gain_sigma=0.0005),
    "bus.power": Instrument(step=0.001, decimals=3, noise=0.02, gain_sigma=_CLASS_05),
    "bus.apparent": Instrument(step=0.001, decimals=3, noise=0.02, gain_sigma=_CLASS_05),
    "bus.current": Instrument(period_s=5, step=0.001, decimals=3, noise=0.02, gain_sigma=_CLASS_05),
    "bus.factor": Instrument(period_s=5, step=0.01, gain_sigma=0.0005),
    "bus.voltage": Instrument(noise=0.05, gain_sigma=0.001),
    "frequency": Instrument(step=0.001, decimals=3),
    "register": Instrument(period_s=60, step=0.1, decimals=1, gain_sigma=_CLASS_05),
    "register.each": Instrument(step=0.1, decimals=1, gain_sigma=_CLASS_05),  # of a document: told every time
    "cdu.pressure.primary": Instrument(step=_PSI_TENTH, decimals=5, noise=0.6, offset_sigma=1.0),
    "cdu.pressure": Instrument(period_s=5, step=_PSI_TENTH, decimals=5, noise=0.23, offset_sigma=1.0),
    "cdu.pressure.steady": Instrument(period_s=5, step=_PSI_TENTH, decimals=5, threshold=2.0),
    "cdu.flow": Instrument(period_s=5, step=1.89271, decimals=5, noise=1.6, gain_sigma=0.01),
    "cdu.flow.steady": Instrument(period_s=5, step=1.89271, decimals=5, threshold=10.0, gain_sigma=0.01),
    "cdu.temperature": Instrument(period_s=10, step=0.1, decimals=1, noise=0.01, offset_sigma=0.1),
    "cdu.speed": Instrument(period_s=5, step=1.0, decimals=0),
    "air.temperature": Instrument(step=0.00012, decimals=6, noise=0.0005, threshold=0.002, offset_sigma=0.5),
    "air.humidity": Instrument(step=0.00012, decimals=6, noise=0.0012, offset_sigma=1.5),
    "air.pressure": Instrument(step=0.00069, decimals=6, noise=0.0003, offset_sigma=0.005),
    "air.sound": Instrument(period_s=5, step=0.5, decimals=1, noise=0.25, offset_sigma=1.5),
    "water.temperature": Instrument(period_s=10, step=0.1, decimals=1, noise=0.02, offset_sigma=0.1),
}

RECORDED: Final = MappingProxyType(_TABLE)
"""Instruments that speak as often as those of the recording, by the kind of point."""

POWERS: Final = ("rack.power", "tap.power", "bus.power")
"""The kinds of point that a tenant's draw may be summed of."""
ON_CURRENT: Final = (
    *POWERS, "tap.apparent", "tap.current", "bus.apparent", "bus.current", "register", "register.each",
)  # fmt: skip
"""The kinds of point that rest on a current transformer; those of a device have its gain in common."""
MOST_DECIMALS: Final = 9
"""Digits after the point that are written at most."""


def instruments_of(metering: Metering) -> Mapping[str, Instrument]:
    """Return the instruments of a scenario: as recorded, but for the electric meters, which it describes.

    Args:
        metering: How the scenario's meters look at the plant.
    """
    power: dict[str, Any] = {
        "period_s": metering.period_s,
        "step": metering.step_w / 1_000,
        "decimals": 3 if metering.step_w % 1 == 0 else 6,
        "noise": 0.0,
        "noise_of_rating": metering.noise,
        "threshold_of_rating": metering.threshold_percent / PER_CENT,
    }
    found = dict(RECORDED)
    for kind in POWERS:
        found[kind] = replace(found[kind], **power)
    for kind in ON_CURRENT:
        found[kind] = replace(
            found[kind], gain_sigma=metering.gain_sigma, gain_error=metering.ct_error_percent / PER_CENT
        )
    return MappingProxyType(found)


def adapted(instrument: Instrument, said: InstrumentSpec | None) -> Instrument:
    """Return an instrument with what a scenario says of those of its point type.

    Args:
        instrument: What is usual of its kind.
        said: What the scenario says, None for nothing.
    """
    if said is None:
        return instrument
    changes: dict[str, Any] = {
        field.name: value for field in fields(said) if (value := getattr(said, field.name)) is not None
    }
    if said.step is not None:
        changes["decimals"] = decimals_of(said.step)
    if said.noise is not None:
        changes |= {"noise_share": 0.0, "noise_of_rating": 0.0}
    if said.threshold is not None:
        changes["threshold_of_rating"] = 0.0
    return replace(instrument, **changes)


def decimals_of(step: float) -> int:
    """Return how many digits after the point whole steps need, 9 at most."""
    exponent = Decimal(repr(step)).normalize().as_tuple().exponent
    return min(MOST_DECIMALS, max(0, -exponent)) if isinstance(exponent, int) else 0
