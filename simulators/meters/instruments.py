"""What meters and sensors are like: how often they look, how finely they show, how far they are off.

Periods, steps and noise of the table are fitted to NVIDIA's recording of a DSX bus (NVIDIA/dsx-exchange,
`dsx_exemplar.csv`), so that each kind of point speaks as often there as here; gains and offsets are usual of
the class of instrument, or our choice where no source is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from simulators.scenario.scenario import Metering

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
    offset_sigma: float = 0.0


# An electric meter of class 0.5 is within 0.5 % of the value (IEC 62053-22): as a sigma, less than half.
_CLASS_05: Final = 0.002
_PSI_TENTH: Final = 0.689475729  # a tenth of a pound per square inch, in which the coolant unit thinks [kPa]

_TABLE: Final[dict[str, Instrument]] = {
    "state": Instrument(step=1.0, decimals=0),  # contacts and switches: exact
    "setting": Instrument(period_s=5),  # set points and ratings: exact
    "rack.power": Instrument(period_s=5, step=0.001, decimals=3, noise=0.007, gain_sigma=_CLASS_05),
    "rack.supply": Instrument(noise=0.0031, threshold=0.025, offset_sigma=0.3),
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
    "bus.voltage": Instrument(noise=0.05, gain_sigma=0.001),
    "frequency": Instrument(step=0.001, decimals=3, noise=0.0003),
    "register": Instrument(period_s=60, step=0.1, decimals=1),
    "register.each": Instrument(step=0.1, decimals=1),  # of a document, which tells it every time
    "cdu.pressure.primary": Instrument(step=_PSI_TENTH, decimals=5, noise=0.6, offset_sigma=1.0),
    "cdu.pressure": Instrument(period_s=5, step=_PSI_TENTH, decimals=5, noise=0.28, offset_sigma=1.0),
    "cdu.pressure.steady": Instrument(period_s=5, step=_PSI_TENTH, decimals=5, threshold=2.0),
    "cdu.flow": Instrument(period_s=5, step=1.89271, decimals=5, noise=1.0, gain_sigma=0.01),
    "cdu.flow.steady": Instrument(period_s=5, step=1.89271, decimals=5, threshold=10.0, gain_sigma=0.01),
    "cdu.temperature": Instrument(period_s=10, step=0.1, decimals=1, noise=0.02, offset_sigma=0.1),
    "cdu.speed": Instrument(period_s=5, step=1.0, decimals=0),
    "air.temperature": Instrument(step=0.00012, decimals=6, noise=0.0005, offset_sigma=0.5),
    "air.humidity": Instrument(step=0.00012, decimals=6, noise=0.0012, offset_sigma=1.5),
    "air.pressure": Instrument(step=0.00069, decimals=6, noise=0.0003, offset_sigma=0.005),
    "air.sound": Instrument(period_s=5, step=0.5, decimals=1, noise=0.25, offset_sigma=1.5),
    "water.temperature": Instrument(period_s=10, step=0.1, decimals=1, noise=0.02, offset_sigma=0.1),
}

RECORDED: Final = MappingProxyType(_TABLE)
"""Instruments that speak as often as those of the recording, by the kind of point."""

POWERS: Final = ("rack.power", "tap.power", "bus.power")
"""The kinds of point that a tenant's draw may be summed of."""
_ELECTRIC: Final = ("tap.apparent", "tap.current", "bus.apparent", "bus.current")


def instruments_of(metering: Metering) -> Mapping[str, Instrument]:
    """Return the instruments of a scenario: as recorded, but for the electric meters, which it describes.

    Args:
        metering: How the scenario's meters look at the plant.
    """
    power: dict[str, Any] = {
        "period_s": max(1, round(metering.period_s)),
        "step": metering.step_w / 1_000,
        "decimals": 3 if metering.step_w % 1 == 0 else 6,
        "noise": 0.0,
        "noise_of_rating": metering.noise,
        "threshold_of_rating": metering.threshold_percent / PER_CENT,
        "gain_sigma": metering.gain_sigma,
    }
    found = dict(RECORDED)
    for kind in POWERS:
        found[kind] = replace(found[kind], **power)
    for kind in _ELECTRIC:
        found[kind] = replace(found[kind], gain_sigma=metering.gain_sigma)
    return MappingProxyType(found)
