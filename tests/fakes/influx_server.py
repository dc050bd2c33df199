"""A database that takes line protocol, on loopback: it stores like InfluxDB and fails as it is told.

It reads lines with a parser of its own, which knows escapes, so that a name that was not written as it
should be is seen as whatever a server would make of it. Beside it are a sink for it and ways to store chunks.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeVar

import pytest
from aiohttp import web

from facility.errors import StoreUnavailable
from facility.readings import Rejection
from facility.sitetables import InfluxTable
from store.base import Chunk, Sink
from store.influx import InfluxSink

T = TypeVar("T")
Delivered = tuple[Sequence[Rejection], list[StoreUnavailable]]
Fields = dict[str, float | str]
Tags = tuple[tuple[str, str], ...]
Stored = dict[tuple[str, Tags, int], Fields]

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_TIME = re.compile(r"-?\d{1,19}", re.ASCII)
_SPECIAL = re.compile(r"\\([,= \\\"])")


class BadLine(ValueError):  # noqa: N818 - what it is, not that it is one
    """A line that is not line protocol."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line, read.

    Attributes:
        measurement: Its measurement.
        tags: Its tags, in the order in which they stood.
        fields: Its fields.
        time: Its time, in whatever unit it was written.
    """

    measurement: str
    tags: Tags
    fields: Fields
    time: int


def parse(text: str) -> Line:
    """Read a line.

    Raises:
        BadLine: Where it is none.
    """
    parts = _split(text, " ")
    if len(parts) != 3:
        raise BadLine(f"expected series, fields and time, found {len(parts)} parts")
    series, fields, time = parts
    measurement, *tags = _split(series, ",")
    if not measurement or not _TIME.fullmatch(time):
        raise BadLine("expected a measurement and a time")
    return Line(
        measurement=_unescape(measurement),
        tags=tuple(_pair(tag) for tag in tags),
        fields={
            name: _value(value) for name, value in (_pair(part, plain=False) for part in _split(fields, ","))
        },
        time=int(time),
    )


def _split(text: str, separator: str) -> list[str]:
    parts, start, is_quoted, place = [], 0, False, 0
    while place < len(text):
        if text[place] == "\\":
            place += 1
        elif text[place] == '"':
            is_quoted = not is_quoted
        elif text[place] == separator and not is_quoted:
            parts.append(text[start:place])
            start = place + 1
        place += 1
    return [*parts, text[start:]]


def _pair(text: str, *, plain: bool = True) -> tuple[str, str]:
    name, *rest = _split(text, "=")
    if len(rest) != 1 or not name or not rest[0]:
        raise BadLine(f"expected a name and its value, found {text!r}")
    return _unescape(name), _unescape(rest[0]) if plain else rest[0]


def _value(text: str) -> float | str:
    if len(text) > 1 and text[0] == text[-1] == '"':
        return _unescape(text[1:-1])
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise BadLine(f"expected a float or a text, found {text!r}")
    return float(text)


def _unescape(text: str) -> str:
    return _SPECIAL.sub(r"\1", text)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the database does with a request, instead of what it would do.

    Attributes:
        status: What it answers.
        stores: Whether it stores the good lines nevertheless.
        headers: What it answers besides.
        hangs: Whether it never answers.
        resets: Whether it drops the connection instead.
    """

    status: int = 503
    stores: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    hangs: bool = False
    resets: bool = False


