"""A database that takes line protocol, on loopback: it stores like InfluxDB and fails as it is told."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

from aiohttp import web

from testing.fakes.lines import BadLine, Fields, Line, Tags, parse

__all__ = ["Answer", "BadLine", "FakeInflux", "Line", "parse", "serving"]

Stored = dict[tuple[str, Tags, int], Fields]

_QUESTION = re.compile(r'SELECT "(\w+)" FROM "(\w+)" WHERE time = \$(\w+)((?: AND "\w+" = \$\w+)*)')
_TERM = re.compile(r'"(\w+)" = \$(\w+)')
PATHS = {"1": "/write", "2": "/api/v2/write"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the database does with a request, instead of what it would do.

    Attributes:
        status: What it answers.
        stores: Whether it stores the good lines nevertheless.
        headers: What it answers besides.
        hangs: Whether it never answers.
        resets: Whether it drops the connection instead.
        words: What it says.
        forgets: Whether it has forgotten everything by then, as one that was killed before it had it on disk.
    """

    status: int = 503
    stores: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    hangs: bool = False
    resets: bool = False
    words: str = "as told"
    forgets: bool = False


@dataclass(slots=True)
class FakeInflux:
    """The database. What is known of points is stored apart, for it is written beside every test.

    Attributes:
        script: What it does with the next requests that have readings; afterwards it behaves.
        bad: The values that it cannot store, and says so.
        dropped: The values that it says it stored, and did not.
        status: What it answers to bad lines.
        stores_good: Whether the good lines of a request with bad ones are stored.
        tells_dropped: Whether it says how many lines were bad.
        status_of_nothing: What it answers to a write of nothing; 400 is how InfluxDB 3 does it.
        token: The token that it takes.
        is_readable: Whether that token may read.
        generation: Which InfluxDB it says it is.
        path: The path of its write requests; "" for that of its generation.
        most_bytes: The longest body that it takes.
        bodies: The lines of every request with readings that it read.
        squeezed: How many bodies came compressed.
        arrived: Set once a request with readings has come.
        probes: How many writes of nothing there were.
        asked: How many lines it was asked for.
        tokens: Every token that a write showed.
        stored: What it holds.
        url: Where it is.
    """

    script: Sequence[Answer] = ()
    bad: Collection[float] = ()
    dropped: Collection[float] = ()
    status: int = 422
    stores_good: bool = True
    tells_dropped: bool = True
    status_of_nothing: int = 204
    token: str = "secret"  # noqa: S105 - opens nothing
    is_readable: bool = True
    generation: str = "2"
    path: str = ""
    most_bytes: int = 10_000_000
    bodies: list[list[str]] = field(default_factory=list)
    squeezed: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    probes: int = 0
    asked: int = 0
    tokens: list[str] = field(default_factory=list)
    stored: Stored = field(default_factory=dict)
    url: str = ""

    @property
    def values(self) -> list[float]:
        """The values of readings that it holds, sorted, each as often as it holds it."""
        found = (fields["value"] for (name, _, _), fields in self.stored.items() if name != "point")
        return sorted(float(value) for value in found)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        if request.path == "/ping":
            return web.Response(status=204, headers={"X-Influxdb-Version": f"{self.generation}.0.0"})
        if request.path == "/query":
            return self._select(request)
        if request.path != (self.path or PATHS[self.generation]):
            return _say(400 if request.method == "POST" else 404, f"unsupported path: {request.path}")
        bucket = request.query.get("bucket", request.query.get("db", ""))
        if bucket.startswith("readings/") or "rp" in request.query:
            return _say(404, "bucket not found")
        return await self._write(request, bucket)

    async def _write(self, request: web.Request, bucket: str) -> web.StreamResponse:
        # The framework has undone the compression.
        self.squeezed += request.headers.get("Content-Encoding") == "gzip"
        body = await request.text()
        lines = [line for line in body.split("\n") if line and not line.startswith("#")]
        self.tokens.append(request.headers.get("Authorization", "").removeprefix("Token "))
        if self.tokens[-1] != self.token:
            return _say(401, "unauthorized access")
        if bucket != "readings":
            return _say(404, "bucket not found")
        if request.query.get("precision") != "ms":
            return _say(400, "expected milliseconds")
        if not lines:
            self.probes += 1
            return web.Response(status=self.status_of_nothing, text="incoming write was empty")
        if all(line.startswith("point,") for line in lines):
            self._keep(lines)
            return web.Response(status=204)
        self.bodies.append(lines)
        self.arrived.set()
        if len(self.bodies) <= len(self.script):
            return await self._misbehave(request, self.script[len(self.bodies) - 1], lines)
        return self._take(body, lines)

    def _take(self, body: str, lines: list[str]) -> web.StreamResponse:
        if len(body) > self.most_bytes:
            return _say(413, "Request Entity Too Large")
        bad = [line for line in lines if not self._is_good(line)]
        if not bad or self.stores_good:
            self._keep(lines)
        if not bad:
            return web.Response(status=204)
        return _say(self.status, f"partial write: cannot store {bad[0]!r}", len(bad) * self.tells_dropped)

    def _select(self, request: web.Request) -> web.StreamResponse:
        if not self.is_readable:
            return _say(403, "the token may only write")
        parameters = json.loads(request.query.get("params", "{}"))
        results = []
        for question in request.query["q"].split(";"):
            match = _QUESTION.fullmatch(question)
            assert match is not None, question
            tags = tuple(sorted((name, parameters[value]) for name, value in _TERM.findall(match[4])))
            at_ms = parameters[match[3]] // 1_000_000
            self.asked += 1
            fields = self.stored.get((match[2], tags, at_ms), {})
            value = fields.get(match[1])
            series = [{"columns": ["time", match[1]], "values": [[at_ms, value]]}]
            results.append({"series": series} if value is not None else {})
        return web.json_response({"results": results})

    async def _misbehave(self, request: web.Request, answer: Answer, lines: list[str]) -> web.StreamResponse:
        if answer.forgets:
            self.stored.clear()
        if answer.stores:
            self._keep(lines)
        if answer.hangs:
            await asyncio.Event().wait()
        if answer.resets and request.transport is not None:
            request.transport.abort()
        return _say(answer.status, answer.words, headers=answer.headers)

    def _is_good(self, text: str) -> bool:
        try:
            return parse(text).fields.get("value") not in self.bad
        except BadLine:
            return False

    def _keep(self, lines: Iterable[str]) -> None:
        for line in (parse(text) for text in lines if self._is_good(text)):
            if line.fields.get("value") not in self.dropped:
                place = (line.measurement, tuple(sorted(line.tags)), line.time)
                self.stored.setdefault(place, {}).update(line.fields)


def _say(
    status: int, message: str, dropped: int = 0, headers: Iterable[tuple[str, str]] = ()
) -> web.StreamResponse:
    tail = f" dropped={dropped}" if dropped else ""
    body = {"code": HTTPStatus(status).phrase, "message": message + tail}
    return web.json_response(body, status=status, headers=dict(headers))


@asynccontextmanager
async def serving(fake: FakeInflux) -> AsyncIterator[FakeInflux]:
    """Serve a fake database on a free port of loopback, while the context lasts."""
    app = web.Application(client_max_size=20_000_000)
    app.router.add_route("*", "/{path:.*}", fake.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()
