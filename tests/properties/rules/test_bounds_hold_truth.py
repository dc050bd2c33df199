"""Whatever falls silent, the simulator's truth lies within every tenant's bounds, in every second.

The whole way but for the broker and the disk: what the simulated hall draws, through its encoder, the
collector's decoder and the engine, in virtual time. The truth never passes through the product.
"""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pytest

from collector.mqtt.message import Message
from facility.contracts import Boundary
from facility.names import AssetId
from facility.readings import Flag
from facility.site import Rack, Site
from formats import rackdoc
from rules.draw.draw import Draw
from rules.engine.engine import Engine
from rules.telemetry.timing import Timing
from simulators.wire.bus import Publication
from store.journal.entries import Mark, MarkKind
from testing.builders import T0_MS
from testing.collector.hearing import Hearing
from testing.rules.halls import BUS, KW, Tape, a_site, a_tenant, a_version, an_engine
from testing.simulators.messages import metadata_message
from tests.properties.rules.smallhall import HEARTBEAT_S, RATING_KW, Hall, Shape

SEEDS: Final = range(30)
SECONDS: Final = 70
TICK_MS: Final = 500
LATENESS_MS: Final = 200
QUIET_S: Final = 9
"""Nothing falls silent before: a publisher that was just met has no habits yet."""
ROWS: Final = ("A", "B")
RACKS: Final = 4
TENANTS: Final = ("acme", "bell")
DSX: Final = Timing(repeat_ms=100_000, heartbeat_ms=10_000, period_ms=1_000, certain_ms=1_500)


@dataclass(frozen=True)
class Spell:
    """Something is wrong with a row or a rack from one second to another."""

    what: str
    from_s: int
    to_s: int

    def is_on(self, second: int) -> bool:
        """Tell whether it is wrong at a second."""
        return self.from_s <= second < self.to_s


@dataclass
class Course:
    """A run as its seed draws it.

    Attributes:
        random: Where everything comes from.
        holders: Who holds each rack: a place among the tenants, the operator's own load last.
        boundary: Where the first tenant is measured.
        flags: How values come: at least once, or at most once.
        gateways: When the gateway of a row says nothing.
        racks: When a rack's meter is out of order, and how.
        breaks: When our connection is cut.
    """

    random: random.Random
    holders: list[int] = field(default_factory=list)
    boundary: Boundary = Boundary.RACK_INPUT
    flags: Flag = Flag.NONE
    gateways: list[Spell] = field(default_factory=list)
    racks: list[Spell] = field(default_factory=list)
    breaks: list[Spell] = field(default_factory=list)

    @classmethod
    def of(cls, seed: int, racks: Sequence[str]) -> Course:
        """Draw a run."""
        course = cls(random.Random(seed))  # noqa: S311 - a course of events, not a secret
        chance = course.random
        course.holders = [chance.randrange(len(TENANTS) + 1) for _ in racks]
        course.boundary = chance.choice((Boundary.RACK_INPUT, Boundary.TAP_METER))
        course.flags = chance.choice((Flag.NONE, Flag.AT_MOST_ONCE))
        course.gateways = [course._spell(row, 45) for row in ROWS for _ in range(chance.randrange(3))]
        course.racks = [course._spell(rack, 20) for rack in racks for _ in range(chance.randrange(3))]
        course.breaks = [course._spell(BUS, 20) for _ in range(chance.randrange(2))]
        return course

    def _spell(self, what: str, most_s: int) -> Spell:
        from_s = self.random.randrange(QUIET_S, SECONDS - 5)
        return Spell(what, from_s, from_s + self.random.randint(1, most_s))


class Load:
    """What the racks ask for: levels of jobs that start, stop and drift, each rack by itself."""

    def __init__(self, chance: random.Random, racks: int) -> None:
        self._chance = chance
        self._levels = [chance.uniform(10, RATING_KW) for _ in range(racks)]

    def next_kw(self) -> list[float]:
        """Return what each rack asks for in the next second [kW]."""
        for place, level in enumerate(self._levels):
            happens = self._chance.random()
            if happens < 0.04:
                self._levels[place] = self._chance.choice(
                    (0.0, self._chance.uniform(0, RATING_KW), RATING_KW)
                )
            elif happens < 0.5:
                self._levels[place] = min(RATING_KW, max(0.0, level + self._chance.uniform(-3, 3)))
        return self._levels


