"""The database away for a minute: alarms on time meanwhile, then everything arrives, in order, once."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest
from aiohttp import web

from testing.collector.publishing import Publisher
from testing.fakes.influx_server import parse
from testing.megawatch.monitoring import Watch, journalled, receiving, watching
from testing.servers import influxd, victoria
from testing.servers.brokers import Mosquitto
from testing.servers.process import Server, free_port

KINDS = ("order", "victoria-metrics", "influxdb 2")
RACKS = ("r1", "r2")

RunServer = Callable[[Path, int], AbstractContextManager[Server]]
Ask = Callable[[Server], dict[str, list[tuple[int, float]]]]

SITE = """
[site]
name = "outage"
rack_rating_kw = 100
[[broker]]
url = "{url}"
client_id = "monitor-{name}"
format = "rack-documents"
[store]
influxdb = {{ url = "http://127.0.0.1:{port}", org = "titan", bucket = "readings", token_file = "token" }}
[[tenant]]
id = "acme"
holds = [{{ racks = "r[1-2]", from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.1
[[route]]
rule = ["C2"]
to = {{ webhook = "{pager}" }}
[rules]
C2 = {{ on_delay_s = 1, off_delay_s = 1 }}
"""


class Database(Protocol):
    """A database that can be started again where it was."""

    port: int

    async def start(self) -> None:
        """Start it."""
        ...

    async def stop(self) -> None:
        """Stop it."""
        ...

    async def readings(self) -> dict[str, list[tuple[int, float]]]:
        """Return what it has of each rack's power: time [ms] and value, in the order of time."""
        ...


@dataclass(slots=True)
class RealDatabase:
    """A real server.

    Attributes:
        run: Runs it in a folder on a port.
        ask: Asks it for the readings.
        folder: Its folder.
        port: Its port.
    """

    run: RunServer
    ask: Ask
    folder: Path
    port: int = field(default_factory=free_port)
    stack: ExitStack = field(default_factory=ExitStack)
    server: Server | None = None

    async def start(self) -> None:
        """Start it."""
        self.folder.mkdir(exist_ok=True)
        self.server = await asyncio.to_thread(self.stack.enter_context, self.run(self.folder, self.port))

    async def stop(self) -> None:
        """Stop it."""
        await asyncio.to_thread(self.stack.close)

    async def readings(self) -> dict[str, list[tuple[int, float]]]:
        """Return what it has."""
        assert self.server is not None
        return await asyncio.to_thread(self.ask, self.server)


@dataclass(slots=True)
class OrderRecorder:
    """A database that keeps what it is given in the order in which it is given.

    A line that is written again, because it went away before it answered, takes the place of the same line,
    as in any database of time series.
    """

    port: int = field(default_factory=free_port)
    arrived: dict[str, list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Start it."""
        app = web.Application(client_max_size=64_000_000)
        app.router.add_post("/api/v2/write", self._take)
        self.runner = web.AppRunner(app, access_log=None)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        """Stop it."""
        assert self.runner is not None
        await self.runner.cleanup()

    async def readings(self) -> dict[str, list[tuple[int, float]]]:
        """Return what it was given, in that order."""
        return dict(self.arrived)

    async def _take(self, request: web.Request) -> web.Response:
        for text in (await request.text()).splitlines():
            if text.startswith("reading,"):
                line = parse(text)
                value = line.fields["value"]
                assert isinstance(value, float)
                arrived = self.arrived[dict(line.tags)["asset"]]
                if (line.time, value) not in arrived:
                    arrived.append((line.time, value))
        return web.Response(status=204)


def from_victoria(server: Server) -> dict[str, list[tuple[int, float]]]:
    """Ask a VictoriaMetrics."""
    found = victoria.export(server, '{__name__="reading_value"}')
    return {
        series["metric"]["asset"]: list(zip(series["timestamps"], series["values"], strict=True))
        for series in found
    }


def from_influxd(server: Server) -> dict[str, list[tuple[int, float]]]:
    """Ask an InfluxDB 2."""
    found: dict[str, list[tuple[int, float]]] = {}
    for rack in RACKS:
        rows = influxd.select(server, f"SELECT value FROM reading WHERE asset = '{rack}'")  # noqa: S608 - our rack
        found[rack] = [(int(row["time"]), row["value"]) for row in rows]
    return found


def database(kind: str, folder: Path) -> Database:
    """Return a database of a kind; skip where it is not on this machine."""
    if kind == "order":
        return OrderRecorder()
    made: dict[str, tuple[str | None, RunServer, Ask]] = {
        "victoria-metrics": (victoria.PROGRAM, victoria.victoria, from_victoria),
        "influxdb 2": (influxd.PROGRAM, influxd.influxd, from_influxd),
    }
    program, run, ask = made[kind]
    if program is None:
        pytest.skip(f"no {kind} on this machine")
    return RealDatabase(run, ask, folder)


@asynccontextmanager
async def speaking(publisher: Publisher, power_kw: dict[str, float]) -> AsyncIterator[list[tuple[str, int]]]:
    """Publish a document a second for each rack; yields what was published: rack and time [ms]."""
    said: list[tuple[str, int]] = []

    async def live() -> None:
        while True:
            at_ms = time.time_ns() // 1_000_000  # noqa: TID251 - a publisher has a clock of its own
            for rack in RACKS:
                body = {"time": at_ms, "power_kw": power_kw[rack] + len(said) / 1_000}
                publisher.publish(f"megawatch/v1/outage/{rack}", json.dumps(body).encode())
                said.append((rack, at_ms))
            await asyncio.sleep(1)

    living = asyncio.create_task(live())
    try:
        yield said
    finally:
        living.cancel()


async def an_outage(kind: str, folder: Path, away_s: float) -> None:
    """Play an outage and check what came of it."""
    store = database(kind, folder / "database")
    async with AsyncExitStack() as stack:
        server = stack.enter_context(Mosquitto(folder / "broker"))
        pager = await stack.enter_async_context(receiving())
        publisher = stack.enter_context(Publisher(server.port))
        await store.start()
        stack.push_async_callback(store.stop)
        site = folder / "site"
        site.mkdir()
        (site / "token").write_text(influxd.TOKEN)
        name = kind.replace(" ", "-")
        text = SITE.format(url=server.url, pager=pager.url, port=store.port, name=name)
        watch = await stack.enter_async_context(watching(site, text))
        await watch.until_connected()
        power = {"r1": 40.0, "r2": 40.0}
        async with speaking(publisher, power) as said:
            await asyncio.sleep(4)
            await store.stop()
            await asyncio.sleep(away_s / 3)
            await _rise_and_fall(watch, pager.about, power)
            await asyncio.sleep(away_s / 3)
            assert watch.monitor.status.document()["history"]["error"]
            await store.start()
            await asyncio.sleep(4)
        await watch.until_stored(len(said))
        head = watch.monitor.built.journal
        assert head is not None
        await watch.until(lambda: watch.monitor.built.shipper.seq >= head.head_seq, "all written")  # type: ignore[union-attr]
        stored = await store.readings()
        for rack in RACKS:
            assert [at_ms for at_ms, _ in stored[rack]] == [at_ms for name, at_ms in said if name == rack]
        values = {value for rack in RACKS for _, value in stored[rack]}
        assert values == set(journalled(watch.data).value.tolist())


async def _rise_and_fall(
    watch: Watch, about: Callable[[str, str], list[str]], power: dict[str, float]
) -> None:
    """Let the tenant exceed its contract while the database is away: it is paged all the same."""
    power["r1"] = 80.0
    await watch.until(lambda: bool(about("C2", "opened")), "the page")
    power["r1"] = 40.0
    await watch.until(lambda: bool(about("C2", "returned")), "the end of it")


@pytest.mark.servers
@pytest.mark.parametrize(
    ("kind", "away_s"), [("order", 3), *(pytest.param(kind, 60, marks=pytest.mark.soak) for kind in KINDS)]
)
def test_an_outage_of_the_database_costs_nothing(kind: str, away_s: float, tmp_path: Path) -> None:
    """Alarms do not wait for the database, and it has everything once, in order, when it is back."""
    asyncio.run(an_outage(kind, tmp_path, away_s))
