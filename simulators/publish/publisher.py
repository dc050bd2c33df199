"""Publishing rows over several connections, through the loss of a broker, with account of every message."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from simulators.publish.link import Address, BrokerLost, BrokerRefused, Link
from simulators.publish.window import Tally
from simulators.wire.bus import Publication
from simulators.wire.frames import MQTT_3, MQTT_5
from simulators.wire.rows import Rows

RETRY_S: Final = 0.5
"""How long to wait before a lost broker is tried again [s]."""
GOODBYE_S: Final = 10.0
"""How long a broker may take to acknowledge what was sent last [s]."""

_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A connection was lost, or is back.

    Attributes:
        connection: Which, from 0.
        is_lost: Whether it was lost.
        cause: What was seen.
    """

    connection: int
    is_lost: bool
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to publish.

    Attributes:
        qos: Quality of service of values; retained messages always go at 1.
        connections: How many connections share the topics.
        client_id: Beginning of the client ids.
        patience_s: How long a broker may be away before the run is given up; None for ever [s].
    """

    qos: int = 1
    connections: int = 1
    client_id: str = "megawatch-simulate"
    patience_s: float | None = None


def address_of(
    url: str,
    *,
    username: str | None = None,
    password: str | None = None,
    authority: str | None = None,
) -> Address:
    """Return broker and credentials to publish with.

    Args:
        url: `mqtt://host:port` or `mqtts://host:port`, user and password before the host where there are any.
        username: User name, where it is not in the address.
        password: Password, where it is not in the address.
        authority: Certificates to trust, as PEM; None for the system's.

    Raises:
        ValueError: Where the address is none.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"expected mqtt://host:port or mqtts://host:port, found {url!r}")
    return Address(
        host=parts.hostname,
        port=parts.port or _PORTS[parts.scheme],
        username=username if parts.username is None else unquote(parts.username),
        password=password if parts.password is None else unquote(parts.password),
        tls=ssl.create_default_context(cadata=authority) if parts.scheme == "mqtts" else None,
    )


@dataclass(slots=True)
class _Line:
    """One connection and what is published over it."""

    number: int
    link: Link | None = None
    version: int = MQTT_5


