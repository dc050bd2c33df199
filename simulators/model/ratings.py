"""What equipment can carry, what it loses, and what it cannot possibly be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from facility.errors import Fault, MegawatchError


class Role(StrEnum):
    """What a node does in the chain, by its kind and its place: the bus knows no kind for most of them."""

    UTILITY = "utility"  # a meter that nothing feeds
    TRANSFORMER = "transformer"  # a meter between a utility and a transfer switch or a UPS
    GENERATOR = "generator"
    SWITCH = "switch"  # transfers between two sources
    UPS = "ups"
    BUSWAY = "busway"  # a meter that serves taps
    TAP = "tap"  # a meter that serves racks


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The trip curve of a breaker: the shortest time for which it holds an overload.

    `hold_s(x) = scale_s * (x - 1) ** -exponent` where x, the current as a multiple of the rating, is above
    `from_x`; below, the breaker cools with the time constant `cools_s`. The default is a power law through
    10 % over for 17 min and 40 % over for 60 s. Both pairs are attributed to Meta's Dynamo (ISCA 2016) and
    were not checked against the paper: give the maker's curve where it is known. Cooling time: our choice.

    Attributes:
        scale_s: Hold time at twice the rating [s].
        exponent: Steepness.
        from_x: Multiple of the rating above which it heats up.
        cools_s: Time constant of cooling [s].
    """

    scale_s: float = 9.3
    exponent: float = 2.04
    from_x: float = 1.05
    cools_s: float = 600.0

    def hold_s(self, x: float) -> float:
        """Return for how long an overload of `x` times the rating is held [s], endless below `from_x`."""
        return self.scale_s * (x - 1) ** -self.exponent if x > self.from_x else float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """What is said of one piece of equipment; None where it is sized for what hangs on it.

    Attributes:
        amps: Rating of its breaker, or rated current [A].
        volts: Line to line [V].
        loss_percent: What it loses at its rating [%].
        battery_s: For how long its battery carries its rating [s]; only of a UPS.
        transfer_s: How long a transfer switch waits before it moves [s].
        start_s: How long a generator takes to start [s].
        walk_in_s: Over how long a UPS takes its load back from its battery [s].
        curve: Its trip curve.
    """

    amps: float | None = None
    volts: float | None = None
    loss_percent: float | None = None
    battery_s: float | None = None
    transfer_s: float | None = None
    start_s: float | None = None
    walk_in_s: float | None = None
    curve: Curve | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RackRating:
    """What is said of racks; None where it follows from their rating.

    Attributes:
        idle_fraction: Draw at idle as a share of the rating.
        liquid_share: Share of the heat that goes into the coolant.
        lpm_per_kw: Coolant flow for which it is built, per kW of its rating [L/min].
    """

    idle_fraction: float | None = None
    liquid_share: float | None = None
    lpm_per_kw: float | None = None


@dataclass(frozen=True, slots=True)
class Design:
    """How equipment of a role is built where nothing else is said.

    Attributes:
        volts: Line to line [V].
        headroom: Share of its rating that the worst lasting load may be.
        loss: Shares of the rating lost at none, at half and at full load, as `(a, b, c)` of
            `a + b * x + c * x²` with x the load as a share of the rating.
    """

    volts: float
    headroom: float
    loss: tuple[float, float, float]


DESIGNS: Final = MappingProxyType(
    {
        # 80 % of a breaker's rating is what it may carry for three hours and more (NEC).
        Role.TAP: Design(415.0, 0.8, (0.0, 0.0005, 0.001)),
        Role.BUSWAY: Design(415.0, 0.8, (0.0, 0.003, 0.005)),
        # Losses at full load: UPS 2.8 %, transformer 0.8 %, usual of equipment built since 2015.
        Role.UPS: Design(415.0, 0.9, (0.004, 0.012, 0.012)),
        Role.SWITCH: Design(415.0, 0.85, (0.0, 0.0005, 0.0005)),
        Role.GENERATOR: Design(415.0, 0.85, (0.0, 0.0, 0.0)),
        Role.TRANSFORMER: Design(415.0, 0.85, (0.0015, 0.0, 0.0065)),
        Role.UTILITY: Design(34_500.0, 0.85, (0.0, 0.0, 0.001)),
    }
)
"""What each role is built like; figures without a source are our choice."""

