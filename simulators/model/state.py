"""What is true of the plant in one second.

Every power is the mean over the second that begins at `time_ms`, and is an integer number of milliwatts, so
that sums are exact and the energy of a second in millijoules is the same number. Everything else is what
holds at the end of that second.

Axes: R racks, F feeds, N electrical nodes above the racks, C coolant units, H chillers, A air handlers, all
in the order of `simulators.model.wiring.Wiring`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
"""An array of integers: milliwatts, millijoules, indices or counts."""

Floats: TypeAlias = NDArray[np.float64]
"""An array of measures that need not add up exactly."""

Bools: TypeAlias = NDArray[np.bool_]
"""An array of facts."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Flow:
    """What flows in one second.

    Attributes:
        rack_milliwatts: (R,) draw at the rack's input, over all feeds [mW].
        feed_milliwatts: (R, F) draw by feed; sums to `rack_milliwatts` exactly [mW].
        phase_milliwatts: (R, F, 3) draw by feed and phase; sums to `feed_milliwatts` exactly [mW].
        rack_is_live: (R,) whether at least one feed has voltage.
        rack_power_factor: (R,) power factor at the rack's input, 0 to 1.
        node_milliwatts: (N,) power into each node from the node that feeds it; of a root, from outside [mW].
        node_phase_milliwatts: (N, 3) the same by phase; sums to `node_milliwatts` exactly [mW].
        node_storage_milliwatts: (N,) power out of the node's own battery, negative while it charges [mW].
        node_loss_milliwatts: (N,) what the node turns into heat [mW].
        node_source: (N,) index of the node that feeds it now, -1 for a root.
        node_volts: (N,) line to line, mean over the second; 0 where dead [V].
        node_volts_low: (N,) line to line, the lowest within the second, as a sag is recorded [V].
        node_amps: (N, 3) line current by phase, of what passes through the node [A].
        node_power_factor: (N,) power factor of what passes through, 1 where nothing does.
        node_is_live: (N,) whether its output has voltage.
        node_is_open: (N,) whether it was switched off, has failed or has tripped.
        node_has_tripped: (N,) whether its breaker has tripped on overload and was not closed again.
        node_on_battery: (N,) whether a battery carries it, wholly or in part.
        battery_charge: (N,) charge of its battery, 0 to 1; 1 for nodes without one.
        breaker_used: (N,) consumed fraction of the trip curve; at 1 it trips.
        frequency_hz: Frequency of the grid [Hz].
    """

    rack_milliwatts: Ints
    feed_milliwatts: Ints
    phase_milliwatts: Ints
    rack_is_live: Bools
    rack_power_factor: Floats
    node_milliwatts: Ints
    node_phase_milliwatts: Ints
    node_storage_milliwatts: Ints
    node_loss_milliwatts: Ints
    node_source: Ints
    node_volts: Floats
    node_volts_low: Floats
    node_amps: Floats
    node_power_factor: Floats
    node_is_live: Bools
    node_is_open: Bools
    node_has_tripped: Bools
    node_on_battery: Bools
    battery_charge: Floats
    breaker_used: Floats
    frequency_hz: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Heat:
    """Where the heat goes in one second.

    Attributes:
        rack_flow_lpm: (R,) coolant flow [L/min].
        rack_supply_c: (R,) coolant temperature into the rack [°C].
        rack_return_c: (R,) coolant temperature out of the rack, as it comes by the sensor [°C].
        rack_inlet_c: (R,) air temperature in front of the rack [°C].
        rack_heat_milliwatts: (R,) heat that leaves the rack, by coolant and by air [mW].
        rack_liquid_heat_milliwatts: (R,) the part of it that the coolant carries [mW].
        rack_stored_millijoules: (R,) heat held in metal and coolant above the first second's [mJ].
        rack_leaks: (R,) whether there is coolant where none should be.
        rack_detector_fails: (R,) whether the leak detector is faulty, and says so.
        cdu_flow_lpm: (C,) flow of the secondary loop [L/min].
        cdu_supply_c: (C,) secondary supply [°C].
        cdu_return_c: (C,) secondary return [°C].
        cdu_primary_flow_lpm: (C,) flow of the facility's water [L/min].
        cdu_primary_supply_c: (C,) facility water into the unit [°C].
        cdu_primary_return_c: (C,) facility water out of the unit [°C].
        cdu_pressure_kpa: (C,) differential pressure of the secondary loop [kPa].
        cdu_pumps_running: (C,) pumps that run.
        chiller_supply_c: (H,) temperature of the water it gives [°C].
        chiller_is_running: (H,) whether it runs.
        crah_supply_c: (A,) temperature of the air it gives [°C].
        crah_is_running: (A,) whether it runs.
        room_dew_point_c: Dew point of the room [°C].
    """

    rack_flow_lpm: Floats
    rack_supply_c: Floats
    rack_return_c: Floats
    rack_inlet_c: Floats
    rack_heat_milliwatts: Ints
    rack_liquid_heat_milliwatts: Ints
    rack_stored_millijoules: Ints
    rack_leaks: Bools
    rack_detector_fails: Bools
    cdu_flow_lpm: Floats
    cdu_supply_c: Floats
    cdu_return_c: Floats
    cdu_primary_flow_lpm: Floats
    cdu_primary_supply_c: Floats
    cdu_primary_return_c: Floats
    cdu_pressure_kpa: Floats
    cdu_pumps_running: Ints
    chiller_supply_c: Floats
    chiller_is_running: Bools
    crah_supply_c: Floats
    crah_is_running: Bools
    room_dew_point_c: float


@dataclass(frozen=True, kw_only=True, eq=False)
class State(Flow, Heat):
    """The plant in one second. The arrays belong to the state: nothing changes them later.

    These balances hold exactly, for every node `n`, rack `r` and second:

        node_milliwatts[n] + node_storage_milliwatts[n]
            = node_milliwatts of all nodes whose node_source is n
            + feed_milliwatts of all racks and feeds whose tap is n + node_loss_milliwatts[n]
        sum of node_milliwatts over roots + sum of node_storage_milliwatts + draw without a tap
            = sum of rack_milliwatts + sum of node_loss_milliwatts
        rack_milliwatts[r] = rack_heat_milliwatts[r] + rise of rack_stored_millijoules[r]

    Attributes:
        time_ms: Start of the second [ms since 1970].
        rack_instant_milliwatts: (R,) draw at the very instant `time_ms`, which a sampling meter sees; within
            the second it swings around the mean [mW].
        wanted_milliwatts: (R,) what the load asks for, before trips and throttling [mW].
        rack_is_throttled: (R,) whether heat holds the rack down, or has shut it off.
    """

    time_ms: int
    rack_instant_milliwatts: Ints
    wanted_milliwatts: Ints
    rack_is_throttled: Bools
