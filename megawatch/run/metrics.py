"""What Prometheus scrapes: a small server on loopback that answers with metrics made on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

PERIOD_S: Final = 1.0
"""How often metrics are made."""


class MetricsServer(Collector):
    """Serves metrics on a port of 127.0.0.1; a scrape is answered by a thread, with the latest.

    Args:
        port: TCP port of the server.
        metrics: Makes the metrics.

    Attributes:
        rounds: How often they were made: grows while this part goes on.
    """

    def __init__(self, port: int, metrics: Callable[[], Iterable[Metric]]) -> None:
        self._port = port
        self._metrics = metrics
        self._latest: list[Metric] = []
        self.rounds = 0

    def collect(self) -> Iterable[Metric]:
        """Return the latest metrics."""
        return self._latest

    async def run(self) -> None:
        """Serve until cancelled.

        Raises:
            OSError: Where another program has the port.
            RuntimeError: Where the server has ended.
        """
        self._latest = list(self._metrics())
        registry = CollectorRegistry()
        registry.register(self)
        server, thread = start_http_server(self._port, addr="127.0.0.1", registry=registry)
        try:
            while thread.is_alive():
                self.rounds += 1
                self._latest = list(self._metrics())
                await asyncio.sleep(PERIOD_S)
            raise RuntimeError("the server ended")
        finally:
            server.shutdown()
            server.server_close()
