"""Every point of a plant as its publishers know it, in columns: what it is called and how it is read.

Points of one kind stand side by side, so that a whole kind is read from the plant at once. There is a
gateway for each row of racks with its meters and sensors, one for the power chain above the rows, one for the
cooling plant, and the integrations that the contract of the bus knows of.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from formats.dsx import BUILDING_SYSTEM
from simulators.model.ratings import Role
from simulators.model.state import Floats, Ints, State
from simulators.model.wiring import Wiring
from simulators.wire.bus import Tag, heartbeat_tag, tag

Reader = Callable[[State], NDArray[Any]]
"""Reads a kind of point from the plant: one number or fact for each of its points, in its unit."""

MILLIWATTS_PER_KW: Final = 1e6
POWER_GATEWAY: Final = "GW-POWER"
COOLING_GATEWAY: Final = "GW-COOLING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """What of the plant is on the bus.

    Attributes:
        metered: Racks whose taps have meters; None for all.
        tap_points: What a tap's meter measures, by the names of `simulators.pointtable.METER`.
        bus_points: What a meter above the taps measures.
        has_sensors: Whether rows have sensors for air, sound and leaks.
        has_heartbeats: Whether publishers say that they live.
    """

    metered: frozenset[str] | None = None
    tap_points: tuple[str, ...] = ("power", "apparent", "current", "voltage", "limit")
    bus_points: tuple[str, ...] = (
        "power", "apparent", "current", "highest", "limit", "frequency",
        "phase-1", "phase-2", "phase-3", "voltage", "register",
    )  # fmt: skip
    has_sensors: bool = True
    has_heartbeats: bool = True


@dataclass(frozen=True, slots=True)
class Gateway:
    """Who publishes values.

    Attributes:
        name: What it is called in scenarios.
        publisher: The publisher of the topics: the building system or an integration.
        scope: Beginning of the tag paths that its heartbeat covers; "" where it covers all of its publisher.
    """

    name: str
    publisher: str = BUILDING_SYSTEM
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Points of one kind, side by side.

    Attributes:
        kind: Kind of instrument, a name of `simulators.meters.instruments`; "state" and "setting" are exact.
        first: Number of the first point.
        count: How many there are.
        read: Reads them from the plant.
        rating: (count,) rating of each in its unit, 1 where it has none.
        register: Whether the reading is power that a register adds up [mW].
    """

    kind: str
    first: int
    count: int
    read: Reader
    rating: Floats
    register: bool = False

    @property
    def part(self) -> slice:
        """The place of its points among all."""
        return slice(self.first, self.first + self.count)


