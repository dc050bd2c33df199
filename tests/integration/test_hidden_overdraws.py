"""An overdraw that begins and ends inside a gap of ours is told once its readings are there."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from facility.instants import to_iso
from store.ledger.ledger import LedgerReader
from store.series import tenants_of
from testing.collector.publishing import Publisher
from testing.fakes.proxy import Network, network
from testing.megawatch.monitoring import Receiver, receiving
from testing.servers.brokers import Mosquitto
from testing.waiting import until

RACKS = [f"r{i}" for i in range(10)]
CALM_KW, BUSY_KW = 80.0, 120.0
"""Ten racks of a tenant of 1 MW: 0.8 MW, and 1.2 MW while the episode lasts."""
BEFORE_S, EPISODE_S, AFTER_S = 3, 4, 2
"""The gap begins so long before the episode and ends so long after it."""

SITE = """
[site]
name = "hall"
rack_rating_kw = 150
[[broker]]
url = "mqtt://127.0.0.1:{port}"
format = "rack-documents"
queued_messages = 1000000
keepalive_s = 2
[engine]
settle_after_s = 2
[[tenant]]
id = "acme"
holds = [{{ racks = "r[0-9]", from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 1.0
[[route]]
rule = ["C2"]
to = {{ webhook = "{pager}" }}
[rules]
C2 = {{ on_delay_s = 2 }}
"""


class Hall:
    """Racks that say every second what they draw, at least once."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self.power_kw = CALM_KW
        self.busy_ms: list[int] = []

    async def live(self) -> None:
        """Publish until cancelled."""
        at_ms = time.time_ns() // 1_000_000 // 1_000 * 1_000  # noqa: TID251 - racks have a clock of their own
        while True:
            if self.power_kw == BUSY_KW:
                self.busy_ms.append(at_ms)
            for rack in RACKS:
                body = json.dumps({"time": to_iso(at_ms), "power_kw": self.power_kw})
                self._publisher.publish(f"megawatch/v1/hall/{rack}", body.encode())
            at_ms += 1_000  # no second is left out, however late
            await asyncio.sleep(max(0, at_ms / 1_000 + 0.05 - time.time_ns() / 1e9))  # noqa: TID251 - as above


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the monitor of a site as a process; what is left of it is killed."""
    command = (sys.executable, "-m", "megawatch", "run", str(folder))
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def is_judged(folder: Path) -> bool:
    """Tell whether the draw of the tenant is known for certain."""
    try:
        ledger = LedgerReader(folder / "data")
    except Exception:  # noqa: BLE001 - not there yet, or being made
        return False
    rows = ledger.series(0, 100_000)
    ledger.close()
    draws = [row for _, _, found in rows[-1:] for row in tenants_of(found) if row.tenant == "acme"]
    return any(0 < draw.low_milliwatts == draw.high_milliwatts for draw in draws)


async def gap_of(kind: str, process: asyncio.subprocess.Process, way: Network, seconds: float) -> None:
    """Make a gap and end it; a kill is ended by whoever called."""
    if kind == "paused":
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        process.send_signal(signal.SIGCONT)
    elif kind == "killed":
        process.kill()
        await asyncio.sleep(seconds)
    else:
        way.cut()
        await asyncio.sleep(seconds)
        way.heal()
        if kind == "cut and broken":
            way.drop()


@pytest.mark.servers
@pytest.mark.parametrize(
    "kind",
    [
        "cut",
        "paused",
        pytest.param("cut and broken", marks=pytest.mark.soak),
        pytest.param("killed", marks=pytest.mark.soak),
    ],
)
def test_an_overdraw_inside_a_gap_is_told(kind: str, tmp_path: Path) -> None:
    """It is paged once, with its times, although nobody heard a word while it lasted."""
    asyncio.run(a_hidden_overdraw(kind, tmp_path))


async def a_hidden_overdraw(kind: str, folder: Path) -> None:
    """Play one gap with an overdraw inside."""
    async with AsyncExitStack() as stack:
        server = stack.enter_context(Mosquitto(folder / "broker"))
        way = await stack.enter_async_context(network(server.port))
        pager = await stack.enter_async_context(receiving())
        hall = Hall(stack.enter_context(Publisher(server.port)))
        site = folder / "site"
        await asyncio.to_thread(site.mkdir)
        await asyncio.to_thread((site / "site.toml").write_text, SITE.format(port=way.port, pager=pager.url))
        living = asyncio.create_task(hall.live())
        stack.callback(living.cancel)
        async with running(site) as process:
            await until(lambda: is_judged(site), "a draw that is certain")
            gap = asyncio.create_task(gap_of(kind, process, way, BEFORE_S + EPISODE_S + AFTER_S))
            await asyncio.sleep(BEFORE_S)
            hall.power_kw = BUSY_KW
            await asyncio.sleep(EPISODE_S)
            hall.power_kw = CALM_KW
            await gap
            if kind != "killed":
                await told(pager, hall)
        if kind == "killed":
            async with running(site):
                await told(pager, hall)


async def told(pager: Receiver, hall: Hall) -> None:
    """Wait for the page of the overdraw, and see that it says when it was and comes once."""
    await until(lambda: bool(pager.about("C2")), "the page")
    (key,) = pager.about("C2")
    body = next(body for found, body in pager.pages if found == key)
    assert body["peak"] == pytest.approx(1_200)
    over_ms = body.get("over_ms")
    if over_ms is not None:
        assert over_ms - body["since_ms"] == pytest.approx(1_000 * len(hall.busy_ms), abs=1_100)
