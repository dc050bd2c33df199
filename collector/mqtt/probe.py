"""What a broker does for us, measured: whether it lets us read, and how much it keeps while we are away.

What is measured uses sessions and a topic of its own; nothing is ever published to a topic of a site.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Self, TypeVar

import aiomqtt
import numpy as np

from collector.mqtt.address import Address
from collector.mqtt.client import make_client
from collector.mqtt.connection import Connection, Lost, Refused, forget
from collector.mqtt.message import Messages, count_of
from collector.mqtt.versions import NEWEST, OLDER
from facility.instants import Clock
from facility.readings import Flag

_Result = TypeVar("_Result")

TOPICS: Final = "megawatch/doctor"
"""Beneath this what measures publishes, each to a topic of its own."""
MOST_PUBLISHED: Final = 20_000
"""Messages that are published to measure a queue; one that keeps all of them keeps at least so many."""
PAYLOAD: Final = b'{"value": 61.25, "timestamp": 1767225600000, "quality": 1, "megawatch": "measuring"}'
"""As long as what is said on a DSX bus."""
SESSION_S: Final = 120
"""How long the broker keeps what is measured with, should we end before we can tell it to forget [s]."""
PUBLISH_S: Final = 60.0
"""How long publishing may take [s]."""
QUIET_S: Final = 0.5
"""After so long without a message the broker sends no more unasked [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What was heard of a broker.

    Attributes:
        messages: How many messages came, retained ones among them.
        live: How many came that were not retained.
        seconds: How long it was listened [s].
    """

    messages: int
    live: int
    seconds: float

    @property
    def rate_per_s(self) -> float:
        """How much is published [messages/s]."""
        return self.live / self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What a broker kept for a session that was away.

    Attributes:
        published: How many messages were published meanwhile.
        kept: How many of them came.
        are_oldest: Whether those were kept that were published first; None where all came, or none.
        unacknowledged: How many it sends before the first is acknowledged.
        fault: Why nothing could be measured, "" where something was.
    """

    published: int = 0
    kept: int = 0
    are_oldest: bool | None = None
    unacknowledged: int = 0
    fault: str = ""


async def in_either_version(use: Callable[[int], Awaitable[_Result]]) -> tuple[int, _Result]:
    """Do something with a broker in MQTT 5, or in 3.1.1 where it does not speak 5.

    Args:
        use: What to do, given the version as `Connection` takes it.

    Returns:
        The version, and what came of it.

    Raises:
        Refused: Where the broker does not accept us.
        Lost: Where it cannot be reached, or the connection breaks.
    """
    try:
        return NEWEST, await use(NEWEST)
    except Refused as error:
        if not error.is_version:
            raise
    except Lost as error:
        if not error.is_unanswered:
            raise
    return OLDER, await use(OLDER)


async def listen(
    address: Address, topics: Iterable[tuple[str, int]], seconds: float, *, version: int, clock: Clock
) -> Heard:
    """Listen to a broker for a time.

    Args:
        address: Broker and credentials.
        topics: Topic filters, each with the quality of service to ask for.
        seconds: How long [s].
        version: MQTT version, 5 or 4 (which is 3.1.1).
        clock: Gives wall time [ms] and monotonic time [s].

    Raises:
        Refused: Where the broker does not accept us.
        Lost: Where it cannot be reached, or the connection breaks.
    """
    came: list[Messages] = []
    async with Patient(address.as_probe(), version, clock, came) as patient:
        await patient.connection.subscribe(topics)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    patient.acknowledge()
                    await asyncio.sleep(0.05)
    live = sum(int(np.count_nonzero((messages.flags & Flag.RETAINED) == 0)) for messages in came)
    return Heard(messages=count_of(came), live=live, seconds=seconds)


async def measure_queue(
    address: Address, *, version: int, clock: Clock, count: int = MOST_PUBLISHED
) -> Queue:
    """Measure how much a broker keeps for a session that is away.

    Args:
        address: Broker and credentials.
        version: MQTT version, 5 or 4 (which is 3.1.1).
        clock: Gives wall time [ms] and monotonic time [s].
        count: How many messages to publish.

    Raises:
        Refused: Where the broker does not accept us.
        Lost: Where it cannot be reached, or the connection breaks.
    """
    topic = f"{TOPICS}/{secrets.token_hex(8)}"
    away = replace(address.as_probe(), session_expiry_s=SESSION_S)
    try:
        async with Patient(away, version, clock, []) as patient:
            await patient.connection.subscribe([(topic, 1)])
        published, fault = await _publish(address.as_probe(), version, topic, count)
        if fault:
            return Queue(published=published, fault=fault)
        came: list[Messages] = []
        async with Patient(away, version, clock, came) as patient:
            await patient.until_quiet()
            unacknowledged = count_of(came)
            await patient.until_empty()
    finally:
        await forget(away, version)
    numbers = {
        int(message.payload.partition(b" ")[0])
        for messages in came
        for message in messages
        if message.topic == topic
    }
    if not numbers:
        return Queue(published=published, fault="what is published to a topic of our own does not come back")
    are_oldest = None if len(numbers) == published else 0 in numbers
    return Queue(published=published, kept=len(numbers), are_oldest=are_oldest, unacknowledged=unacknowledged)


async def _publish(address: Address, version: int, topic: str, count: int) -> tuple[int, str]:
    """Publish numbered messages; return how many the broker took, and why it took no more."""
    refused: list[str] = []
    done = asyncio.Event()
    taken = 0
    client = make_client(address, version)
    paho: Any = client._client  # noqa: SLF001 - many at once are not in the public interface
    paho.max_inflight_messages_set(500)

    def on_publish(_client: Any, _data: Any, _mid: int, reason: Any, _properties: Any) -> None:  # noqa: ANN401 - paho's
        nonlocal taken
        if getattr(reason, "is_failure", False):
            refused.append(str(reason))
        taken += 1
        if taken == count:
            done.set()

    paho.on_publish = on_publish
    try:
        async with client, asyncio.timeout(PUBLISH_S):
            for number in range(count):
                paho.publish(topic, b"%d " % number + PAYLOAD, qos=1)
                if number % 500 == 0:
                    await asyncio.sleep(0)
            await done.wait()
    except TimeoutError:
        return taken, f"the broker took {taken} of {count} messages within {PUBLISH_S:g} s"
    except aiomqtt.MqttError as error:
        return taken, f"the broker does not let us publish to {TOPICS}/...: {str(error).lower()}"
    if refused:
        return taken, f"the broker does not let us publish to {TOPICS}/...: {refused[0].lower()}"
    return taken, ""


class Patient:
    """A connection that acknowledges only when it is told to: an async context manager."""

    def __init__(self, address: Address, version: int, clock: Clock, came: list[Messages]) -> None:
        self._came = came
        self._acknowledged = 0
        self.connection = Connection(
            address,
            version=version,
            take=came.append,
            connected=lambda _resumed: None,
            now_ms=clock.now_ms,
        )

    async def __aenter__(self) -> Self:
        await self.connection.__aenter__()
        return self

    async def __aexit__(self, *details: object) -> None:
        await self.connection.__aexit__(*details)

    def acknowledge(self) -> int:
        """Acknowledge what came since the last time; return how many that were."""
        new = self._came[self._acknowledged :]
        self._acknowledged += len(new)
        for messages in new:
            self.connection.acknowledge(messages.number[messages.number > 0])
        return count_of(new)

    async def until_quiet(self) -> None:
        """Wait until nothing arrives for a while."""
        before = -1
        while len(self._came) > before:
            before = len(self._came)
            await asyncio.sleep(QUIET_S)

    async def until_empty(self) -> None:
        """Acknowledge and read until the broker answers that it has no more."""
        async with asyncio.timeout(PUBLISH_S):
            while True:
                if self.acknowledge() == 0:
                    self.connection.ask()
                    await asyncio.sleep(QUIET_S)
                    if self.connection.answered() == 0 and len(self._came) == self._acknowledged:
                        return
                await asyncio.sleep(0.02)
