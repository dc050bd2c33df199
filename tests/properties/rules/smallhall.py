"""A small hall that does what a test tells it, second by second.

Rows of racks on two busways each, with a tap meter for every rack and feed. Its meters are exact: they show
the integer milliwatts of the truth. The simulator's plant is another; this one has no jobs and no faults.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulators.wire.bus import Publication, Tag, heartbeat_tag, meter_tag
from testing.simulators.messages import rack_tag, value_message

RATING_KW: Final = 132.0
"""Rating of each rack."""
HEARTBEAT_S: Final = 10
"""How often a gateway's heartbeat comes (DSX bus) [s]."""
LIQUID_SHARE: Final = 0.87
"""Share of a rack's heat that goes into the coolant (GB200)."""
HEAT_PER_LPM_K: Final = 0.0659
"""Heat that one L/min of PG25 carries at one kelvin [kW]."""
FLOW_LPM_PER_KW: Final = 1.5
"""Design flow per kW of rating."""
SUPPLY_C: Final = 32.0
"""Coolant supply."""
LAG_S: Final = 20.0
"""Lag of the return temperature behind the power."""
SPLIT_SIGMA: Final = 0.01
"""How unevenly the two feeds share a rack's power."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How large the hall is.

    Attributes:
        rows: Names of the rows.
        racks_per_row: Racks in each.
        name: First level of every tag path.
    """

    rows: tuple[str, ...] = ("A", "B", "C", "D")
    racks_per_row: int = 12
    name: str = "demo"


@dataclass(frozen=True, slots=True)
class _Rack:
    """The points of one rack."""

    power: Tag
    taps: tuple[Tag, Tag]
    flow: Tag
    supply: Tag
    back: Tag


class Hall:
    """The hall, second by second.

    Args:
        shape: How large it is.
        seed: What all noise follows from.

    Attributes:
        racks: The ids of the racks.
        row_of: The row of each rack, by its place.
    """

    def __init__(self, shape: Shape, seed: int) -> None:
        self.shape = shape
        self._random = np.random.default_rng(seed)
        self.racks = [f"{row}-{i:02d}" for row in shape.rows for i in range(1, shape.racks_per_row + 1)]
        self.row_of = [rack[0] for rack in self.racks]
        count = len(self.racks)
        self._wander = np.zeros(count)
        self._split = 0.5 + self._random.normal(0, SPLIT_SIGMA, count)
        self._return_c = np.full(count, SUPPLY_C)
        self._points = [self._rack_points(rack) for rack in self.racks]
        self._buses = {(row, feed): self._bus_point(row, feed) for row in shape.rows for feed in (1, 2)}
        self._heartbeats = {row: self._heartbeat(row) for row in shape.rows}
        self.power_milliwatts: NDArray[np.int64] = np.zeros(count, np.int64)

    def tags(self) -> list[Tag]:
        """Return every point."""
        found = [t for p in self._points for t in (p.power, *p.taps, p.flow, p.supply, p.back)]
        return [
            *found,
            *self._buses.values(),
            *self._heartbeats.values(),
        ]

    def step(self, target_kw: Sequence[float]) -> None:
        """Let a second pass.

        Args:
            target_kw: What the load of each rack asks for [kW].
        """
        noise = self._random.normal(0, 0.004, len(self.racks))
        self._wander = self._wander * 0.9 + noise
        power_kw = np.clip(np.asarray(target_kw) * (1 + self._wander), 0, RATING_KW)
        # Meters of this class show ten watts; the truth is what they show.
        self.power_milliwatts = np.rint(power_kw * 100).astype(np.int64) * 10_000
        flow = RATING_KW * FLOW_LPM_PER_KW
        settled_c = SUPPLY_C + power_kw * LIQUID_SHARE / (HEAT_PER_LPM_K * flow)
        self._return_c += (settled_c - self._return_c) / LAG_S

    def values(self, row: str, time_ms: int) -> list[Publication]:
        """Return what the meters of a row say now.

        Args:
            row: The row.
            time_ms: When they say it [ms].
        """
        said: list[Publication] = []
        totals = [0, 0]
        for place, rack_row in enumerate(self.row_of):
            if rack_row != row:
                continue
            points, power = self._points[place], int(self.power_milliwatts[place])
            first = round(power * self._split[place] / 10_000) * 10_000
            feeds = (first, power - first)
            said.append(value_message(points.power, power / 1e6, time_ms))
            for i, (point, feed) in enumerate(zip(points.taps, feeds, strict=True)):
                totals[i] += feed
                said.append(value_message(point, feed / 1e6, time_ms))
            flow = RATING_KW * FLOW_LPM_PER_KW + float(self._random.normal(0, 0.2))
            said += [
                value_message(points.flow, round(flow, 2), time_ms),
                value_message(
                    points.supply, round(SUPPLY_C + float(self._random.normal(0, 0.05)), 2), time_ms
                ),
                value_message(points.back, round(float(self._return_c[place]), 2), time_ms),
            ]
        said += [value_message(self._buses[row, i + 1], totals[i] / 1e6, time_ms) for i in (0, 1)]
        return said

    def heartbeat(self, row: str, time_ms: int) -> Publication:
        """Return the heartbeat of a row's gateway."""
        return value_message(self._heartbeats[row], float(time_ms), time_ms)

    # Points ---------------------------------------------------------------------------

    def _path(self, row: str, *parts: str) -> str:
        return "/".join((self.shape.name, f"row{row}", *parts))

    def _rack_points(self, rack: str) -> _Rack:
        row, number = rack[0], rack.rpartition("-")[2]

        def path(*parts: str) -> str:
            return self._path(row, f"rack{number}", *parts)

        first, second = (
            meter_tag(f"{rack}-TAP-{i}", "ActivePower", path(f"tap{i}", "activePower"), "kW", [rack])
            for i in (1, 2)
        )
        return _Rack(
            power=rack_tag(rack, "RackPower", path("power"), "kW"),
            taps=(first, second),
            flow=rack_tag(rack, "RackLiquidFlow", path("flow"), "LPM"),
            supply=rack_tag(rack, "RackLiquidSupplyTemperature", path("supply"), "C"),
            back=rack_tag(rack, "RackLiquidReturnTemperature", path("return"), "C"),
        )

    def _bus_point(self, row: str, feed: int) -> Tag:
        taps = [f"{rack}-TAP-{feed}" for rack in self.racks if rack[0] == row]
        path = self._path(row, f"bus{feed}", "activePower")
        return meter_tag(f"{row}-BUS-{feed}", "ActivePower", path, "kW", taps)

    def _heartbeat(self, row: str) -> Tag:
        path = self._path(row, "gateway", "heartbeat")
        return heartbeat_tag(f"GW-{row}", path, self._path(row))
