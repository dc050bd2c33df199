"""InfluxDB and VictoriaMetrics: what writing costs us and them, what a reading takes on disk, and the reads.

NVIDIA's recording for 40 pods (6,640 points), over and over. Beside our writer: influxdb-client's Points in
its asynchronous and its batching mode, to the same server in the same run. Beside our schema: others of the
same readings. Every server that is on this machine is measured, each in a folder of its own.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync
from influxdb_client.client.write.point import Point
from influxdb_client.client.write_api import WriteOptions
from influxdb_client.domain.write_precision import WritePrecision

from bench.frame import Figure, seconds_of
from bench.influxdatabases import Database, databases, send, table_of
from bench.rig.processes import cpu_s
from bench.rig.telegraf import forwarding
from bench.schemas import FORMS, PARQUET_FORMS, Form, stream, written
from facility.instants import HOUR_MS, MINUTE_MS
from store.base import Chunk
from store.history.sealing import ParquetSink
from store.influx.lineprotocol import Encoder, Kept
from store.influx.query import InfluxQuery
from store.influx.server import Kind
from store.influx.sink import MOST_LINES, InfluxSink
from testing.servers import influxd
from testing.servers.process import Server

PODS: Final = 40
START_MS: Final = 1_780_000_000_000 // HOUR_MS * HOUR_MS
SETTLE_S: Final = 25.0
"""How long a server is left alone, so that it puts away what it was given [s]."""


def run(*, quick: bool = False) -> list[Figure]:
    """Measure every server that is there."""
    plays, repetitions = (2, 2) if quick else (12, 3)
    figures = []
    for database in databases():
        figures += _writing(database, repetitions)
        forms = dict(list(FORMS.items())[:1]) if quick else FORMS
        for name, form in forms.items():
            figures += _schema(database, name, form, plays)
    figures += _parquet(plays)
    return figures


# Writing ------------------------------------------------------------------------------


def _writing(database: Database, repetitions: int) -> list[Figure]:
    ours, points, batching, theirs = [], [], [], []
    with tempfile.TemporaryDirectory() as name, database.run(Path(name)) as server:
        chunks = list(stream(PODS, repetitions + 1, START_MS))
        sink = InfluxSink(table_of(server), lambda: database.token)
        with asyncio.Runner() as runner:
            runner.run(sink.store(chunks[0]))  # the names of all series
            for chunk in chunks[1:]:
                count = len(chunk.batch)
                before = cpu_s(server.pid)
                ours.append(_cpu(lambda c=chunk: runner.run(sink.store(c))) / count * 1e6)  # type: ignore[misc]  # the default binds the chunk
                theirs.append((cpu_s(server.pid) - before) / count * 1e6)
                if database.kind is Kind.INFLUXDB_2:
                    points.append(_cpu(lambda c=chunk: runner.run(_points(server, c))) / count * 1e6)  # type: ignore[misc]  # likewise
                    batching.append(_cpu(lambda c=chunk: _batching(server, c)) / count * 1e6)  # type: ignore[misc]  # likewise
            runner.run(sink.close())
    beside = "influxdb-client, Points" if points else ""
    found = [
        Figure(
            what=f"store in {database.name}, our CPU per reading",
            unit="µs",
            samples=ours,
            beside=beside,
            theirs=points,
        ),
        Figure(what=f"the same, CPU of {database.name} per reading", unit="µs", samples=theirs),
    ]
    if points and (telegraf := forwarding(database, _bodies(repetitions))):
        what = "lines through Telegraf into InfluxDB 2, CPU of Telegraf per reading"
        found.append(Figure(what=what, unit="µs", samples=telegraf))
    if batching:
        what = "the same by influxdb-client's batching mode, CPU per reading"
        found.append(Figure(what=what, unit="µs", samples=batching))
    return found


def _bodies(count: int) -> Iterator[list[bytes]]:
    encoder = Encoder()
    for chunk in stream(PODS, count, START_MS):
        yield encoder.encode(chunk).lines[Kept.DAYS]


def _cpu(work: Callable[[], object]) -> float:
    begin_s = time.process_time()
    work()
    return time.process_time() - begin_s


def _as_points(chunk: Chunk) -> Iterator[Point]:
    batch, points = chunk.batch, chunk.points
    for number, at, value, quality in zip(
        batch.point.tolist(),
        batch.source_ms.tolist(),
        batch.value.tolist(),
        batch.quality.tolist(),
        strict=True,
    ):
        point = points[number]
        yield (
            Point("reading")
            .tag("point", point.key)
            .tag("asset", point.asset)
            .tag("quantity", point.quantity)
            .field("value", value)
            .field("quality", float(quality))
            .time(at, WritePrecision.MS)
        )


async def _points(server: Server, chunk: Chunk) -> None:
    async with InfluxDBClientAsync(server.url, influxd.TOKEN, influxd.ORG) as client:
        api, waiting = client.write_api(), list[Point]()
        for point in _as_points(chunk):
            waiting.append(point)
            if len(waiting) == MOST_LINES:
                await api.write(influxd.BUCKET, influxd.ORG, waiting, WritePrecision.MS)  # type: ignore[arg-type]  # likewise
                waiting = []
        if waiting:
            await api.write(influxd.BUCKET, influxd.ORG, waiting, WritePrecision.MS)  # type: ignore[arg-type]  # likewise


def _batching(server: Server, chunk: Chunk) -> None:
    options = WriteOptions(batch_size=MOST_LINES, flush_interval=1_000)
    with (
        InfluxDBClient(server.url, influxd.TOKEN, org=influxd.ORG) as client,
        client.write_api(write_options=options) as api,
    ):
        for point in _as_points(chunk):
            api.write(influxd.BUCKET, influxd.ORG, point, WritePrecision.MS)


# Schemas ------------------------------------------------------------------------------


def _schema(database: Database, name: str, form: Form, plays: int) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder, database.run(Path(folder)) as server:
        data = Path(folder) / database.data
        encoder, readings, lines, sent, end_ms = Encoder(), 0, 0, 0, 0
        empty, before = _size(data), cpu_s(server.pid)
        for chunk in stream(PODS, plays, START_MS):
            made = form(chunk, encoder)
            readings, lines, sent = readings + len(chunk.batch), lines + len(made), sent + sum(map(len, made))
            end_ms = int(chunk.batch.source_ms.max())
            asyncio.run(send(database, server, made))
        spent = cpu_s(server.pid) - before
        time.sleep(SETTLE_S)
        if database.kind is Kind.VICTORIA_METRICS:
            server.request("GET", "/internal/force_merge")
            time.sleep(2)
        found = [
            Figure(
                what=f"{database.name}, {name}: on disk, per reading",
                unit="bytes",
                samples=[(_size(data) - empty) / readings],
            ),
            Figure(
                what=f"{database.name}, {name}: sent, per reading",
                unit="bytes",
                samples=[(sent + lines) / readings],
            ),
            Figure(
                what=f"{database.name}, {name}: CPU of the server, with putting away",
                unit="µs",
                samples=[(cpu_s(server.pid) - before) / readings * 1e6],
            ),
            Figure(
                what=f"{database.name}, {name}: CPU of the server, while writing",
                unit="µs",
                samples=[spent / readings * 1e6],
            ),
        ]
        if database.kind is not Kind.VICTORIA_METRICS and "narrow" in name:
            found += _reads(database, name, server, end_ms)
        return found


def _size(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def _reads(database: Database, name: str, server: Server, end_ms: int) -> list[Figure]:
    query = InfluxQuery(table_of(server), lambda: database.token)
    key = "pod7/" + next(iter(next(iter(stream(1, 1, 0))).points.values())).key.removeprefix("pod0/")
    span = {"from": (end_ms - 10 * MINUTE_MS) * 1_000_000, "to": end_ms * 1_000_000}
    within = "time >= $from AND time < $to"
    one = f'SELECT mean("value") FROM "reading" WHERE "point" = $point AND {within} GROUP BY time(1m)'  # noqa: S608 - our own words
    inner = f'SELECT mean("value") AS "m" FROM "reading" WHERE "quantity" = $quantity AND {within}'  # noqa: S608 - likewise
    site = f'SELECT sum("m") FROM ({inner} GROUP BY time(1m), "point") WHERE {within} GROUP BY time(1m)'  # noqa: S608 - likewise

    def timed(question: str, parameters: dict[str, Any]) -> list[float]:
        return [seconds_of(lambda: query.numbers([question], parameters)) * 1e3 for _ in range(3)]

    with closing(query):
        found = [
            Figure(
                what=f"{database.name}, {name}: minutes of a point over ten",
                unit="ms",
                samples=timed(one, {**span, "point": key}),
            )
        ]
        if "only tag" not in name:
            samples = timed(site, {**span, "quantity": "rack.power.active"})
            found.append(
                Figure(
                    what=f"{database.name}, {name}: power of all racks, minutes over ten",
                    unit="ms",
                    samples=samples,
                )
            )
    return found


def _parquet(plays: int) -> list[Figure]:
    async def story(folder: Path) -> tuple[float, int]:
        sink, readings, spent = ParquetSink(folder, merges=False), 0, 0.0
        for chunk in stream(PODS, plays, START_MS):
            begin_s = time.process_time()
            await sink.store(chunk)
            spent, readings = spent + time.process_time() - begin_s, readings + len(chunk.batch)
        await sink.close()
        return spent, readings

    with tempfile.TemporaryDirectory() as folder:
        spent, readings = asyncio.run(story(Path(folder)))
        history = Path(folder) / "history"
        found = [
            Figure(
                what="Parquet: on disk, per reading",
                unit="bytes",
                samples=[_size(history) / readings],
            ),
            Figure(what="Parquet: CPU per reading", unit="µs", samples=[spent / readings * 1e6]),
        ]
        parts = sorted((history / "reading").rglob("*.parquet"))
        for name, form in PARQUET_FORMS.items():
            one = Path(folder) / "one.parquet"
            size = sum(written(part, form, one) for part in parts)
            found.append(
                Figure(what=f"Parquet, {name}: per reading", unit="bytes", samples=[size / readings])
            )
    return found
