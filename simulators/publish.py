"""Saying it to a broker: the voice of the demo's hall."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from simulators import publishfast
from simulators.bus import Publication, Tag, metadata_message
from simulators.plant import Plant
from simulators.publishfast import Options, address_of
from simulators.script import REPEAT_S, Script

HEARTBEAT_S = 10
"""How often a gateway's heartbeat comes (DSX bus) [s]."""


class Publisher:
    """Publishes to one broker.

    Args:
        publisher: A connected publisher.
    """

    def __init__(self, publisher: publishfast.Publisher) -> None:
        self._publisher = publisher

    @property
    def published(self) -> int:
        """How many messages were handed to the broker."""
        return self._publisher.published

    async def publish(self, messages: Iterable[Publication]) -> None:
        """Publish messages, in order."""
        await self._publisher.publish(list(messages))

    async def withdraw(self, points: Iterable[Tag]) -> None:
        """Take the retained metadata of points off the broker."""
        await self.publish(Publication(point.metadata_topic, b"", is_retained=True) for point in points)


@asynccontextmanager
async def connect(url: str, *, qos: int, client_id: str) -> AsyncIterator[Publisher]:
    """Connect to a broker.

    Args:
        url: `mqtt://host:port`.
        qos: Quality of service of values.
        client_id: Client id.
    """
    options = Options(qos=qos, client_id=client_id)
    async with publishfast.Publisher(address_of(url), options) as publisher:
        yield Publisher(publisher)


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
