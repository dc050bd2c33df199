"""A gateway in front of a real database: it passes requests on, and answers some of them as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from aiohttp import ClientSession, web

WRITES: Final = ("/write", "/api/v2/write")
_NOTHING: Final = b"#"
_HOP: Final = frozenset({"host", "content-length", "content-encoding", "transfer-encoding", "connection"})
"""Headers that are about one connection, or a body as it was before it was read."""


@dataclass(frozen=True, slots=True)
class Habit:
    """What a gateway does with writes.

    Attributes:
        status: What it answers instead of the database; 0 for the database's own answer.
        retry_after_s: The pause that it asks for [s]; 0 for none.
        stores: Whether the database gets the lines nevertheless.
        resets: Whether it drops the connection instead of an answer.
        most_bytes: Only longer bodies are treated so.
    """

    status: int = 0
    retry_after_s: int = 0
    stores: bool = False
    resets: bool = False
    most_bytes: int = -1

    def answer(self) -> web.Response:
        """Return what is answered instead of the database's own answer."""
        headers = {"Retry-After": str(self.retry_after_s)} if self.retry_after_s else {}
        return web.Response(status=self.status or 500, headers=headers, text="as told")


@dataclass(frozen=True, slots=True)
class Write:
    """A write that came.

    Attributes:
        at_s: When, by the event loop's clock [s].
        status: What it was answered; 0 where the connection was dropped.
        size: How long its body was [bytes].
        is_stored: Whether the database had said that it stored it.
    """

    at_s: float
    status: int
    size: int
    is_stored: bool


@dataclass(slots=True)
class Gateway:
    """The gateway. A write of nothing, and whatever is no write, always passes.

    Attributes:
        target: Where the database is.
        habit: What it does with writes just now.
        writes: The writes that came, in order.
        url: Where it is.
    """

    target: str
    habit: Habit = Habit()
    writes: list[Write] = field(default_factory=list)
    url: str = ""

    async def handle(self, session: ClientSession, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        body, came_s, habit = await request.read(), asyncio.get_running_loop().time(), self.habit
        is_write = request.path in WRITES and body != _NOTHING
        is_other = is_write and len(body) > habit.most_bytes and bool(habit.status or habit.resets)
        if is_other and not habit.stores:
            answer, status = habit.answer(), 0
        else:
            answer = await self._pass_on(session, request, body)
            status = answer.status
            if is_other:
                answer = habit.answer()
        is_dropped = is_other and habit.resets
        if is_write:
            said = 0 if is_dropped else answer.status
            self.writes.append(Write(came_s, said, len(body), status == 204))
        if is_dropped and request.transport is not None:
            request.transport.abort()
        return answer

    async def _pass_on(self, session: ClientSession, request: web.Request, body: bytes) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        url = f"{self.target}{request.path_qs}"
        async with session.request(request.method, url, data=body, headers=headers) as reply:
            found = {name: value for name, value in reply.headers.items() if name.lower() not in _HOP}
            return web.Response(status=reply.status, body=await reply.read(), headers=found)


@asynccontextmanager
async def gateway(target: str) -> AsyncIterator[Gateway]:
    """Run a gateway on a free port of loopback for as long as the context lasts."""
    made = Gateway(target)
    app = web.Application(client_max_size=20_000_000)
    async with ClientSession() as session:

        async def handle(request: web.Request) -> web.StreamResponse:
            return await made.handle(session, request)

        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield made
        finally:
            await runner.cleanup()
