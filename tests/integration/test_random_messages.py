"""Random messages through a real broker: each has an end, and none of them ends anything."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from formats import dsx
from testing.collector.bad_payloads import RACKS, Generator
from testing.collector.hearing import key_of, metadata
from testing.collector.publishing import Publisher
from testing.megawatch.monitoring import watching
from testing.servers.brokers import Mosquitto
from tests.properties.collector.test_whole_way import odd_messages

SITE = """
[site]
name = "titan"
rack_rating_kw = 132
[[rack]]
ids = {racks}
[[broker]]
name = "bus"
url = "{url}"
client_id = "one"
publishers = ["PUB", "MEPAI"]
[[broker]]
name = "documents"
format = "rack-documents"
url = "{url}"
client_id = "two"
[store]
seal_s = 1
[[tenant]]
id = "acme"
holds = [{{ racks = "r*", from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 1.0
"""


@pytest.mark.servers
@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.soak)])
def test_random_messages_through_a_broker_end_nothing(count: int, tmp_path: Path) -> None:
    """Every one is accounted for, at the end an honest value counts, and a restart reads all of it."""
    generator = Generator(count)
    odd = [message for i, message in enumerate(odd_messages()) if i % 7 == 0 or count > 1_000]
    messages = [generator.message() for _ in range(count)] + odd

    async def story() -> None:
        with Mosquitto(tmp_path / "broker") as server, Publisher(server.port) as publisher:
            text = SITE.format(url=server.url, racks=list(RACKS))
            async with watching(tmp_path / "site", text) as watch:
                await watch.until_connected()
                for message in messages:
                    if not set("#+\0") & set(message.topic):
                        publisher.publish(message.topic, message.payload)
                await asyncio.to_thread(publisher.flush)
                for rack in RACKS:
                    publisher.publish(dsx.metadata_topic(key_of(rack)), metadata(rack).payload, retain=True)
                await asyncio.to_thread(publisher.flush)
                collectors = watch.monitor.built.sources
                await watch.until(
                    lambda: (
                        sum(c.counters.messages for c in collectors) >= publisher.accepted
                        and not any(c.counters.in_hand for c in collectors)
                    ),
                    "all taken",
                )
                before = watch.accounting()
                assert before["dead_lettered"] > count / 10
                assert watch.monitor.built.supervisor.failing == {}
            async with watching(tmp_path / "site", text) as again:
                await again.until_connected()
                await again.until(lambda: again.tenant("acme")["verdict"] is not None, "judged")
                assert again.accounting()["stored"] >= before["stored"]

    asyncio.run(story())
