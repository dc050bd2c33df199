"""Breaks in a stream, while a tenant rises past its limit and a point stays as it was (row 10)."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from testing.collector.publishing import Publisher
from testing.fakes.proxy import Network, network
from testing.megawatch.monitoring import Watch, draws, journalled, receiving, recorded, replayed, watching
from testing.servers.brokers import Broker, Mosquitto

BREAK_S = 12
REPEAT_S = 8
HEARTBEAT_S = 1
NOTICED_S = 3 * HEARTBEAT_S + 1.5
"""By when a break must be noticed: three missed heartbeats, and the time between two."""
RACKS = ("r1", "r2", "r3", "r4")

SITE = """
[site]
name = "break-{name}"
[[broker]]
url = "{url}"
client_id = "monitor-{name}"
keepalive_s = 2
heartbeat_s = 1
repeat_s = 8
queued_messages = 1000000
[[rack]]
ids = "r[1-4]"
rating_kw = 100
[[tenant]]
id = "acme"
holds = [{{ racks = "r[1-4]", from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.3
[[route]]
to = {{ webhook = "{pager}" }}
[rules]
C2 = {{ on_delay_s = 1 }}
"""


def now_ms() -> int:
    """Return the time [ms]."""
    return time.time_ns() // 1_000_000  # noqa: TID251 - a publisher has a clock of its own


@dataclass(slots=True)
class Bus:
    """A building system that publishes on change, and every so often when nothing changes.

    Attributes:
        publisher: Its connection.
        qos: Quality of service of its values.
        power_kw: What each rack draws [kW].
        said: Every value that it published: rack, time [ms] and value.
    """

    publisher: Publisher
    qos: int
    power_kw: dict[str, float] = field(default_factory=lambda: dict.fromkeys(RACKS, 60.0))
    said: list[tuple[str, int, float]] = field(default_factory=list)

    def introduce(self) -> None:
        """Publish the metadata."""
        for rack in RACKS:
            self._tell(
                f"Rack/RackPower/row/{rack}",
                {"engUnit": "kW", "rackLocationId": rack, "rackLocationName": rack},
            )
        self._tell("System/HeartbeatTimestampBms/gateway", {"objectId": "BMS", "objectName": "BMS"})

    def _tell(self, key: str, metadata: dict[str, str]) -> None:
        kind, point, _ = key.split("/", 2)
        body = json.dumps({"objectType": kind, "pointType": point, **metadata}).encode()
        self.publisher.publish(f"BMS/v1/PUB/Metadata/{key}", body, retain=True)

    async def live(self) -> None:
        """Publish until cancelled."""
        shown: dict[str, float] = {}
        second = 0
        while True:
            at_ms = now_ms()
            if second % HEARTBEAT_S == 0:
                self._say("System/HeartbeatTimestampBms/gateway", at_ms, float(at_ms))
            for place, rack in enumerate(RACKS):
                power = self.power_kw[rack]
                if shown.get(rack) != power or second % REPEAT_S == 2 * place:
                    shown[rack] = power
                    self.said.append((rack, at_ms, power))
                    self._say(f"Rack/RackPower/row/{rack}", at_ms, power)
            second += 1
            await asyncio.sleep(1)

    def _say(self, key: str, at_ms: int, value: float) -> None:
        body = json.dumps({"value": value, "timestamp": at_ms, "quality": 1}).encode()
        self.publisher.publish(f"BMS/v1/PUB/Value/{key}", body, qos=self.qos)


async def a_break(kind: str, qos: int, folder: Path) -> None:
    """Play one break and check what came of it."""
    async with AsyncExitStack() as stack:
        server = stack.enter_context(Mosquitto(folder / "broker"))
        way = await stack.enter_async_context(network(server.port))
        pager = await stack.enter_async_context(receiving())
        publisher = stack.enter_context(Publisher(server.port))
        bus = Bus(publisher, qos)
        bus.introduce()
        await asyncio.to_thread(publisher.flush)
        name = f"{kind}-{qos}".replace(" ", "-")
        url = f"mqtt://127.0.0.1:{way.port}"
        site = SITE.format(url=url, pager=pager.url, name=name)
        stage = _Stage(folder / "site", site, server, way)
        stack.push_async_callback(stage.close)
        watch = await stage.open()
        await watch.until_connected()
        living = asyncio.create_task(bus.live())
        stack.callback(living.cancel)
        await watch.until(lambda: watch.tenant("acme")["verdict"] == "clear", "clear at first")
        await asyncio.sleep(3)

        await stage.break_(kind)
        broken_ms = now_ms()
        await asyncio.sleep(3)
        for rack in ("r1", "r2", "r3"):
            bus.power_kw[rack] = 90.0
        await asyncio.sleep(BREAK_S - 3)
        await stage.heal(kind)
        healed_ms = now_ms()
        watch = await stage.open()

        await watch.until(lambda: bool(pager.about("C2")), "the page")
        # What a broker that did not run was not told is heard again with the next repetition.
        await watch.until(lambda: watch.tenant("acme").get("low_kw") == 330, "everything is known")
        await watch.until(
            lambda: draws(watch.data, "acme")[-1][1].low_milliwatts == 330_000_000, "and saved as a series"
        )
        living.cancel()
        if qos == 1:
            await asyncio.to_thread(publisher.flush)
            await watch.until(lambda: not unstored(watch, bus), "no reading is lost")
        check(watch, bus, broken_ms, healed_ms, lossless=qos == 1)
        assert len(pager.about("C2")) == 1
        await stage.close()
        assert replayed(stage.folder) == recorded(stage.folder)


@dataclass(slots=True)
class _Stage:
    """The monitor, its broker and the network between them."""

    folder: Path
    site: str
    server: Broker
    way: Network
    stack: AsyncExitStack | None = None
    watch: Watch | None = None

    async def open(self) -> Watch:
        """Start the monitor, where it does not run."""
        if self.watch is None:
            self.stack = AsyncExitStack()
            self.watch = await self.stack.enter_async_context(watching(self.folder, self.site))
        return self.watch

    async def close(self) -> None:
        """Stop the monitor, where it runs."""
        if self.stack is not None:
            await self.stack.aclose()
        self.stack = self.watch = None

    async def break_(self, kind: str) -> None:
        """Break what is to be broken."""
        match kind:
            case "network cut":
                self.way.cut()
            case "collector restart":
                await self.close()
            case _:
                await asyncio.to_thread(self.server.stop, signal.SIGTERM)

    async def heal(self, kind: str) -> None:
        """Make it whole again."""
        match kind:
            case "network cut":
                self.way.heal()
            case "broker restart":
                await asyncio.to_thread(self.server.start)
            case _:
                pass  # a collector is started again by opening


def unstored(watch: Watch, bus: Bus) -> set[tuple[int, float]]:
    """Return the time [ms] and value of everything that was published and is not in the journal."""
    stored = journalled(watch.data)
    return {(at_ms, power) for _, at_ms, power in bus.said} - set(
        zip(stored.source_ms.tolist(), stored.value.tolist(), strict=True)
    )


def check(watch: Watch, bus: Bus, broken_ms: int, healed_ms: int, *, lossless: bool) -> None:
    """Check that nothing stale was taken for compliance, and that the right verdict came of it."""
    stored = journalled(watch.data)
    series = draws(watch.data, "acme")
    risen_ms = next(at_ms for rack, at_ms, power in bus.said if power == 90.0)
    clear = [at_ms for at_ms, draw in series if draw.high_milliwatts is not None and draw.limit_milliwatts
             and draw.high_milliwatts <= draw.limit_milliwatts]  # fmt: skip
    doubtful_ms = broken_ms + round(NOTICED_S * 1_000)
    assert not [at_ms for at_ms in clear if at_ms > doubtful_ms], "stale values were taken for compliance"
    assert {at_ms for at_ms, _ in series} == set(range(series[0][0], series[-1][0] + 1, 1_000))
    during = {at_ms for at_ms, draw in series if doubtful_ms < at_ms < healed_ms}
    assert during, "ticks inside the break were judged"
    if lossless:
        assert len(stored.point) == len(
            set(zip(stored.point.tolist(), stored.source_ms.tolist(), strict=True))
        )
    else:
        heard = {
            rack: min(t for r, t, _ in bus.said if r == rack and t > healed_ms - 1_500) for rack in RACKS
        }
        wide = [at_ms for at_ms, draw in series if draw.low_milliwatts != draw.high_milliwatts]
        assert max(wide) >= max(heard.values()) - 2_000, "bounds stay wide until each point is heard"
    assert risen_ms > broken_ms


@pytest.mark.servers
@pytest.mark.parametrize("qos", [0, 1], ids=["at most once", "at least once"])
def test_no_break_makes_stale_values_compliance(qos: int, tmp_path: Path) -> None:
    """Over a cut network and restarts of collector and broker: unknown until heard again, then the breach."""

    async def story() -> None:
        async with asyncio.TaskGroup() as group:
            for kind in ("network cut", "collector restart", "broker restart"):
                group.create_task(a_break(kind, qos, tmp_path / kind.replace(" ", "-")))

    asyncio.run(story())