@dataclass(slots=True)
class FakeInflux:
    """The database.

    Attributes:
        script: What it does with the next requests that have lines; afterwards it behaves.
        bad: The values that it can not store.
        status: What it answers to bad lines.
        stores_good: Whether the good lines of a request with bad ones are stored.
        tells_dropped: Whether it says how many lines were bad.
        status_of_nothing: What it answers to a write of nothing; 400 is how InfluxDB 3 does it.
        token: The token that it takes.
        path: The path of its write requests.
        most_bytes: The longest body that it takes.
        bodies: The lines of every request that it read.
        arrived: Set once a request with lines has come.
        probes: How many writes of nothing there were.
        tokens: Every token that it was shown.
        stored: What it holds.
        url: Where it is.
    """

    script: Sequence[Answer] = ()
    bad: Collection[float] = ()
    status: int = 422
    stores_good: bool = True
    tells_dropped: bool = True
    status_of_nothing: int = 204
    token: str = "secret"  # noqa: S105 - opens nothing
    path: str = "/api/v2/write"
    most_bytes: int = 10_000_000
    bodies: list[list[str]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    probes: int = 0
    tokens: list[str] = field(default_factory=list)
    stored: Stored = field(default_factory=dict)
    url: str = ""

    @property
    def values(self) -> list[float]:
        """The values that it holds, sorted, each as often as it holds it."""
        return sorted(float(fields["value"]) for fields in self.stored.values())

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        body = await request.text()
        lines = [line for line in body.split("\n") if line and not line.startswith("#")]
        self.tokens.append(request.headers.get("Authorization", "").removeprefix("Token "))
        if request.path != self.path:
            return _say(400, f"unsupported path requested: {request.path}")
        if self.tokens[-1] != self.token:
            return _say(401, "unauthorized access")
        if request.query.get("bucket") != "readings":
            return _say(404, "bucket not found")
        if request.query.get("precision") != "ms":
            return _say(400, "expected milliseconds")
        if not lines:
            self.probes += 1
            return web.Response(status=self.status_of_nothing, text="incoming write was empty")
        self.bodies.append(lines)
        self.arrived.set()
        if len(self.bodies) <= len(self.script):
            return await self._misbehave(request, self.script[len(self.bodies) - 1], lines)
        if len(body) > self.most_bytes:
            return _say(413, "Request Entity Too Large")
        bad = [line for line in lines if not self._is_good(line)]
        if not bad or self.stores_good:
            self._keep(lines)
        if not bad:
            return web.Response(status=204)
        return _say(self.status, f"partial write: cannot store {bad[0]!r}", len(bad) * self.tells_dropped)

    async def _misbehave(self, request: web.Request, answer: Answer, lines: list[str]) -> web.StreamResponse:
        if answer.stores:
            self._keep(lines)
        if answer.hangs:
            await asyncio.Event().wait()
        if answer.resets and request.transport is not None:
            request.transport.abort()
        return _say(answer.status, "as told", headers=answer.headers)

    def _is_good(self, text: str) -> bool:
        try:
            return parse(text).fields.get("value") not in self.bad
        except BadLine:
            return False

    def _keep(self, lines: Iterable[str]) -> None:
        for line in (parse(text) for text in lines if self._is_good(text)):
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
    app.router.add_post("/{path:.*}", fake.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()


def with_sink(
    fake: FakeInflux,
    story: Callable[[InfluxSink], Awaitable[T]],
    *,
    bucket: str = "readings",
    tokens: Iterable[str] = ("secret",),
    timeout_s: float = 5.0,
) -> T:
    """Serve a fake database and tell a story of a sink for it, which takes its tokens one after the other."""
    waiting = deque(tokens)

    def token() -> str:
        return waiting.popleft() if len(waiting) > 1 else waiting[0]

    async def run() -> T:
        async with serving(fake):
            table = InfluxTable.model_validate({"url": fake.url, "org": "titan", "bucket": bucket})
            sink = InfluxSink(table, token, timeout_s)
            try:
                return await story(sink)
            finally:
                await sink.close()

    return asyncio.run(run())


def delivered(fake: FakeInflux, chunk: Chunk, timeout_s: float = 5.0) -> Delivered:
    """Store a chunk, again and again until it is; return what was refused and what went wrong before."""
    errors: list[StoreUnavailable] = []

    async def story(sink: Sink) -> Delivered:
        while True:
            try:
                return await sink.store(chunk), errors
            except StoreUnavailable as error:
                errors.append(error)
                assert len(errors) < 50

    return with_sink(fake, story, timeout_s=timeout_s)


def refusal(
    fake: FakeInflux,
    chunk: Chunk,
    *,
    bucket: str = "readings",
    tokens: Iterable[str] = ("secret",),
) -> StoreUnavailable:
    """Return why a chunk can not be stored now."""

    async def story(sink: InfluxSink) -> StoreUnavailable:
        with pytest.raises(StoreUnavailable) as caught:
            await sink.store(chunk)
        return caught.value

    return with_sink(fake, story, bucket=bucket, tokens=tokens)


def values_of(rejected: Iterable[Rejection]) -> list[float]:
    """Return the values of refused lines, each as often as it was refused."""
    return sorted(float(parse(rejection.payload.decode()).fields["value"]) for rejection in rejected)
