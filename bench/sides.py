"""The sides of `bench.ingest`, each in a process of its own: it says `listening`, `ready` and its CPU [s]."""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiomqtt
from aiohttp import web
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write.point import Point
from influxdb_client.client.write_api import WriteOptions
from pydantic import BaseModel, ConfigDict
from rich.console import Console

from bench.frame import be_quiet
from megawatch.run.monitor import Monitor
from megawatch.run.part import Part
from megawatch.run.process import end
from megawatch.site.folder import open_site

POLL_S = 0.02
PATIENCE_S = 120
TOPICS = {"dsx": "BMS/v1/#", "rack-documents": "megawatch/v1/#"}

SITE = """
[site]
name = "bench"
rack_rating_kw = 132
[[rack]]
ids = "r{{0000..0499}}"
[[broker]]
url = "mqtt://127.0.0.1:{port}"
format = "{format}"
[store]
influxdb = {{ url = "http://127.0.0.1:{sink}", org = "o", bucket = "b", token_file = "token" }}
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What one side is to take.

    Attributes:
        port: The broker's port.
        sink: The database's port.
        form: What is spoken on the bus.
        count: Messages that are measured.
        sources: Messages before them, one from each source.
        readings: Readings in a message.
    """

    port: int
    sink: int
    form: str
    count: int
    sources: int
    readings: int


def say(what: object) -> None:
    """Say something to whoever measures."""
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def cpu_s() -> float:
    """Return the CPU that this process has spent, user and system [s]."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return spent.ru_utime + spent.ru_stime


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - looking is cheap, and the same for both sides
            await asyncio.sleep(POLL_S)


# Ours ---------------------------------------------------------------------------------


async def ours(run: Run, folder: Path, *, writes: bool) -> None:
    """Run the collector, with or without the writer."""
    text = SITE.format(port=run.port, sink=run.sink, format=run.form)
    (folder / "site.toml").write_text(text)
    (folder / "token").write_text("t")
    parts = frozenset({Part.COLLECTOR, Part.WRITER} if writes else {Part.COLLECTOR})
    monitor = Monitor(open_site(folder), parts=parts, console=Console(quiet=True))
    running = asyncio.create_task(monitor.run())
    await monitor.started.wait()
    built = monitor.built
    await until(lambda: all(source.health.state == "connected" for source in built.sources))
    counters, journal, shipper = built.sources[0].counters, built.journal, built.shipper

    async def taken(messages: int) -> None:
        await until(lambda: counters.account.stored >= messages * run.readings)
        await until(lambda: shipper is None or journal is None or shipper.seq >= journal.head_seq)

    say("listening")
    await taken(run.sources)
    before_s = cpu_s()
    say("ready")
    await taken(run.sources + run.count)
    say(cpu_s() - before_s)
    await end(running)


# The plain loop ---------------------------------------------------------------------------


class Value(BaseModel):
    """A DSX value."""

    value: float | None
    timestamp: int
    quality: int


class Feed(BaseModel):
    """One feed of a rack document."""

    kw: float
    amps: list[float] | None = None


class Document(BaseModel):
    """A rack document."""

    model_config = ConfigDict(extra="forbid")

    time: int
    power_kw: float
    supply_c: float
    return_c: float
    flow_lpm: float
    inlet_c: float
    feeds: dict[str, Feed]


async def plain(run: Run) -> None:
    """Run the plain loop."""
    tags: dict[str, dict[str, object]] = {}
    client = InfluxDBClient(url=f"http://127.0.0.1:{run.sink}", token="t", org="o")  # noqa: S106 - of nothing
    writer = client.write_api(WriteOptions(batch_size=5_000, flush_interval=1_000))
    async with aiomqtt.Client("127.0.0.1", run.port, identifier="plain", clean_session=False) as bus:
        await bus.subscribe(TOPICS[run.form], qos=1)
        say("listening")
        done, before_s = 0, cpu_s()
        async for message in bus.messages:
            assert isinstance(message.payload, bytes)
            topic = str(message.topic)
            if "/Metadata/" in topic:
                tags[topic.partition("/Metadata/")[2]] = json.loads(message.payload)
                continue
            if run.form == "dsx":
                writer.write(bucket="b", record=_value_point(topic, message.payload, tags))
            else:
                writer.write(bucket="b", record=_document_point(topic, message.payload))
            done += 1
            if done == run.sources:
                before_s = cpu_s()
                say("ready")
            if done == run.sources + run.count:
                break
    writer.close()
    say(cpu_s() - before_s)


def _value_point(topic: str, payload: bytes, tags: dict[str, dict[str, object]]) -> Point:
    value = Value.model_validate_json(payload)
    key = topic.partition("/Value/")[2]
    known = tags[key]
    asset = str(known.get("rackLocationName") or known.get("objectName"))
    point: Point = (
        Point("reading")
        .tag("asset", asset)
        .tag("point_type", str(known["pointType"]))
        .tag("unit", str(known.get("engUnit", "")))
        .field("value", value.value)
        .field("quality", value.quality)
        .time(value.timestamp * 1_000_000)
    )
    return point


def _document_point(topic: str, payload: bytes) -> Point:
    said = Document.model_validate_json(payload)
    point: Point = Point("rack").tag("rack", topic.rpartition("/")[2])
    for key in ("power_kw", "supply_c", "return_c", "flow_lpm", "inlet_c"):
        point.field(key, getattr(said, key))
    for name, feed in said.feeds.items():
        point.field(f"{name}_kw", feed.kw)
        for phase, amps in enumerate(feed.amps or ()):
            point.field(f"{name}_{phase}_amps", amps)
    point.time(said.time * 1_000_000)
    return point


# The database -----------------------------------------------------------------------------


async def sink_server() -> None:
    """Answer every write with 204."""

    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=204)

    app = web.Application(client_max_size=100_000_000)
    app.router.add_route("*", "/{any:.*}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    say(runner.addresses[0][1])
    await asyncio.Event().wait()


def main() -> None:
    """Run one side."""
    side, *rest = sys.argv[1:]
    be_quiet()
    if side == "sink":
        asyncio.run(sink_server())
        return
    folder, port, sink, form, count, sources, readings = rest
    run = Run(int(port), int(sink), form, int(count), int(sources), int(readings))
    if side == "plain":
        asyncio.run(plain(run))
    else:
        asyncio.run(ours(run, Path(folder), writes=side == "whole"))


if __name__ == "__main__":
    main()
