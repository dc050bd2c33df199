"""Faults of instruments and of their clocks: what they show is wrong, and the bus says it faithfully."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

import numpy as np

from facility.instants import SECOND_MS
from simulators.meters.meters import Meters, Readings
from simulators.model.state import Bools, Floats, Ints, State
from simulators.scenario.scenario import FaultKind
from simulators.wire.faults import Fault
from simulators.wire.rows import Form

SPIKED_SHARE: Final = 0.1
"""Share of a point's readings that a spike hits (our choice)."""
BAD: Final = 0
"""The quality of a reading that its own source doubts; any number but 1 says so."""
SWAP_GAIN_SIGMA: Final = 0.003
"""Spread of the gain of a meter that replaces another: class 0.5, as a sigma."""
SWAP_UNITS: Final = 1_000
"""A new meter's register shows less than this [tenths of a kWh]."""
MEASURED_BY_CT: Final = frozenset(
    {"RackPower", "ActivePower", "ApparentPower", "Current", "PhaseCurrent", "power_kw", "kw", "amps", "kwh"}
)
"""Point types whose readings rest on a current transformer."""


class _Changed(Fault):
    """A fault that changes what is shown of every point of its scope, for as long as it lasts."""

    def on_readings(self, readings: Readings) -> None:
        """Change what instruments show."""
        if self.is_on(readings.second) and len(self.points):
            self.change(readings)
            self.mark(readings, self.points)

    def change(self, readings: Readings) -> None:
        """Change what instruments show."""
        raise NotImplementedError


class Freeze(_Changed):
    """The value stays what it was when the fault began; on a bus that speaks on change it falls quiet."""

    _held: Floats | None = None

    def change(self, readings: Readings) -> None:
        """Change what instruments show."""
        if self._held is None:
            self._held = readings.value[self.points].copy()
        readings.value[self.points] = self._held


class Spike(Fault):
    """A share of the readings is multiplied."""

    def on_readings(self, readings: Readings) -> None:
        """Change what instruments show."""
        if not self.is_on(readings.second):
            return
        drawn = self.random(readings.second).random(len(self.points)) < SPIKED_SHARE
        hit = np.intersect1d(self.points[drawn], readings.due)
        if len(hit):
            readings.value[hit] *= self.spec.strength
            self.mark(readings, hit)


class Written(_Changed):
    """The value is written as something that is not a number."""

    def change(self, readings: Readings) -> None:
        """Change what instruments show."""
        form = {
            FaultKind.NAN: Form.NOT_A_NUMBER,
            FaultKind.NULL: Form.NULL,
            FaultKind.TEXT_NUMBER: Form.TEXT,
        }[self.spec.kind]
        readings.form[self.points] = form
        if form is not Form.TEXT:
            readings.value[self.points] = 0.0  # nothing to be seen of it, so nothing that changes


class WrongUnit(_Changed):
    """The value comes in another unit than the metadata say: watts for kilowatts."""

    def change(self, readings: Readings) -> None:
        """Change what instruments show."""
        factor = 1_000.0 if self.spec.strength == 1 else self.spec.strength
        readings.value[self.points] *= factor


class SignFlip(_Changed):
    """The value comes with the other sign: a transformer that is the wrong way round."""

    def change(self, readings: Readings) -> None:
        """Change what instruments show."""
        readings.value[self.points] *= -1.0


class BadQuality(_Changed):
    """The source itself says that its value is not to be trusted."""

    def change(self, readings: Readings) -> None:
        """Change what instruments show."""
        readings.quality[self.points] = BAD


class ClockOffset(_Changed):
    """Time stamps are off by so many seconds, heartbeats of gateways in the scope included."""

    def change(self, readings: Readings) -> None:
        """Change what instruments show."""
        shift = self.shift_ms(readings.time_ms)
        readings.shift_ms[self.points] += shift
        readings.gateway_shift_ms[self.gateways] += shift
        readings.gateway_faults[self.gateways] |= self.bit

    def shift_ms(self, at_ms: int) -> int:
        """Return by how much stamps are off at a moment [ms]."""
        del at_ms
        return round(self.spec.strength * SECOND_MS)


class LocalTime(ClockOffset):
    """Time stamps are those of the site's wall clock, taken for UTC."""

    def shift_ms(self, at_ms: int) -> int:
        """Return by how much stamps are off at a moment [ms]."""
        zone = self._catalogue.wiring.site.zone
        offset = datetime.fromtimestamp(at_ms / SECOND_MS, UTC).astimezone(zone).utcoffset()
        if not offset:
            raise ValueError(f"{self.spec.kind}: expected a site whose clocks differ from UTC, found {zone}")
        return round(offset.total_seconds() * SECOND_MS)


