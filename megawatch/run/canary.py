"""The canary: a contract of one watt, overdrawn now and then, so that the whole way to a receiver is proved.

Its rack's readings are published at the broker like any other. Collector, journal, rules, ledger, outbox and
receiver have to do what they do for a tenant, or no page of it is accepted: that is told, and holds back the
heartbeat, so that it is noticed outside. Only the canary's own receiver is told of its alarms.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import aiomqtt
import structlog

from collector.mqtt.address import Address
from collector.mqtt.client import make_client
from collector.mqtt.versions import NEWEST, OLDER
from facility.errors import StoreError
from facility.names import CANARY, CANARY_PUBLISHER, CANARY_RULE
from facility.shown import in_line
from formats import dsx, rackdoc
from store.ledger.alarms import Alarm, Notice
from store.threads import in_thread

CALM_KW: Final = 0.000_5
OVERDRAWN_KW: Final = 0.002
"""Twice what its contract allows."""
FIRST_S: Final = 60.0
"""How long after a start it is overdrawn first: what an earlier life began is over then [s] (our choice)."""
ACCEPTED_S: Final = 90.0
"""Within this its page has to be accepted, besides the rule's on-delay [s]: so soon our own death shows."""
AGAIN_S: Final = 5.0
"""After how long a broker that is away is tried again [s]."""
SET_BACK_MS: Final = 5_000
"""A clock that is set back by more than this has been set [ms]."""
DESCRIBED_S: Final = 60
"""How often its metadata come again on a DSX bus [s]: nothing is left with the broker for ever."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """What is published.

    Attributes:
        topic: Topic that it is published to.
        payload: Its body, JSON.
    """

    topic: str
    payload: bytes


class Trials:
    """When it is overdrawn, and what became of each time: decided by the clock and the ledger alone.

    Args:
        every_ms: How often it is overdrawn [ms].
        bound_ms: Within what its page has to be accepted [ms].
        from_ms: When it is overdrawn first [ms].

    Attributes:
        began_ms: When it was overdrawn last [ms]; None before the first time.
        is_overdrawn: Whether it is now.
        delay_ms: How long its last page took until it was accepted [ms]; None before the first.
        trouble: Why no page of it was accepted in time, "" where one was.
    """

    def __init__(self, *, every_ms: int, bound_ms: int, from_ms: int) -> None:
        self._every_ms = every_ms
        self._bound_ms = bound_ms
        self._next_ms = from_ms
        self._seen_ms = from_ms
        self.began_ms: int | None = None
        self.is_overdrawn = False
        self.delay_ms: int | None = None
        self.trouble = ""

    def follow_clock(self, now_ms: int) -> None:
        """Give up a trial that runs while our clock is set back, and begin the next as late as ever.

        Args:
            now_ms: The moment [ms].
        """
        if now_ms < self._seen_ms - SET_BACK_MS and now_ms < self._next_ms - self._every_ms:
            self.is_overdrawn = False
            self._next_ms = now_ms + self._every_ms
        self._seen_ms = now_ms

    def is_due(self, now_ms: int) -> bool:
        """Tell whether a trial is to begin at a moment [ms]."""
        return not self.is_overdrawn and now_ms >= self._next_ms

    def begin(self, now_ms: int, *, stands: bool = False) -> None:
        """Begin a trial that is due, once the alarm of the one before is over.

        Args:
            now_ms: The moment [ms].
            stands: Whether an alarm of it stands.
        """
        if not self.is_due(now_ms):
            return
        if not stands:
            self.is_overdrawn, self.began_ms = True, now_ms
            self._next_ms = now_ms + self._every_ms
        elif now_ms - self._next_ms > self._every_ms:
            self.trouble = f"its last alarm is not over since {(now_ms - self._next_ms) / 1_000:.0f} s"

    def judge(self, accepted_ms: int | None, now_ms: int) -> None:
        """Take in whether the page of the trial that runs was accepted.

        Args:
            accepted_ms: When it was [ms]; None while it is not.
            now_ms: The moment [ms].
        """
        if not self.is_overdrawn or self.began_ms is None:
            return
        if accepted_ms is not None:
            self.is_overdrawn = False
            self.delay_ms = accepted_ms - self.began_ms
            is_late = self.delay_ms > self._bound_ms
            self.trouble = f"its page took {self.delay_ms / 1_000:.0f} s" if is_late else ""
        elif now_ms - self.began_ms > self._bound_ms:
            passed_s = (now_ms - self.began_ms) / 1_000
            self.trouble = f"no page of it was accepted within {passed_s:.0f} s"
            if now_ms >= self._next_ms - self._every_ms // 2:
                self.is_overdrawn = False  # so that its alarm is over before the next


class Wire(Protocol):
    """How a format says what the canary's rack draws."""

    def introduction(self) -> Iterable[Message]:
        """Return what makes the rack known, once."""
        ...

    def values(self, power_kw: float, at_ms: int) -> Iterable[Message]:
        """Return what it draws [kW] at a moment [ms]."""
        ...


