"""The DSX bus is read by its contract: topics, point types, units, and whom a heartbeat speaks for."""

from __future__ import annotations

import pytest

from facility.kinds import KINDS, OF_THE_SITE_FILE
from facility.names import is_path, text_of
from facility.quantities import QUANTITIES
from facility.units import Dimension, find_unit
from formats import dsx
from formats.dsx import Topic, TopicType, UnitContradiction, parse_topic, quantity_of
from tests.unit.facility import dsx_contract

CONTRACT = dsx_contract.point_types()
RECORDING = dsx_contract.recorded_metadata()

needs_contract = pytest.mark.skipif(not CONTRACT, reason="the DSX contract is not beside the repository")
needs_recording = pytest.mark.skipif(not RECORDING, reason="the DSX recording is not beside the repository")

VALUE = "BMS/v1/PUB/Value/Rack/RackPower/nvidia/titan/pod1C/rowE/rack01/power"


def a_topic(publisher: str, kind: TopicType, object_type: str, point_type: str, tag_path: str) -> Topic:
    """Return a topic; arguments as its attributes."""
    key = f"{object_type}/{point_type}/{tag_path}"
    return Topic(publisher, kind, key, object_type, point_type, tag_path)


TOPICS = [
    (VALUE, a_topic("PUB", "Value", "Rack", "RackPower", "nvidia/titan/pod1C/rowE/rack01/power")),
    ("BMS/v1/PUB/Metadata/PowerMeter/Voltage/m", a_topic("PUB", "Metadata", "PowerMeter", "Voltage", "m")),
    ("BMS/v1/MEPAI1/Value/CDU/Status/a/b", a_topic("MEPAI1", "Value", "CDU", "Status", "a/b")),
    ("BMS/v1/Value/Value/Value/Value/Value", a_topic("Value", "Value", "Value", "Value", "Value")),
]

NO_TOPICS = [
    "", "BMS", "BMS/v1/PUB/Value", "BMS/v1/PUB/Value/Rack/RackPower", "bms/v1/PUB/Value/Rack/RackPower/a",
    "BMS/v2/PUB/Value/Rack/RackPower/a", "BMS/v1/PUB/value/Rack/RackPower/a",
    "/BMS/v1/PUB/Value/Rack/RackPower/a",
    "BMS/v1/PUB/Command/Rack/RackPower/a", "megawatch/v1/site/rack", "$SYS/broker/uptime",
]  # fmt: skip

NOT_ALLOWED = [
    "BMS/v1//Value/Rack/RackPower/a",
    "BMS/v1/PUB/Value/Rack/RackPower/a+",
    "BMS/v1/PUB/Value/Rack/RackPower/#",
    "BMS/v1/PUB/Value/Rack/RackPower/a\0",
    "BMS/v1/PUB/Value/Rack/RackPower/\ufffd",
]

FREE = [
    ("Rack/RackPower/Halle 1/Rack 7", "Rack/RackPower/Halle~201/Rack~207"),
    ("Rack/RackPower/a//b", "Rack/RackPower/a/~/b"),
    ("Rack/RackPower/", "Rack/RackPower/~"),
    ("Rack/RackPower/../x", "Rack/RackPower/~2E~2E/x"),
    ("Rack/RackPower/a,b=c;d:e(f)%g", "Rack/RackPower/a~2Cb~3Dc~3Bd~3Ae~28f~29~25g"),
    ("Räck/RackPower/\u0430", "R~C3~A4ck/RackPower/~D0~B0"),
    ("Rack/RackPower/a\n", "Rack/RackPower/a~0A"),
    ("Rack/RackPower/C-E01.x_y", "Rack/RackPower/C-E01.x_y"),
]

UNITS = [
    ("RackPower", "kW", "rack.power.active", "kW"),
    ("RackPower", "W", "rack.power.active", "W"),
    ("RackPower", "MW", "rack.power.active", "MW"),
    ("RackLiquidFlow", "LPM", "rack.coolant.flow", "L/min"),
    ("RackLiquidFlow", "GPM", "rack.coolant.flow", "gpm"),
    ("RackLiquidSupplyTemperature", "degF", "coolant.supply", "°F"),
    ("RackLiquidReturnTemperature", "K", "coolant.return", "K"),
    ("RackLiquidDifferentialPressure", "psi", "coolant.pressure.differential", "psi"),
    ("Voltage", "kV", "voltage.ll", "kV"),
    ("PowerFactor", "", "power.factor", "1"),
    ("PumpSpeed", "%", "pump.speed", "%"),
    ("PumpSpeed", "RPM", "rotation", "rpm"),
    ("FanSpeed", "%", "fan.speed", "%"),
    ("AirRelativeHumidity", "%RH", "humidity", "%"),
    ("GenericPoint", "kW", "power.other", "kW"),
    ("GenericPoint", "degC", "air.temperature", "°C"),
    ("GenericPoint", "kWh", "energy.active", "kWh"),
    ("SomebodysOwn", "psi", "coolant.pressure", "psi"),
    ("SomebodysOwn", "furlong", "other", "furlong"),
    ("SomebodysOwn", "", "other", "1"),
]

