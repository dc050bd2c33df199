"""What is measured of racks and of the power chain, and how it is read from the plant.

Point types, units and state texts: the AsyncAPI contract of NVIDIA/dsx-exchange,
`schemas/asyncapi/bms/bms.yaml`; which things have which points follows NVIDIA's recording of such a bus.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from simulators.model.ratings import Role
from simulators.model.state import Floats, Ints, State
from simulators.wire.bus import state_texts, tag
from simulators.wire.pointbuild import RACK_AGENT, Builder
from simulators.wire.points import MILLIWATTS_PER_KW, Reader, rack_power

MANIFOLD_SHARE: Final = 0.875
"""Share of a loop's differential pressure that is left at a rack: 79 of 90 kPa in the recording."""
PRESSURE_SET_KPA: Final = 80.0
"""Set point of a rack's differential pressure, of the order of the recording's [kPa]."""

ON: Final = state_texts({0: "Off", 1: "On"})
ABLE: Final = state_texts({0: "NotAvailable", 1: "Available"})
LEAKING: Final = state_texts({0: "NoLeak", 1: "Leak"})
_FAULTY: Final = state_texts({0: "NoFault", 1: "Fault"})
_ISOLATED: Final = state_texts({0: "NotIsolated", 1: "Isolated"})
_REQUESTED: Final = state_texts({0: "NoIsolateRequest", 1: "IsolateRequest"})
_OPENED: Final = state_texts({0: "Closed", 1: "Open"})
_TRIPPED: Final = state_texts({0: "Closed", 1: "Open", 2: "Tripped"})
_BATTERY: Final = state_texts({0: "Off", 1: "On", 2: "OnBattery"})


@dataclass(frozen=True, slots=True)
class Measure:
    """What a power meter measures.

    Attributes:
        kind: Kind of instrument; one that begins with a dot is of the meter's place, a tap or a bus.
        point_type: Point type of the bus.
        path: End of the tag path.
        read: Makes the reader for some nodes.
        metadata: Further keys.
    """

    kind: str
    point_type: str
    path: str
    read: Callable[[Ints], Reader]
    metadata: Mapping[str, Any] = field(default_factory=dict)


def _apparent(nodes: Ints) -> Reader:
    return lambda s: s.node_milliwatts[nodes] / MILLIWATTS_PER_KW / s.node_power_factor[nodes]


def _phase(phase: int) -> Measure:
    return Measure(
        ".current",
        "PhaseCurrent",
        f"current/phase{phase + 1}",
        lambda nodes: lambda state: state.node_amps[nodes, phase],
        {"engUnit": "A", "phase": str(phase + 1)},
    )


METER: Final[Mapping[str, Measure]] = {
    "power": Measure(
        ".power",
        "ActivePower",
        "power/activePower",
        lambda n: lambda s: s.node_milliwatts[n] / MILLIWATTS_PER_KW,
        {"engUnit": "kW"},
    ),
    "apparent": Measure(".apparent", "ApparentPower", "power/apparentPower", _apparent, {"engUnit": "kVA"}),
    "current": Measure(
        ".current", "Current", "current/current", lambda n: lambda s: s.node_amps[n].mean(1), {"engUnit": "A"}
    ),
    "highest": Measure(
        ".current",
        "Current",
        "current/maxCurrent",
        lambda n: lambda s: s.node_amps[n].max(1),
        {"engUnit": "A"},
    ),
    "phase-1": _phase(0),
    "phase-2": _phase(1),
    "phase-3": _phase(2),
    "frequency": Measure(
        "frequency",
        "Frequency",
        "frequency",
        lambda n: lambda s: np.where(s.node_volts[n] > 0, s.frequency_hz, 0.0),
        {"engUnit": "Hz"},
    ),
    "factor": Measure(
        ".factor", "PowerFactor", "power/powerFactor", lambda n: lambda s: s.node_power_factor[n]
    ),
    "voltage": Measure(
        ".voltage", "Voltage", "voltage/voltage", lambda n: lambda s: s.node_volts[n], {"engUnit": "V"}
    ),
    # The contract knows no energy; what is not mapped goes as a generic point with its unit.
    "register": Measure(
        "register",
        "GenericPoint",
        "energy/import",
        lambda n: lambda s: s.node_milliwatts[n],
        {"engUnit": "kWh", "processArea": ["Energy", "Import"]},
    ),
}
"""What a power meter measures. `limit`, the rating of its breaker, is added to it."""


def add_racks(builder: Builder) -> None:
    """Add the points of racks: power of all, and what is measured of those with coolant."""
    wiring = builder.wiring
    builder.rack_points(
        np.arange(len(wiring.racks)),
        "rack.power",
        "RackPower",
        "power/activePower",
        rack_power(samples=builder.samples),
        rating=wiring.rack_rating_milliwatts / MILLIWATTS_PER_KW,
        engUnit="kW",
    )
    wet = np.flatnonzero((wiring.rack_cdu >= 0) & (wiring.rack_liquid_share > 0))
    _add_coolant(builder, wet)
    _add_leaks(builder, wet)


