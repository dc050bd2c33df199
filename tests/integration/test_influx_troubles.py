"""What befalls a database over the years befalls a real one here, one after the other, under the monitor."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from facility.sitetables import InfluxTable
from megawatch.process import end
from store.influxhistory import InfluxHistory
from store.influxhttp import authorization
from store.influxsetup import WRITER, set_up
from store.journalfile import JournalReader
from store.lineprotocol import Kept
from tests.integration.test_influx_kills import Mortal, a_mortal
from tests.monitoring import Receiver, Watch, journalled, receiving, watching
from tests.publishing import Publisher
from tests.servers import influxd, influxd1
from tests.servers.brokers import Mosquitto

pytestmark = pytest.mark.servers

KINDS = ("InfluxDB 1", "InfluxDB 2")
DAY_S = 86_400
KEPT = {Kept.DAYS: DAY_S, Kept.MONTHS: 0, Kept.YEARS: 0}
DISK = "256m"
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
    """A site that speaks, its monitor, and a database that is in for trouble.

    Attributes:
        kind: Which database.
        mortal: It.
        publisher: Publishes what racks say.
        pager: Takes pages.
        token: The file of the writer's token.
        watch: The monitor.
        power_kw: What each rack draws.
    """

    kind: str
    mortal: Mortal
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
        """Wait until the writer says what is wrong; an overdraw is paged as quickly as ever meanwhile.

        Args:
            words: What it says.
            is_steady: Whether it says so until the end; a full disk still takes a line now and then.
        """
        await self.watch.until(lambda: words in self.error, words)
        before = len(self.pager.about("C2")), len(self.pager.about("C2", "returned"))
        self.power_kw["r1"], rise_s = 80.0, time.monotonic()
        await self.watch.until(lambda: len(self.pager.about("C2")) > before[0], "the page", 10)
        # The next reading, the on-delay and a second, as ever, and a second for a busy machine.
        assert time.monotonic() - rise_s < 1 + 1 + 1 + 1
        self.power_kw["r1"] = 40.0
        await self.watch.until(lambda: len(self.pager.about("C2", "returned")) > before[1], "its end", 10)
        assert words in self.error or not is_steady

    async def recover(self) -> None:
        """Wait until the writer has written everything."""
        journal, shipper = self.watch.monitor.built.journal, self.watch.monitor.built.shipper
        assert journal is not None
        assert shipper is not None
        head = journal.head_seq
        await self.watch.until(lambda: shipper.seq >= head and not shipper.error, "all written", 60)

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
        found = []
        with closing(InfluxHistory(self.table, self.token.read_text)) as history:
            for key in keys.values():
                rows = history.readings(key, min(row[1] for row in wanted), now_ms() + 1)
                found += [
                    (key, at_ms, value)
                    for at_ms, value in zip(rows.time_ms.tolist(), rows.value.tolist(), strict=True)
                ]
        assert len(found) == len(set(found))
        assert set(found) <= set(wanted)
        return sorted(set(wanted) - set(found))


def now_ms() -> int:
    """Return the time: racks have clocks of their own."""
    return time.time_ns() // 1_000_000  # noqa: TID251 - likewise


def admin_of(kind: str) -> str:
    """Return what may do everything in a database."""
    return influxd.TOKEN if kind == KINDS[1] else f"{influxd1.ADMIN}:{influxd1.PASSWORD}"


def a_table(mortal: Mortal) -> InfluxTable:
    """Return where a database is."""
    said = {"url": f"http://127.0.0.1:{mortal.port}", "org": influxd.ORG, "bucket": "plant"}
    return InfluxTable.model_validate(said)


@asynccontextmanager
async def a_plant(kind: str, folder: Path, disk: Path) -> AsyncIterator[Plant]:
    """Run a site that speaks, its monitor and its database, prepared as `influx init` does."""
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
        (site / "token").write_text(setup.tokens[WRITER])
        text = SITE.format(url=server.url, pager=pager.url, database=a_table(mortal).url)
        watch = await stack.enter_async_context(watching(site, text))
        await watch.until_connected()
        plant = Plant(kind, mortal, publisher, pager, site / "token", watch)
        speaking = asyncio.create_task(plant.speak())
        stack.callback(speaking.cancel)
        await watch.until(lambda: watch.tenant("acme")["verdict"] == "clear", "clear")
        yield plant


def letters(watch: Watch) -> int:
    """Return how many lines the database refused for good."""
    shipper = watch.monitor.built.shipper
    assert shipper is not None
    return shipper.refused


async def a_hard_life(kind: str, folder: Path, away_s: float) -> None:
    """Let everything befall a database that befalls one, but for a full disk."""
    (folder / "disk").mkdir()
    async with a_plant(kind, folder, folder / "disk") as plant:
        await plant.recover()
        # A field that somebody else wrote first, as another type: the monitor's draws can not be stored.
        await asyncio.to_thread(plant.write, f"tenant_draw,tenant=x demand_mw=5i {now_ms()}")
        # A reading that waited on its gateway for longer than the database keeps anything.
        old_ms = now_ms() - 3 * DAY_S * 1_000
        plant.say("r1", old_ms, 41.0)
        await plant.watch.until(lambda: letters(plant.watch) > 0, "a dead letter")

        new = await asyncio.to_thread(plant.renew)
        await plant.suffer("the token is not valid")
        await asyncio.to_thread(plant.token.write_text, new)
        await plant.recover()

        await asyncio.to_thread(plant.mortal.kill)
        await plant.suffer("")
        await asyncio.sleep(away_s)
        assert plant.error
        await asyncio.to_thread(plant.mortal.start)
        await plant.recover()
        await asyncio.sleep(2)
        await plant.recover()
        missing = await asyncio.to_thread(plant.missing)
        assert [row[1] for row in missing if row[1] < now_ms() - 2_000] == [old_ms]
        assert letters(plant.watch) >= 1


@pytest.mark.parametrize("kind", KINDS)
def test_no_trouble_loses_or_doubles_a_reading(kind: str, tmp_path: Path) -> None:
    """Another's field type, a line beyond the retention, a new token, a kill: alarms on time throughout."""
    asyncio.run(a_hard_life(kind, tmp_path, away_s=3))


