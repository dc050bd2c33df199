"""What the simulator says keeps the contract of the bus, and tells the whole graph of the plant."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from collector.mqtt.message import Message, Messages
from facility.kinds import RACK
from facility.sitefile.reader import read_site
from facility.sitefile.tables import BrokerTable
from megawatch.discover.listener import Heard, Listener
from megawatch.discover.proposal import propose
from simulators.scenario.scenario import Scenario
from testing.simulators.simulated import BEGIN_MS, a_scenario, run
from tests.unit.simulators.asyncapi import Contract

BROKER = BrokerTable.model_validate({"url": "mqtt://127.0.0.1:1883"})
SECONDS = 12  # a heartbeat comes after ten


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    """Two rows with everything that a site has."""
    return a_scenario(seconds=SECONDS)


@pytest.fixture(scope="module")
def spoken(scenario: Scenario) -> list[tuple[str, bytes]]:
    """Everything that is said."""
    _, seconds = run(scenario)
    return [(m.topic, m.payload) for second in seconds for m in second.messages]


@pytest.fixture(scope="module")
def contract() -> Contract:
    """The contract."""
    return Contract()


@pytest.fixture(scope="module")
def heard(spoken: list[tuple[str, bytes]]) -> Heard:
    """What the monitor's own listener understands of it."""
    listener = Listener(BROKER)
    received_ms = BEGIN_MS + SECONDS * 1_000
    listener.take(Messages.of(Message(topic, payload, received_ms) for topic, payload in spoken))
    return listener.heard


def test_every_message_keeps_the_contract(spoken: list[tuple[str, bytes]], contract: Contract) -> None:
    """Every topic is of a channel, and every payload of its message."""
    assert len(spoken) > 2_000
    assert contract.all_faults(spoken) == []


def test_all_kinds_of_points_are_said(spoken: list[tuple[str, bytes]]) -> None:
    """No kind of thing is left out that the test above would have looked at."""
    kinds = {topic.split("/")[4] for topic, _ in spoken if "/Value/" in topic}
    expected = {"Rack", "PowerMeter", "Shunt", "Valve", "UPS", "ATS", "Generator", "CDU", "Chiller", "CRAH"}
    assert kinds == expected | {"Sensor", "System"}


def _without(key: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda body: {k: v for k, v in body.items() if k != key}


@pytest.mark.parametrize(
    ("part", "breaks"),
    [
        ("/Value/Rack/RackPower/", _without("quality")),
        ("/Value/Rack/RackPower/", lambda body: body | {"value": "118.4"}),
        ("/Value/Rack/RackPower/", lambda body: body | {"timestamp": 1.5}),
        ("/Value/Rack/RackPower/", lambda body: body | {"extra": 1}),
        ("/Metadata/Rack/RackPower/", _without("engUnit")),
        ("/Metadata/Rack/RackPower/", _without("rackLocationId")),
        ("/Metadata/Rack/RackPower/", lambda body: body | {"engUnit": "W"}),
        ("/Metadata/Rack/RackLeakDetect/", _without("stateText")),
        ("/Metadata/PowerMeter/ActivePower/", _without("servesId")),
        ("/Metadata/PowerMeter/PhaseCurrent/", lambda body: body | {"phase": "L1"}),
        ("/Metadata/PowerMeter/GenericPoint/", _without("processArea")),
        ("/Metadata/UPS/Status/", lambda body: body | {"colour": "red"}),
        ("/Metadata/Shunt/Status/", lambda body: body | {"objectId": "x", "objectName": "x"}),
        ("/Metadata/System/HeartbeatTimestampBms/", _without("objectId")),
    ],
)  # fmt: skip
def test_the_contract_notices_what_is_broken(
    part: str,
    breaks: Callable[[dict[str, Any]], dict[str, Any]],
    spoken: list[tuple[str, bytes]],
    contract: Contract,
) -> None:
    """A message that breaks the contract in one place is refused."""
    topic, payload = next(message for message in spoken if part in message[0])
    assert contract.faults(topic, json.dumps(breaks(json.loads(payload))).encode()) != []


@pytest.mark.parametrize(
    "topic", ["BMS/v1/PUB/Value/Rack", "BMS/v2/PUB/Value/Rack/RackPower/a", "BMS/v1/PUB/Value/Robot/X/a"]
)
def test_the_contract_knows_its_channels(topic: str, contract: Contract) -> None:
    """A topic of no channel is refused."""
    assert contract.faults(topic, b'{"value":1,"timestamp":1,"quality":1}') != []


def test_metadata_alone_tell_the_graph(scenario: Scenario, heard: Heard) -> None:
    """Who serves whom is exactly what the site file says, asset for asset."""
    told = {
        (asset.id, asset.kind, tuple(sorted(asset.serves)))
        for asset in heard.assets.values()
        if asset.kind not in (RACK, "Sensor", "System")
    }
    plant = scenario.site.site
    assert told == {(a.id, a.kind, tuple(sorted(a.serves))) for a in plant.assets}
    assert set(heard.racks) == set(plant.racks)


def test_the_monitor_understands_everything(heard: Heard, spoken: list[tuple[str, bytes]]) -> None:
    """Nothing is refused, and no value waits for its metadata."""
    assert heard.messages == len(spoken)
    assert not heard.refused
    assert heard.waiting == 0
    assert len(heard.largest) == len(heard.points)


def test_discover_proposes_the_same_graph(scenario: Scenario, heard: Heard) -> None:
    """A site file made of what was heard has the racks and the graph of the one that was simulated."""
    proposed = read_site(propose(heard, BROKER, "titan", float(SECONDS))).site
    plant = scenario.site.site
    assert set(proposed.racks) == set(plant.racks)
    assert {(a.id, a.kind, frozenset(a.serves)) for a in proposed.assets} == {
        (a.id, a.kind, frozenset(a.serves)) for a in plant.assets
    }