DESIGN_LPM_PER_KW: Final = 1.5
"""Coolant flow for which racks are built, per kW of rating (NVIDIA's guide for PG25, and OCP) [L/min]."""
BATTERY_S: Final = 300.0
"""For how long a UPS carries its rating: five minutes, the usual choice beside generators [s]."""
TRANSFER_S: Final = 0.5
"""How long a transfer switch waits before it moves [s]."""
START_S: Final = 10.0
"""How long a generator takes to start: ten seconds, as NFPA 110 type 10 asks [s]."""
WALK_IN_S: Final = 10.0
"""Over how long a UPS takes its load back from its battery [s]."""

HIGHEST_VOLTS: Final = 52_000.0
"""Where IEC 62271 ends medium voltage [V]."""
LOWEST_VOLTS: Final = 100.0
LARGEST_RACK_MILLIWATTS: Final = 1_200_000_000
"""Twice what the densest announced rack draws [mW]."""
_SIZES_A: Final = (
    15, 20, 30, 40, 50, 60, 70, 80, 90, 100, 125, 150, 175, 200, 225, 250, 300, 350, 400, 450, 500, 600, 700,
    800, 1000, 1200, 1600, 2000, 2500, 3000, 4000, 5000, 6000,
)  # fmt: skip
"""Standard ratings of overcurrent devices (NEC 240.6) [A]."""


class WiringError(MegawatchError):
    """A site cannot be wired up: it lacks something, or something of it is physically impossible.

    Attributes:
        faults: Every fault that was found.
    """

    def __init__(self, site: str, faults: tuple[Fault, ...]) -> None:
        self.faults = faults
        lines = "\n".join(f"  {fault}" for fault in faults)
        super().__init__(f"{site} cannot be simulated: {len(faults)} faults\n{lines}")


def standard_amps(amps: float) -> float:
    """Return the next standard size at or above a current [A]; above 6,000 A, the next full thousand."""
    return next((float(size) for size in _SIZES_A if size >= amps), float(-(-amps // 1_000) * 1_000))


def rack_kind(rating_milliwatts: int) -> tuple[float, float]:
    """Return idle fraction and liquid share of a rack by its rating.

    Up to 20 kW it is taken for storage and plain servers, up to 100 kW for HGX-like, up to 130 kW for
    GB200-like, above that for GB300-like racks; the shares are estimates of the trade.

    Args:
        rating_milliwatts: The most that the rack draws [mW].
    """
    kilowatts = rating_milliwatts / 1e6
    if kilowatts <= 20:  # noqa: PLR2004 - the classes are the table
        return 0.5, 0.0
    if kilowatts <= 100:  # noqa: PLR2004
        return 0.15, 0.85
    return (0.15, 0.87) if kilowatts <= 135 else (0.15, 0.88)  # noqa: PLR2004


def rating_faults(path: str, rating: Rating) -> list[Fault]:
    """Return what of a rating is physically impossible.

    Args:
        path: Where it stands, for the faults.
        rating: What the file says of one kind of equipment.
    """
    bounds: tuple[tuple[str, float | None, float, float, str], ...] = (
        ("amps", rating.amps, 0.1, 200_000, "a current from 0.1 to 200,000 A"),
        ("volts", rating.volts, LOWEST_VOLTS, HIGHEST_VOLTS, "a voltage from 100 to 52,000 V"),
        ("loss_percent", rating.loss_percent, 0, 20, "a loss from 0 to 20 %"),
        ("battery_s", rating.battery_s, 0, 86_400, "a time from 0 to 86,400 s"),
        ("transfer_s", rating.transfer_s, 0, 600, "a time from 0 to 600 s"),
        ("start_s", rating.start_s, 0, 600, "a time from 0 to 600 s"),
        ("walk_in_s", rating.walk_in_s, 0, 600, "a time from 0 to 600 s"),
    )
    faults = [
        Fault(path=f"{path}.{name}", expected=expected, found=f"{value:g}")
        for name, value, low, high, expected in bounds
        if value is not None and not low <= value <= high
    ]
    curve = rating.curve
    if curve is not None and not (
        curve.scale_s > 0 and curve.exponent > 0 and curve.from_x >= 1 and curve.cools_s > 0
    ):
        expected = "a curve with positive times and steepness that begins at the rating or above"
        faults.append(Fault(path=f"{path}.curve", expected=expected, found=repr(curve)))
    return faults
