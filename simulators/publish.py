"""Saying it to a broker. The only importer of aiomqtt here; it decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiomqtt

from simulators.bus import Publication, Tag, metadata_message
from simulators.plant import Plant
from simulators.script import REPEAT_S, Script

HEARTBEAT_S = 10
"""How often a gateway's heartbeat comes (DSX bus) [s]."""


class Publisher:
    """Publishes to one broker.

    Args:
        client: A connected client.
        qos: Quality of service of values; metadata always goes at 1.

    Attributes:
        published: How many messages were handed to the broker.
    """

    def __init__(self, client: aiomqtt.Client, qos: int) -> None:
        self._client = client
        self._qos = qos
        self.published = 0

    async def publish(self, messages: Iterable[Publication]) -> None:
        """Publish messages, in order."""
        for message in messages:
            qos = 1 if message.is_retained else self._qos
            await self._client.publish(
                message.topic, message.payload, qos=qos, retain=message.is_retained, timeout=30
            )
            self.published += 1

    async def withdraw(self, points: Iterable[Tag]) -> None:
        """Take the retained metadata of points off the broker."""
        for point in points:
            await self._client.publish(point.metadata_topic, b"", qos=1, retain=True, timeout=30)


@asynccontextmanager
async def connect(url: str, *, qos: int, client_id: str) -> AsyncIterator[Publisher]:
    """Connect to a broker.

    Args:
        url: `mqtt://host:port`.
        qos: Quality of service of values.
        client_id: Client id.
    """
    parts = urlsplit(url)
    async with aiomqtt.Client(
        parts.hostname or "127.0.0.1",
        parts.port or 1883,
        identifier=client_id,
        username=parts.username,
        password=parts.password,
    ) as client:
        client.pending_calls_threshold = 10_000
        yield Publisher(client, qos)


async def play(
    plant: Plant,
    script: Script,
    publisher: Publisher,
    *,
    now_ms: Callable[[], int],
    seconds: float | None = None,
    said: Callable[[int, int], None] | None = None,
) -> None:
    """Play a script, second by second in real time.

    Args:
        plant: The plant.
        script: What happens when.
        publisher: Where it is said.
        now_ms: The clock [ms].
        seconds: For how long; None for ever.
        said: Is told each second of the script and its time [ms], once the plant has made it.
    """
    start_ms = now_ms()
    second = 0
    while seconds is None or second < seconds:
        if second % REPEAT_S == 0:
            await publisher.publish(metadata_message(point) for point in plant.tags())
        at_ms = start_ms + second * 1_000
        await asyncio.sleep(max(0.0, (at_ms - now_ms()) / 1_000))
        plant.step(script.targets_kw(plant.racks, second))
        if said is not None:
            said(second, at_ms)
        await publisher.publish(say(plant, script, second, at_ms))
        second += 1


def say(plant: Plant, script: Script, second: int, at_ms: int) -> list[Publication]:
    """Return what is said in one second of a script.

    Args:
        plant: The plant, at that second.
        script: What happens when.
        second: The second.
        at_ms: When that is [ms].
    """
    said: list[Publication] = []
    for row in plant.shape.rows:
        if script.is_silent(row, second):
            continue
        said += plant.values(row, at_ms)
        if second % HEARTBEAT_S == 0:
            said.append(plant.heartbeat(row, at_ms))
    if second % 3 == 0:
        said += [message for unit in plant.units for message in plant.coolant_values(unit, at_ms)]
    return said
