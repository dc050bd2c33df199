"""What is measured of the cooling plant and of the air in the rows, and how it is read from the plant.

Sources as in `simulators.wire.pointsofpower`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from simulators.model.state import Bools, Floats, State
from simulators.wire.bus import state_texts, tag
from simulators.wire.pointbuild import PLANT_AGENT, Builder
from simulators.wire.points import MILLIWATTS_PER_KW, Reader
from simulators.wire.pointsofpower import ABLE, LEAKING, ON

PRESSURE_SET_KPA: Final = 90.0
"""Set point of a loop's differential pressure, of the order of the recording's [kPa]."""
SUPPLY_SET_C: Final = 32.0
"""Set point of a coolant unit's supply where it has not been heard to give another [°C]."""
PRIMARY_INLET_KPA: Final = 286.0
PRIMARY_OUTLET_KPA: Final = 197.0
SECONDARY_RETURN_KPA: Final = 235.0
FILTER_KPA: Final = 3.0
"""Pressures of a coolant unit that the plant has no model of: those of the recording [kPa]."""
HOT_AISLE_K_PER_KW: Final = 0.5
"""How much warmer the hot aisle is for each kW that a rack gives to the air (our choice) [K]."""
AISLE_PA: Final = 0.04
"""Difference of pressure between the aisles, as in the recording [Pa]."""
SOUND_DB: Final = 67.0
"""Sound in the recording [dB]."""

_RUNNING: Final = state_texts({0: "NotOperating", 1: "Operating"})


def add_coolant_units(builder: Builder) -> None:
    """Add the points of coolant units, as the recording has them."""
    units = builder.wiring.cdus
    count = len(units)

    def still(value: float) -> Reader:
        values = np.full(count, value)
        return lambda _: values

    def add(kind: str, name: str, path: str, unit: str, read: Reader, *area: str, **more: Any) -> None:  # noqa: ANN401 - passed on
        builder.plant_points(
            units, kind, "CDU", name, path, read, engUnit=unit, processArea=list(area), **more
        )

    temperature, pressure, difference = "LiquidTemperature", "LiquidPressure", "LiquidDifferentialPressure"
    for area, read in (
        (("Secondary", "Supply"), lambda s: s.cdu_supply_c),
        (("Secondary", "Return"), lambda s: s.cdu_return_c),
        (("Primary", "Inlet"), lambda s: s.cdu_primary_supply_c),
        (("Primary", "Outlet"), lambda s: s.cdu_primary_return_c),
    ):
        path = "/".join(area).lower()
        add("cdu.temperature", temperature, f"{path}/temperature", "C", read, *area)
    for name in ("setpoint", "finalSetpoint"):
        path, area = f"secondary/supply/{name}", ("Secondary", "Supply")
        add("setting", temperature, path, "C", still(SUPPLY_SET_C), *area, isSetpoint=True)
    for area, kind, read in (
        (("Primary", "Inlet"), "cdu.pressure.primary", still(PRIMARY_INLET_KPA)),
        (("Primary", "Outlet"), "cdu.pressure.primary", still(PRIMARY_OUTLET_KPA)),
        (("Secondary", "Return"), "cdu.pressure", still(SECONDARY_RETURN_KPA)),
        (("Secondary", "Supply"), "cdu.pressure.steady", lambda s: SECONDARY_RETURN_KPA + s.cdu_pressure_kpa),
    ):
        add(kind, pressure, f"{'/'.join(area).lower()}/pressure", "kPa", read, *area)
    add("cdu.pressure", difference, "secondary/dp", "kPa", lambda s: s.cdu_pressure_kpa, "Secondary")
    setting = still(PRESSURE_SET_KPA)
    add("setting", difference, "secondary/dpSetpoint", "kPa", setting, "Secondary", isSetpoint=True)
    add("setting", difference, "secondary/filter/dp", "kPa", still(FILTER_KPA), "Secondary", "Filter1")
    add("cdu.flow", "LiquidFlow", "primary/flow", "LPM", lambda s: s.cdu_primary_flow_lpm, "Primary")
    add("cdu.flow.steady", "LiquidFlow", "secondary/flow", "LPM", lambda s: s.cdu_flow_lpm, "Secondary")
    for place in (1, 2):
        add("cdu.speed", "PumpSpeed", f"secondary/pump{place}/speed", "%", _pump(place), "Secondary")
        add("cdu.speed", "ValvePosition", f"primary/valve{place}/position", "%", still(50.0), "Primary")
    _add_states(builder)


def _add_states(builder: Builder) -> None:
    """Add the states of coolant units, and what an integration asks of them."""
    units = builder.wiring.cdus
    never, always = np.zeros(len(units)), np.ones(len(units))
    asked = np.full(len(units), SUPPLY_SET_C)

    def add(kind: str, name: str, path: str, read: Reader, **more: Any) -> None:  # noqa: ANN401 - passed on
        builder.plant_points(units, kind, "CDU", name, path, read, **more)

    add("state", "Status", "status", lambda s: s.cdu_pumps_running > 0, stateText=ON)
    add("state", "Available", "available", lambda _: always, stateText=ABLE)
    add("state", "PumpSpeed", "fillPump/status", lambda _: never, stateText=ON, processArea=["Fill"])
    add(
        "setting",
        "LiquidTemperatureSpRequest",
        "secondary/supply/request",
        lambda _: asked,
        agent=PLANT_AGENT,
        engUnit="C",
        processArea=["Secondary", "Supply"],
    )


