"""A monitor beats while it lives and can tell; killed, or without its receiver, it does not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from testing.collector.publishing import Publisher
from testing.fakes.webhook import Reply, receiver
from testing.megawatch.monitoring import watching
from testing.servers.brokers import Mosquitto
from tests.integration.onerack import BUSY_KW, CALM_KW, SITE, speak

BEATING = """
[heartbeat]
url_file = "watchdog"
every_s = 1
"""


@pytest.mark.servers
def test_it_beats_until_a_page_cannot_be_told(tmp_path: Path) -> None:
    """An overdraw whose receiver is away holds the sign back; once it is accepted, the heart beats again."""
    site = tmp_path / "site"
    site.mkdir()

    async def story() -> tuple[int, int]:
        away = [Reply(503)] * 3
        with Mosquitto(tmp_path / "broker") as server, Publisher(server.port) as publisher:
            async with receiver() as dog, receiver(away) as pager:
                await asyncio.to_thread((site / "watchdog").write_text, dog.url)
                text = SITE.format(url=server.url, to=f'webhook = "{pager.url}"') + BEATING
                async with watching(site, text) as watch:
                    heart = watch.monitor.built.heartbeat
                    assert heart is not None
                    await watch.until(
                        lambda: speak(publisher, CALM_KW) and len(dog.deliveries) >= 2, "it beats"
                    )
                    await watch.until(
                        lambda: speak(publisher, BUSY_KW) and "accepts nothing: 503" in heart.held_back,
                        "it is held back",
                    )
                    before = len(dog.deliveries)
                    await watch.until(
                        lambda: (
                            speak(publisher, BUSY_KW) and len(dog.deliveries) > before and not heart.held_back
                        ),
                        "it beats again",
                    )
                ended = len(dog.deliveries)
                await asyncio.sleep(2.5)
                return ended, len(dog.deliveries)

    ended, later = asyncio.run(story())

    assert ended == later, "what does not run beats no more"
