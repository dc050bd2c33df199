"""NVIDIA's DSX BMS event bus 1.0: its topics, object types and point types, as data.

Source: the AsyncAPI contract of NVIDIA/dsx-exchange, `schemas/asyncapi/bms/bms.yaml`, commit c24771c
(August 2026). The collector decodes by this table and the simulator encodes by it.

    BMS/v1/{publisher}/Value/{objectType}/{pointType}/{tagPath}      not retained, on change and every 100 s
    BMS/v1/{publisher}/Metadata/{objectType}/{pointType}/{tagPath}   retained, every 100 s

The building system publishes as `PUB`, an integration under its own name. A tag path means nothing by
itself: place, unit and graph come from the metadata only. It may be any text that a topic may be, and is an
opaque key to us.

Public programs speak forms of the bus that the contract does not have: see `FOREIGN_FORMS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from facility.names import CANARY, are_levels, is_level, path_of
from facility.quantities import QUANTITIES, Quantity, quantity_for
from facility.units import Dimension, find_unit

PREFIX: Final = "BMS/v1/"
BUILDING_SYSTEM: Final = "PUB"
TOPICS: Final = "BMS/v1/#"
"""Values and metadata in one subscription: NATS counts what is unacknowledged by session but holds back by
subscription, so with two it drops what is over until its acknowledgement time of 30 s has passed."""

REPEAT_S: Final = 100
"""A value is published again after this long without a change [s]."""
HEARTBEAT_S: Final = 10
"""Each publisher's heartbeat comes this often [s]."""
GOOD: Final = 1
"""The only quality to be trusted."""
GOOD_FORMS: Final = (GOOD, str(GOOD))
"""How it is written: NVIDIA's own integration (NICo) writes it as a text."""

TopicType = Literal["Value", "Metadata"]
_TYPES: Final[Mapping[str, TopicType]] = {"Value": "Value", "Metadata": "Metadata"}


class Topic(msgspec.Struct, frozen=True, gc=False):
    """A topic of the bus, taken apart.

    Attributes:
        publisher: `PUB` or an integration's name.
        type: Value or metadata.
        key: The rest, which value and metadata of a point have in common.
        object_type: Kind of asset, such as `Rack`: the first level of the key.
        point_type: What is measured of it, such as `RackPower`: the second level of the key.
        tag_path: Rest of the key, one level or more, chosen by the publisher.
    """

    publisher: str
    type: TopicType
    key: str
    object_type: str
    point_type: str
    tag_path: str

    @property
    def path(self) -> str:
        """The key as a path of our own, in which nothing has to be escaped."""
        return path_of(self.key)

    @property
    def is_allowed(self) -> bool:
        """Whether one may publish on it, and whether its bytes were text: none is taken for another."""
        return is_level(self.publisher) and are_levels(self.key)


def parse_topic(text: str) -> Topic | None:
    """Take a topic of the bus apart; None where it is not one."""
    levels = text.split("/", 6)
    if not is_topic(levels):
        return None
    publisher, kind = levels[2], _TYPES[levels[3]]
    key = text[len(PREFIX) + len(publisher) + 1 + len(kind) + 1 :]
    return Topic(publisher, kind, key, levels[4], levels[5], levels[6])


def is_topic(levels: Sequence[str]) -> bool:
    """Tell whether a topic with these levels is one of the bus."""
    # The prefix is compared level by level: this is asked of every topic of a site, more than once.
    return len(levels) > 6 and levels[1] == "v1" and levels[0] == "BMS" and levels[3] in _TYPES  # noqa: PLR2004


def foreign_form(text: str) -> str:
    """Say which other form of the bus a topic is of, "" where it is none that we know."""
    parts = text.split("/")
    if parts[:2] == ["BMS", "v1"] and parts[-1] in ("Metadata", "Value"):
        return "path before type"
    return "machine states of NICo" if parts[:2] == ["NICO", "v1"] else ""


FOREIGN_FORMS: Final = MappingProxyType(
    {
        "path before type": (
            "BMS/v1/{path}/Metadata|Value, as NICo's consumer expects it: publish by the contract, with the"
            " publisher and the type before the path"
        ),
        "machine states of NICo": "NICO/v1/machine/{id}/state: not read, and not needed",
        "time in seconds": "timestamps in seconds, as NICo's consumer reads them: publish milliseconds",
        "LeakDetectRack": (
            "point types LeakDetectRack and LeakDetectRackTray, as NICo's consumer names them: taken for"
            " RackLeakDetect and RackLeakDetectTray"
        ),
    }
)
"""Forms that public programs speak and the contract does not have: what they are, and what to do."""


CANARY_POINT: Final = f"Rack/RackPower/{CANARY}"
"""The key of the one point that the monitor publishes itself."""


def value_topic(publisher: str, key: str) -> str:
    """Return the topic on which `publisher` publishes the values of the point `key`."""
    return f"{PREFIX}{publisher}/Value/{key}"


def metadata_topic(key: str, publisher: str = BUILDING_SYSTEM) -> str:
    """Return the topic of the metadata of the point `key`."""
    return f"{PREFIX}{publisher}/Metadata/{key}"


