"""A broker drops what its queue cannot hold, and resumes the session all the same."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from store.journal.entries import MarkKind
from testing.collector.publishing import Publisher
from testing.fakes.proxy import network
from testing.megawatch.monitoring import marks, watching
from testing.servers.brokers import Mosquitto

RACKS = ("r1", "r2", "r3", "r4")
QUEUE = 1_000

SITE = """
[site]
name = "dropped"
[[broker]]
url = "mqtt://127.0.0.1:{port}"
keepalive_s = 2
heartbeat_s = 1
queued_messages = 1000
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
to = {{ console = true }}
"""


class Stock(Mosquitto):
    """Mosquitto with the queue that it has out of the box."""

    def command(self) -> list[str]:
        """Return how it is started."""
        command = Mosquitto.command(self)
        conf = self.folder / "conf"
        conf.write_text(
            conf.read_text().replace("max_queued_messages 1000000", f"max_queued_messages {QUEUE}")
        )
        return command


class Bus:
    """A building system that publishes on change.

    Args:
        publisher: Its connection.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._last_ms = 0
        for rack in RACKS:
            of = {"engUnit": "kW", "rackLocationId": rack, "rackLocationName": rack}
            self._tell(
                "Metadata",
                f"Rack/RackPower/row/{rack}",
                {"objectType": "Rack", "pointType": "RackPower", **of},
            )
        beat = {
            "objectType": "System",
            "pointType": "HeartbeatTimestampBms",
            "objectId": "B",
            "objectName": "B",
        }
        self._tell("Metadata", "System/HeartbeatTimestampBms/gateway", beat)

    def _tell(self, what: str, key: str, body: Mapping[str, object]) -> None:
        topic = f"BMS/v1/PUB/{what}/{key}"
        self._publisher.publish(topic, json.dumps(body).encode(), retain=what == "Metadata")

    def say(self, key: str, value: float) -> None:
        """Publish a value; each has a time of its own."""
        now_ms = time.time_ns() // 1_000_000  # noqa: TID251 - a publisher has a clock of its own
        self._last_ms = max(now_ms, self._last_ms + 1)
        self._tell("Value", key, {"value": value, "timestamp": self._last_ms, "quality": 1})

    def beat(self) -> None:
        """Publish a heartbeat."""
        self.say("System/HeartbeatTimestampBms/gateway", 1.0)

    def draw(self, power_kw: float) -> None:
        """Let every rack draw a power."""
        for rack in RACKS:
            self.say(f"Rack/RackPower/row/{rack}", power_kw)

    async def live(self) -> None:
        """Beat until cancelled."""
        while True:
            self.beat()
            await asyncio.sleep(0.5)


@pytest.mark.servers
def test_racks_that_rose_after_the_queue_was_full_are_not_clear(tmp_path: Path) -> None:
    """What the broker kept says 240 of 300 kW; what it dropped said 380: unknown until each rack is heard."""

    async def story() -> None:
        async with AsyncExitStack() as stack:
            server = stack.enter_context(Stock(tmp_path / "broker"))
            way = await stack.enter_async_context(network(server.port))
            plant = stack.enter_context(Publisher(server.port))
            bus = Bus(plant)
            bus.draw(60)
            watch = await stack.enter_async_context(watching(tmp_path / "site", SITE.format(port=way.port)))

            def state() -> str:
                return str(watch.monitor.status.document()["brokers"][0]["state"])

            await watch.until_connected()
            living = asyncio.create_task(bus.live())
            stack.callback(living.cancel)
            bus.draw(60)
            await watch.until(lambda: watch.tenant("acme")["verdict"] == "clear", "clear at first")

            way.cut()
            await watch.until(lambda: state() != "connected", "the loss is noticed")
            way.drop()
            bus.draw(60)
            for number in range(2 * QUEUE):
                bus.beat()
                if number % 20 == 0:
                    await asyncio.sleep(0.02)  # one a millisecond: no stamp runs ahead of the clock
            bus.draw(95)
            await asyncio.to_thread(plant.flush)
            way.heal()

            await watch.until(lambda: MarkKind.GAP in {m.kind for m in marks(watch.data)}, "a gap")
            await watch.until(lambda: marks(watch.data)[-1].kind is MarkKind.CAUGHT_UP, "caught up")
            seen = set()
            for _ in range(30):
                await asyncio.sleep(0.1)
                seen.add(watch.tenant("acme")["verdict"])
            assert "clear" not in seen
            bus.draw(95)
            await watch.until(lambda: watch.tenant("acme")["low_kw"] == 380, "known again")

    asyncio.run(story())