def _pump(number: int) -> Reader:
    """Return the speed of a pump: the first `cdu_pumps_running` of them run."""
    return lambda state: np.where(state.cdu_pumps_running >= number, 80.0, 0.0)


def add_chillers(builder: Builder) -> None:
    """Add the points of chillers and of air handlers."""
    kinds = {asset.id: asset.kind for asset in builder.wiring.site.assets}
    for names, point_type, kind, read, running in (
        (builder.wiring.chillers, "LiquidTemperature", "water.temperature", _chilled, _chills),
        (builder.wiring.crahs, "AirTemperature", "water.temperature", _blown, _blows),
    ):
        for kind_of_asset in sorted({kinds[name] for name in names}):
            which = np.array([i for i, name in enumerate(names) if kinds[name] == kind_of_asset], np.int64)
            chosen = [str(names[i]) for i in which]
            builder.plant_points(
                chosen,
                kind,
                kind_of_asset,
                point_type,
                "supply/temperature",
                _of(read, which),
                engUnit="C",
                processArea=["Supply"],
            )
            builder.plant_points(
                chosen, "state", kind_of_asset, "Status", "status", _of(running, which), stateText=_RUNNING
            )


def _of(read: Callable[[State], Any], which: Any) -> Reader:  # noqa: ANN401 - arrays of any type
    return lambda state: read(state)[which]


def _chilled(state: State) -> Any:  # noqa: ANN401 - arrays of any type
    return state.chiller_supply_c


def _chills(state: State) -> Any:  # noqa: ANN401 - arrays of any type
    return state.chiller_is_running


def _blown(state: State) -> Any:  # noqa: ANN401 - arrays of any type
    return state.crah_supply_c


def _blows(state: State) -> Any:  # noqa: ANN401 - arrays of any type
    return state.crah_is_running


def add_sensors(builder: Builder) -> None:
    """Add the sensors of each row: air, sound and leaks, as the recording has them."""
    wiring, rows = builder.wiring, len(builder.rows)
    row_of = builder.row_of
    racks = np.bincount(row_of, minlength=rows)
    dry = 1 - wiring.rack_liquid_share

    def cold(state: State) -> Floats:
        mean: Floats = np.bincount(row_of, state.rack_inlet_c, minlength=rows) / racks
        return mean

    def hot(state: State) -> Floats:
        airborne = np.bincount(row_of, state.rack_heat_milliwatts * dry, minlength=rows) / racks
        return cold(state) + HOT_AISLE_K_PER_KW * airborne / MILLIWATTS_PER_KW

    def still(value: float) -> Reader:
        values = np.full(rows, value)
        return lambda _: values

    def leaks(state: State) -> Bools:
        return np.bincount(row_of, state.rack_leaks, minlength=rows) > 0

    for aisle, read in (("ColdAisle", cold), ("HotAisle", hot)):
        for place in (1, 2):
            for kind, point_type, name, reader, unit in (
                ("air.temperature", "AirTemperature", "temperature", read, "C"),
                ("air.humidity", "AirRelativeHumidity", "humidity", _humidity(read), "%RH"),
                ("air.sound", "Sound", "sound", still(SOUND_DB), "dB"),
            ):
                path = f"environment/{aisle}/{name}{place}"
                _add(builder, kind, point_type, path, reader, ["Row", aisle], engUnit=unit)
    for place in (1, 2):
        path = f"environment/pressure{place}"
        _add(builder, "air.pressure", "AirDifferentialPressure", path, still(AISLE_PA), ["Row"], engUnit="Pa")
    _add(builder, "state", "LeakDetect", "environment/leak", leaks, ["Row"], stateText=LEAKING)


def _add(
    builder: Builder,
    kind: str,
    point_type: str,
    path: str,
    read: Reader,
    area: list[str],
    **metadata: Any,  # noqa: ANN401 - the keys of the contract, any of them
) -> None:
    names = [f"ENV-{row}" for row in builder.rows]
    tags = [
        tag(
            "Sensor",
            point_type,
            builder.row_path(row, path),
            objectName=name,
            objectId=name,
            processArea=area,
            **metadata,
        )
        for row, name in enumerate(names)
    ]
    builder.add(kind, tags, names, list(range(len(names))), read)


def _humidity(temperature: Callable[[State], Floats]) -> Reader:
    """Return relative humidity by dew point and temperature: Magnus' formula with the WMO's coefficients."""

    def pressure(celsius: Floats) -> Floats:
        found: Floats = np.exp(17.62 * celsius / (243.12 + celsius))
        return found

    def read(state: State) -> Floats:
        wet = pressure(np.asarray(state.room_dew_point_c))
        found: Floats = np.minimum(100.0, 100.0 * wet / pressure(temperature(state)))
        return found

    return read


def add_others(builder: Builder) -> None:
    """Add a point for each asset that has none yet, so that the bus tells the whole graph."""
    always = np.ones(1)
    for asset in builder.wiring.site.assets:
        if asset.id not in builder.described:
            builder.plant_points(
                [asset.id], "state", asset.kind, "Available", "available", lambda _: always, stateText=ABLE
            )