def a_hall(course: Course, racks: Sequence[str]) -> Site:
    """Return the site of a run."""
    declared = {
        AssetId(rack): Rack(id=AssetId(rack), rating_milliwatts=round(RATING_KW * KW)) for rack in racks
    }
    versions = (a_version(300, boundary=course.boundary), a_version(300))
    tenants = [
        a_tenant(
            name, [rack for rack, held in zip(racks, course.holders, strict=True) if held == place], version
        )
        for place, (name, version) in enumerate(zip(TENANTS, versions, strict=True))
    ]
    return a_site(declared, *tenants)


@dataclass
class Watched:
    """The product: a decoder, a journal in memory and an engine.

    Attributes:
        hearing: The decoder.
        engine: The engine.
        tape: The journal.
    """

    hearing: Hearing
    engine: Engine
    tape: Tape = field(default_factory=Tape)

    def take(self, stamp_ms: int, messages: Sequence[Message]) -> None:
        """Decode messages that came together, keep and judge what they hold."""
        outcome = self.hearing.hear(*messages)
        for content in (tuple(outcome.news), outcome.batch):
            if len(content):
                self.engine.take(self.tape.put(stamp_ms, content))

    def mark(self, stamp_ms: int, kind: MarkKind) -> None:
        """Keep and judge what happened to the connection."""
        self.engine.take(self.tape.put(stamp_ms, Mark(kind, BUS, stamp_ms)))

    def draw_at(self, at_ms: int) -> Draw:
        """Judge on to a tick and return what each tenant draws then."""
        self.engine.advance(at_ms + LATENESS_MS)
        assert self.engine.tick_ms == at_ms
        assert self.engine.draw is not None
        return self.engine.draw


def check(draw: Draw, truth: Sequence[int], when: str) -> None:
    """Check that the truth of every tenant lies within its bounds."""
    for place, drawn in enumerate(truth):
        low, best, high = int(draw.low[place]), int(draw.best[place]), int(draw.high[place])
        said = f"{when}: tenant {place} draws {drawn}, low {low}, best {best}, high {high} mW"
        assert low <= drawn <= high, said
        assert low <= best <= high, said
        assert draw.is_consistent[place], said


def sums(powers: Sequence[int], holders: Sequence[int]) -> list[int]:
    """Return what each tenant truly draws [mW]."""
    total = [0] * (len(TENANTS) + 1)
    for power, place in zip(powers, holders, strict=True):
        total[place] += power
    return total


# A DSX bus: publishes on change, a gateway for each row --------------------------------


def said(plant: Hall, course: Course, second: int, at_ms: int) -> Iterator[tuple[str, list[Publication]]]:
    """Yield what the gateway of each row says in a second, where it says anything."""
    broken = {spell.what for spell in course.racks if spell.is_on(second)}
    for row in ROWS:
        publications = plant.values(row, at_ms)
        if any(spell.what == row and spell.is_on(second) for spell in course.gateways):
            continue
        if second % HEARTBEAT_S == 0:
            publications.append(plant.heartbeat(row, at_ms))
        yield row, [_told(plant, course, item, broken) for item in publications]


def _told(plant: Hall, course: Course, said_now: Publication, broken: set[str]) -> Publication:
    """Return what a gateway says of a point, whose meter may be out of order."""
    place = next((i for i, p in enumerate(plant._points) if p.power.value_topic == said_now.topic), None)
    if place is None or plant.racks[place] not in broken:
        return said_now
    body = json.loads(said_now.payload)
    body |= course.random.choice(
        (
            {"value": course.random.uniform(0, RATING_KW), "quality": 0},
            {"value": None},
            {"value": 2.5 * RATING_KW},
            {"value": "12.5 kW"},
        )
    )
    return Publication(said_now.topic, json.dumps(body).encode())


def cut(watched: Watched, course: Course, second: int) -> bool:
    """Note where our connection is cut or comes back; tell whether it is cut.

    A cut is noticed some seconds late. What is sent at most once meanwhile is gone; what is sent at least
    once the broker has forgotten as well.
    """
    at_ms = T0_MS + second * 1_000 - TICK_MS // 2
    for spell in course.breaks:
        if second == min(spell.from_s + 3, spell.to_s):
            watched.mark(at_ms, MarkKind.LOST)
        if second == spell.to_s:
            lossless = course.flags is Flag.AT_MOST_ONCE
            watched.mark(at_ms, MarkKind.CONNECTED if lossless else MarkKind.SESSION_LOST)
            watched.mark(at_ms, MarkKind.CAUGHT_UP)
    return any(spell.is_on(second) for spell in course.breaks)