# The quantities that each point type may be, most usual first: the unit or the state texts decide.
_POINT_TYPES: Final = {
    "RackLiquidSupplyTemperature": ("coolant.supply",),
    "RackLiquidReturnTemperature": ("coolant.return",),
    "RackLiquidFlow": ("rack.coolant.flow",),
    "RackLiquidDifferentialPressure": ("coolant.pressure.differential",),
    "RackLiquidDifferentialPressureSp": ("coolant.pressure.differential",),
    "RackControlValvePosition": ("valve.position",),
    "RackPower": ("rack.power.active",),
    "RackLeakDetect": ("leak",),
    "RackLeakSensorFault": ("leak.fault",),
    "RackLeakDetectTray": ("leak",),
    "RackLiquidIsolationStatus": ("isolation",),
    "RackElectricalIsolationStatus": ("isolation",),
    "RackLiquidIsolationRequest": ("isolation",),
    "RackElectricalIsolationRequest": ("isolation",),
    "Voltage": ("voltage.ll",),
    "PowerFactor": ("power.factor",),
    "Frequency": ("frequency",),
    "ApparentPower": ("meter.power.apparent",),
    "ActivePower": ("meter.power.active",),
    "Current": ("current",),
    "CurrentLimit": ("current.limit",),
    "PhaseCurrent": ("current.phase",),
    "Status": ("state",),
    "Available": ("state",),
    "LiquidTemperature": ("coolant.temperature",),
    "LiquidTemperatureSpRequest": ("coolant.temperature",),
    "LiquidDifferentialPressure": ("coolant.pressure.differential", "state"),
    "LiquidFlow": ("coolant.flow", "state"),
    "LiquidPressure": ("coolant.pressure", "state"),
    "ValvePosition": ("valve.position", "state"),
    "PumpSpeed": ("pump.speed", "rotation", "state"),
    "FanSpeed": ("fan.speed", "rotation", "state"),
    "DamperPosition": ("damper.position", "state"),
    "AirTemperature": ("air.temperature",),
    "AirDifferentialPressure": ("air.pressure.differential", "state"),
    "AirRelativeHumidity": ("humidity", "state"),
    "AirFlow": ("air.flow", "state"),
    "AirPressure": ("air.pressure", "state"),
    "LeakDetect": ("leak",),
    "Sound": ("sound",),
    "HeartbeatTimestampBms": ("heartbeat",),
    "HeartbeatTimestampIntegration": ("heartbeat",),
}
POINT_TYPES: Final = MappingProxyType(_POINT_TYPES)
"""The quantities that each point type may be. An echo of a heartbeat proves nothing of its publisher
beyond what the heartbeat does, and is kept as a plain value like any point type not listed here. Such a
point may have neither unit nor state texts: the contract lets a generic point and an echo go without."""

SET_POINTS: Final = frozenset({"RackLiquidDifferentialPressureSp"})
"""Point types of what is to be, whatever their metadata say."""
REQUESTS: Final = frozenset(
    {"LiquidTemperatureSpRequest", "RackLiquidIsolationRequest", "RackElectricalIsolationRequest"}
)
"""Point types of what an integration asks for: it is neither measured nor what is to be."""

FOREIGN_POINT_TYPES: Final = MappingProxyType(
    {"LeakDetectRack": "RackLeakDetect", "LeakDetectRackTray": "RackLeakDetectTray"}
)
"""Names that NICo's consumer has for point types of the contract."""

UNITLESS: Final = frozenset({"power.factor", "heartbeat"})
"""Quantities whose metadata needs neither a unit nor state texts."""


class UnitContradiction(ValueError):  # noqa: N818 - says what is wrong with the metadata
    """The unit of a point's metadata cannot be a unit of its point type."""


def quantity_of(point_type: str, unit: str | None, *, has_states: bool) -> tuple[Quantity, str]:
    """Find out what a point measures.

    Args:
        point_type: Third part of the topic, such as `RackPower`.
        unit: The engineering unit of the metadata, None where there is none.
        has_states: Whether the metadata has state texts instead.

    Returns:
        The quantity, and the symbol of the unit that its values come in.

    Raises:
        UnitContradiction: Where the unit is of another dimension than the point type, or missing where the
            point type is known.
        LookupError: Where the unit is not known.
    """
    meant = FOREIGN_POINT_TYPES.get(point_type, point_type)
    candidates = [QUANTITIES[name] for name in POINT_TYPES.get(meant, ())]
    expected = " or ".join(quantity.unit for quantity in candidates)
    if has_states:
        states = [quantity for quantity in candidates if quantity.dimension is Dimension.STATE]
        if candidates and not states:
            raise UnitContradiction(f"{point_type} is measured in {expected}, found state texts")
        return (states[0] if states else QUANTITIES["state"]), Dimension.STATE
    if unit is None:
        unitless = [quantity for quantity in candidates if quantity.name in UNITLESS]
        if candidates and not unitless:
            raise UnitContradiction(f"{point_type} needs engUnit or stateText, found neither")
        bare = unitless[0] if unitless else QUANTITIES["other"]
        return bare, bare.unit
    known = find_unit(unit)
    if known is None and candidates:
        raise LookupError(f"{point_type} is measured in {expected}, found unit {unit[:40]!r}")
    if known is None:
        return QUANTITIES["other"], unit
    fitting = [quantity for quantity in candidates if quantity.dimension is known.dimension]
    if candidates and not fitting:
        raise UnitContradiction(f"{point_type} is measured in {expected}, found {unit[:40]!r}")
    return (fitting[0] if fitting else quantity_for(known.dimension)), known.symbol
