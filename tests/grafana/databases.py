"""Real databases beside the tests, prepared as a site's is, with the small world in them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest

from facility.sitefile.tables import InfluxTable
from store.influx.lineprotocol import Kept
from store.influx.requests import authorization
from store.influx.setup import READER, WRITER, set_up
from store.influx.sink import InfluxSink
from testing.dashboard_queries import Ask, Series
from testing.servers import influxd, influxd1
from testing.servers.process import Server
from tests.grafana.world import World

FOR_EVER = dict.fromkeys(Kept, 0)
"""The world is of a day in the past, whenever the tests run."""


@contextmanager
def second_generation(folder: Path, world: World) -> Iterator[Ask]:
    """Run an InfluxDB 2 with the world."""
    if influxd.PROGRAM is None:
        pytest.skip("needs influxd 2 on the PATH, or its path in MEGAWATCH_INFLUXD")
    with influxd.influxd(folder) as server:
        table = InfluxTable(url=server.url, org=influxd.ORG, bucket=influxd.BUCKET)
        yield _prepared(server, table, influxd.TOKEN, world)


@contextmanager
def first_generation(folder: Path, world: World) -> Iterator[Ask]:
    """Run an InfluxDB 1 with the world."""
    if influxd1.PROGRAM is None:
        pytest.skip("needs influxd 1 on the PATH (Debian's influxdb), or its path in MEGAWATCH_INFLUXD1")
    with influxd1.influxd1(folder) as server:
        table = InfluxTable(url=server.url, bucket=influxd1.DATABASE)
        yield _prepared(server, table, f"{influxd1.ADMIN}:{influxd1.PASSWORD}", world)


def _prepared(server: Server, table: InfluxTable, admin: str, world: World) -> Ask:
    """Prepare a database, write the world as the writer, and return how the reader asks."""
    tokens = set_up(table, admin, retentions_s=FOR_EVER).tokens

    async def write() -> None:
        sink = InfluxSink(table, lambda: tokens[WRITER])
        try:
            for chunk in world.chunks:
                assert not await sink.store(chunk)
        finally:
            await sink.close()

    asyncio.run(write())
    headers = authorization(tokens[READER])

    def ask(query: str) -> list[Series]:
        parameters = urlencode({"db": table.bucket, "epoch": "ms", "q": query})
        status, body = server.request("GET", f"/query?{parameters}", headers=headers)
        assert status == 200, (query, body)
        (result,) = json.loads(body)["results"]
        assert "error" not in result, (query, result)
        found: list[Series] = result.get("series", [])
        return found

    return ask