def exact(draw: Draw, truth: Sequence[int]) -> bool:
    """Tell whether every tenant's bounds meet at the truth."""
    return list(draw.low) == list(truth) == list(draw.high)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_truth_is_within_the_bounds_of_a_dsx_bus(seed: int) -> None:
    """Silent gateways, meters out of order and cut connections widen the bounds, and never past the truth."""
    plant = Hall(Shape(ROWS, RACKS), seed)
    course = Course.of(seed, plant.racks)
    site = a_hall(course, plant.racks)
    watched = Watched(Hearing(site), an_engine(site, timing=DSX, tick_ms=TICK_MS, lateness_ms=LATENESS_MS))
    load = Load(course.random, len(plant.racks))
    watched.mark(T0_MS - 1_000, MarkKind.CONNECTED)
    watched.mark(T0_MS - 1_000, MarkKind.CAUGHT_UP)
    described = [metadata_message(point) for point in plant.tags()]
    watched.take(T0_MS - 900, [Message(p.topic, p.payload, T0_MS - 900, Flag.RETAINED) for p in described])
    met = 0

    for second in range(SECONDS):
        at_ms = T0_MS + second * 1_000
        plant.step(load.next_kw())
        truth = sums(plant.power_milliwatts.tolist(), course.holders)
        is_cut = cut(watched, course, second)
        arrivals = [
            (course.random.randint(5, LATENESS_MS - 50), publications)
            for _, publications in said(plant, course, second, at_ms)
            if not is_cut
        ]
        for late_ms, publications in sorted(arrivals, key=lambda arrival: arrival[0]):
            messages = [Message(p.topic, p.payload, at_ms + late_ms, course.flags) for p in publications]
            watched.take(at_ms + late_ms, messages)
        for tick_ms in range(at_ms, at_ms + 1_000, TICK_MS):
            draw = watched.draw_at(tick_ms)
            check(draw, truth, f"seed {seed}, {(tick_ms - T0_MS) / 1_000} s")
            met += exact(draw, truth)

    assert met >= 2 * QUIET_S, "bounds that never meet tell nothing"


# Rack documents: periodic, each rack by itself ------------------------------------------


def readings(plant: Hall, course: Course, load: Load) -> Iterator[tuple[int, int, int, bool]]:
    """Yield every reading: when [ms], of which rack, how much [mW], and whether it is said.

    Each rack has a moment of its own in every second, at which it is read and its power changes.
    """
    phases = [course.random.randrange(0, 1_000, 50) for _ in plant.racks]
    for second in range(SECONDS):
        plant.step(load.next_kw())
        silent = {spell.what for spell in (*course.racks, *course.gateways) if spell.is_on(second)}
        for place in np.argsort(phases, kind="stable").tolist():
            is_said = silent.isdisjoint((plant.racks[place], plant.row_of[place]))
            at_ms = T0_MS + second * 1_000 + phases[place]
            yield at_ms, place, int(plant.power_milliwatts[place]), is_said


@pytest.mark.parametrize("seed", SEEDS[:12])
def test_the_truth_is_within_the_bounds_of_rack_documents(seed: int) -> None:
    """Racks that fall silent one by one, for one document or many, widen the bounds, never past the truth."""
    plant = Hall(Shape(ROWS, RACKS), seed)
    course = Course.of(seed, plant.racks)
    course.boundary = Boundary.RACK_INPUT
    site = a_hall(course, plant.racks)
    hearing = Hearing(site, form="rack-documents")
    watched = Watched(hearing, an_engine(site, timing=DSX, tick_ms=TICK_MS, lateness_ms=LATENESS_MS))
    coming = deque(readings(plant, course, Load(course.random, len(plant.racks))))
    powers = [0] * len(plant.racks)
    stamp_ms, met = T0_MS, 0

    for tick_ms in range(T0_MS + 1_000, T0_MS + SECONDS * 1_000, TICK_MS):
        while coming and coming[0][0] <= tick_ms:
            at_ms, place, powers[place], is_said = coming.popleft()
            if is_said:
                received_ms = at_ms + course.random.randint(5, LATENESS_MS - 50)
                stamp_ms = max(stamp_ms, received_ms)
                body = json.dumps({"time": at_ms, "power_kw": powers[place] / KW}).encode()
                watched.take(
                    stamp_ms,
                    [Message(f"{rackdoc.PREFIX}{site.name}/{plant.racks[place]}", body, received_ms)],
                )
        draw, truth = watched.draw_at(tick_ms), sums(powers, course.holders)
        check(draw, truth, f"seed {seed}, {(tick_ms - T0_MS) / 1_000} s")
        met += exact(draw, truth)

    assert met >= QUIET_S, "bounds that never meet tell nothing"
