"""Real databases at their limits: bodies that are too long, and more writers at once than they let in."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pytest

from facility.errors import StoreUnavailable
from facility.readings import Rejection
from facility.sitefile.tables import InfluxTable
from store.base import Chunk
from store.influx.requests import authorization
from store.influx.sink import InfluxSink
from store.retry import StoreBusy
from testing.builders import T0_MS, a_batch, a_point
from testing.servers import influxd1, victoria
from testing.servers.process import Server
from tests.integration.test_influx_kills import Ask, from_influxd1, from_victoria

pytestmark = pytest.mark.servers

MOST_BYTES = 3_000
"""How long a body may be; the longest that the sink sends has 1,000,000 bytes."""
COUNT = 12_000
WRITER = f"{influxd1.USER}:{influxd1.PASSWORD}"

Crowded = tuple[Callable[[Path], AbstractContextManager[Server]], str, str, Ask]


def a_table(server: Server) -> InfluxTable:
    """Return what a site file says of a database."""
    return InfluxTable.model_validate({"url": server.url, "org": "titan", "bucket": influxd1.DATABASE})


def a_chunk(count: int) -> Chunk:
    """Return readings of three racks."""
    points = {rack: a_point(f"Rack/RackPower/r{rack}", asset=f"r{rack}") for rack in range(3)}
    rows = [(number % 3, T0_MS + number, number / 8) for number in range(count)]
    return Chunk(first_seq=1, last_seq=1, batch=a_batch(rows), points=points)


def is_whole(found: Sequence[tuple[int, float]], count: int) -> bool:
    """Tell whether every reading is there, once."""
    return sorted(found) == [(T0_MS + number, number / 8) for number in range(count)]


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run an InfluxDB 1 that takes no long bodies."""
    if influxd1.PROGRAM is None:
        pytest.skip("no influxd of InfluxDB 1 on the PATH, nor its path in MEGAWATCH_INFLUXD1")
    limits = f"max-body-size = {MOST_BYTES}"
    with influxd1.influxd1(tmp_path_factory.mktemp("influxd"), limits=limits) as server:
        yield server


@pytest.mark.parametrize("is_squeezed", [False, True])
def test_bodies_that_are_too_long_are_halved(narrow: Server, *, is_squeezed: bool) -> None:
    """InfluxDB 1 answers 413 beyond its `max-body-size`: everything arrives in shorter bodies."""
    influxd1.query(narrow, "DROP MEASUREMENT reading")

    async def story() -> Sequence[Rejection]:
        sink = InfluxSink(a_table(narrow), lambda: WRITER, is_squeezed=is_squeezed)
        try:
            return await sink.store(a_chunk(COUNT))
        finally:
            await sink.close()

    assert asyncio.run(story()) == []
    assert is_whole(from_influxd1(narrow), COUNT)


def test_a_line_that_is_too_long_is_held(tmp_path: Path) -> None:
    """Where not even one line fits, somebody must raise the limit; nothing is refused meanwhile."""
    if influxd1.PROGRAM is None:
        pytest.skip("no influxd of InfluxDB 1 on the PATH, nor its path in MEGAWATCH_INFLUXD1")

    async def story(token: str, server: Server) -> None:
        sink = InfluxSink(a_table(server), lambda: token)
        try:
            await sink.store(a_chunk(3))
        finally:
            await sink.close()

    with influxd1.influxd1(tmp_path, limits="max-body-size = 60") as server:
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match=r"raise the limit.*413") as caught:
                asyncio.run(story(WRITER, server))
            assert not isinstance(caught.value, StoreBusy)
        port = server.port
    with influxd1.influxd1(tmp_path, port) as server:
        asyncio.run(story(WRITER, server))
        assert is_whole(from_influxd1(server), 3)


def a_crowded(kind: str) -> Crowded:
    """Return how a database is run that lets in one writer at a time, its write path, token and readings."""
    if kind == "VictoriaMetrics":
        if victoria.PROGRAM is None:
            pytest.skip("needs victoria-metrics on the PATH")
        run = partial(
            victoria.victoria, options=("-maxConcurrentInserts=1", "-insert.maxQueueDuration=200ms")
        )
        return run, "/api/v2/write?", "", from_victoria
    if influxd1.PROGRAM is None:
        pytest.skip("no influxd of InfluxDB 1 on the PATH, nor its path in MEGAWATCH_INFLUXD1")
    limits = (
        "max-concurrent-write-limit = 1",
        "max-enqueued-write-limit = 1",
        'enqueued-write-timeout = "200ms"',
    )
    run = partial(influxd1.influxd1, limits="\n".join(limits))
    return run, f"/write?db={influxd1.DATABASE}&", WRITER, from_influxd1


@contextmanager
def a_slow_writer(server: Server, path: str, token: str) -> Iterator[None]:
    """Begin to write, as somebody on a slow line, and do not come to the end."""
    head = [f"POST {path}precision=ms HTTP/1.1", "Host: here", "Content-Length: 500"]
    head += [f"{name}: {value}" for name, value in authorization(token).items()]
    with socket.create_connection(("127.0.0.1", server.port)) as line:
        line.sendall("\r\n".join([*head, "", f"other,of=somebody value=1 {T0_MS}\nother"]).encode())
        yield


@pytest.mark.parametrize("kind", ["InfluxDB 1", "VictoriaMetrics"])
def test_a_database_that_lets_nobody_in_is_waited_for(kind: str, tmp_path: Path) -> None:
    """It answers 503 while another writer has its only place: that passes, and nothing is lost or twice."""
    run, path, token, ask = a_crowded(kind)
    said: list[str] = []

    async def story(server: Server) -> Sequence[Rejection]:
        sink, chunk = InfluxSink(a_table(server), lambda: token), a_chunk(3_000)
        try:
            await sink.check()
            with a_slow_writer(server, path, token):
                await asyncio.sleep(0.2)
                for _ in range(2):
                    with pytest.raises(StoreBusy) as caught:
                        await sink.store(chunk)
                    said.append(caught.value.cause)
            await asyncio.sleep(0.2)
            return await sink.store(chunk)
        finally:
            await sink.close()

    with run(tmp_path) as server:
        assert asyncio.run(story(server)) == []
        found = ask(server)

    assert [text.startswith("it answered 503") for text in said] == [True, True]
    assert is_whole(found, 3_000)
