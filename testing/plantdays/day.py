"""A day of a plant, drawn by a seed: its ratings, its load, and what happens to it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from facility.instants import from_iso
from facility.sitefile.reader import read_site
from simulators.model.events import Event, EventKind
from simulators.model.jobs import Course, Job
from simulators.model.layouts import Lease, Shape, site_text
from simulators.model.ratings import Rating
from simulators.scenario.file import BROKER
from simulators.scenario.scenario import InstrumentSpec, Metering, Scenario
from testing.simulators.settings import with_settings

DAY_S: Final = 300
"""Length of a day: hours made short, with the delays of the rules."""
CALM_S: Final = 40
"""Nothing happens so soon: everybody has been heard, and the plant is at rest [s]."""
BEGIN: Final = "2026-06-01T12:00:00Z"
BYPASSED: Final = 0.3
"""On how many days coolant goes past a rack."""

SHAPE: Final = Shape(
    racks=6, racks_per_row=3, name="hall", leases=(Lease(id="acme", racks=3), Lease(id="basil", racks=3))
)
ROWS: Final = tuple(row for row, _ in SHAPE.rows)
RACKS: Final = SHAPE.rack_ids
BUSES: Final = tuple(f"{row}-BUS-{feed}" for row in ROWS for feed in "AB")
TAPS: Final = tuple(f"{rack}-TAP-{feed}" for rack in RACKS for feed in "AB")
UNITS: Final = tuple(f"{row}-CDU" for row in ROWS)
BUS_V: Final = 415
VOLTS: Final = {
    **{name: {"nominal_v": 34_500} for name in ("UTILITY-1", "UTILITY-2")},
    **{name: {"nominal_v": BUS_V} for name in ("XFMR-01A", "XFMR-01B", *BUSES, *TAPS)},
}
"""Nominal voltages of the meters."""

RULES: Final = {
    "E1": "on_delay_s = 20\noff_delay_s = 20",
    "E2": "",
    "E4": "off_delay_s = 10",
    "E8": "on_delay_s = 6\noff_delay_s = 10\nsevere_delay_s = 6",
    "E12": "",
    "T5": "most_k = 1.2\ndeadband_k = 0.6\non_delay_s = 10\noff_delay_s = 20",
    "T6": "class_c = 33.5\non_delay_s = 10\noff_delay_s = 20",
    "T7": "off_delay_s = 20",
    "T8": "on_delay_s = 15\noff_delay_s = 20",
    "T9": "on_delay_s = 60\nhigh_delay_s = 20\noff_delay_s = 20",
    "T12": "off_delay_s = 20",
    "T14": "on_delay_s = 8\noff_delay_s = 20",
    "T18": "off_delay_s = 20",
}
"""The rules that are judged, with delays that fit into a day; those that are not named are off."""


@dataclass(frozen=True, slots=True)
class Day:
    """A day.

    Attributes:
        seed: What it follows from.
        scenario: Its site, load, and what happens.
    """

    seed: int
    scenario: Scenario


def plant_day(seed: int, rules: str) -> Day:
    """Return the day of a seed.

    Args:
        seed: What everything follows from.
        rules: Parameters of all rules, as TOML.
    """
    chance = random.Random(seed)  # noqa: S311 - no secret
    text = "".join((with_settings(site_text(SHAPE), VOLTS), BROKER.format(wire="dsx"), "[grid]\n", rules))
    return Day(
        seed,
        Scenario(
            name=f"day {seed}",
            proves="",
            site_text=text,
            site=read_site(text),
            begin_ms=from_iso(BEGIN),
            seconds=DAY_S,
            seed=seed,
            metering=METERING,
            ratings=_ratings(chance),
            jobs=tuple(_jobs(chance)),
            events=tuple(sorted(_events(chance), key=lambda event: event.at_s)),
        ),
    )


METERING: Final = Metering(
    instruments={
        name: InstrumentSpec(period_s=1, **said)
        for name, said in {
            "PhaseCurrent": {},
            "Voltage": {},
            "RackPower": {},
            "RackLiquidSupplyTemperature": {"offset_sigma": 0.03},
            "RackLiquidReturnTemperature": {"offset_sigma": 0.03},
            "RackLiquidFlow": {"noise": 0.2, "gain_sigma": 0.002},
            "LiquidTemperature": {},
            "LiquidDifferentialPressure": {},
            "PumpSpeed": {},
        }.items()
    }
)
"""Instruments look every second, and are hardly off: what truly was so can be told from what was not."""


def _ratings(chance: random.Random) -> dict[str, Rating]:
    """Return busways that carry both feeds of their row, hardly do, or trip when they must."""
    full_a = 3 * SHAPE.rating_kw * 1e3 / (3**0.5 * BUS_V * 0.985)
    return {bus: Rating(amps=round(full_a * chance.choice((1.6, 1.0, 0.8, 0.65)))) for bus in BUSES}


def _jobs(chance: random.Random) -> Iterator[Job]:
    for row, racks in SHAPE.rows:
        share = chance.uniform(0.55, 0.92)
        yield Course(name=f"job {row}", racks=racks, points=((0.0, share),), sigma=0.004)


def _events(chance: random.Random) -> Iterator[Event]:
    for make in chance.sample(MAKERS, chance.randint(2, 4)):
        yield make(chance)
    # It comes last, so that the rest of a day is what it was without it.
    if chance.random() < BYPASSED:
        yield _bypass(chance)


def _dated(chance: random.Random, least_s: int, most_s: int, event: Event) -> Event:
    """Return an event with when it begins and ends; some of it lasts beyond the day."""
    at_s = chance.randint(CALM_S, DAY_S - 80)
    return replace(event, at_s=float(at_s), until_s=float(at_s + chance.randint(least_s, most_s)))


def _of(
    kind: EventKind, among: tuple[str, ...], least_s: int, most_s: int
) -> Callable[[random.Random], Event]:
    def make(chance: random.Random) -> Event:
        return _dated(chance, least_s, most_s, Event(kind=kind, at_s=0, subjects=(chance.choice(among),)))

    return make


def _pump(chance: random.Random) -> Event:
    failed = Event(
        kind=EventKind.PUMP_FAILURE,
        at_s=0,
        subjects=(chance.choice(UNITS),),
        failover_s=chance.choice((3.0, 5.0, 12.0, None)),
    )
    return _dated(chance, 20, 60, failed)


def _strainer(chance: random.Random) -> Event:
    clogged = Event(
        kind=EventKind.FLOW_LOSS,
        at_s=0,
        subjects=(chance.choice(RACKS),),
        strength=chance.choice((0.2, 0.5, 0.7, 0.9, 1.0)),
    )
    return _dated(chance, 30, 120, clogged)


def _bypass(chance: random.Random) -> Event:
    opened = Event(
        kind=EventKind.BYPASS,
        at_s=0,
        subjects=(chance.choice(RACKS),),
        strength=chance.choice((0.3, 1.0, 2.0)),
    )
    return _dated(chance, 60, 200, opened)


def _loop(chance: random.Random) -> Event:
    closed = Event(
        kind=EventKind.FLOW_LOSS, at_s=0, subjects=(chance.choice(UNITS),), strength=chance.choice((0.3, 0.6))
    )
    return _dated(chance, 20, 100, closed)


def _sag(chance: random.Random) -> Event:
    at_s = chance.randint(CALM_S, DAY_S - 80) + chance.random()
    return Event(
        kind=EventKind.SAG,
        at_s=at_s,
        until_s=at_s + chance.choice((0.1, 2.0, 8.0, 15.0, 30.0)),
        strength=chance.choice((0.5, 0.8, 0.91, 0.94)),
    )


def _stop(chance: random.Random) -> Event:
    row = chance.choice(ROWS)
    return _dated(chance, 20, 100, Event(kind=EventKind.JOB_STOP, at_s=0, subjects=(f"job {row}",)))


def _chillers(chance: random.Random) -> Event:
    lasting = _dated(chance, 100, 250, Event(kind=EventKind.CHILLER_LOSS, at_s=0))
    return replace(lasting, at_s=float(CALM_S))


MAKERS: Final[tuple[Callable[[random.Random], Event], ...]] = (
    _of(EventKind.FEED_LOSS, BUSES, 5, 120),
    _of(EventKind.FEED_LOSS, BUSES, 5, 120),
    _of(EventKind.BREAKER_OPEN, TAPS, 1, 120),
    _of(EventKind.BREAKER_OPEN, TAPS, 1, 120),
    _of(EventKind.UPS_FAULT, ("UPS-01A", "UPS-01B"), 20, 100),
    _of(EventKind.LEAK, RACKS, 1, 100),
    _pump,
    _strainer,
    _strainer,
    _loop,
    _sag,
    _stop,
    _chillers,
)
"""What may happen, each at a time and in a place of its own."""
