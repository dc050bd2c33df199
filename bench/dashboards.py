"""Every query of every dashboard on a day of a site of 2,270 racks: the total of each, and the slowest.

The day is written by our writer into every InfluxDB that is on this machine, thinned as `bench.siteday` says.
Then each dashboard is opened over the whole day: its variables are chosen as a browser does it, and every
query of a variable, a panel and an annotation is asked, from the request to the last byte of the answer.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from bench.frame import Figure, seconds_of
from bench.influxdatabases import Database, databases, table_of
from bench.siteday import BEGIN_MS, END_MS, chunks
from grafana.build import dashboards
from grafana.document import Document, panels_of, variables_of
from store.influx.lineprotocol import Kept
from store.influx.requests import authorization
from store.influx.server import Kind
from store.influx.setup import READER, WRITER, set_up
from store.influx.sink import InfluxSink
from testing.dashboard_queries import Ask, Filling, Series, choose
from testing.servers.process import Server

RACKS: Final = 2_270
STEP: Final = "1m"
"""What Grafana makes of a day on a panel of a thousand pixels."""
REPETITIONS: Final = 3
SETTLE_S: Final = 30.0
"""How long a server is left alone after loading, so that it puts away what it was given [s]."""
FOR_EVER: Final = dict.fromkeys(Kept, 0)
"""The day is one in the past, whenever this runs."""
_OK: Final = 200


def run(*, quick: bool = False) -> list[Figure]:
    """Measure every InfluxDB that is there; quickly, with a tenth of the racks."""
    figures: list[Figure] = []
    for database in databases():
        if database.kind is Kind.VICTORIA_METRICS:
            continue
        with tempfile.TemporaryDirectory() as folder, database.run(Path(folder)) as server:
            tokens = set_up(table_of(server), database.token, retentions_s=FOR_EVER).tokens
            figures += _load(database, server, tokens[WRITER], quick=quick)
            time.sleep(1 if quick else SETTLE_S)
            for document in dashboards().values():
                figures += _measured(database, document, _asking(server, tokens[READER]))
    return figures


def _load(database: Database, server: Server, token: str, *, quick: bool) -> list[Figure]:
    """Write the day; return how much it was."""
    readings = others = 0

    async def write() -> None:
        nonlocal readings, others
        sink = InfluxSink(table_of(server), lambda: token, timeout_s=60)
        try:
            for chunk in chunks(RACKS // 10 if quick else RACKS, quick=quick):
                assert not await sink.store(chunk)
                readings += len(chunk.batch)
                others += sum(map(len, chunk.means)) + len(chunk.rollups) + len(chunk.draw_means)
                others += sum(len(row) for _, row in chunk.draws) + len(chunk.changes)
        finally:
            await sink.close()

    took_s = seconds_of(lambda: asyncio.run(write()))
    return [
        Figure(what=f"{database.name}: readings of the day", unit="M", samples=[readings / 1e6]),
        Figure(what=f"{database.name}: means, draws and alarms of it", unit="M", samples=[others / 1e6]),
        Figure(what=f"{database.name}: made and written in", unit="s", samples=[took_s]),
    ]


def _asking(server: Server, token: str) -> Ask:
    """Return what asks a database as Grafana does."""
    headers = authorization(token)

    def ask(query: str) -> list[Series]:
        parameters = urlencode({"db": table_of(server).bucket, "epoch": "ms", "q": query})
        status, body = server.request("GET", f"/query?{parameters}", headers=headers)
        assert status == _OK, (query, body)
        (result,) = json.loads(body)["results"]
        assert "error" not in result, (query, result)
        found: list[Series] = result.get("series", [])
        return found

    return ask


def _measured(database: Database, document: Document, ask: Ask) -> list[Figure]:
    """Ask all that a dashboard asks; return what takes longest, and all of it."""
    filling = Filling(BEGIN_MS, END_MS)
    choose(document, filling, ask, is_all=True)
    taken: dict[str, list[float]] = defaultdict(list)
    for _ in range(REPETITIONS):
        for place, query in _queries(document, filling):
            taken[place].append(seconds_of(lambda q=query: ask(q)) * 1e3)  # type: ignore[misc]  # the default binds the query
    totals = [sum(samples) for samples in zip(*taken.values(), strict=True)]
    slowest = max(taken, key=lambda place: statistics.median(taken[place]))
    name = f"{database.name}, {document['title'].removeprefix('Megawatch: ')}"
    return [
        Figure(what=f"{name}: its slowest query, {slowest}", unit="ms", samples=taken[slowest]),
        Figure(what=f"{name}: all of its {len(taken)} queries, one by one", unit="ms", samples=totals),
    ]


def _queries(document: Document, filling: Filling) -> Iterator[tuple[str, str]]:
    """Yield all that is asked besides variables: where it stands, and the query as it is sent."""
    for panel in panels_of(document):
        for target in panel["targets"]:
            yield f"{panel['title']!r} ({panel['id']}{target['refId']})", filling.fill(target["query"], STEP)
    for annotation in document.get("annotations", {}).get("list", []):
        if query := annotation.get("target", {}).get("query"):
            yield f"annotation {annotation['name']!r}", filling.fill(query, STEP)
    for variable in variables_of(document):
        if variable["type"] == "query":
            yield f"variable {variable['label']!r}", filling.fill(variable["query"], STEP)
