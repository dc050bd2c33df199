"""A scenario played to a broker: in real time or faster, with its truth beside it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from facility.instants import SECOND_MS, Clock, midnight_ms, to_iso, to_ms
from facility.sitefile.reader import read_site
from megawatch.run.process import run_until_stopped
from megawatch.scenario.destination import Destination
from simulators.publish.link import BrokerLost, BrokerRefused
from simulators.publish.pace import Pace, perform
from simulators.publish.publisher import Change, Options, Publisher
from simulators.run import Second, Simulation, wiring_of
from simulators.scenario.scenario import Scenario
from simulators.truth.conditions import Conditions
from simulators.truth.silences import silences
from simulators.truth.truth import Traffic, Truth
from simulators.wire.bus import payloads
from simulators.wire.points import Equipment

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


class Play:
    """A scenario that is being played to a broker, and the record of its truth.

    Args:
        scenario: The scenario, with its dates as they are to be.
        equipment: What of the plant is on the bus; None for what is usual.
        folder: Where to write the truth, None for nowhere.

    Attributes:
        pace: How it keeps its time.
    """

    def __init__(
        self, scenario: Scenario, *, equipment: Equipment | None = None, folder: Path | None = None
    ) -> None:
        wiring = wiring_of(scenario)
        self._scenario = scenario
        self._simulation = Simulation(scenario, wiring=wiring, equipment=equipment)
        self._conditions = None if folder is None else Conditions(wiring)
        self._truth = None if folder is None else Truth(scenario, wiring, folder)
        self._errors = [] if folder is None else list(self._simulation.errors())
        self.pace = Pace()

    @property
    def topics(self) -> list[str]:
        """The topic of each channel of its messages."""
        return self._simulation.topics

    @property
    def qos(self) -> int:
        """Quality of service of its values."""
        return self._scenario.qos

    async def run(
        self,
        publisher: Publisher,
        *,
        clock: Clock,
        speed: float = 1.0,
        said: Callable[[Second, Pace], None] | None = None,
    ) -> None:
        """Publish it from its beginning to its end.

        Args:
            publisher: Connections to the broker.
            clock: Gives wall time [ms] and monotonic time [s].
            speed: How many times as fast as real time.
            said: Is told of each second once it is published.
        """

        def note(second: Second, pace: Pace) -> None:
            if self._truth is not None and self._conditions is not None:
                traffic = Traffic(
                    published=len(second.rows),
                    withheld=len(second.withheld),
                    acknowledged=publisher.tally.acknowledged,
                )
                self._truth.note(second.state, traffic)
                self._conditions.note(second.state)
            if said is not None:
                said(second, pace)

        await perform(
            self._simulation.seconds(), publisher, now_ms=clock.now_ms, speed=speed, said=note, pace=self.pace
        )

    def close(self, publisher: Publisher) -> Played:
        """Write what is not written yet of its truth, once its publisher is closed.

        Returns:
            What became of it.
        """
        played = Played(
            pace=self.pace,
            published=publisher.published,
            acknowledged=publisher.tally.acknowledged,
            undelivered=sum(len(rows) for rows in publisher.undelivered),
            begin_ms=self._scenario.begin_ms,
        )
        if self._truth is not None and self._conditions is not None:
            names = ("published", "acknowledged", "undelivered")
            self._truth.close(
                conditions=[*self._conditions.found, *silences(self._scenario, self._simulation.catalogue)],
                accounts=self._simulation.accounts,
                published={name: getattr(played, name) for name in names},
                undelivered=self._lost(publisher),
                errors=self._errors,
            )
        return played

    def _lost(self, publisher: Publisher) -> Iterator[dict[str, str]]:
        """Yield every message that may not have arrived: when it was sent, where to, and what it said."""
        for rows in publisher.undelivered:
            sent = zip(rows.sent_ms.tolist(), rows.channel.tolist(), payloads(rows), strict=True)
            for sent_ms, channel, payload in sent:
                said = payload.decode(errors="replace")
                yield {"sent": to_iso(sent_ms), "topic": self.topics[channel], "payload": said}


async def play_scenario(
    scenario: Scenario,
    to: Destination,
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
        scenario: What happens, and the site.
        to: Broker and credentials.
        clock: Gives wall time [ms] and monotonic time [s].
        speed: How many times as fast as real time, at least 1.
        connections: Connections to the broker.
        equipment: What of the plant is on the bus; None for what is usual.
        folder: Where to write the truth, None for nowhere.
        said: Is told of each second once it is published.
        told: Is told when the broker goes away and comes back.

    Raises:
        NotPublished: Where the broker cannot be reached, does not accept us, or is away for too long.
        OSError: Where the truth cannot be written.
    """
    early_ms = round(scenario.seconds * SECOND_MS * (1 - 1 / speed))
    moved = begun_at(scenario, (clock.now_ms() - early_ms) // SECOND_MS * SECOND_MS)
    play = Play(moved, equipment=equipment, folder=folder)
    client_id = f"megawatch-simulate-{secrets.token_hex(3)}"
    async with AsyncExitStack() as stack:
        publisher = await connected(stack, play, to, client_id=client_id, connections=connections, told=told)
        try:
            await run_until_stopped(lambda: play.run(publisher, clock=clock, speed=speed, said=said))
        except (BrokerLost, BrokerRefused) as error:
            raise to.not_published(error) from error
    return play.close(publisher)


async def connected(
    stack: AsyncExitStack,
    play: Play,
    to: Destination,
    *,
    client_id: str,
    connections: int = 1,
    told: Callable[[Change], None] | None = None,
) -> Publisher:
    """Connect a simulated site to a broker, for as long as a stack lasts.

    Args:
        stack: Disconnects it.
        play: What it will say.
        to: Broker and credentials.
        client_id: Beginning of the client ids.
        connections: How many connections share the topics.
        told: Is told when the broker goes away and comes back.

    Raises:
        NotPublished: Where the broker cannot be reached or does not accept us.
    """
    options = Options(qos=play.qos, connections=connections, client_id=client_id)
    publisher = Publisher(to.address, options, topics=play.topics, told=told)
    try:
        return await stack.enter_async_context(publisher)
    except (BrokerLost, BrokerRefused, OSError) as error:
        raise to.not_published(error) from error


def begun_at(scenario: Scenario, begin_ms: int) -> Scenario:
    """Return a scenario as it is when it begins at another time: every date of its site moves with it.

    Args:
        scenario: What happens, and the site with its dates.
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
