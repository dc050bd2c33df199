"""A real file system on which no file can be made any more: what has its file goes on, the rest is told."""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from megawatch.run.process import end
from megawatch.run.status import FRESH_MS
from testing.collector.publishing import Publisher
from testing.megawatch.asking import asking
from testing.megawatch.monitoring import Watch, receiving, watching
from testing.megawatch.saying import read_status
from testing.servers.brokers import Mosquitto
from testing.store.disks import small_disk

pytestmark = pytest.mark.servers

SITE = """
[site]
name = "hall"
rack_rating_kw = 100
[[broker]]
url = "{url}"
format = "rack-documents"
[store]
seal_s = 0.2
[engine]
snapshot_s = 0.2
[[tenant]]
id = "acme"
holds = [{{ racks = ["r1"], from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.05
[[route]]
to = {{ webhook = "{pager}" }}
[rules]
C2 = {{ on_delay_s = 1, off_delay_s = 1 }}
"""


def take_every_inode(folder: Path) -> None:
    """Make files until no more can be made."""
    folder.mkdir(exist_ok=True)
    with suppress(OSError):
        for number in count():
            (folder / str(number)).touch()


def now_ms() -> int:
    """Return the time: racks have clocks of their own."""
    return time.time_ns() // 1_000_000  # noqa: TID251 - likewise


async def speak(publisher: Publisher, power: list[float]) -> None:
    """Let a rack say what it draws until cancelled."""
    for number in count():
        said = {"time": now_ms(), "power_kw": power[0] + number % 8 / 1_024}
        publisher.publish("megawatch/v1/hall/r1", json.dumps(said).encode())
        await asyncio.sleep(0.1)


async def keep_taken(folder: Path) -> None:
    """Take every inode that becomes free, until cancelled."""
    while True:
        take_every_inode(folder)
        await asyncio.sleep(0.02)


def is_of_now(watch: Watch) -> bool:
    """Tell whether the status that commands read is of now."""
    return now_ms() - int(read_status(watch.data).get("at_ms", 0)) < FRESH_MS


def test_without_inodes_the_monitor_goes_on_and_says_what_it_can_not_keep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Readings are stored, an overdraw is paged and the status is of now; snapshot and history are told."""
    monkeypatch.setattr("megawatch.run.self_monitoring.ON_DELAY_MS", 1_000)
    monkeypatch.setattr("megawatch.run.self_monitoring.OFF_DELAY_MS", 1_000)

    async def story(data: Path) -> None:
        taken = data / "taken"
        with Mosquitto(tmp_path / "broker") as broker, Publisher(broker.port) as publisher:
            async with receiving() as pager:
                power = [40.0]
                speaking = asyncio.create_task(speak(publisher, power))
                text = SITE.format(url=broker.url, pager=pager.url)
                async with watching(tmp_path, text) as watch:
                    await watch.until(lambda: watch.tenant("acme")["verdict"] == "clear", "clear")
                    taking = asyncio.create_task(keep_taken(taken))
                    await watch.until(lambda: not os.statvfs(data).f_ffree, "no inode is free")
                    before = watch.accounting()["stored"]
                    power[0] = 80.0

                    await watch.until(lambda: len(pager.about("C2")) == 1, "the overdraw is paged")
                    await watch.until(lambda: len(pager.about("Q9")) == 2, "what cannot be kept is told")
                    await watch.until_stored(before + 20)
                    with asking(capsys) as ask:
                        status = await asyncio.to_thread(ask, "status", tmp_path, "--json")
                    assert is_of_now(watch)

                    await end(taking)
                    for path in taken.iterdir():
                        path.unlink()
                    await watch.until(
                        lambda: len(pager.about("Q9", "returned")) == 2, "that it is kept again is told"
                    )
                await end(speaking)
        assert not status.document["trouble"]
        assert "No space left on device" in status.document["rules"]["snapshot_error"]
        assert "No space left on device" in status.document["history"]["error"]
        told = {body["subject"] for _, body in pager.pages if body["rule"] == "Q9"}
        assert told == {"snapshot", "history"}

    with small_disk(tmp_path / "data", "64m", inodes=100) as data:
        asyncio.run(story(data))