class DsxWire:
    """As the DSX bus says it.

    Args:
        site: The site's name, which the bus does not need.
    """

    def __init__(self, site: str) -> None:
        del site

    def introduction(self) -> Iterable[Message]:
        """Return the metadata of its power."""
        body = {"objectType": "Rack", "pointType": "RackPower", "engUnit": "kW"}
        body |= {"rackLocationId": CANARY, "rackLocationName": CANARY}
        yield Message(dsx.metadata_topic(dsx.CANARY_POINT, CANARY_PUBLISHER), json.dumps(body).encode())

    def values(self, power_kw: float, at_ms: int) -> Iterable[Message]:
        """Return its power."""
        if at_ms // 1_000 % DESCRIBED_S == 0:
            yield from self.introduction()
        body = {"value": power_kw, "timestamp": at_ms, "quality": 1}
        yield Message(dsx.value_topic(CANARY_PUBLISHER, dsx.CANARY_POINT), json.dumps(body).encode())


class RackDocumentWire:
    """As a rack document says it.

    Args:
        site: The site's name, a level of the topic.
    """

    def __init__(self, site: str) -> None:
        self._topic = f"{rackdoc.PREFIX}{site}/{CANARY}"

    def introduction(self) -> Iterable[Message]:
        """Return nothing: each document says all of it."""
        return ()

    def values(self, power_kw: float, at_ms: int) -> Iterable[Message]:
        """Return its document."""
        yield Message(self._topic, json.dumps({"time": at_ms, "power_kw": power_kw}).encode())


WIRES: Final[Mapping[str, Callable[[str], Wire]]] = {"dsx": DsxWire, "rack-documents": RackDocumentWire}
"""What says it in each format of a broker, given the site's name."""


class Pages(Protocol):
    """The ledger, as far as the canary needs it. Methods are called from a thread."""

    def alarms(self, *, since_ms: int = 0) -> Sequence[Alarm]:
        """Return alarms that opened at or after a moment [ms], or are still open."""
        ...

    def notices_of(self, alarm_id: str) -> Sequence[Notice]:
        """Return what was made to tell of an alarm."""
        ...


class Canary:
    """Publishes the canary's readings, and times its pages.

    Args:
        address: Its broker, with a client id of its own.
        wire: Says what its rack draws.
        pages: The ledger.
        trials: When it is overdrawn.
        now_ms: The clock [ms].

    Attributes:
        trials: When it is overdrawn, and what became of it.
        rounds: How often it looked after itself: grows while this part goes on.
    """

    def __init__(
        self, address: Address, wire: Wire, pages: Pages, trials: Trials, *, now_ms: Callable[[], int]
    ) -> None:
        self._address = address
        self._wire = wire
        self._pages = pages
        self._now_ms = now_ms
        self._fault = ""
        self.trials = trials
        self.rounds = 0

    @property
    def trouble(self) -> str:
        """Why its page did not come through, "" where it did."""
        fault = f"; its broker: {self._fault}" if self._fault else ""
        return self.trials.trouble and self.trials.trouble + fault

    async def run(self) -> None:
        """Publish each second until cancelled; a broker that is away is tried again."""
        version = NEWEST
        while True:
            try:
                async with make_client(self._address, version, is_clean=True) as client:
                    self._fault = ""
                    await self._publish(client)
            except aiomqtt.MqttError as error:
                self._fault = in_line(str(error))
                version = OLDER if version == NEWEST else NEWEST
                await self._turn()
                await asyncio.sleep(AGAIN_S)

    async def _publish(self, client: aiomqtt.Client) -> None:
        for message in self._wire.introduction():
            await client.publish(message.topic, message.payload, qos=1)
        while True:
            now_ms = await self._turn()
            power_kw = OVERDRAWN_KW if self.trials.is_overdrawn else CALM_KW
            for message in self._wire.values(power_kw, now_ms):
                await client.publish(message.topic, message.payload, qos=1)
            await asyncio.sleep(1)

    async def _turn(self) -> int:
        """Look what became of the trial that runs, or begin one; return the time [ms]."""
        self.rounds += 1
        now_ms = self._now_ms()
        self.trials.follow_clock(now_ms)
        if self.trials.is_due(now_ms):
            self.trials.begin(now_ms, stands=await in_thread(self._stands, now_ms))
        if self.trials.began_ms is not None and self.trials.is_overdrawn:
            accepted_ms = await in_thread(self._accepted_ms, self.trials.began_ms)
            self.trials.judge(accepted_ms, now_ms)
        return now_ms

    def _stands(self, now_ms: int) -> bool:
        """Tell whether an alarm of it stands."""
        try:
            alarms = self._pages.alarms(since_ms=now_ms)
        except StoreError:
            return False
        return any((a.rule, a.subject) == (CANARY_RULE, CANARY) and a.returned_ms is None for a in alarms)

    def _accepted_ms(self, since_ms: int) -> int | None:
        """Return when a page of an overdraw since a moment was accepted [ms]; None where none was."""
        try:
            alarms = self._pages.alarms(since_ms=since_ms)
            ids = [a.id for a in alarms if (a.rule, a.subject) == (CANARY_RULE, CANARY)]
            accepted = [
                notice.delivered_ms
                for alarm_id in ids
                for notice in self._pages.notices_of(alarm_id)
                if notice.delivered_ms is not None and notice.source_ms >= since_ms
            ]
        except StoreError as error:
            _log.warning("the canary cannot read the ledger", error=str(error))
            return None
        return min(accepted, default=None)
