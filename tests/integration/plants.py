"""A site that speaks, its monitor and a real database that is in for trouble."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

from facility.sitefile.tables import InfluxTable
from store.influx.history import InfluxHistory
from store.influx.lineprotocol import Kept
from store.influx.requests import authorization
from store.influx.setup import WRITER, set_up
from store.journal.file import JournalReader
from testing.collector.publishing import Publisher
from testing.fakes.gateway import Gateway, gateway
from testing.megawatch.monitoring import Receiver, Watch, journalled, receiving, watching
from testing.servers import influxd, influxd1, victoria
from testing.servers.brokers import Mosquitto
from tests.integration.test_influx_kills import Mortal, a_mortal

KINDS = ("InfluxDB 1", "InfluxDB 2")
METRICS = "VictoriaMetrics"
DAY_S = 86_400
KEPT = {Kept.DAYS: DAY_S, Kept.MONTHS: 0, Kept.YEARS: 0}
SITE = """
[site]
name = "plant"
rack_rating_kw = 100
[[broker]]
url = "{url}"
format = "rack-documents"
[store]
influxdb = {{ url = "{database}", org = "titan", bucket = "plant", token_file = "token" }}
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


@dataclass(slots=True)
class Plant:
    """The site, the monitor and the database.

    Attributes:
        kind: Which database.
        mortal: It.
        gateway: What stands before it; the database itself where nothing does.
        publisher: Publishes what racks say.
        pager: Takes pages.
        token: The file of the writer's token.
        watch: The monitor.
        power_kw: What each rack draws.
    """

    kind: str
    mortal: Mortal
    gateway: Gateway
    publisher: Publisher
    pager: Receiver
    token: Path
    watch: Watch
    power_kw: dict[str, float] = field(default_factory=lambda: {"r1": 40.0, "r2": 40.0})

    @property
    def table(self) -> InfluxTable:
        """Where the database is."""
        return a_table(self.mortal)

    @property
    def error(self) -> str:
        """What the writer says that is wrong, "" while nothing is."""
        shipper = self.watch.monitor.built.shipper
        assert shipper is not None
        return shipper.error

    def say(self, rack: str, at_ms: int, power_kw: float) -> None:
        """Publish a document of a rack."""
        self.publisher.publish(
            f"megawatch/v1/plant/{rack}", json.dumps({"time": at_ms, "power_kw": power_kw}).encode()
        )

    async def speak(self) -> None:
        """Let every rack speak each second until cancelled."""
        number = 0
        while True:
            number += 1
            for rack, power_kw in self.power_kw.items():
                self.say(rack, now_ms(), power_kw + number / 1_024)
            await asyncio.sleep(1)

    async def suffer(self, words: str, *, is_steady: bool = True) -> None:
        """Wait until the writer says what is wrong; an overdraw is paged meanwhile.

        Args:
            words: What it says.
            is_steady: Whether it says so until the end; a full disk still takes a line now and then.
        """
        await self.watch.until(lambda: words in self.error, words)
        before = len(self.pager.about("C2")), len(self.pager.about("C2", "returned"))
        self.power_kw["r1"] = 80.0
        await self.watch.until(lambda: len(self.pager.about("C2")) > before[0], "the page")
        self.power_kw["r1"] = 40.0
        await self.watch.until(lambda: len(self.pager.about("C2", "returned")) > before[1], "its end")
        assert words in self.error or not is_steady

    async def recover(self) -> None:
        """Wait until the writer has written everything."""
        journal, shipper = self.watch.monitor.built.journal, self.watch.monitor.built.shipper
        assert journal is not None
        assert shipper is not None
        head = journal.head_seq
        await self.watch.until(lambda: shipper.seq >= head and not shipper.error, "all written")

    def write(self, line: str) -> None:
        """Write a line as somebody else would."""
        path = "/write?db=plant" if self.kind == KINDS[0] else "/api/v2/write?org=titan&bucket=plant"
        headers = authorization(admin_of(self.kind))
        status, body = self.mortal.server.request("POST", f"{path}&precision=ms", body=line, headers=headers)
        assert status == 204, body

    def renew(self) -> str:
        """Replace the writer's token; return the new one."""
        table, admin = self.table, admin_of(self.kind)
        return set_up(table, admin, retentions_s=KEPT, renews_tokens=True).tokens[WRITER]

    def missing(self) -> list[tuple[str, int, float]]:
        """Return every reading of the journal that is not in the database as it is in the journal."""
        batch, data = journalled(self.watch.data), self.watch.data
        with closing(JournalReader(data)) as journal:
            keys = {number: known.point.key for number, known in journal.known().items()}
        wanted = sorted(
            (keys[number], at_ms, value)
            for number, at_ms, value in zip(
                batch.point.tolist(), batch.source_ms.tolist(), batch.value.tolist(), strict=True
            )
        )
        found = self._found(keys.values(), min(row[1] for row in wanted), now_ms() + 1)
        assert len(found) == len(set(found))
        assert set(found) <= set(wanted)
        return sorted(set(wanted) - set(found))

    def _found(self, keys: Iterable[str], from_ms: int, to_ms: int) -> list[tuple[str, int, float]]:
        """Return the readings that the database has of points in a span [ms], each as often as it has it."""
        if self.kind == METRICS:
            return [
                (series["metric"]["point"], at_ms, float(value))
                for series in victoria.export(self.mortal.server, '{__name__="reading_value"}')
                for at_ms, value in zip(series["timestamps"], series["values"], strict=True)
            ]
        with closing(InfluxHistory(self.table, self.token.read_text)) as history:
            found = [(key, history.readings(key, from_ms, to_ms)) for key in keys]
        return [
            (key, at_ms, value)
            for key, rows in found
            for at_ms, value in zip(rows.time_ms.tolist(), rows.value.tolist(), strict=True)
        ]


