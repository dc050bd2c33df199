"""One connection that publishes, as fast as the broker takes it, and knows what the broker has taken.

A message of quality of service 1 is delivered when it is acknowledged. One of 0 never is; but a broker reads
a connection in order, so that its answer to a ping says that it has read all that came before.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Final, Self, cast

import numpy as np

from simulators.publish.window import Tally, Window
from simulators.wire import frames
from simulators.wire.bus import payloads
from simulators.wire.rows import Rows

CHUNK: Final = 500
"""Messages of one write."""
WINDOW: Final = 16_000
"""Messages that may be on their way unacknowledged, where the broker allows as many."""
HIGH_WATER: Final = 1 << 20
"""Bytes that may wait in the socket before we do [B]."""
ANSWER_S: Final = 10.0
"""How long a broker may take to answer [s]."""

_UNSUPPORTED: Final = frozenset({1, 0x84})


class BrokerRefused(Exception):  # noqa: N818 - says what happened
    """The broker did not accept the connection.

    Attributes:
        cause: What it said.
        code: Its reason code.
    """

    def __init__(self, cause: str, code: int) -> None:
        self.cause = cause
        self.code = code
        super().__init__(cause)

    @property
    def is_version(self) -> bool:
        """Whether it does not speak this version of MQTT."""
        return self.code in _UNSUPPORTED


class BrokerLost(Exception):  # noqa: N818 - says what happened
    """There is no connection.

    Attributes:
        cause: What was seen.
    """

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__(cause)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Broker and credentials to publish with.

    Attributes:
        host: Host name or address.
        port: Port.
        username: User name, None for none.
        password: Password, None for none.
        tls: TLS with name check, None for a plain connection.
        keepalive_s: How soon a dead connection is noticed [s].
        window: Messages that may be on their way unacknowledged.
    """

    host: str
    port: int
    username: str | None = None
    password: str | None = None
    tls: ssl.SSLContext | None = None
    keepalive_s: int = 15
    window: int = WINDOW


