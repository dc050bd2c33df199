"""A monitor of two brokers starts again while one of them is gone: what the other brings is judged."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from testing.collector.publishing import Publisher
from testing.megawatch.monitoring import Watch, watching
from testing.servers.brokers import Mosquitto

SITE = """
[site]
name = "two"
rack_rating_kw = 100
[[broker]]
name = "near"
url = "{near}"
format = "rack-documents"
[[broker]]
name = "far"
url = "{far}"
format = "rack-documents"
[[tenant]]
id = "acme"
holds = [{{ racks = "r1", from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.1
[[tenant]]
id = "blue"
holds = [{{ racks = "r2", from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.1
"""


def speak(publisher: Publisher, rack: str, power_kw: int) -> None:
    """Let a rack say what it draws now."""
    now_ms = time.time_ns() // 1_000_000  # noqa: TID251 - a publisher has a clock of its own
    publisher.publish(f"megawatch/v1/two/{rack}", b'{"time":%d,"power_kw":%d}' % (now_ms, power_kw))


def bounds_kw(watch: Watch, tenant: str) -> tuple[float, float] | None:
    """Return the bounds of a tenant's draw at the last tick [kW]; None before the first."""
    found = watch.tenant(tenant)
    return None if found["verdict"] is None else (found["low_kw"], found["high_kw"])


@pytest.mark.servers
@pytest.mark.soak
def test_a_broker_that_is_gone_after_a_restart_holds_up_no_other_for_long(tmp_path: Path) -> None:
    """Its collector waits 20 s for an answer; then the tenant behind the other broker is known again."""

    async def story() -> None:
        folder = tmp_path / "site"
        with Mosquitto(tmp_path / "near") as near, Publisher(near.port) as here:
            with Mosquitto(tmp_path / "far") as far, Publisher(far.port) as there:
                site = SITE.format(near=near.url, far=far.url)

                def both_are_known(watch: Watch) -> bool:
                    speak(here, "r1", 60)
                    speak(there, "r2", 70)
                    return (bounds_kw(watch, "acme"), bounds_kw(watch, "blue")) == ((60, 60), (70, 70))

                async with watching(folder, site) as watch:
                    await watch.until(lambda: both_are_known(watch), "both draws are known")

            def one_is_known(watch: Watch) -> bool:
                speak(here, "r1", 80)
                return (bounds_kw(watch, "acme"), bounds_kw(watch, "blue")) == ((80, 80), (0, 100))

            async with watching(folder, site) as watch:
                await watch.until(lambda: one_is_known(watch), "one draw is known, and the other is not")

    asyncio.run(story())
