"""What goes wrong between the plant and the monitor: every fault has a window, a scope and a strength.

A fault works in one of two places. Faults of instruments change what instruments show, before it is decided
what is worth a message; faults of the wire change the messages. Each touches its scope in its window only,
draws its own chance, and keeps account of what it did.

`FAULTS` says of each kind what its strength means and what is usual.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facility.instants import SECOND_MS
from simulators.meters.meters import Meters, Readings
from simulators.model.state import State
from simulators.scenario.scenario import FaultKind, FaultSpec
from simulators.wire.points import Catalogue
from simulators.wire.rows import MOST_FAULTS, Rows
from simulators.wire.speech import Speaker

_STREAM: Final = 21


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known of a kind of fault.

    Attributes:
        unit: What its strength means; "" where it has none.
        least: Least strength that makes sense [unit].
        most: Greatest strength that makes sense [unit].
        usual: A usual strength.
    """

    unit: str = ""
    least: float = 0.0
    most: float = 0.0
    usual: float = 1.0


_SHARE: Final = Kind("share of the messages", 0, 1, 0.1)

FAULTS: Final[Mapping[FaultKind, Kind]] = MappingProxyType(
    {kind: Kind() for kind in FaultKind}
    | {
        FaultKind.DROP: _SHARE,
        FaultKind.DUPLICATE: _SHARE,
        FaultKind.REORDER: Kind("most seconds that a message comes late", 0, 3_600, 5),
        FaultKind.CLOCK_OFFSET: Kind("seconds that the clock is ahead", -86_400 * 3_650, 86_400 * 3_650, 30),
        FaultKind.SPIKE: Kind("factor by which a value is multiplied", -1_000, 1_000, 3),
        FaultKind.WRONG_UNIT: Kind("factor between the units; 1 stands for 1,000", 1e-9, 1e9, 1_000),
        FaultKind.RETAINED_STALE: Kind("seconds that the value is old", 0, 86_400 * 365, 3_600),
        FaultKind.BURST: Kind("how many times each value comes", 1, 1_000, 10),
        FaultKind.CT_ERROR: Kind("% that power and current read too high", -100, 1_000, 3),
        FaultKind.LATE: Kind("seconds that every message comes late", 0, 3_600, 10),
        FaultKind.SAME_TIME: Kind("factor of the other value", -1_000, 1_000, 0.5),
        FaultKind.SECOND_SOURCE: Kind("factor of the other point's value", -1_000, 1_000, 0.5),
        FaultKind.FOREIGN_PUBLISHER: Kind("kW that the unknown meter reads", -1e6, 1e6, 1),
    }
)
"""Every kind of fault."""


@dataclass(slots=True)
class Account:
    """What a fault did: its entry in the truth.

    Attributes:
        place: Its place in the scenario, and the bit of the messages that it touched.
        spec: What was asked for.
        points: How many points are in its scope.
        touched: Messages that carry its mark.
        withheld: Messages that it kept from being sent.
        added: Messages that would not have been without it.
        first_ms: When it first did something [ms], None before.
        last_ms: When it last did something [ms].
    """

    place: int
    spec: FaultSpec
    points: int
    touched: int = 0
    withheld: int = 0
    added: int = 0
    first_ms: int | None = None
    last_ms: int | None = None

    def note(self, at_ms: int) -> None:
        """Note that it did something in the second that begins at `at_ms`."""
        self.first_ms = at_ms if self.first_ms is None else self.first_ms
        self.last_ms = at_ms


class Fault:
    """One fault of a scenario; kinds override what they change.

    Args:
        place: Its place in the scenario.
        spec: What is asked for.
        catalogue: Points of the plant, in columns.
        speaker: Who says what.
        seed: What its chance follows from.

    Attributes:
        account: What it did.
        points: Numbers of the points in its scope.
        gateways: Numbers of the gateways that are wholly in its scope.
    """

    def __init__(
        self, place: int, spec: FaultSpec, catalogue: Catalogue, speaker: Speaker, seed: int
    ) -> None:
        if place >= MOST_FAULTS:
            raise ValueError(f"expected at most {MOST_FAULTS} faults, found one more")
        self.spec = spec
        self.points = catalogue.find(spec.scope, spec.point_type)
        self.gateways = catalogue.find_heartbeats(spec.scope) if not spec.point_type else self.points[:0]
        if not len(self.points) and not len(self.gateways):
            scope = ", ".join(spec.scope)
            raise ValueError(
                f"{spec.kind}: expected a scope with points, found none in {scope or 'the site'}"
            )
        self.account = Account(place, spec, len(self.points))
        self.speaker = speaker
        self.bit = np.uint64(1 << place)
        self._seed = seed
        self._catalogue = catalogue

    def is_on(self, second: int) -> bool:
        """Tell whether it works in a second."""
        return self.spec.from_s <= second < self.spec.to_s

    def random(self, second: int) -> np.random.Generator:
        """Return its chance in a second: its own, whatever else is drawn."""
        key = (_STREAM, self.account.place, second)
        return np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=key))

    def on_plant(self, second: int, state: State, meters: Meters) -> None:
        """Change the devices themselves, before they look at the plant; called in every second."""

    def on_readings(self, readings: Readings) -> None:
        """Change what instruments show; called in every second."""

    def on_rows(self, rows: Rows, readings: Readings) -> tuple[Rows, Rows]:  # noqa: ARG002 - for the kinds
        """Change the messages of a second; called in every second.

        Returns:
            What is sent, and what is not.
        """
        return rows, Rows.none()

    def mark(self, readings: Readings, points: NDArray[np.int64]) -> None:
        """Mark readings as touched."""
        readings.faults[points] |= self.bit
        self.account.note(readings.time_ms)


def channels_mask(size: int, *parts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which of `size` channels are among some."""
    found = np.zeros(size, np.bool_)
    for part in parts:
        found[part] = True
    return found


class Chain:
    """All faults of a scenario, in its order.

    Args:
        faults: Faults, in the order of the scenario.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)

    @property
    def accounts(self) -> list[Account]:
        """What each fault did so far."""
        return [fault.account for fault in self.faults]

    def on_plant(self, second: int, state: State, meters: Meters) -> None:
        """Let faults change devices."""
        for fault in self.faults:
            fault.on_plant(second, state, meters)

    def on_readings(self, readings: Readings) -> None:
        """Let faults change what instruments show."""
        for fault in self.faults:
            fault.on_readings(readings)

    def on_rows(self, rows: Rows, readings: Readings) -> tuple[Rows, Rows]:
        """Let faults change messages, each what the one before left.

        Returns:
            What is sent, and what is not.
        """
        lost = []
        for fault in self.faults:
            rows, withheld = fault.on_rows(rows, readings)
            if len(withheld):
                lost.append(withheld)
                fault.account.withheld += len(withheld)
        for fault in self.faults:
            fault.account.touched += int((rows.faults & fault.bit).astype(np.bool_).sum())
        return rows, Rows.joined(lost)


def end_ms(readings: Readings, spec: FaultSpec) -> int:
    """Return when a fault's window ends, by the time of the run [ms]."""
    return readings.time_ms + (spec.to_s - readings.second) * SECOND_MS
