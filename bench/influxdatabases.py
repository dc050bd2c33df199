"""The databases of this machine, as the benchmarks run them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from facility.sitefile.tables import InfluxTable
from store.influx.server import Kind
from store.influx.sink import MOST_LINES
from store.influx.write import open_writer
from testing.servers import influxd, influxd1, victoria
from testing.servers.process import Server

QUICKLY: Final = (
    "--storage-cache-snapshot-write-cold-duration=1s",
    "--storage-compact-full-write-cold-duration=3s",
)
QUICKLY_1: Final = '  cache-snapshot-write-cold-duration = "1s"\n  compact-full-write-cold-duration = "3s"'


@dataclass(frozen=True, slots=True)
class Database:
    """A server that can be measured.

    Attributes:
        name: What it is.
        kind: How it is written to.
        run: Runs it in a folder.
        token: What opens it.
        data: Where its data are, below its folder.
    """

    name: str
    kind: Kind
    run: Callable[[Path], AbstractContextManager[Server]]
    token: str
    data: str


def databases() -> list[Database]:
    """Return the servers that are on this machine."""
    found = []
    if influxd.PROGRAM:
        run = lambda folder: influxd.influxd(folder, options=QUICKLY)  # noqa: E731 - as short as its use
        found.append(Database("InfluxDB 2", Kind.INFLUXDB_2, run, influxd.TOKEN, "engine/data"))
    if influxd1.PROGRAM:
        token = f"{influxd1.ADMIN}:{influxd1.PASSWORD}"
        run = lambda folder: influxd1.influxd1(folder, options=QUICKLY_1)  # noqa: E731 - likewise
        found.append(Database("InfluxDB 1", Kind.INFLUXDB_1, run, token, "data"))
    if victoria.PROGRAM:
        found.append(Database("VictoriaMetrics", Kind.VICTORIA_METRICS, victoria.victoria, "", "data"))
    return found


def table_of(server: Server) -> InfluxTable:
    """Return what a site file would say of a server."""
    return InfluxTable.model_validate({"url": server.url, "org": influxd.ORG, "bucket": influxd.BUCKET})


async def send(database: Database, server: Server, lines: Sequence[bytes]) -> None:
    """Send lines as our writer does."""
    writer = open_writer(database.kind, table_of(server), database.token, timeout_s=60, is_squeezed=False)
    for start in range(0, len(lines), MOST_LINES):
        answer = await writer.write(influxd.BUCKET, b"\n".join(lines[start : start + MOST_LINES]))
        assert answer.status == 204, answer  # noqa: PLR2004 - stored
    await writer.close()
