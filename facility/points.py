"""Points and assets: what a reading is a reading of.

A point is one quantity of one asset, as one publisher measures it. An asset is a node of the power and
cooling graph. Both become known from the bus (retained metadata), from rack documents, or from the
site file; none is ever read out of a name.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from facility.names import AssetId
from facility.quantities import QUANTITIES, Quantity
from facility.units import find_unit


class Cadence(StrEnum):
    """When a source publishes, which decides how long a value stays fresh."""

    ON_CHANGE = "on-change"  # when it changes, and every 100 s when it does not (DSX)
    PERIODIC = "periodic"  # every period, changed or not (rack documents)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A node of the power and cooling graph.

    Attributes:
        id: The identity, which both the building system and the site file use.
        kind: What it is: `Rack`, `PowerMeter`, `CDU`, ... (object types of the DSX bus).
        name: What people call it.
        serves: Ids of the assets that it feeds or cools directly.
    """

    id: AssetId
    kind: str
    name: str = ""
    serves: tuple[AssetId, ...] = ()


class Point(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One quantity of one asset, as one publisher measures it.

    Attributes:
        key: The identity, unique over the site.
        asset: Id of the asset that it is measured at.
        quantity: Name of a quantity of `facility.quantities`.
        unit: Symbol of the unit that values come in.
        stream: Whose silence is this point's silence: broker and publisher, or a heartbeat's scope.
        cadence: When its source publishes.
        point_type: What the publisher calls the measurement (`RackPower`).
        object_type: What the publisher says it is measured at (`Rack`).
        feed: Which of an asset's power feeds, "" where it is not of one feed.
        phase: Which phase of three, "" where it is not of one phase.
        area: Where within the asset (`Secondary`, `Supply`).
        is_setpoint: Whether it is a target instead of a measurement.
        states: What its numbers mean, for a state.
        is_withdrawn: Whether its source describes it no longer.
        is_boundary: Whether its value is the power of the asset as a whole: what a draw is summed of.
    """

    key: str
    asset: AssetId
    quantity: str
    unit: str
    stream: str
    cadence: Cadence
    point_type: str = ""
    object_type: str = ""
    feed: str = ""
    phase: str = ""
    area: tuple[str, ...] = ()
    is_setpoint: bool = False
    states: tuple[tuple[int, str], ...] = ()
    is_withdrawn: bool = False

    @property
    def shown_unit(self) -> str:
        """The unit of its values once they are stored: the canonical one, where the unit is known."""
        known = find_unit(self.unit)
        return self.unit if known is None else known.dimension.value

    @property
    def broker(self) -> str:
        """The broker that it comes by."""
        return self.stream.partition(":")[0]

    @property
    def precedence(self) -> int:
        """Which of several points tells an asset's power: those of the lowest; more than one is a doubt.

        A rack's own power comes before that of a meter that calls itself by the rack's id, and what is
        described before what no longer is: a rack may have come to a new path.
        """
        return 2 * self.is_withdrawn + (self.quantity != "rack.power.active")

    @property
    def meaning(self) -> tuple[object, ...]:
        """What its values say: where this changes, the next value means something else than the last."""
        publisher = self.stream.split(":", 2)[:2]
        return self.asset, self.quantity, self.unit, self.feed, self.phase, self.is_setpoint, *publisher

    @property
    def measures(self) -> Quantity:
        """The quantity itself."""
        return QUANTITIES[self.quantity]

    @property
    def is_boundary(self) -> bool:
        """Whether this is active power of its whole asset, which a tenant's draw may be summed of."""
        return (
            self.quantity in ("rack.power.active", "meter.power.active")
            and not self.is_setpoint
            and not self.phase
        )

    @property
    def is_line_current(self) -> bool:
        """Whether this is the current of a line, which heats a breaker."""
        return self.quantity in ("current", "current.phase") and not self.is_setpoint

    @property
    def is_current_limit(self) -> bool:
        """Whether this is what a breaker or a meter may carry."""
        return self.quantity == "current.limit"

    @property
    def is_heartbeat(self) -> bool:
        """Whether it proves that its publisher lives."""
        return self.quantity == "heartbeat"