class CtError(Fault):
    """All meters of the scope are off by so many per cent, because they share a batch of transformers."""

    _before: Floats | None = None

    def on_plant(self, second: int, state: State, meters: Meters) -> None:  # noqa: ARG002 - of no concern here
        """Change devices."""
        on = self.is_on(second)
        if on and self._before is None:
            types = self._catalogue.point_types
            own = [i for i in self.points.tolist() if _rests_on_current(types[i])]
            registers = meters.register_points[np.isin(meters.register_points, self.points)]
            self.points = np.union1d(np.array(own, np.int64), registers)
            self._before = meters.gain[self.points].copy()
            meters.gain[self.points] = self._before * (1 + self.spec.strength / 100)
        elif not on and self._before is not None:
            meters.gain[self.points] = self._before
            self._before = None

    def on_readings(self, readings: Readings) -> None:
        """Change what instruments show."""
        if self.is_on(readings.second):
            self.mark(readings, self.points)


def _rests_on_current(point_type: str) -> bool:
    return point_type.rpartition("/")[2].partition("-")[0] in MEASURED_BY_CT


class _OfRegisters(Fault):
    """A fault that strikes energy registers once, when it begins."""

    def on_plant(self, second: int, state: State, meters: Meters) -> None:
        """Change devices."""
        if second == self.spec.from_s:
            struck = np.isin(meters.register_points, self.points)
            if not struck.any():
                raise ValueError(f"{self.spec.kind}: expected a scope with energy registers, found none")
            self._struck = meters.register_points[struck]
            self.strike(np.flatnonzero(struck), state, meters)

    def on_readings(self, readings: Readings) -> None:
        """Change what instruments show."""
        if self.is_on(readings.second):
            self.mark(readings, self._struck)

    def strike(self, which: Ints, state: State, meters: Meters) -> None:
        """Change registers."""
        raise NotImplementedError


class RegisterReset(_OfRegisters):
    """Registers start again at zero."""

    def strike(self, which: Ints, state: State, meters: Meters) -> None:  # noqa: ARG002 - of no concern here
        """Change registers."""
        meters.registers.reset(which)


class RegisterRollover(_OfRegisters):
    """Registers are near their end, and roll over half-way through the window."""

    def strike(self, which: Ints, state: State, meters: Meters) -> None:
        """Change registers."""
        half = max(1, (self.spec.to_s - self.spec.from_s) // 2)
        meters.registers.bring_near_end(which, meters.power_milliwatts(state, which), half)


class DeviceSwap(Fault):
    """Another meter takes the place of one: another gain and another register, from then on."""

    def on_plant(self, second: int, state: State, meters: Meters) -> None:  # noqa: ARG002 - of no concern here
        """Change devices."""
        if second != self.spec.from_s:
            return
        random = self.random(second)
        devices: dict[str, float] = {}
        for point in self.points.tolist():
            asset = self._catalogue.assets[point]
            if asset not in devices:
                devices[asset] = 1 + SWAP_GAIN_SIGMA * random.standard_normal()
            if _rests_on_current(self._catalogue.point_types[point]):
                meters.gain[point] = devices[asset]
        struck: Bools = np.isin(meters.register_points, self.points)
        which = np.flatnonzero(struck)
        for point in meters.register_points[which].tolist():
            meters.gain[point] = devices[self._catalogue.assets[point]]
        meters.registers.replace(which, random.integers(0, SWAP_UNITS, len(which)))

    def on_readings(self, readings: Readings) -> None:
        """Change what instruments show."""
        if self.is_on(readings.second):
            self.mark(readings, self.points)


INSTRUMENT_FAULTS: Final[Mapping[FaultKind, type[Fault]]] = MappingProxyType(
    {
        FaultKind.FREEZE: Freeze,
        FaultKind.SPIKE: Spike,
        FaultKind.NAN: Written,
        FaultKind.NULL: Written,
        FaultKind.TEXT_NUMBER: Written,
        FaultKind.WRONG_UNIT: WrongUnit,
        FaultKind.SIGN_FLIP: SignFlip,
        FaultKind.BAD_QUALITY: BadQuality,
        FaultKind.CLOCK_OFFSET: ClockOffset,
        FaultKind.LOCAL_TIME: LocalTime,
        FaultKind.CT_ERROR: CtError,
        FaultKind.REGISTER_RESET: RegisterReset,
        FaultKind.REGISTER_ROLLOVER: RegisterRollover,
        FaultKind.DEVICE_SWAP: DeviceSwap,
    }
)
"""The kinds that strike instruments."""