CONTRADICTIONS = [
    ("RackPower", "kWh"),
    ("RackPower", "kVA"),
    ("RackPower", "A"),
    ("RackPower", ""),
    ("ApparentPower", "kW"),
    ("ActivePower", "kvar"),
    ("RackLiquidFlow", "kPa"),
    ("RackLiquidSupplyTemperature", "%"),
    ("RackControlValvePosition", "C"),
    ("Voltage", "A"),
    ("PhaseCurrent", "V"),
    ("Frequency", "rpm"),
    ("RackLeakDetect", "%"),
    ("PumpSpeed", "Hz"),
]


@pytest.mark.parametrize(("text", "topic"), TOPICS, ids=[text for text, _ in TOPICS])
def test_a_topic_is_taken_apart_and_put_together_again(text: str, topic: Topic) -> None:
    """Publisher, kind, types and path of a topic are read by their places, and lead back to it."""
    made = dsx.value_topic if topic.type == "Value" else lambda by, key: dsx.metadata_topic(key, by)

    assert parse_topic(text) == topic
    assert topic.is_allowed
    assert made(topic.publisher, topic.key) == text


@pytest.mark.parametrize("text", NO_TOPICS)
def test_what_is_no_topic_of_the_bus_is_none(text: str) -> None:
    """Another tree, another version, another case or a level too few is not of the bus."""
    assert parse_topic(text) is None


@pytest.mark.parametrize("text", NOT_ALLOWED, ids=ascii)
def test_a_topic_that_nobody_may_publish_on_is_not_allowed(text: str) -> None:
    """A topic is read before it is judged: it names a publisher, and no two topics are read as one."""
    topic = parse_topic(text)

    assert topic is not None
    assert not topic.is_allowed


@pytest.mark.parametrize(("key", "path"), FREE, ids=[ascii(key) for key, _ in FREE])
def test_a_tag_path_is_free_and_has_a_path_of_our_own(key: str, path: str) -> None:
    """The contract leaves it to the publisher; nothing has to be escaped in ours, and it leads back."""
    topic = parse_topic(dsx.value_topic("PUB", key))

    assert topic is not None
    assert topic.is_allowed
    assert topic.path == path
    assert is_path(path)
    assert text_of(path) == key


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("BMS/v1/site/row1/rack7/Metadata", "path before type"),
        ("BMS/v1/site/row1/rack7/Value", "path before type"),
        ("NICO/v1/machine/abc/state", "machine states of NICo"),
        ("BMS/v1/PUB/Value/Rack/RackPower/r1", ""),
        ("other/topic", ""),
    ],
)
def test_other_public_forms_of_the_bus_are_recognised(text: str, form: str) -> None:
    """A site that was commissioned against a program that speaks otherwise is told so."""
    assert dsx.foreign_form(text) == form
    assert not form or form in dsx.FOREIGN_FORMS


def test_value_and_metadata_of_a_point_have_one_key() -> None:
    """What an integration publishes is found by the metadata of the building system."""
    value = parse_topic("BMS/v1/MEPAI/Value/CDU/LiquidTemperatureSpRequest/site1/row3/cdu5")
    metadata = parse_topic("BMS/v1/PUB/Metadata/CDU/LiquidTemperatureSpRequest/site1/row3/cdu5")

    assert value is not None
    assert metadata is not None
    assert value.key == metadata.key
    assert dsx.value_topic("MEPAI", metadata.key) == "BMS/v1/MEPAI/Value/" + value.key
    assert dsx.metadata_topic(value.key) == "BMS/v1/PUB/Metadata/" + value.key


@pytest.mark.parametrize(
    ("point_type", "unit", "quantity", "symbol"), UNITS, ids=[f"{p} [{u}]" for p, u, _, _ in UNITS]
)
def test_a_point_type_and_its_unit_make_a_quantity(
    point_type: str, unit: str, quantity: str, symbol: str
) -> None:
    """Any unit of the right dimension is taken as what it is; an unknown type is kept by its unit."""
    assert quantity_of(point_type, unit, has_states=False) == (QUANTITIES[quantity], symbol)


@pytest.mark.parametrize(
    ("point_type", "unit"), CONTRADICTIONS, ids=[f"{p} [{u}]" for p, u in CONTRADICTIONS]
)
def test_a_unit_of_another_dimension_contradicts(point_type: str, unit: str) -> None:
    """Power in kilowatt-hours is a mistake in the metadata, and the error says both."""
    with pytest.raises(UnitContradiction, match=f"{point_type} is measured in .*, found '{unit}'"):
        quantity_of(point_type, unit, has_states=False)