def _add_coolant(builder: Builder, wet: Ints) -> None:
    unit = builder.wiring.rack_cdu[wet]
    design = builder.wiring.rack_design_lpm[wet]
    setting = np.full(len(wet), PRESSURE_SET_KPA)

    def add(kind: str, name: str, path: str, unit: str, read: Reader, **metadata: Any) -> None:  # noqa: ANN401 - passed on
        builder.rack_points(wet, kind, f"Rack{name}", path, read, engUnit=unit, **metadata)

    add("rack.supply", "LiquidSupplyTemperature", "coolant/supply", "C", lambda s: s.rack_supply_c[wet])
    add("rack.return", "LiquidReturnTemperature", "coolant/return", "C", lambda s: s.rack_return_c[wet])
    add("rack.flow", "LiquidFlow", "coolant/flow", "LPM", lambda s: s.rack_flow_lpm[wet])
    pressure = "LiquidDifferentialPressure"
    add("rack.pressure", pressure, "coolant/dp", "kPa", lambda s: MANIFOLD_SHARE * s.cdu_pressure_kpa[unit])
    add("setting", f"{pressure}Sp", "coolant/dpSetpoint", "kPa", lambda _: setting, isSetpoint=True)
    add(
        "rack.valve",
        "ControlValvePosition",
        "coolant/valve",
        "%",
        lambda s: np.minimum(100.0, 100.0 * s.rack_flow_lpm[wet] / design),
    )


def _add_leaks(builder: Builder, wet: Ints) -> None:
    still = np.zeros(len(wet))
    opened = np.ones(len(wet))

    def add(name: str, path: str, texts: Sequence[Mapping[str, Any]], read: Reader, agent: str = "") -> None:
        builder.rack_points(wet, "state", f"Rack{name}", path, read, agent=agent, stateText=texts)

    add("LeakDetect", "leak/state", LEAKING, lambda s: s.rack_leaks[wet])
    add("LeakSensorFault", "leak/fault", _FAULTY, lambda s: s.rack_detector_fails[wet])
    add("LiquidIsolationStatus", "isolation/liquid", _ISOLATED, lambda _: still)
    add("ElectricalIsolationStatus", "isolation/power", _ISOLATED, lambda _: still)
    add("LeakDetectTray", "leak/tray", LEAKING, lambda s: s.rack_leaks[wet], RACK_AGENT)
    add("LiquidIsolationRequest", "isolation/liquidRequest", _REQUESTED, lambda _: still, RACK_AGENT)
    add("ElectricalIsolationRequest", "isolation/powerRequest", _REQUESTED, lambda _: still, RACK_AGENT)
    names, gateways = builder.rack_names(wet), builder.row_of[wet].tolist()
    for area in ("Supply", "Return"):
        tags = [
            tag(
                "Valve",
                "ValvePosition",
                builder.rack_path(rack, f"valve/{area.lower()}"),
                stateText=_OPENED,
                associateId=name,
                processArea=[area],
            )
            for rack, name in zip(wet.tolist(), names, strict=True)
        ]
        builder.add("state", tags, names, gateways, lambda _: opened)


def add_power(builder: Builder) -> None:
    """Add the points of the power chain: meters, shunt trips and switchgear."""
    wiring, equipment = builder.wiring, builder.equipment
    meters = np.array([kind == "PowerMeter" for kind in wiring.node_kinds], np.bool_)
    taps = np.array([role is Role.TAP for role in wiring.node_roles], np.bool_)
    metered = taps.copy()
    if equipment.metered is not None:
        above = wiring.rack_tap[[rack in equipment.metered for rack in wiring.racks]]
        metered[:] = False
        metered[above[above >= 0]] = True
        builder.described |= set(builder.node_names(np.flatnonzero(taps & ~metered)))
    _add_meters(builder, np.flatnonzero(meters & ~taps), "bus", equipment.bus_points)
    _add_meters(builder, np.flatnonzero(meters & metered), "tap", equipment.tap_points)
    _add_shunts(builder)
    for kind in ("UPS", "ATS", "Generator", "Breaker", "BESS"):
        _add_switchgear(builder, np.flatnonzero(np.array(wiring.node_kinds) == kind), kind)


def _add_meters(builder: Builder, nodes: Ints, place: str, names: Sequence[str]) -> None:
    sizes = builder.wiring.sizes
    limits, ratings = sizes.amps[nodes], sizes.milliwatts[nodes] / MILLIWATTS_PER_KW
    for name in names:
        if name == "limit":
            builder.node_points(
                nodes, "setting", "PowerMeter", "CurrentLimit", "current/limit", lambda _: limits, engUnit="A"
            )
            continue
        found = METER[name]
        kind = f"{place}{found.kind}" if found.kind.startswith(".") else found.kind
        builder.node_points(
            nodes,
            kind,
            "PowerMeter",
            found.point_type,
            found.path,
            found.read(nodes),
            rating=ratings,
            **found.metadata,
        )


def _add_shunts(builder: Builder) -> None:
    """Add the shunt trip of each rack's last tap, as the recording has it."""
    nodes = np.array([t[t >= 0][-1] for t in builder.wiring.rack_tap if (t >= 0).any()], np.int64)
    names = builder.node_names(nodes)
    tags = [
        tag("Shunt", "Status", builder.node_path(node, "shuntTrip"), stateText=ON, associateId=name)
        for node, name in zip(nodes.tolist(), names, strict=True)
    ]
    described = set(builder.described)
    builder.add("state", tags, names, builder.node_gateways(nodes), lambda s: s.node_is_open[nodes])
    builder.described = described  # a shunt does not describe the tap that it belongs to


def _add_switchgear(builder: Builder, nodes: Ints, kind: str) -> None:
    def status(state: State) -> Floats:
        if kind == "Breaker":
            return state.node_is_open[nodes] + 1.0 * state.node_has_tripped[nodes]
        return state.node_is_live[nodes] + 1.0 * (state.node_is_live[nodes] & state.node_on_battery[nodes])

    texts = {"Breaker": _TRIPPED, "UPS": _BATTERY}.get(kind, ON)
    builder.node_points(nodes, "state", kind, "Status", "status", status, stateText=texts)
    builder.node_points(
        nodes, "state", kind, "Available", "available", lambda s: ~s.node_is_open[nodes], stateText=ABLE
    )
