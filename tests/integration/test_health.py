"""What the monitor says of itself beside the readings has the names that the dashboards ask for."""

from __future__ import annotations

import asyncio
from pathlib import Path

from grafana.schema import NAMES
from testing.megawatch.monitoring import watching
from testing.servers.process import free_port

SITE = """
[site]
name = "health"
[[broker]]
url = "mqtt://127.0.0.1:{broker}"
[store]
influxdb = {{ url = "http://127.0.0.1:{database}", bucket = "readings", token_file = "token" }}
"""


def test_its_figures_have_the_names_that_the_dashboards_ask_for(tmp_path: Path) -> None:
    """A monitor that reaches neither broker nor database says so under these names.

    How long the canary's page took is among them once a site has a canary, and it was tried.
    """

    async def story() -> None:
        (tmp_path / "token").write_text("a-token")
        async with watching(tmp_path, SITE.format(broker=free_port(), database=free_port())) as watch:
            health = watch.monitor.status.health()

        asked = set(NAMES["pipeline"][1]) - {"canary_delay_s"}
        assert asked <= health.figures.keys()
        assert health.figures["brokers"] == 1
        assert health.figures["brokers_connected"] == 0
        assert health.figures["memory_bytes"] > 10_000_000

    asyncio.run(story())
