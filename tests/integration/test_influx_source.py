"""`rules.source = "influxdb"`: the whole monitor on a database that somebody else fills, live."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from store.journal.entries import MarkKind
from testing.megawatch.monitoring import (
    Receiver,
    Watch,
    journalled,
    marks,
    receiving,
    recorded,
    replayed,
    watching,
)
from testing.servers import influxd, influxd1
from tests.integration.test_influx_kills import Mortal, a_mortal

pytestmark = pytest.mark.servers

KINDS = ("InfluxDB 1", "InfluxDB 2")
FLUSH_S, DELAY_S, POLL_S, ON_DELAY_S = 1.0, 2.0, 0.5, 1.0
SITE = """
[site]
name = "fed"
rack_rating_kw = 100
[rules]
source = "influxdb"
C2 = {{ on_delay_s = 1, off_delay_s = 1 }}
[influxdb]
url = "{url}"
org = "titan"
bucket = "readings"
token_file = "token"
delay_s = 2
poll_s = 0.5
[[influxdb.series]]
measurement = "mqtt_consumer"
field = "power_w"
tag = "topic"
asset = "dc/([^/]+)/power"
quantity = "rack.power.active"
unit = "W"
[[tenant]]
id = "acme"
holds = [{{ racks = "r[1-2]", from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.1
[[route]]
rule = ["C2"]
to = {{ webhook = "{pager}" }}
"""


def now_ms() -> int:
    """Return the time: who fills a database has a clock of its own."""
    return time.time_ns() // 1_000_000  # noqa: TID251 - likewise


@dataclass(slots=True)
class Filler:
    """Stores a reading a second of each rack, a flush at a time; holds them while the database is away.

    Attributes:
        kind: Which database.
        mortal: The database.
        power_w: What each rack draws.
        said: Every line: rack and time [ms].
        held: Lines that are not stored yet.
    """

    kind: str
    mortal: Mortal
    power_w: float = 40_000.0
    said: set[tuple[str, int]] = field(default_factory=set)
    held: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Store until cancelled."""
        write = influxd1.write if self.kind == KINDS[0] else influxd.write
        for number in count():
            at_ms = now_ms()
            for rack in ("r1", "r2"):
                value = self.power_w + number / 8
                topic = f"mqtt_consumer,host=c1,topic=dc/{rack}/power"
                self.held.append(f"{topic} power_w={value} {at_ms}")
                self.said.add((rack, at_ms))
            lines = list(self.held)
            try:
                await asyncio.to_thread(write, self.mortal.server, "\n".join(lines))
            except (OSError, AssertionError):
                lines = []
            del self.held[: len(lines)]
            await asyncio.sleep(FLUSH_S)


@asynccontextmanager
async def filling(kind: str, mortal: Mortal) -> AsyncIterator[Filler]:
    """Run a filler for as long as the context lasts."""
    filler = Filler(kind, mortal)
    running = asyncio.create_task(filler.run())
    try:
        yield filler
    finally:
        running.cancel()


async def judged(watch: Watch, verdict: str) -> None:
    """Wait until the tenant is judged so."""
    await watch.until(lambda: watch.tenant("acme")["verdict"] == verdict, verdict)


def readings_of(data: Path) -> list[tuple[int, int]]:
    """Return point and time of every reading in the journal."""
    batch = journalled(data)
    return sorted(zip(batch.point.tolist(), batch.source_ms.tolist(), strict=True))


def is_whole(data: Path, filler: Filler) -> bool:
    """Tell whether all that is stored is in the journal, and each reading once."""
    found, newest_ms = readings_of(data), now_ms() - 1_000 * round(DELAY_S + POLL_S)
    times = {at_ms for _, at_ms in found}
    assert len(found) == len(set(found))
    first_ms = min(times)
    return all(at_ms in times for _, at_ms in filler.said if first_ms <= at_ms <= newest_ms)


async def an_overdraw_is_paged(watch: Watch, filler: Filler, pager: Receiver) -> None:
    """Let the tenant exceed its contract: it is paged, and so is the end.

    A route of the rule also takes pages that nobody could tell: those come whenever it was away for long.
    """
    opened, returned = len(pager.about("C2")), len(pager.about("C2", "returned"))
    filler.power_w = 80_000.0
    await watch.until(lambda: len(pager.about("C2")) > opened, "the page")
    filler.power_w = 40_000.0
    await watch.until(lambda: len(pager.about("C2", "returned")) > returned, "the end of it")


async def a_life(kind: str, folder: Path, away_s: float) -> None:
    """Let the database be filled, killed and started again, and the monitor be stopped."""
    mortal = a_mortal(kind, folder / "database")
    mortal.folder.mkdir()
    await asyncio.to_thread(mortal.start)
    site = folder / "site"
    site.mkdir()
    (site / "token").write_text(mortal.token)
    try:
        async with receiving() as pager, filling(kind, mortal) as filler:
            text = SITE.format(url=mortal.server.url, pager=pager.url)
            async with watching(site, text) as watch:
                await judged(watch, "clear")
                await an_overdraw_is_paged(watch, filler, pager)
                await asyncio.to_thread(mortal.kill)
                await judged(watch, "unknown")
                await asyncio.sleep(away_s)
                assert watch.tenant("acme")["verdict"] == "unknown"
                assert MarkKind.LOST in {mark.kind for mark in marks(watch.data)}
                await asyncio.to_thread(mortal.start)
                await judged(watch, "clear")
                await watch.until(lambda: is_whole(watch.data, filler), "everything is there")
                await an_overdraw_is_paged(watch, filler, pager)
                assert watch.accounting()["stored"] == len(readings_of(watch.data))
            await asyncio.sleep(3)
            async with watching(site, text) as watch:
                await judged(watch, "clear")
                await watch.until(lambda: is_whole(watch.data, filler), "what was stored meanwhile")
        kinds = [mark.kind for mark in marks(watch.data)]
        first = [MarkKind.STARTED, MarkKind.CONNECTED, MarkKind.CAUGHT_UP]
        assert kinds == [*first, MarkKind.LOST, MarkKind.CONNECTED, MarkKind.CAUGHT_UP, *first]
        assert recorded(site) == replayed(site)
        assert len({alarm[0] for alarm in recorded(site) if alarm[1] == "C2"}) == 2
    finally:
        await asyncio.to_thread(mortal.stack.close)


@pytest.mark.parametrize("kind", KINDS)
def test_an_outage_is_seen_and_costs_no_reading(kind: str, tmp_path: Path) -> None:
    """Silence is no compliance, what is stored afterwards is read, and a restart goes on where it was."""
    asyncio.run(a_life(kind, tmp_path, away_s=6))


@pytest.mark.soak
def test_five_minutes_without_the_database_cost_no_reading(tmp_path: Path) -> None:
    """The same, as long as somebody needs to see to it."""
    asyncio.run(a_life(KINDS[0], tmp_path, away_s=300))
