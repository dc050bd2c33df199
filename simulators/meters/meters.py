"""What meters make of the plant: readings with errors, and which of them are worth a message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from formats.dsx import GOOD, REPEAT_S
from simulators.meters.instruments import Instrument, adapted
from simulators.meters.registers import CAPACITY, Registers
from simulators.model.state import Bools, Floats, Ints, State
from simulators.scenario.scenario import InstrumentSpec
from simulators.wire.points import Catalogue, Group
from simulators.wire.rows import Form

CYCLE_S: Final = 60
"""Every period divides this: which points are looked at repeats after it [s]."""
FIRST_SPREAD_S: Final = REPEAT_S
"""Over how long the first repetitions are spread, so that they do not come all at once ever after [s]."""

_REGISTER_STREAM: Final = 1
_DEVICE_STREAM: Final = 2
_NOISE_STREAM: Final = 3
_PHASE_STREAM: Final = 4


_COLUMNS: Final = ("step", "noise", "share", "threshold", "gain", "error", "offset", "scale")


@dataclass(slots=True)
class Readings:
    """What the instruments of all points show in one second: (P,) each. Faults of instruments change it.

    Attributes:
        second: Second of the run.
        time_ms: When it begins [ms].
        due: Points that are looked at in this second.
        value: What they show; of those that are not due, what they showed last.
        quality: 1 is good.
        form: How it is written (`simulators.wire.rows.Form`).
        faults: Which faults touched it, a bit for each.
        shift_ms: By how much its time stamp is wrong, beyond its gateway's clock [ms].
        gateway_shift_ms: (G,) the same of each gateway's heartbeat [ms].
        gateway_faults: (G,) which faults touched the heartbeat.
    """

    second: int
    time_ms: int
    due: NDArray[np.int64]
    value: Floats
    quality: NDArray[np.int16]
    form: NDArray[np.uint8]
    faults: NDArray[np.uint64]
    shift_ms: NDArray[np.int64]
    gateway_shift_ms: NDArray[np.int64]
    gateway_faults: NDArray[np.uint64]


class Meters:
    """All instruments of a plant.

    Args:
        catalogue: Points of the plant, in columns.
        instruments: What each kind of instrument is like.
        seed: What errors and noise follow from.
        said: What the scenario says of the instruments of a point type, by its name.

    Attributes:
        gain: (P,) gain of each device; a fault may change it.
        offset: (P,) offset of each point, in its unit.
        registers: The energy registers, in the order of `register_points`.
        register_points: Numbers of the points that show them.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        instruments: Mapping[str, Instrument],
        seed: int,
        said: Mapping[str, InstrumentSpec] | None = None,
    ) -> None:
        count = len(catalogue)
        self._catalogue = catalogue
        self._seed = seed
        types, own = catalogue.point_types, said or {}
        kinds = [
            (group, adapted(instruments[group.kind], own.get(types[group.first])))
            for group in catalogue.groups
        ]
        columns = {name: np.zeros(count) for name in _COLUMNS}
        period = np.ones(count, np.int64)
        self._form = np.zeros(count, np.uint8)
        for group, instrument in kinds:
            if CYCLE_S % instrument.period_s:
                raise ValueError(
                    f"{group.kind}: expected a period that divides {CYCLE_S} s, found {instrument.period_s}"
                )
            period[group.part] = instrument.period_s
            self._form[group.part] = Form.WHOLE if group.kind == "state" else Form.NUMBER
            for name, value in zip(_COLUMNS, _column_values(group, instrument), strict=True):
                columns[name][group.part] = value
        self.gain, self.offset = self._devices(columns["gain"], columns["offset"])
        self.gain *= 1 + columns["error"]
        self._scale = columns["scale"]
        self._step, self._noise, self._share = columns["step"], columns["noise"], columns["share"]
        # A step is a change; half of one is not, and rounding must not make one.
        self._threshold = np.maximum(columns["threshold"], 0.5 * columns["step"])
        self._is_noisy = (self._noise > 0) | (self._share > 0)
        self._due = self._schedule(period)
        self._true = np.zeros(count)
        self._shown = np.full(count, np.nan)
        self._said = np.full(count, np.nan)
        self._said_form = self._form.copy()
        self._said_quality = np.full(count, GOOD, np.int16)
        spread = self._random(_PHASE_STREAM, 1).integers(1, FIRST_SPREAD_S + 1, count)
        self._repeat_at = spread
        self._prepare_registers()

    def _random(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=stream))

    def _devices(self, gain: Floats, offset: Floats) -> tuple[Floats, Floats]:
        """Return gain and offset of each point; the points of a device share its gain."""
        owners = {name: i for i, name in enumerate(dict.fromkeys(self._catalogue.assets))}
        device = np.array([owners[name] for name in self._catalogue.assets], np.int64)
        drawn = self._random(_DEVICE_STREAM, 0).standard_normal(len(owners))
        return 1 + gain * drawn[device], offset * self._random(_DEVICE_STREAM, 1).standard_normal(len(gain))

    def _schedule(self, period: Ints) -> list[NDArray[np.int64]]:
        """Return the points that are looked at in each second of a cycle; all of them in the first of all."""
        phase = self._random(_PHASE_STREAM, 0).integers(0, CYCLE_S, len(period)) % period
        return [np.flatnonzero(second % period == phase) for second in range(CYCLE_S)]

    def _prepare_registers(self) -> None:
        groups = [group for group in self._catalogue.groups if group.register]
        points = [np.arange(group.first, group.first + group.count) for group in groups]
        self._register_groups = groups
        self.register_points = np.concatenate([*points, np.zeros(0, np.int64)]).astype(np.int64)
        start = self._random(_REGISTER_STREAM).integers(0, CAPACITY // 2, len(self.register_points))
        self.registers = Registers.starting_at(start)

    # Every second ---------------------------------------------------------------------

    def look(self, state: State, second: int, seconds: int = 1) -> Readings:
        """Return what the instruments show; to be called for every second in turn, or every so many.

        Args:
            state: The plant in one second.
            second: The second, from 0.
            seconds: How many have passed since they last looked: where it is more than one, all look now, and
                registers count the power of now for all of them [s].
        """
        catalogue = self._catalogue
        all_look = second == 0 or seconds > 1
        due = np.arange(len(catalogue)) if all_look else self._due[second % CYCLE_S]
        true = self._true
        catalogue.read(state, true)
        self._count(state, true, seconds)
        value = true[due] * self.gain[due] + self.offset[due]
        noisy = self._is_noisy[due]
        which = due[noisy]
        noise = self._random(_NOISE_STREAM, second).standard_normal(len(which), dtype=np.float32)
        value[noisy] += noise * (self._noise[which] + self._share[which] * np.abs(value[noisy]))
        step, scale = self._step[due], self._scale[due]
        # Whole steps, then only the digits that are written.
        self._shown[due] = np.rint(np.rint(value / step) * step * scale) / scale
        return self._shown_in(second, state.time_ms, due)

    def rest(self, second: int, time_ms: int) -> Readings:
        """Return what the instruments show in a second in which none looks: what they did last.

        Args:
            second: The second, from 0.
            time_ms: When it begins [ms].
        """
        return self._shown_in(second, time_ms, np.zeros(0, np.int64))

    def _shown_in(self, second: int, time_ms: int, due: NDArray[np.int64]) -> Readings:
        count, gateways = len(self._catalogue), len(self._catalogue.gateways)
        return Readings(
            second,
            time_ms,
            due,
            self._shown.copy(),
            np.full(count, GOOD, np.int16),
            self._form.copy(),
            np.zeros(count, np.uint64),
            np.zeros(count, np.int64),
            np.zeros(gateways, np.int64),
            np.zeros(gateways, np.uint64),
        )

    def _count(self, state: State, true: Floats, seconds: int) -> None:
        """Let the registers count what their meters take the power for."""
        if not len(self.register_points):
            return
        powers = [group.read(state) * self.gain[group.part] for group in self._register_groups]
        self.registers.add(np.rint(np.concatenate(powers)).astype(np.int64), seconds)
        true[self.register_points] = self.registers.kwh() / self.gain[self.register_points]

    def choose(self, readings: Readings) -> NDArray[np.int64]:
        """Return the points that are worth a message: what has changed enough, and what was quiet too long.

        A point that is not looked at in this second is repeated as it was shown last. Quality and form
        count as changes of their own.
        """
        due, second = readings.due, readings.second
        value = readings.value[due]
        moved = ~(np.abs(value - self._said[due]) < self._threshold[due])
        moved |= readings.quality[due] != self._said_quality[due]
        moved |= readings.form[due] != self._said_form[due]
        chosen: Bools = self._repeat_at <= second
        chosen[due] |= moved
        points = np.flatnonzero(chosen)
        self._said[points] = readings.value[points]
        self._said_form[points] = readings.form[points]
        self._said_quality[points] = readings.quality[points]
        if second > 0:
            self._repeat_at[points] = second + REPEAT_S
        return points

    def power_milliwatts(self, state: State, which: Ints) -> Ints:
        """Return the power that meters with registers see now [mW].

        Args:
            state: The plant in one second.
            which: Places in `register_points`.
        """
        powers = [group.read(state) * self.gain[group.part] for group in self._register_groups]
        found: Ints = np.rint(np.concatenate(powers))[which].astype(np.int64)
        return found


def _column_values(group: Group, instrument: Instrument) -> tuple[float | Floats, ...]:
    """Return what an instrument is like at each point of a group, in the order of `_COLUMNS`."""
    return (
        instrument.step,
        instrument.noise + instrument.noise_of_rating * group.rating,
        instrument.noise_share,
        instrument.threshold + instrument.threshold_of_rating * group.rating,
        instrument.gain_sigma,
        instrument.gain_error,
        instrument.offset_sigma,
        10.0**instrument.decimals,
    )