def now_ms() -> int:
    """Return the time: racks have clocks of their own."""
    return time.time_ns() // 1_000_000  # noqa: TID251 - likewise


def admin_of(kind: str) -> str:
    """Return what may do everything in a database."""
    return {
        KINDS[0]: f"{influxd1.ADMIN}:{influxd1.PASSWORD}",
        KINDS[1]: influxd.TOKEN,
        METRICS: "",
    }[kind]


def a_table(mortal: Mortal) -> InfluxTable:
    """Return where a database is."""
    said = {"url": f"http://127.0.0.1:{mortal.port}", "org": influxd.ORG, "bucket": "plant"}
    return InfluxTable.model_validate(said)


@asynccontextmanager
async def a_plant(kind: str, folder: Path, disk: Path, *, has_gateway: bool = False) -> AsyncIterator[Plant]:
    """Run a site that speaks, its monitor and its database, prepared as `influx init` does.

    Args:
        kind: Which database.
        folder: Where broker and monitor keep what they keep.
        disk: Where the database does.
        has_gateway: Whether the monitor reaches the database through a gateway.
    """
    mortal = a_mortal(kind, disk)
    async with AsyncExitStack() as stack:
        server = stack.enter_context(Mosquitto(folder / "broker"))
        publisher = stack.enter_context(Publisher(server.port))
        pager = await stack.enter_async_context(receiving())
        await asyncio.to_thread(mortal.start)
        stack.callback(lambda: mortal.stack.close())  # noqa: PLW0108 - another stack after each start
        setup = await asyncio.to_thread(
            set_up, a_table(mortal), admin_of(kind), retentions_s=KEPT, renews_tokens=True
        )
        site = folder / "site"
        site.mkdir()
        (site / "token").write_text(setup.tokens.get(WRITER, ""))
        front = Gateway(mortal.server.url, url=mortal.server.url)
        if has_gateway:
            front = await stack.enter_async_context(gateway(mortal.server.url))
        text = SITE.format(url=server.url, pager=pager.url, database=front.url)
        watch = await stack.enter_async_context(watching(site, text))
        await watch.until_connected()
        plant = Plant(kind, mortal, front, publisher, pager, site / "token", watch)
        speaking = asyncio.create_task(plant.speak())
        stack.callback(speaking.cancel)
        await watch.until(lambda: watch.tenant("acme")["verdict"] == "clear", "clear")
        yield plant


def letters(watch: Watch) -> int:
    """Return how many lines the database refused for good."""
    shipper = watch.monitor.built.shipper
    assert shipper is not None
    return shipper.refused
