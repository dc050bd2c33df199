"""Where the heat goes: racks, coolant units and their pumps, facility water, chillers, and the air.

A rack is one mass of metal and coolant. What its chips put into it and what the coolant carries off differ
while it warms or cools; the difference is counted in whole millijoules, so heat closes exactly. Fluid: PG25,
1.014 kg/L and 3.90 kJ/(kg·K) at 40 °C.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from simulators.model.events import Event, EventKind
from simulators.model.flows import Flows
from simulators.model.noise import Wander
from simulators.model.state import Bools, Floats, Heat, Ints
from simulators.model.wiring import NONE, Wiring

HEAT_KW: Final = 0.0659
"""Heat that one L/min of PG25 carries at one kelvin [kW]: 1.014 * 3.90 / 60."""
WATER_KW: Final = 0.0691
"""The same of water at 40 °C [kW]."""
CAPACITY_KJ: Final = 0.9
"""Heat capacity of a rack per kW of rating [kJ/K]: 25 kg of coolant and 50 kg of copper in 132 kW."""
SENSOR_LAG_S: Final = 10.0
"""Time constant of pipe and sensor on the return; with the rack's own it makes about 20 s [s]."""
SUPPLY_C: Final = 32.0
"""Set point of the secondary supply (ASHRAE W32)."""
SUPPLY_SIGMA_C: Final = 0.1
SUPPLY_TAU_S: Final = 1_200.0
"""Time constant of the supply's wander: in NVIDIA's recording it goes by 0.03 to 0.1 K in 50 s [s]."""
APPROACH_K: Final = 4.0
"""How much warmer than facility water a unit's supply is at full load (NVIDIA's guide: 4 K at most)."""
FACILITY_C: Final = 26.0
"""Facility water as chillers give it (our choice: 6 K below the supply)."""
FACILITY_LPM_PER_KW: Final = 1.45
"""Flow of facility water at full load: 10 K of rise [L/min per kW]."""
RIDE_THROUGH_S: Final = 420.0
"""How long the water in the loop takes the full heat while it warms by 10 K: 7 min, as in NVIDIA's guide."""
CDU_LAG_S: Final = 8.0
"""Time constant of a coolant unit's supply (our choice) [s]."""
INLET_C: Final = 24.0
INLET_SIGMA_C: Final = 0.3
INLET_RISE_K_PER_MIN: Final = 2.0
"""Rise of the air in front of fully loaded racks once their air handler stops; 0.5 to 3 is usual."""
INLET_MOST_C: Final = 50.0
INLET_LAG_S: Final = 120.0
"""Time constant with which the room comes back (our choice) [s]."""
CRAH_SUPPLY_C: Final = 22.0
DEW_POINT_C: Final = 12.0
DEW_POINT_SIGMA_C: Final = 0.3
DEW_POINT_TAU_S: Final = 200.0
"""A change of the room's dew point is done, but for 5 %, in ten minutes [s]."""
THROTTLE_K: Final = 20.0
TRIP_K: Final = 30.0
"""Rise of a rack above its full-load temperature at which it throttles to half, and shuts off."""
THERMAL_KINDS: Final = frozenset(
    {
        EventKind.PUMP_FAILURE,
        EventKind.FLOW_LOSS,
        EventKind.CHILLER_LOSS,
        EventKind.CRAH_LOSS,
        EventKind.LEAK,
        EventKind.LEAK_DETECTOR_FAULT,
        EventKind.BYPASS,
        EventKind.DEW_POINT,
    }
)
"""What befalls the cooling."""