@dataclass(slots=True)
class Catalogue:
    """Every point, by its number.

    Attributes:
        wiring: The plant's graph and ratings, in arrays.
        groups: The kinds, in the order of their points.
        tags: (P) the points.
        assets: (P) what each is a point of.
        gateway: (P,) who publishes it.
        gateways: What publishes, each with its scope.
        heartbeats: The heartbeat of each gateway, in the same order; empty where there are none.
    """

    wiring: Wiring
    groups: list[Group] = field(default_factory=list)
    tags: list[Tag] = field(default_factory=list)
    assets: list[str] = field(default_factory=list)
    gateway: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    gateways: list[Gateway] = field(default_factory=list)
    heartbeats: list[Tag] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.tags)

    @property
    def spoken(self) -> list[Tag]:
        """Everything that has metadata and values: points first, then heartbeats."""
        return [*self.tags, *self.heartbeats]

    @property
    def point_types(self) -> list[str]:
        """The point type of each point."""
        return [str(point.metadata["pointType"]) for point in self.tags]

    def topics(self) -> list[str]:
        """Return the topic of each channel: values of `spoken`, then metadata of `spoken`."""
        spoken = self.spoken
        return [t.value_topic for t in spoken] + [t.metadata_topic for t in spoken]

    def metadata(self) -> list[bytes]:
        """Return the metadata of `spoken` as they are published."""
        return [json.dumps(t.metadata, separators=(",", ":")).encode() for t in self.spoken]

    def read(self, state: State, out: Floats) -> None:
        """Read all points but registers from the plant, each in its unit.

        Args:
            state: The plant in one second.
            out: (P,) where to put them.
        """
        for group in self.groups:
            if not group.register:
                out[group.part] = group.read(state)

    def find(self, scope: Sequence[str], point_type: str = "") -> NDArray[np.int64]:
        """Return the points of a scope.

        Args:
            scope: Assets, or gateways and publishers by name; empty for everything.
            point_type: Which of their points, "" for all.
        """
        wanted = set(scope)
        gateways = {i for i, g in enumerate(self.gateways) if g.name in wanted or g.publisher in wanted}
        of_gateway = np.isin(self.gateway, list(gateways))
        found = [
            i
            for i, (asset, point) in enumerate(zip(self.assets, self.tags, strict=True))
            if (not wanted or asset in wanted or of_gateway[i])
            and point_type in ("", point.metadata["pointType"])
        ]
        return np.array(found, np.int64)

    def find_heartbeats(self, scope: Sequence[str]) -> NDArray[np.int64]:
        """Return the gateways that a scope names, or their publisher, or all that they speak for."""
        wanted = set(scope)
        whole = [
            bool(wanted) and {a for a, g in zip(self.assets, self.gateway, strict=True) if g == i} <= wanted
            for i in range(len(self.gateways))
        ]
        return np.array(
            [
                i
                for i, g in enumerate(self.gateways)
                if not wanted or g.name in wanted or g.publisher in wanted or whole[i]
            ],
            np.int64,
        )


def rack_power(*, samples: bool) -> Reader:
    """Return the reader of the racks' power [kW].

    Args:
        samples: Whether it is that of the instant at which a second begins, instead of the mean over it.
    """
    if samples:
        return lambda state: state.rack_instant_milliwatts / MILLIWATTS_PER_KW
    return lambda state: state.rack_milliwatts / MILLIWATTS_PER_KW


def gateway_tag(gateway: Gateway, site: str) -> Tag:
    """Return the heartbeat of a gateway, or of an integration."""
    path = f"{gateway.scope or site}/{gateway.name}/heartbeat"
    if gateway.publisher == BUILDING_SYSTEM:
        return heartbeat_tag(gateway.name, path, gateway.scope)
    name = gateway.publisher
    found = tag(
        "System",
        "HeartbeatTimestampIntegration",
        path,
        objectName=name,
        objectId=name,
        integration=name,
    )
    return Tag(found.key, found.metadata, name)


def rows_of(wiring: Wiring) -> tuple[list[str], Ints]:
    """Return the rows of the plant, and the row of each rack.

    Racks whose ids differ in nothing but their last number stand in one row. That is a convention of this
    simulator for its gateways; nothing on the wire may rely on it.
    """
    names = [str(rack).rstrip("0123456789").rstrip("-_./") or "row" for rack in wiring.racks]
    rows = list(dict.fromkeys(names))
    place = {name: i for i, name in enumerate(rows)}
    return rows, np.array([place[name] for name in names], np.int64)


def node_rows(wiring: Wiring, row_of: Ints) -> list[int]:
    """Return the row of each electrical node: that of all racks beneath it, -1 where they are of several."""
    found: list[set[int]] = [set() for _ in wiring.nodes]
    for rack, taps in enumerate(wiring.rack_tap):
        for tap_node in taps[taps >= 0]:
            found[tap_node].add(int(row_of[rack]))
    for level in wiring.levels:
        for node in level:
            for parent in wiring.node_parents[node]:
                found[parent] |= found[node]
    return [
        next(iter(rows)) if len(rows) == 1 and role in (Role.TAP, Role.BUSWAY) else -1
        for rows, role in zip(found, wiring.node_roles, strict=True)
    ]