class Link(asyncio.Protocol):
    """One connection, from its CONNECT to its end.

    Args:
        address: Broker and credentials.
        version: Version of MQTT.
        topics: The topic of each channel; may grow.
        tally: Where messages are counted.

    Attributes:
        window: What is on its way.
    """

    def __init__(self, address: Address, version: int, topics: list[str], tally: Tally) -> None:
        self.window = Window(address.window, tally)
        self._address = address
        self._version = version
        self._framer = frames.Framer(version, topics)
        self._tally = tally
        self._transport: asyncio.Transport | None = None
        self._welcome: asyncio.Future[frames.Welcome] = asyncio.get_running_loop().create_future()
        self._buffer = bytearray()
        self._moved = asyncio.Event()
        self._is_full = False
        self._lost = ""
        self._beat: asyncio.TimerHandle | None = None
        self._last_beat = 0

    @classmethod
    async def open(
        cls, address: Address, client_id: str, topics: list[str], tally: Tally, version: int
    ) -> Self:
        """Connect.

        Raises:
            BrokerRefused: Where the broker does not accept us.
            BrokerLost: Where it cannot be reached.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(ANSWER_S):
                _, link = await loop.create_connection(
                    lambda: cls(address, version, topics, tally),
                    address.host,
                    address.port,
                    ssl=address.tls,
                )
        except (OSError, TimeoutError) as error:
            raise BrokerLost(str(error) or type(error).__name__) from error
        await link.greet(client_id)
        return link

    async def greet(self, client_id: str) -> None:
        """Say who we are, and wait for the welcome; `open` does it."""
        address = self._address
        self._write(
            frames.connect(self._version, client_id, address.keepalive_s, address.username, address.password)
        )
        try:
            async with asyncio.timeout(ANSWER_S):
                said = await self._welcome
        except TimeoutError as error:
            self.abort()
            raise BrokerLost(f"no answer within {ANSWER_S:g} s") from error
        if said.code:
            self.abort()
            cause = f"connection refused with code {said.code}"
            raise BrokerRefused(cause, said.code)
        self.window.most = min(self.window.most, said.receive_maximum)
        self._pulse()

    # What the caller does -------------------------------------------------------------

    @property
    def is_lost(self) -> bool:
        """Whether the connection has ended."""
        return bool(self._lost)

    @property
    def cause(self) -> str:
        """Why it has ended, empty while it has not."""
        return self._lost

    async def publish(self, rows: Rows, qos: int, *, is_repeated: bool = False) -> int:
        """Hand messages to the broker, in order; retained ones always at quality of service 1.

        Returns:
            How many were handed over: less than all only where the connection broke.
        """
        edges = np.flatnonzero(np.diff(rows.is_retained)) + 1
        done = 0
        for start, stop in zip([0, *edges.tolist()], [*edges.tolist(), len(rows)], strict=True):
            run = rows.take(slice(start, stop))
            is_retained = bool(len(run)) and bool(run.is_retained[0])
            done += await self._publish(
                run, 1 if is_retained else qos, is_retained=is_retained, is_repeated=is_repeated
            )
            if self._lost:
                break
        return done

    def fence(self) -> int:
        """Ask the broker to say when it has read all that was sent; return the number of the question."""
        number = self.window.fence()
        self._write(frames.PING)
        return number

    async def settle(self, timeout_s: float) -> bool:
        """Wait until the broker has taken everything; tell whether it has."""
        fence = self.fence()
        try:
            async with asyncio.timeout(timeout_s):
                while not self._lost and not self.window.is_confirmed(fence):
                    await self._change()
        except TimeoutError:
            return False
        return not self._lost

    def close(self) -> None:
        """Say goodbye and end the connection."""
        self._write(frames.GOODBYE)
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    # How it is done -------------------------------------------------------------------

    async def _publish(self, rows: Rows, qos: int, *, is_retained: bool, is_repeated: bool) -> int:
        at = 0
        while at < len(rows):
            while self._is_full and not self._lost:
                await self._change()
            most = min(CHUNK, len(rows) - at)
            ids = self.window.claim(most) if qos else None
            if self._lost:
                break
            if ids is not None and not len(ids):
                await self._change()
                continue
            count = most if ids is None else len(ids)
            part = rows.take(slice(at, at + count))
            self.window.sent(part, ids)
            numbers = None if ids is None else ids.tolist()
            data = self._framer.frames(
                part.channel.tolist(), payloads(part), numbers, is_retained=is_retained
            )
            self._write(data)
            at += count
            if is_repeated:
                self._tally.repeated += count
            else:
                self._tally.published += count
            await asyncio.sleep(0)  # what the broker says must be heard in between
        return at

    async def _change(self) -> None:
        self._moved.clear()
        if not self._lost:
            await self._moved.wait()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _pulse(self) -> None:
        """Ping, and give up a connection on which the last such ping was not answered."""
        if self._lost:
            return
        oldest = self.window.oldest_fence
        if oldest is not None and oldest <= self._last_beat:
            self._end("no answer to a ping")
            self.abort()
            return
        self._last_beat = self.fence()
        self._beat = asyncio.get_running_loop().call_later(self._address.keepalive_s / 2, self._pulse)

    # What the event loop tells --------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)  # a connection is a stream
        self._transport.set_write_buffer_limits(high=HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        """Read what the broker says: acknowledgements, almost always."""
        self._buffer += data
        try:
            while self._acknowledgements():
                pass
            for kind, body in frames.packets(self._buffer):
                self._take(kind, body)
        except (frames.BadPacket, IndexError) as error:
            self._end(f"the broker said what no broker may say: {error}")
            self.abort()
        self._moved.set()

    def _acknowledgements(self) -> bool:
        """Take acknowledgements of equal length off the front of the buffer, all at once."""
        buffer = self._buffer
        if len(buffer) < 8 or buffer[0] != frames.PUBACK or buffer[1] not in (2, 3, 4):  # noqa: PLR2004 - fast path
            return False
        size = buffer[1] + 2
        table = np.frombuffer(bytes(buffer), np.uint8, len(buffer) // size * size).reshape(-1, size)
        alike = (table[:, 0] == frames.PUBACK) & (table[:, 1] == size - 2)
        count = len(table) if alike.all() else int(alike.argmin())
        if not count:
            return False
        table = table[:count]
        del buffer[: count * size]
        ids = table[:, 2].astype(np.int64) * 256 + table[:, 3]
        refused = table[:, 4] >= frames.REFUSALS_FROM if size > 4 else np.zeros(count, np.bool_)  # noqa: PLR2004 - a reason code
        self.window.acknowledge(ids, refused)
        return True

    def _take(self, kind: int, body: bytes) -> None:
        match kind:
            case frames.PUBACK:
                refused = len(body) > 2 and body[2] >= frames.REFUSALS_FROM  # noqa: PLR2004 - a reason code
                self.window.acknowledge(np.array([body[0] * 256 + body[1]]), np.array([refused]))
            case frames.PONG if self.window.confirm():
                pass
            case frames.CONNACK if not self._welcome.done():
                self._welcome.set_result(frames.welcome(body, self._version))
            case frames.SERVER_GOODBYE:
                self._end(f"the broker ended the connection with reason {body[:1].hex() or '00'}")
                self.abort()
            case _:
                raise frames.BadPacket(f"expected an acknowledgement, found packet type {kind:#04x}")

    def pause_writing(self) -> None:
        """Wait: the socket is full."""
        self._is_full = True

    def resume_writing(self) -> None:
        """Go on."""
        self._is_full = False
        self._moved.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection has ended."""
        self._end(str(exc or "") or "the broker closed the connection")

    def _end(self, cause: str) -> None:
        self._lost = self._lost or cause
        if self._beat is not None:
            self._beat.cancel()
        if not self._welcome.done():
            self._welcome.set_exception(BrokerLost(self._lost))
        self._moved.set()
