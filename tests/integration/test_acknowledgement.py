"""Nobody reacts, the monitor is killed, the next person is paged and takes it in hand by the page's link."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from testing.collector.publishing import Publisher
from testing.fakes.webhook import FakeReceiver, receiver
from testing.servers.brokers import Mosquitto
from testing.servers.process import free_port
from testing.waiting import until
from tests.integration.onerack import BUSY_KW, CALM_KW, SITE, speak

LATER_S = 4
ESCALATION = """
[[route]]
rule = ["C2"]
unacknowledged_s = {later_s}
to = {{ webhook = "{second}" }}
[acknowledge]
port = {port}
url = "http://127.0.0.1:{port}"
secret_file = "secret"
"""


def told(fake: FakeReceiver) -> list[dict[str, Any]]:
    """Return what a receiver was told, each key once: a kill may repeat what was under way."""
    bodies = [json.loads(delivery.body) for delivery in fake.deliveries]
    return list({body["key"]: body for body in bodies}.values())


def changes(fake: FakeReceiver) -> list[str]:
    """Return the changes that a receiver was told of, in order."""
    return [body["change"] for body in told(fake)]


async def start(site: Path) -> asyncio.subprocess.Process:
    """Start the monitor as a process of its own."""
    command = (sys.executable, "-m", "megawatch", "run", str(site))
    return await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)


@pytest.mark.servers
def test_an_escalation_outlives_a_kill_and_ends_by_the_link(tmp_path: Path) -> None:
    """The second route hears once of what the first was told, both of its end, and who has it between."""

    async def story() -> tuple[FakeReceiver, FakeReceiver, int]:
        with Mosquitto(tmp_path / "broker") as server, Publisher(server.port) as publisher:
            async with receiver() as first, receiver() as second:
                port = free_port()
                text = SITE.format(url=server.url, to=f'webhook = "{first.url}"')
                text += ESCALATION.format(later_s=LATER_S, second=second.url, port=port)
                (tmp_path / "site.toml").write_text(text)
                (tmp_path / "secret").write_text("signs links")

                process = await start(tmp_path)
                await until(lambda: speak(publisher, BUSY_KW) and changes(first) == ["opened"], "a page")
                process.send_signal(signal.SIGKILL)
                await process.wait()
                assert second.deliveries == []

                process = await start(tmp_path)
                await until(lambda: speak(publisher, BUSY_KW) and bool(second.deliveries), "an escalation")
                async with aiohttp.ClientSession() as client:
                    link = told(second)[0]["acknowledge_url"]
                    async with client.get(link) as page:
                        assert page.status == 200
                    async with client.post(link, data={"by": "Ann"}) as answer:
                        status = answer.status
                await until(
                    lambda: speak(publisher, BUSY_KW) and "acknowledged" in changes(second), "who has it"
                )
                await until(
                    lambda: (
                        speak(publisher, CALM_KW)
                        and changes(first)[-1] == "returned"
                        and changes(second)[-1] == "returned"
                    ),
                    "its end",
                )
                process.send_signal(signal.SIGTERM)
                await process.wait()
                return first, second, status

    first, second, status = asyncio.run(story())

    assert status == 200
    assert changes(first) == ["opened", "acknowledged", "returned"]
    assert changes(second) == ["opened", "acknowledged", "returned"]
    assert told(second)[0]["unacknowledged_s"] >= LATER_S
    assert {body["by"] for body in (told(first)[1], told(second)[1])} == {"Ann"}
    assert len({body["alarm"] for body in (*told(first), *told(second))}) == 1