class Cooling:
    """The thermal side of the plant.

    All chillers feed one loop. They can take a quarter more than the plant's full heat with one of them
    stopped; where a site names none, its facility water comes from outside at a constant temperature.

    Args:
        wiring: The plant's graph and ratings, in arrays.
        seed: What all chance follows from.
        settled: (R,) what the racks draw at first; they start as warm as that makes them [mW].
    """

    def __init__(self, wiring: Wiring, seed: int, settled: Ints) -> None:
        self._wiring = wiring
        racks, units = len(wiring.racks), len(wiring.cdus)
        rating_kw = wiring.rack_rating_milliwatts / 1e6
        self._flows = Flows(wiring, seed)
        self._is_wet = wiring.rack_liquid_share > 0
        self._capacity = CAPACITY_KJ * rating_kw
        carried = HEAT_KW * wiring.rack_design_lpm
        self._rise = settled / 1e6 * wiring.rack_liquid_share / carried
        self._full_c = SUPPLY_C + rating_kw * wiring.rack_liquid_share / carried
        self._first_c = SUPPLY_C + self._rise
        self._stored: Ints = np.zeros(racks, np.int64)
        self._return_c = self._first_c.copy()
        self._supply_c = np.full(units, SUPPLY_C)
        self._unit_kw = np.maximum(wiring.cdu_rating_milliwatts / 1e6, 1e-9)
        self._cdu = np.where(wiring.rack_cdu == NONE, units, wiring.rack_cdu)
        self._wander = Wander(seed, "supply temperature", units, sigma=SUPPLY_SIGMA_C, tau_s=SUPPLY_TAU_S)
        self._facility_c = FACILITY_C
        self._heat_kw = np.full(units, 0.0)
        self._most_kw = max(float(self._unit_kw.sum()) * 1.25, 1e-9)
        self._stopped: dict[Event, Sequence[int]] = {}
        self._inlet_c = np.full(racks, INLET_C)
        self._inlet = Wander(seed, "inlet", racks, sigma=INLET_SIGMA_C, tau_s=300)
        self._dew = Wander(seed, "dew point", 1, sigma=DEW_POINT_SIGMA_C, tau_s=1_800)
        self._dew_goal: list[Event] = []
        self._dew_point_c = DEW_POINT_C
        self.rise_above_full_k: Floats = self._first_c - self._full_c

    def begin(self, event: Event, second: int) -> None:
        """Take note of an event on the cooling that begins."""
        match event.kind:
            case EventKind.CHILLER_LOSS:
                self._stopped[event] = _places(event, self._wiring.chillers)
            case EventKind.CRAH_LOSS:
                self._stopped[event] = _places(event, self._wiring.crahs)
            case EventKind.DEW_POINT:
                self._dew_goal.append(event)
            case _:
                self._flows.begin(event, second)

    def step(self, second: int, rack: Ints, seconds: int = 1) -> Heat:
        """Let a second pass, or several in which nothing happens.

        Args:
            second: The last second of the run that passes.
            rack: (R,) what the racks draw: all of it becomes heat [mW].
            seconds: How many pass since the one before, the last included [s].
        """
        running = self._running(EventKind.CHILLER_LOSS, second, len(self._wiring.chillers))
        handlers = self._running(EventKind.CRAH_LOSS, second, len(self._wiring.crahs))
        moved = self._flows.step(second)
        unit_c = self._supply(second, moved.cdu_lpm, seconds)
        supply = np.append(unit_c, SUPPLY_C)[self._cdu]
        liquid, heat = self._racks(rack, moved.rack_lpm, supply, seconds)
        returned, primary = self._units(liquid, moved.rack_lpm, unit_c)
        before_c = self._facility_c
        self._loop(running, seconds)
        inlet = self._air(rack, handlers, seconds)
        # Inlets differ a little from rack to rack whatever the air handler does.
        own = self._inlet.step(second)
        return Heat(
            rack_flow_lpm=moved.rack_lpm,
            rack_supply_c=supply,
            rack_return_c=self._return_c.copy(),
            rack_inlet_c=inlet + own,
            rack_heat_milliwatts=heat,
            rack_liquid_heat_milliwatts=liquid,
            rack_stored_millijoules=self._stored,
            rack_leaks=moved.rack_leaks,
            rack_detector_fails=moved.rack_detector_fails,
            cdu_flow_lpm=moved.cdu_lpm,
            cdu_supply_c=unit_c,
            cdu_return_c=returned,
            cdu_primary_flow_lpm=primary,
            cdu_primary_supply_c=np.full(len(unit_c), before_c),
            cdu_primary_return_c=before_c + self._heat_kw / (WATER_KW * np.maximum(primary, 1e-9)),
            cdu_pressure_kpa=moved.cdu_kpa,
            cdu_pumps_running=moved.cdu_pumps,
            chiller_supply_c=np.full(len(running), before_c),
            chiller_is_running=running,
            crah_supply_c=np.where(handlers, CRAH_SUPPLY_C, INLET_C),
            crah_is_running=handlers,
            room_dew_point_c=self._dew_point(second, seconds),
        )

    # Liquid ---------------------------------------------------------------------------

    def _racks(self, rack: Ints, flow: Floats, supply: Floats, seconds: int) -> tuple[Ints, Ints]:
        """Warm the racks: (R,) mean heat into the coolant and (R,) mean heat out of the rack [mW]."""
        into = np.floor(rack * self._wiring.rack_liquid_share).astype(np.int64)
        carries = np.maximum(HEAT_KW * flow, 1e-9)
        bulk = self._first_c + self._stored / 1e6 / self._capacity
        settles = supply + into / 1e6 / carries
        warmed = settles + (bulk - settles) * np.exp(-carries * seconds / self._capacity)
        stored = np.rint((warmed - self._first_c) * self._capacity * 1e6).astype(np.int64)
        stored = np.where(self._is_wet, stored, self._stored)
        liquid = into - (stored - self._stored) // seconds
        self._stored = stored
        self._return_c = self._return_c + _closed(warmed - self._return_c, SENSOR_LAG_S, seconds)
        self.rise_above_full_k = np.where(self._is_wet, warmed - self._full_c, -TRIP_K)
        return liquid, liquid + (rack - into)

    def _supply(self, second: int, flow: Floats, seconds: int) -> Floats:
        """Let the supply of the units follow: to the set point, or above it where water is too warm."""
        load = np.clip(self._heat_kw / self._unit_kw, 0, 1.5)
        goal = np.maximum(SUPPLY_C, self._facility_c + APPROACH_K * load)
        warmer: Floats = _closed(goal - self._supply_c, CDU_LAG_S, seconds)
        self._supply_c = self._supply_c + np.where(flow > 0, warmer, 0.0)
        return self._supply_c + self._wander.step(second)

    def _units(self, liquid: Ints, flow: Floats, unit_c: Floats) -> tuple[Floats, Floats]:
        """Mix what comes back: (C,) secondary return [°C] and (C,) flow of facility water [L/min]."""
        count = len(unit_c)
        self._heat_kw = np.bincount(self._cdu, liquid / 1e6, count + 1)[:count]
        mixed = np.bincount(self._cdu, flow * self._return_c, count + 1)[:count]
        total = np.bincount(self._cdu, flow, count + 1)[:count]
        returned = np.where(total > 0, mixed / np.where(total > 0, total, 1), unit_c)
        load = np.clip(self._heat_kw / self._unit_kw, 0.1, 1.0)
        return returned, FACILITY_LPM_PER_KW * self._unit_kw * load

    def _loop(self, running: Bools, seconds: int) -> None:
        """Warm or cool the facility's water by what chillers cannot take, or have to spare."""
        if not len(running):
            return
        spare = max(len(running) - 1, 1)
        takes = min(running.sum() / spare, 1.25) * self._most_kw
        heat = float(self._heat_kw.sum())
        capacity = self._most_kw / 1.25 * RIDE_THROUGH_S / 10
        # Chillers cool no further than their set point.
        change = (heat - takes) / capacity * seconds
        self._facility_c = min(max(self._facility_c + change, FACILITY_C), 80.0)

    # Air ------------------------------------------------------------------------------

    def _air(self, rack: Ints, handlers: Bools, seconds: int) -> Floats:
        wiring = self._wiring
        works = np.append(handlers, np.True_)[wiring.rack_crah]
        load = rack / wiring.rack_rating_milliwatts
        risen = np.minimum(self._inlet_c + INLET_RISE_K_PER_MIN / 60 * load * seconds, INLET_MOST_C)
        fallen = self._inlet_c + _closed(INLET_C - self._inlet_c, INLET_LAG_S, seconds)
        self._inlet_c = np.where(works, fallen, risen)
        return self._inlet_c

    def _dew_point(self, second: int, seconds: int) -> float:
        self._dew_goal = [event for event in self._dew_goal if second < event.ends_s]
        goal = self._dew_goal[-1].strength if self._dew_goal else DEW_POINT_C
        self._dew_point_c += _closed(goal - self._dew_point_c, DEW_POINT_TAU_S, seconds)
        return self._dew_point_c + float(self._dew.step(second)[0])

    def _running(self, kind: EventKind, second: int, count: int) -> Bools:
        self._stopped = {event: found for event, found in self._stopped.items() if second < event.ends_s}
        running = np.ones(count, np.bool_)
        for event, places in self._stopped.items():
            if event.kind is kind:
                running[list(places)] = False
        return running


def _places(event: Event, ids: Iterable[str]) -> list[int]:
    return [i for i, name in enumerate(ids) if not event.subjects or name in event.subjects]


def _closed(gap: Any, lag_s: float, seconds: int) -> Any:  # noqa: ANN401 - a number or an array of them
    """Return how much of a gap is closed in some seconds: of one as ever, of several by their exponential."""
    return gap / lag_s if seconds == 1 else gap * -math.expm1(-seconds / lag_s)