@pytest.mark.parametrize("unit", ["kw", "Kilowatt", "?", "kW " * 1_000])
def test_an_unknown_unit_of_a_known_type_is_refused(unit: str) -> None:
    """Nobody guesses what a unit may have meant, and the error stays short."""
    with pytest.raises(LookupError, match="RackPower is measured in kW") as caught:
        quantity_of("RackPower", unit, has_states=False)

    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("point_type", ["RackPower", "RackLeakDetect", "Status"])
def test_a_measurement_needs_a_unit_or_state_texts(point_type: str) -> None:
    """A point type that the contract wants a unit or state texts of is not taken without."""
    with pytest.raises(UnitContradiction, match="needs engUnit or stateText"):
        quantity_of(point_type, None, has_states=False)


@pytest.mark.parametrize(
    ("point_type", "quantity"),
    [
        ("RackLeakDetect", "leak"),
        ("RackLeakSensorFault", "leak.fault"),
        ("RackLiquidIsolationRequest", "isolation"),
        ("Status", "state"),
        ("ValvePosition", "state"),
        ("GenericPoint", "state"),
        ("SomebodysOwn", "state"),
    ],
)
def test_state_texts_make_a_state(point_type: str, quantity: str) -> None:
    """What has state texts is a state, and a leak is known for one."""
    assert quantity_of(point_type, None, has_states=True) == (QUANTITIES[quantity], Dimension.STATE)


@pytest.mark.parametrize("point_type", ["RackPower", "Voltage", "RackLiquidFlow", "LiquidTemperature"])
def test_state_texts_of_a_measurement_contradict(point_type: str) -> None:
    """What the contract wants a unit of is no state."""
    with pytest.raises(UnitContradiction, match="found state texts"):
        quantity_of(point_type, None, has_states=True)


@pytest.mark.parametrize("point_type", ["HeartbeatTimestampBms", "HeartbeatTimestampIntegration"])
def test_a_heartbeat_needs_neither_unit_nor_states(point_type: str) -> None:
    """A heartbeat is a time stamp in milliseconds, as the contract says without saying so in metadata."""
    assert quantity_of(point_type, None, has_states=False) == (QUANTITIES["heartbeat"], "ms")


@needs_contract
def test_every_object_type_of_the_contract_is_known_and_no_other() -> None:
    """The code's object types are those of the contract's topics."""
    assert dsx_contract.object_types() == KINDS - OF_THE_SITE_FILE


@needs_contract
def test_every_point_type_of_the_contract_is_known_and_no_other() -> None:
    """The code's point types are the contract's, but for those that are kept under no name of their own."""
    unnamed = {"GenericPoint", "HeartbeatEchoBms", "HeartbeatEchoIntegration"}

    assert {point.name for point in CONTRACT} - unnamed == set(dsx.POINT_TYPES)
    assert unnamed <= {point.name for point in CONTRACT}


@needs_contract
@pytest.mark.parametrize("point", [p for p in CONTRACT if p.unit], ids=lambda point: point.name)
def test_the_unit_that_the_contract_names_is_taken(point: dsx_contract.PointType) -> None:
    """Each measured point type has a quantity of the dimension of the contract's own unit."""
    quantity, symbol = quantity_of(point.name, point.unit, has_states=False)
    unit = find_unit(point.unit)

    assert unit is not None
    assert (quantity.dimension, symbol) == (unit.dimension, unit.symbol)
    assert quantity.name != "other"


@needs_contract
@pytest.mark.parametrize("point", [p for p in CONTRACT if p.may_have_states], ids=lambda point: point.name)
def test_state_texts_are_taken_wherever_the_contract_allows_them(point: dsx_contract.PointType) -> None:
    """A flow that is told by a switch is a state: the contract lets equipment have either."""
    quantity, symbol = quantity_of(point.name, None, has_states=True)

    assert quantity.dimension is Dimension.STATE
    assert symbol == "state"


@needs_contract
@pytest.mark.parametrize("point", [p for p in CONTRACT if p.may_be_bare], ids=lambda point: point.name)
def test_what_needs_neither_unit_nor_states_is_taken_without(point: dsx_contract.PointType) -> None:
    """Metadata that keeps the contract is never refused, also where it says nothing of the values."""
    quantity, symbol = quantity_of(point.name, None, has_states=False)

    assert symbol == quantity.unit


@needs_recording
def test_every_metadata_of_the_recording_is_taken() -> None:
    """What NVIDIA's own building system publishes has allowed topics and known quantities."""
    for text, payload in RECORDING:
        topic = parse_topic(text)
        unit = payload.get("engUnit")

        assert topic is not None
        assert topic.is_allowed
        assert topic.object_type in KINDS
        assert topic.point_type in dsx.POINT_TYPES
        quantity, symbol = quantity_of(topic.point_type, unit, has_states="stateText" in payload)
        assert quantity.name != "other"
        assert (unit is None) or find_unit(unit) == find_unit(symbol)


@needs_recording
def test_the_recording_is_the_one_that_is_described() -> None:
    """The recording holds 166 metadata messages, so that no row was lost on the way here."""
    assert len(RECORDING) == 166
