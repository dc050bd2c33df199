"""A real database killed in the middle of writing, or its token changed: nothing is lost, nothing twice."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from facility.errors import StoreUnavailable
from facility.readings import Rejection
from facility.sitefile.tables import InfluxTable
from store.base import Chunk
from store.influx.lineprotocol import Kept
from store.influx.setup import WRITER, set_up
from store.influx.sink import InfluxSink
from store.retry import StoreBusy
from testing.builders import T0_MS, a_batch, a_point
from testing.servers import influxd, influxd1, victoria
from testing.servers.process import Server, free_port

pytestmark = pytest.mark.servers

Run = Callable[[Path, int], AbstractContextManager[Server]]
Ask = Callable[[Server], list[tuple[int, float]]]
CHUNKS, EACH = 60, 40
SEED = 20_261_123


def from_influxd(server: Server) -> list[tuple[int, float]]:
    """Return the readings that an InfluxDB 2 has."""
    rows = influxd.select(server, "SELECT value FROM reading")
    return [(int(row["time"]), row["value"]) for row in rows]


def from_influxd1(server: Server) -> list[tuple[int, float]]:
    """Return the readings that an InfluxDB 1 has."""
    rows = influxd1.query(server, "SELECT value FROM reading")
    return [(int(row["time"]), row["value"]) for row in rows]


def from_victoria(server: Server) -> list[tuple[int, float]]:
    """Return the readings that a VictoriaMetrics has."""
    found = victoria.export(server, '{__name__="reading_value"}')
    return [pair for series in found for pair in zip(series["timestamps"], series["values"], strict=True)]


@dataclass(slots=True)
class Mortal:
    """A database that is killed and started again on the same port, with what it had on disk.

    Attributes:
        run: Runs it in a folder on a port.
        ask: Returns the readings that it has.
        token: What opens it.
        folder: Its folder.
    """

    run: Run
    ask: Ask
    token: str
    folder: Path
    port: int = field(default_factory=free_port)
    stack: ExitStack = field(default_factory=ExitStack)
    server: Server = field(default_factory=lambda: Server(0))

    def start(self) -> None:
        """Start it."""
        self.server = self.stack.enter_context(self.run(self.folder, self.port))

    def kill(self) -> None:
        """Kill it, so that it puts nothing away."""
        os.kill(self.server.pid, signal.SIGKILL)
        self.stack.close()


def a_mortal(kind: str, folder: Path) -> Mortal:
    """Return a database of a kind; skip where it is not on this machine."""
    kinds: dict[str, tuple[str | None, Run, Ask, str]] = {
        "InfluxDB 2": (influxd.PROGRAM, influxd.influxd, from_influxd, influxd.TOKEN),
        "InfluxDB 1": (
            influxd1.PROGRAM,
            influxd1.influxd1,
            from_influxd1,
            f"{influxd1.USER}:{influxd1.PASSWORD}",
        ),
        "VictoriaMetrics": (victoria.PROGRAM, victoria.victoria, from_victoria, ""),
    }
    program, run, ask, token = kinds[kind]
    if program is None:
        pytest.skip(f"no {kind} on this machine")
    return Mortal(run, ask, token, folder)


def a_chunk(number: int) -> Chunk:
    """Return the readings of a moment."""
    points = {rack: a_point(f"Rack/RackPower/r{rack}", asset=f"r{rack}") for rack in range(EACH)}
    rows = [(rack, T0_MS + number * EACH + rack, float(number * EACH + rack)) for rack in range(EACH)]
    return Chunk(first_seq=number + 1, last_seq=number + 1, batch=a_batch(rows), points=points)


async def stored(sink: InfluxSink, chunk: Chunk) -> Sequence[Rejection]:
    """Store a chunk, however long the database is away."""
    while True:
        try:
            return await sink.store(chunk)
        except StoreBusy:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("kind", ["InfluxDB 1", "InfluxDB 2", "VictoriaMetrics"])
def test_a_kill_loses_and_doubles_nothing(kind: str, tmp_path: Path) -> None:
    """Whatever was accepted before the database was killed is there in the end, once."""
    mortal = a_mortal(kind, tmp_path)
    random = Random(SEED)  # noqa: S311 - chooses moments, hides nothing
    kills = sorted(random.sample(range(5, CHUNKS - 5), 3))

    async def story() -> list[tuple[int, float]]:
        await asyncio.to_thread(mortal.start)
        table = InfluxTable.model_validate(
            {"url": f"http://127.0.0.1:{mortal.port}", "org": influxd.ORG, "bucket": influxd.BUCKET}
        )
        sink = InfluxSink(table, lambda: mortal.token)
        restarting: asyncio.Future[None] | None = None
        for number in range(CHUNKS):
            if number in kills:
                await asyncio.to_thread(mortal.kill)
                restarting = asyncio.ensure_future(asyncio.to_thread(mortal.start))
            assert not await stored(sink, a_chunk(number))
            if restarting is not None:
                await restarting
            await asyncio.sleep(random.uniform(0, 0.03))
        await sink.close()
        try:
            return await asyncio.to_thread(mortal.ask, mortal.server)
        finally:
            await asyncio.to_thread(mortal.stack.close)

    found = asyncio.run(story())

    wanted = [(T0_MS + number, float(number)) for number in range(CHUNKS * EACH)]
    assert sorted(found) == wanted, f"seed {SEED}"


@pytest.mark.parametrize("kind", ["InfluxDB 1", "InfluxDB 2", "VictoriaMetrics"])
def test_a_kill_that_nobody_saw_loses_and_doubles_nothing(kind: str, tmp_path: Path) -> None:
    """A database that is killed and up again between two writes had not everything on disk."""
    mortal = a_mortal(kind, tmp_path)

    async def story() -> list[tuple[int, float]]:
        await asyncio.to_thread(mortal.start)
        table = InfluxTable.model_validate(
            {"url": f"http://127.0.0.1:{mortal.port}", "org": influxd.ORG, "bucket": influxd.BUCKET}
        )
        sink = InfluxSink(table, lambda: mortal.token)
        try:
            # It tells to the second when it was started.
            await asyncio.sleep(1)
            for number in range(6):
                assert not await sink.store(a_chunk(number))
                if number in (2, 3):
                    await asyncio.to_thread(mortal.kill)
                    await asyncio.to_thread(mortal.start)
                    await asyncio.sleep(1)
            return await asyncio.to_thread(mortal.ask, mortal.server)
        finally:
            await sink.close()
            await asyncio.to_thread(mortal.stack.close)

    assert sorted(asyncio.run(story())) == [(T0_MS + number, float(number)) for number in range(6 * EACH)]


@pytest.mark.parametrize("kind", ["InfluxDB 1", "InfluxDB 2"])
def test_a_token_that_is_replaced_is_waited_for(kind: str, tmp_path: Path) -> None:
    """Readings wait while the token is not valid, and go on with the one that is put into the file."""
    mortal = a_mortal(kind, tmp_path)
    mortal.start()
    admin = influxd.TOKEN if kind == "InfluxDB 2" else f"{influxd1.ADMIN}:{influxd1.PASSWORD}"
    url = mortal.server.url
    table = InfluxTable.model_validate({"url": url, "org": influxd.ORG, "bucket": influxd.BUCKET})
    for_ever = dict.fromkeys(Kept, 0)
    tokens = [set_up(table, admin, retentions_s=for_ever, renews_tokens=True).tokens[WRITER]]
    said = []

    async def story() -> None:
        sink = InfluxSink(table, lambda: tokens[-1])
        await sink.store(a_chunk(0))
        new = await asyncio.to_thread(set_up, table, admin, renews_tokens=True, retentions_s=for_ever)
        for number in range(1, 4):
            try:
                await sink.store(a_chunk(number))
            except StoreUnavailable as error:
                said.append(error.cause)
                tokens.append(new.tokens[WRITER])
                await sink.store(a_chunk(number))
        await sink.close()

    try:
        asyncio.run(story())
        found = mortal.ask(mortal.server)
    finally:
        mortal.stack.close()

    assert [("the token is not valid" in text) for text in said] == [True]
    assert sorted(found) == [(T0_MS + number, float(number)) for number in range(4 * EACH)]
