"""A scenario played to a broker: in real time or faster, with its truth beside it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from facility.instants import SECOND_MS, Clock, midnight_ms, to_iso, to_ms
from facility.sitefile import read_site
from megawatch.process import run_until_stopped
from simulators.conditions import Conditions
from simulators.model.wiring import wire
from simulators.points import Equipment
from simulators.publishfast import Change, Options, Publisher, address_of
from simulators.publishpace import Pace, perform
from simulators.run import Second, Simulation
from simulators.scenario import Scenario
from simulators.truth import Truth

_WHEN: Final = re.compile(
    r"(\bends = )?\b(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d:\d\d(?:\.\d+)?)(Z|[+-]\d\d:\d\d)?)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What became of a run.

    Attributes:
        pace: How it kept its time.
        published: Messages that were handed to the broker.
        acknowledged: Messages that it has taken for sure.
        undelivered: Messages that may not have arrived.
        begin_ms: When its first second was [ms].
    """

    pace: Pace
    published: int
    acknowledged: int
    undelivered: int
    begin_ms: int


async def play_scenario(
    scenario: Scenario,
    url: str,
    *,
    clock: Clock,
    speed: float = 1.0,
    connections: int = 1,
    equipment: Equipment | None = None,
    folder: Path | None = None,
    said: Callable[[Second, Pace], None] | None = None,
    told: Callable[[Change], None] | None = None,
) -> Played:
    """Publish a scenario until it ends or is interrupted, as if it began now.

    All of its dates are moved with it, those of its contracts too. Faster than real time it begins in the
    past, so that it ends now: no message is stamped ahead of the clock.

    Args:
        scenario: The scenario.
        url: The broker.
        clock: The clock.
        speed: How many times as fast as real time, at least 1.
        connections: Connections to the broker.
        equipment: What of the plant is on the bus; None for what is usual.
        folder: Where to write the truth, None for nowhere.
        said: Is told of each second once it is published.
        told: Is told when the broker goes away and comes back.
    """
    early_ms = round(scenario.seconds * SECOND_MS * (1 - 1 / speed))
    moved = begun_at(scenario, (clock.now_ms() - early_ms) // SECOND_MS * SECOND_MS)
    wiring = wire(moved.site.site, ratings=moved.ratings)
    simulation, conditions = Simulation(moved, wiring=wiring, equipment=equipment), Conditions(wiring)
    truth, pace = Truth(moved, wiring, folder), Pace()

    def note(second: Second, kept: Pace) -> None:
        truth.note(second.state)
        if folder is not None:
            conditions.note(second.state)
        if said is not None:
            said(second, kept)

    options = Options(
        qos=moved.qos, connections=connections, client_id=f"megawatch-simulate-{secrets.token_hex(3)}"
    )
    publisher = Publisher(address_of(url), options, topics=simulation.topics, told=told)
    async with publisher:

        async def act() -> None:
            await perform(
                simulation.seconds(), publisher, now_ms=clock.now_ms, speed=speed, said=note, pace=pace
            )

        await run_until_stopped(act)
    played = Played(
        pace=pace,
        published=publisher.published,
        acknowledged=publisher.tally.acknowledged,
        undelivered=sum(len(rows) for rows in publisher.undelivered),
        begin_ms=moved.begin_ms,
    )
    truth.close(
        conditions=conditions.found,
        accounts=simulation.accounts,
        published={
            "published": played.published,
            "acknowledged": played.acknowledged,
            "undelivered": played.undelivered,
        },
    )
    return played


def begun_at(scenario: Scenario, begin_ms: int) -> Scenario:
    """Return a scenario as it is when it begins at another time: every date of its site moves with it.

    Args:
        scenario: The scenario.
        begin_ms: When it begins, a whole second [ms].
    """
    moved_ms = begin_ms - scenario.begin_ms
    zone = scenario.site.site.zone

    def move(found: re.Match[str]) -> str:
        ends, day, time, offset = found.groups()
        if time is None:
            last = timedelta(days=1 if ends else 0)
            at_ms = midnight_ms(date.fromisoformat(day) + last, zone)
        else:
            moment = datetime.fromisoformat(f"{day}T{time}{offset or ''}")
            at_ms = to_ms(moment if offset else moment.replace(tzinfo=zone))
        return f"{ends or ''}{to_iso(at_ms + moved_ms)}"

    text = _WHEN.sub(move, scenario.site_text)
    return replace(scenario, begin_ms=begin_ms, site_text=text, site=read_site(text, scenario.name))
