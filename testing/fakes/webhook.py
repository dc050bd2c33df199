"""A receiver of webhooks on loopback: it keeps what it is given and answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Reply:
    """What the receiver does with a request.

    Attributes:
        status: What it answers.
        headers: What it answers besides.
        text: What it says.
        hangs: Whether it never answers.
        resets: Whether it drops the connection instead.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    hangs: bool = False
    resets: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request that came.

    Attributes:
        headers: Its headers, by lower-case name.
        body: Its body, byte by byte as it came.
    """

    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class FakeReceiver:
    """The receiver.

    Attributes:
        script: What it does with the next requests; afterwards it accepts.
        url: Where it is.
        deliveries: What came, in order.
        takes_s: How long it takes for each request [s].
        at_once: How many requests it has in hand.
        most_at_once: The most that it ever had.
    """

    script: list[Reply] = field(default_factory=list)
    url: str = ""
    deliveries: list[Delivery] = field(default_factory=list)
    takes_s: float = 0.0
    at_once: int = 0
    most_at_once: int = 0

    async def take(self, request: web.Request) -> web.Response:
        """Keep a request and answer it."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.deliveries.append(Delivery(headers, await request.read()))
        reply = self.script.pop(0) if self.script else Reply()
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.takes_s)
            return await self._answer(request, reply)
        finally:
            self.at_once -= 1

    @staticmethod
    async def _answer(request: web.Request, reply: Reply) -> web.Response:
        if reply.hangs:
            await asyncio.sleep(3_600)
        if reply.resets and request.transport is not None:
            request.transport.abort()
        return web.Response(status=reply.status, headers=reply.headers, text=reply.text)


@asynccontextmanager
async def receiver(script: Iterable[Reply] = (), *, takes_s: float = 0.0) -> AsyncIterator[FakeReceiver]:
    """Run a receiver on loopback."""
    fake = FakeReceiver(list(script), takes_s=takes_s)
    app = web.Application()
    app.router.add_post("/{path:.*}", fake.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}/pages"
        yield fake
    finally:
        await runner.cleanup()
