"""A network between two programs that can be cut: bytes then go nowhere, and nobody is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass(slots=True)
class Network:
    """A way to a port of loopback.

    Attributes:
        port: Where it begins.
        is_cut: Whether bytes go nowhere just now; what was sent meanwhile arrives when it is healed, as it
            does over TCP.
    """

    port: int = 0
    is_cut: bool = False
    _healed: asyncio.Event = field(default_factory=asyncio.Event)
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def cut(self) -> None:
        """Let nothing pass."""
        self.is_cut = True
        self._healed.clear()

    def heal(self) -> None:
        """Let everything pass again."""
        self.is_cut = False
        self._healed.set()

    def drop(self) -> None:
        """Break every connection at once, as a router that forgets them does."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry bytes one way until either end is gone."""
        try:
            with suppress(OSError):
                while data := await reader.read(65_536):
                    if self.is_cut:
                        await self._healed.wait()
                    writer.write(data)
                    await writer.drain()
        finally:
            writer.close()

    def hold(self, *writers: asyncio.StreamWriter) -> None:
        """Note connections that `drop` breaks, also those by which nothing is carried yet."""
        self._writers += writers


@asynccontextmanager
async def network(target_port: int) -> AsyncIterator[Network]:
    """Run a network to a port of loopback for as long as the context lasts."""
    way = Network()
    tasks: set[asyncio.Task[None]] = set()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", target_port)
        except OSError:
            writer.close()
            return
        way.hold(writer, back)
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(way.carry(source, sink))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    way.port = server.sockets[0].getsockname()[1]
    try:
        yield way
    finally:
        server.close()
        way.drop()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
