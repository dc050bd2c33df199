"""What the contract of the DSX BMS bus 1.0 allows is understood: a system that keeps to it works unchanged.

The tables are those of its AsyncAPI document, `components.schemas`, section 4 and 5.
"""

from __future__ import annotations

import pytest

from facility.quantities import QUANTITIES
from facility.units import Dimension
from formats.dsx import POINT_TYPES
from testing.collector.hearing import Hearing, metadata, value

STATES = [{"value": 0, "text": "Off"}, {"value": 1, "text": "On"}]

# The engineering units that the document prescribes, or calls typical.
_PRESCRIBED = {
    "Rack": {
        "RackLiquidSupplyTemperature": "C",
        "RackLiquidReturnTemperature": "C",
        "RackLiquidFlow": "LPM",
        "RackLiquidDifferentialPressure": "kPa",
        "RackLiquidDifferentialPressureSp": "kPa",
        "RackControlValvePosition": "%",
        "RackPower": "kW",
    },
    "PowerMeter": {
        "Voltage": "V",
        "Frequency": "Hz",
        "ApparentPower": "kVA",
        "ActivePower": "kW",
        "Current": "A",
        "CurrentLimit": "A",
    },
    "CDU": {
        "LiquidTemperature": "C",
        "LiquidTemperatureSpRequest": "C",
        "LiquidDifferentialPressure": "kPa",
        "LiquidFlow": "LPM",
        "LiquidPressure": "kPa",
        "ValvePosition": "%",
        "PumpSpeed": "%",
    },
    "AHU": {
        "FanSpeed": "%",
        "DamperPosition": "%",
        "AirTemperature": "C",
        "AirDifferentialPressure": "Pa",
        "AirRelativeHumidity": "%RH",
        "AirFlow": "CFM",
        "AirPressure": "Pa",
    },
    "Sensor": {"Sound": "dB"},
}
_MEASURED = [(kind, name, unit) for kind, units in _PRESCRIBED.items() for name, unit in units.items()]


@pytest.mark.parametrize(
    ("object_type", "point_type", "unit"), _MEASURED, ids=[f"{kind}-{name}" for kind, name, _ in _MEASURED]
)
def test_each_measured_point_type_is_understood(object_type: str, point_type: str, unit: str) -> None:
    """With the unit of the contract it is one quantity, and its values are kept."""
    outcome = Hearing().hear(
        metadata("p", object_type=object_type, point_type=point_type, engUnit=unit, objectId="X-1"),
        value("p", 1, object_type=object_type, point_type=point_type),
    )

    assert not outcome.rejections
    assert len(outcome.rows) == 1
    assert outcome.news[0].point.quantity == POINT_TYPES[point_type][0]


_STATES = [
    ("Rack", "RackLeakDetect"),
    ("Rack", "RackLeakSensorFault"),
    ("Rack", "RackLeakDetectTray"),
    ("Rack", "RackLiquidIsolationStatus"),
    ("Rack", "RackElectricalIsolationStatus"),
    ("Rack", "RackLiquidIsolationRequest"),
    ("Rack", "RackElectricalIsolationRequest"),
    ("UPS", "Status"),
    ("System", "Available"),
    ("CDU", "LeakDetect"),
    ("GenericObject", "GenericPoint"),
    # In measurement mode the contract leaves the choice between a unit and state texts.
    ("Valve", "ValvePosition"),
    ("Pump", "PumpSpeed"),
    ("Fan", "FanSpeed"),
    ("Damper", "DamperPosition"),
    ("CDU", "LiquidFlow"),
    ("CDU", "LiquidPressure"),
    ("CDU", "LiquidDifferentialPressure"),
    ("AHU", "AirFlow"),
    ("AHU", "AirPressure"),
    ("AHU", "AirDifferentialPressure"),
    ("AHU", "AirRelativeHumidity"),
]


@pytest.mark.parametrize(
    ("object_type", "point_type"), _STATES, ids=[f"{kind}-{name}" for kind, name in _STATES]
)
def test_each_point_type_that_may_be_a_state_is_understood(object_type: str, point_type: str) -> None:
    """With state texts it is a state, and 0 and 1 are kept: a flow switch is a flow in this contract."""
    outcome = Hearing().hear(
        metadata(
            "p",
            object_type=object_type,
            point_type=point_type,
            engUnit=None,
            objectId="X-1",
            stateText=STATES,
        ),
        value("p", 1, object_type=object_type, point_type=point_type),
    )

    assert not outcome.rejections
    assert [read for _, _, read in outcome.rows] == [1.0]
    assert QUANTITIES[outcome.news[0].point.quantity].dimension is Dimension.STATE
    assert outcome.news[0].point.states == ((0, "Off"), (1, "On"))


_BARE = [
    ("System", "HeartbeatTimestampBms"),
    ("System", "HeartbeatTimestampIntegration"),
    ("System", "HeartbeatEchoBms"),
    ("System", "HeartbeatEchoIntegration"),
    ("PowerMeter", "PowerFactor"),
    ("GenericObject", "GenericPoint"),
]


@pytest.mark.parametrize(("object_type", "point_type"), _BARE, ids=[f"{kind}-{name}" for kind, name in _BARE])
def test_each_point_type_that_needs_neither_unit_nor_states_is_understood(
    object_type: str, point_type: str
) -> None:
    """Heartbeats, their echoes, power factors and generic points may have neither."""
    outcome = Hearing().hear(
        metadata(
            "p",
            object_type=object_type,
            point_type=point_type,
            engUnit=None,
            rackLocationId=None,
            objectId="X-1",
            objectName="X 1",
            processArea=["Loop"],
        ),
        value("p", 1, object_type=object_type, point_type=point_type),
    )

    assert not outcome.rejections
    assert len(outcome.rows) == 1


@pytest.mark.parametrize("phase", ["A", "B", "C", "1", "2", "3"])
def test_each_name_of_a_phase_is_understood(phase: str) -> None:
    """A site names its phases by letters or by digits."""
    outcome = Hearing().hear(
        metadata(
            "p", object_type="PowerMeter", point_type="PhaseCurrent", engUnit="A", objectId="M", phase=phase
        )
    )

    assert not outcome.rejections
    assert outcome.news[0].point.phase == phase


def test_an_echo_is_no_heartbeat() -> None:
    """What somebody says of another's heartbeat proves nothing of the other's points."""
    outcome = Hearing().hear(
        metadata(
            "p",
            object_type="System",
            point_type="HeartbeatEchoBms",
            engUnit=None,
            rackLocationId=None,
            objectId="MEPAI",
        )
    )

    assert not any(known.point.is_heartbeat for known in outcome.news)
