"""A broker that does what a test wants: late answers, hang-ups, sessions that it remembers or not."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

CONNECT, PUBACK, SUBSCRIBE, PINGREQ, DISCONNECT = 1, 4, 8, 12, 14


@dataclass(slots=True)
class Client:
    """A client that is connected to the fake.

    Attributes:
        reader: Its bytes.
        writer: Where its bytes go.
        version: Its version of MQTT: 5, or 4 for 3.1.1.
        acknowledged: The numbers that it acknowledged, in order.
        serving: What answers it aside.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    version: int = 0
    acknowledged: list[int] = field(default_factory=list)
    serving: asyncio.Task[None] | None = None

    async def packet(self) -> tuple[int, bytes]:
        """Return the next packet: its kind and its body."""
        kind = (await self.reader.readexactly(1))[0] >> 4
        length, shift = 0, 0
        while True:
            byte = (await self.reader.readexactly(1))[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        return kind, await self.reader.readexactly(length)

    def accept(self, *, session_present: bool = False) -> None:
        """Let it in."""
        tail = b"\x00" if self.version == 5 else b""
        self._send(0x20, bytes([session_present, 0]) + tail)

    def confirm(self, subscription: bytes) -> None:
        """Grant a subscription, by the body of its packet."""
        tail = b"\x00" if self.version == 5 else b""
        self._send(0x90, subscription[:2] + tail + b"\x01")

    def publish(self, number: int, payload: bytes, *, again: bool = False) -> None:
        """Send it a message of quality of service 1."""
        tail = b"\x00" if self.version == 5 else b""
        body = struct.pack("!H", 1) + b"t" + struct.pack("!H", number) + tail + payload
        self._send(0x32 | (0x08 if again else 0), body)

    def mention(self, payload: bytes) -> None:
        """Send it a message of quality of service 0."""
        tail = b"\x00" if self.version == 5 else b""
        self._send(0x30, struct.pack("!H", 1) + b"t" + tail + payload)

    def answer(self) -> None:
        """Answer its question for a sign of life."""
        self._send(0xD0, b"")

    def reset(self) -> None:
        """End its connection with a reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.close()

    def _send(self, first: int, body: bytes) -> None:
        assert len(body) < 128
        self.writer.write(bytes([first, len(body)]) + body)

    async def introduced(self) -> None:
        """Wait until it has introduced itself."""
        kind, body = await self.packet()
        assert kind == CONNECT
        self.version = body[6]

    async def serve(self, subscribed: Callable[[bytes], None] | None = None) -> None:
        """Answer what it asks, until it goes.

        Args:
            subscribed: What to do with a subscription, instead of granting it.
        """
        while True:
            kind, body = await self.packet()
            if kind == SUBSCRIBE:
                (subscribed or self.confirm)(body)
            elif kind == PINGREQ:
                self.answer()
            elif kind == PUBACK:
                self.acknowledged.append(struct.unpack("!H", body[:2])[0])
            elif kind == DISCONNECT:
                return

    def serve_aside(self, subscribed: Callable[[bytes], None] | None = None) -> None:
        """Answer what it asks while something else is done; arguments as for `serve`."""

        async def serve() -> None:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self.serve(subscribed)

        self.serving = asyncio.create_task(serve())

    async def leave(self) -> None:
        """Hang up."""
        if self.serving is not None:
            self.serving.cancel()
            with suppress(asyncio.CancelledError):
                await self.serving
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()


@dataclass(slots=True)
class FakeBroker:
    """The fake.

    Attributes:
        port: Where it listens, on loopback.
        clients: Every client that came, in order.
    """

    port: int = 0
    clients: list[Client] = field(default_factory=list)


@asynccontextmanager
async def a_broker(
    behave: Callable[[Client, int], Awaitable[None]], port: int = 0
) -> AsyncIterator[FakeBroker]:
    """Run the fake for as long as the context lasts.

    Args:
        behave: Does what the broker does with each client, given how many came before it; then it hangs up.
        port: Where it listens; 0 for wherever there is room.
    """
    fake = FakeBroker()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        client = Client(reader, writer)
        fake.clients.append(client)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await behave(client, len(fake.clients) - 1)
        await client.leave()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    fake.port = server.sockets[0].getsockname()[1]
    try:
        yield fake
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
