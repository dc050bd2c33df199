"""Twenty SIGKILLs at random moments under 2,000 messages a second at least once (row 3)."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from store.history.reader import ParquetHistory
from store.journal.entries import Mark, MarkKind
from store.journal.file import JournalReader
from testing.collector.publishing import Publisher
from testing.megawatch.monitoring import Receiver, journalled, receiving, recorded, replayed
from testing.megawatch.saying import read_status
from testing.servers.brokers import Mosquitto
from testing.waiting import until

KILLS = 20
RATE = 2_000
"""Messages a second."""
RACKS = [f"r{i:03d}" for i in range(200)]
TURN_MS = 100
"""Each rack publishes this often: 200 racks at 10 Hz are 2,000 messages a second."""
CALM_KW, BUSY_KW, LIMIT_MW = 40.0, 60.0, 5.0
"""A tenant of 100 racks draws 4 MW, or 6 MW of 5 MW while an episode lasts."""
EPISODE_S = 5
CALM_TURNS = 25
"""How many turns are calm at the end: a publisher that stops at once resolves no alarm."""
SEED = 20_261_123

SITE = """
[site]
name = "kills"
rack_rating_kw = 100
[[broker]]
url = "{url}"
keepalive_s = 4
queued_messages = 1000000
[store]
seal_s = 2
[engine]
snapshot_s = 2
[[tenant]]
id = "odd"
holds = [{{ racks = "r{{000..099}}", from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 5.0
[[tenant]]
id = "even"
holds = [{{ racks = "r{{100..199}}", from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 5.0
[[route]]
rule = ["C2"]
to = {{ webhook = "{pager}" }}
[rules]
C2 = {{ on_delay_s = 1, off_delay_s = 1, unknown_delay_s = 3600 }}
Q10 = {{ enabled = false }} # a tenant exceeds its contract three times a minute, and each time is to be told
"""


@dataclass(slots=True)
class Hall:
    """Two tenants that exceed their contracts by turns, published as fast as the row asks for.

    Attributes:
        publisher: The connection.
        said: Every reading that was published: topic and time [ms].
        episodes: When each tenant exceeded its contract: tenant, start and end [ms].
    """

    publisher: Publisher
    said: list[tuple[str, int]] = field(default_factory=list)
    episodes: list[tuple[str, int, int]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def introduce(self) -> None:
        """Publish the metadata."""
        for rack in RACKS:
            body = {"objectType": "Rack", "pointType": "RackPower", "engUnit": "kW"}
            body |= {"rackLocationId": rack, "rackLocationName": rack}
            topic = f"BMS/v1/PUB/Metadata/Rack/RackPower/{rack}"
            self.publisher.publish(topic, json.dumps(body).encode(), retain=True)

    def live(self) -> None:
        """Publish until told to stop; let no episode be cut short, and be calm after it for some seconds."""
        at_ms = now_ms()
        turn = 0
        while not self.stop.is_set() or any(self._busy(turn - i) is not None for i in range(CALM_TURNS)):
            busy = self._busy(turn)
            if busy is not None and self._busy(turn - 1) != busy:
                self.episodes.append((busy, at_ms, at_ms + EPISODE_S * 1_000))
            for place, rack in enumerate(RACKS):
                power = BUSY_KW if busy == ("odd", "even")[place // 100] else CALM_KW
                self._say(rack, at_ms, power + place / 1_000)
            turn += 1
            # A machine that is busy takes its turns later: nothing is said of a time that is over.
            time.sleep(max(0, at_ms + TURN_MS - now_ms()) / 1_000)
            at_ms = max(at_ms + TURN_MS, now_ms())
        for place, rack in enumerate(RACKS):
            self._say(rack, at_ms, CALM_KW + place / 1_000)

    @staticmethod
    def _busy(turn: int) -> str | None:
        """Return who exceeds its contract at a turn: each for five seconds, with five of calm between."""
        phase = turn * TURN_MS // 1_000 // EPISODE_S
        return {1: "odd", 3: "even"}.get(phase % 4) if turn >= 0 else None

    def _say(self, rack: str, at_ms: int, power: float) -> None:
        topic = f"BMS/v1/PUB/Value/Rack/RackPower/{rack}"
        self.said.append((rack, at_ms))
        self.publisher.publish(topic, f'{{"value":{power},"timestamp":{at_ms},"quality":1}}'.encode())


async def run_and_kill(site: Path, lives: int, rng: random.Random) -> None:
    """Run the monitor and kill it, again and again: at times while it starts, mostly once it is connected."""
    for _ in range(lives):
        born_ms = now_ms()
        async with _life(site):
            if rng.random() < 0.25:
                await asyncio.sleep(rng.uniform(0.2, 1.5))
            else:
                await _connected(site / "data", born_ms)
                await asyncio.sleep(rng.uniform(1, 2.5))


@asynccontextmanager
async def _life(site: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the monitor, and kill it at the end where it still runs."""
    command = (sys.executable, "-m", "megawatch", "run", str(site))
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.servers
def test_twenty_kills_lose_nothing_and_page_nothing_twice(tmp_path: Path) -> None:
    """Every published reading is stored once, each episode is paged under one key, and replay agrees."""
    rng = random.Random(SEED)  # noqa: S311 - a seed that is printed
    print(f"seed {SEED}")  # noqa: T201 - shown when it fails

    async def story() -> None:
        async with AsyncExitStack() as stack:
            server = stack.enter_context(Mosquitto(tmp_path / "broker"))
            pager = await stack.enter_async_context(receiving())
            publisher = stack.enter_context(Publisher(server.port))
            site = tmp_path / "site"
            site.mkdir()
            (site / "site.toml").write_text(SITE.format(url=server.url, pager=pager.url))
            hall = Hall(publisher)
            hall.introduce()
            await asyncio.to_thread(publisher.flush)
            async with _life(site):
                await _connected(site / "data", 0)
                living = asyncio.create_task(asyncio.to_thread(hall.live))
                await until(lambda: _knows_rate(site / "data"), "it knows how much is published")

            await run_and_kill(site, KILLS - 1, rng)

            last_ms, process = now_ms(), await stack.enter_async_context(_life(site))
            await _connected(site / "data", last_ms)  # what is heard from now on is proof of an end
            hall.stop.set()
            await living
            await asyncio.to_thread(publisher.flush)
            await _drained(site / "data", len(hall.said))
            await until(lambda: len(ended(pager)) == len(hall.episodes), "the end of each episode is told")
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
            print(f"{len(hall.said)} readings, {len(hall.episodes)} episodes, {len(pager.pages)} pages")  # noqa: T201
            check_readings(site / "data", hall)
            assert gaps(site / "data") == [], "the broker's queue held all that was published in each break"
            check_pages(pager, hall)
            assert replayed(site) == recorded(site)

    asyncio.run(story())


async def _connected(data: Path, since_ms: int) -> None:
    """Wait until a monitor that began at a time [ms] has its session: from then on nothing may be lost."""

    def is_connected() -> bool:
        is_new = read_status(data).get("at_ms", 0) > since_ms  # one that was killed leaves its own
        return is_new and _bus(data).get("state") == "connected"

    await until(is_connected, "the monitor connects")


def _knows_rate(data: Path) -> bool:
    """Tell whether the monitor knows how much is published, so that it can tell what a break may hide."""
    return _bus(data).get("rate_per_s") is not None


def _bus(data: Path) -> dict[str, Any]:
    """Return what the monitor says of its broker, {} before it says anything."""
    broker: dict[str, Any] = read_status(data).get("brokers", [{}])[0]
    return broker


async def _drained(data: Path, count: int) -> None:
    """Wait until the journal has so many readings."""

    def stored() -> int:
        with closing(JournalReader(data)) as journal:
            return journal.account().stored

    await until(lambda: stored() >= count, f"{count} readings are stored", stored)


def check_readings(data: Path, hall: Hall) -> None:
    """Check that every reading is there, and none twice, in the journal and in the history."""
    with closing(JournalReader(data)) as journal:
        assets = {number: known.point.asset for number, known in journal.known().items()}
    batch = journalled(data)
    stored = Counter(
        (assets[point], time_ms)
        for point, time_ms in zip(batch.point.tolist(), batch.source_ms.tolist(), strict=True)
    )
    assert set(hall.said) - set(stored) == set(), "acknowledged readings are missing"
    assert [key for key, times in stored.items() if times > 1] == []
    assert len(stored) == len(hall.said)
    history = ParquetHistory(data)
    first_ms, last_ms = hall.said[0][1], hall.said[-1][1]
    for rack in RACKS[::50]:
        found = history.readings(f"Rack/RackPower/{rack}", first_ms, last_ms + 1)
        assert found.time_ms.tolist() == sorted(at_ms for name, at_ms in hall.said if name == rack)


def gaps(data: Path) -> list[tuple[int, int]]:
    """Return the breaks in which something may have been lost, for all that the monitor can know [ms]."""
    with closing(JournalReader(data)) as journal:
        marks = [entry.content for entry in journal.read(0, 1_000_000) if isinstance(entry.content, Mark)]
    return [(mark.since_ms, mark.until_ms) for mark in marks if mark.kind is MarkKind.GAP]


def check_pages(pager: Receiver, hall: Hall) -> None:
    """Check that each episode was paged, under one key, and nothing else, although some lay in a break."""
    opened = {key: body for key, body in pager.pages if body["change"] == "opened"}
    found = sorted((body["subject"], body["since_ms"]) for body in opened.values())
    assert len(found) == len(hall.episodes), (found, hall.episodes)
    for (subject, since_ms), (tenant, start_ms, _) in zip(found, sorted(hall.episodes), strict=True):
        assert subject == tenant
        assert start_ms <= since_ms <= start_ms + 1_000
    assert len(ended(pager)) == len(opened)


def ended(pager: Receiver) -> set[str]:
    """Return the keys of the pages that tell an end."""
    return {key for key, body in pager.pages if body["change"] == "returned"}


def now_ms() -> int:
    """Return the time [ms]."""
    return time.time_ns() // 1_000_000  # noqa: TID251 - a publisher has a clock of its own