@pytest.mark.soak
@pytest.mark.parametrize("kind", KINDS)
def test_five_minutes_away_lose_or_double_no_reading(kind: str, tmp_path: Path) -> None:
    """The same, with the database away for as long as somebody needs to see to it."""
    asyncio.run(a_hard_life(kind, tmp_path, away_s=300))


@contextmanager
def a_disk(folder: Path) -> Iterator[Path]:
    """Mount a small disk; skip, with the reason, who may not."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no small disk may be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S607 - as it is on the PATH


async def keep_full(disk: Path) -> None:
    """Fill a disk to its last byte until cancelled, whatever the database frees; then make room again."""
    ballast = disk / "ballast"
    try:
        while True:
            await asyncio.to_thread(fill, ballast)
            await asyncio.sleep(0.05)
    finally:
        ballast.unlink()


def fill(ballast: Path) -> None:
    """Let a file grow until its disk is full."""
    with ballast.open("ab", buffering=0) as file:
        for size in (1_000_000, 4_096, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))


async def a_full_disk(kind: str, folder: Path, disk: Path) -> None:
    """Let the disk of a database be full for a while."""
    async with a_plant(kind, folder, disk) as plant:
        await plant.recover()
        filling = asyncio.create_task(keep_full(disk))
        await plant.suffer("no space left on device", is_steady=False)
        await end(filling)
        # InfluxDB does not open a shard again that it could not make: whoever made room starts it again.
        await asyncio.to_thread(plant.mortal.kill)
        await asyncio.to_thread(plant.mortal.start)
        await plant.recover()
        missing = await asyncio.to_thread(plant.missing)
        assert [row for row in missing if row[1] < now_ms() - 2_000] == []
        assert letters(plant.watch) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_is_waited_for(kind: str, tmp_path: Path) -> None:
    """A database whose disk is full takes nothing; once there is room it has everything."""
    with a_disk(tmp_path / "disk") as disk:
        asyncio.run(a_full_disk(kind, tmp_path, disk))