class Publisher:
    """Publishes to one broker: an async context manager.

    Each topic goes over one connection, so that its messages stay in order. While the broker is away
    publishing waits. What was not acknowledged at quality of service 1 is sent again; what was on its way at
    0 is not, and is in `undelivered`.

    Args:
        address: Broker and credentials.
        options: Quality of service, number of connections, patience.
        topics: The topic of each channel; may grow.
        told: Is told of every loss and return of a connection.

    Attributes:
        tally: What became of messages.
        undelivered: Messages that may not have arrived, or were refused.
        is_paused: Whether it waits for the broker.
    """

    def __init__(
        self,
        address: Address,
        options: Options | None = None,
        *,
        topics: list[str] | None = None,
        told: Callable[[Change], None] | None = None,
    ) -> None:
        self.tally = Tally()
        self.undelivered: list[Rows] = []
        self._address = address
        self._options = options or Options()
        self._topics: list[str] = [] if topics is None else topics
        self._channels = {topic: i for i, topic in enumerate(self._topics)}
        self._told = told or (lambda _change: None)
        self._lines = [_Line(number) for number in range(self._options.connections)]
        self._away: set[int] = set()
        self._retained: set[int] = set()

    @property
    def published(self) -> int:
        """How many messages were handed to the broker."""
        return self.tally.published

    @property
    def is_paused(self) -> bool:
        """Whether it waits for the broker."""
        return bool(self._away)

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            BrokerRefused: Where the broker does not accept us.
            BrokerLost: Where it cannot be reached.
        """
        for line in self._lines:
            line.link = await self._open(line)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for line in self._lines:
            if line.link is None:
                continue
            if error is None:
                await line.link.settle(GOODBYE_S)
            again = self._settle(line)
            if len(again):
                self.undelivered.append(again)  # no connection is left to send it again
            line.link.close()
            line.link = None

    async def publish_rows(self, rows: Rows) -> None:
        """Publish messages, those of each topic in order.

        Raises:
            BrokerLost: Where the broker is away for longer than the options' patience.
            BrokerRefused: Where it comes back and does not accept us.
        """
        described = set(rows.channel[rows.is_retained].tolist())
        new, self._retained = described - self._retained, self._retained | described
        if new and len(self._lines) > 1 and not rows.is_retained.all():
            # No value may overtake, over another connection, what describes it for the first time.
            await self._spread(rows.take(rows.is_retained))
            await self.settle()
            rows = rows.take(~rows.is_retained)
        await self._spread(rows)

    async def publish(self, messages: Sequence[Publication]) -> None:
        """Publish messages, those of each topic in order."""
        rows = []
        for message in messages:
            channel = self._channels.get(message.topic)
            if channel is None:
                channel = self._channels[message.topic] = len(self._topics)
                self._topics.append(message.topic)
            rows.append((channel, message.payload, message.is_retained))
        if not rows:
            return
        channels, payloads, retained = zip(*rows, strict=True)
        column = Rows.of_payloads(np.array(channels, np.int32), np.zeros(len(rows), np.int64), payloads)
        await self.publish_rows(column.changed(is_retained=np.array(retained, np.bool_)))

    async def settle(self, timeout_s: float = GOODBYE_S) -> bool:
        """Wait until the broker has taken everything; tell whether it has."""
        found = await asyncio.gather(*(x.link.settle(timeout_s) for x in self._lines if x.link is not None))
        return all(found)

    def fence(self) -> None:
        """Ask the broker to say when it has read all that was sent."""
        for line in self._lines:
            if line.link is not None:
                line.link.fence()

    async def withdraw(self) -> None:
        """Take everything retained that was published here off the broker."""
        channels = np.array(sorted(self._retained), np.int32)
        nothing = [b""] * len(channels)
        sent = np.zeros(len(channels), np.int64)
        await self.publish_rows(Rows.of_payloads(channels, sent, nothing, is_retained=True))

    # How it is done -------------------------------------------------------------------

    async def _spread(self, rows: Rows) -> None:
        if not len(rows):
            return
        if len(self._lines) == 1:
            await self._via(self._lines[0], rows)
            return
        owner = rows.channel % len(self._lines)
        try:
            async with asyncio.TaskGroup() as group:
                for line in self._lines:
                    group.create_task(self._via(line, rows.take(owner == line.number)))
        except* (BrokerLost, BrokerRefused) as errors:
            raise errors.exceptions[0] from None

    async def _via(self, line: _Line, rows: Rows) -> None:
        at, repeated = 0, Rows.none()
        while True:
            link = line.link
            if link is None or link.is_lost:
                again = await self._restore(line)
                repeated = Rows.joined([again, repeated])
                continue
            if len(repeated):
                done = await link.publish(repeated, 1, is_repeated=True)
                repeated = repeated.take(slice(done, None))
            else:
                at += await link.publish(rows.take(slice(at, None)), self._options.qos)
            if at >= len(rows) and not len(repeated):
                return

    async def _restore(self, line: _Line) -> Rows:
        """Wait for the broker, and return what must be sent again."""
        cause = "" if line.link is None else line.link.cause
        again = self._settle(line)
        self._away.add(line.number)
        self._told(Change(connection=line.number, is_lost=True, cause=cause))
        try:
            async with asyncio.timeout(self._options.patience_s):
                while True:
                    try:
                        line.link = await self._open(line)
                        break
                    except BrokerLost as error:
                        cause = error.cause
                    await asyncio.sleep(RETRY_S)
        except TimeoutError as error:
            self.undelivered.append(again)
            line.link = None
            raise BrokerLost(f"away for more than {self._options.patience_s:g} s: {cause}") from error
        self._away.discard(line.number)
        self._told(Change(connection=line.number, is_lost=False))
        return again

    def _settle(self, line: _Line) -> Rows:
        """Close the account of a connection that has ended; return what was not acknowledged."""
        if line.link is None:
            return Rows.none()
        found = line.link.window.outstanding()
        self.undelivered += [part for part in (found.unsure, *line.link.window.refused) if len(part)]
        line.link.window.refused = []
        return found.unacknowledged

    async def _open(self, line: _Line) -> Link:
        name = f"{self._options.client_id}-{line.number}"
        try:
            return await Link.open(self._address, name, self._topics, self.tally, line.version)
        except BrokerRefused as error:
            if not error.is_version or line.version == MQTT_3:
                raise
        line.version = MQTT_3
        return await Link.open(self._address, name, self._topics, self.tally, line.version)


def slices(rows: Rows, begin_ms: int, slice_ms: int) -> list[tuple[int, Rows]]:
    """Return the rows of a second in slices of time, each with the moment at which it is due [ms].

    Args:
        rows: Rows in order of time.
        begin_ms: When the second begins [ms].
        slice_ms: Length of a slice [ms].
    """
    if not len(rows):
        return []
    number = np.maximum(rows.sent_ms - begin_ms, 0) // slice_ms
    edges: NDArray[np.intp] = np.flatnonzero(np.diff(number)) + 1
    starts = [0, *edges.tolist()]
    stops = [*edges.tolist(), len(rows)]
    return [
        (begin_ms + int(number[start]) * slice_ms, rows.take(slice(start, stop)))
        for start, stop in zip(starts, stops, strict=True)
    ]
