"""A VictoriaMetrics of a test's own: on loopback, on a free port, in a temporary folder."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from testing.servers.process import Server, find, free_port, running

PROGRAM: Final = find("victoria-metrics")
"""Where the program is; None where it is not."""
_ASKED: Final = count()


@contextmanager
def victoria(
    folder: Path,
    port: int = 0,
    *,
    retention: str = "100y",
    dedup: str = "1ms",
    options: Sequence[str] = (),
) -> Iterator[Server]:
    """Run a VictoriaMetrics that keeps one sample of a series and moment; again, where there was one.

    Args:
        folder: Where it keeps what it keeps.
        port: Its port; 0 for a free one.
        retention: How long it keeps it.
        dedup: Within which time it keeps one sample of a series.
        options: What it is told besides.
    """
    port = port or free_port()
    command = [
        str(PROGRAM),
        f"-httpListenAddr=127.0.0.1:{port}",
        f"-storageDataPath={folder / 'data'}",
        f"-retentionPeriod={retention}",
        f"-dedup.minScrapeInterval={dedup}",
        "-memory.allowedBytes=256MB",
        "-loggerLevel=ERROR",
        *options,
    ]
    with running(command, Server(port), folder) as server:
        yield server


def export(server: Server, selector: str, span_ms: tuple[int, int] | None = None) -> list[dict[str, Any]]:
    """Return all series that a selector finds: metric, values and timestamps [ms] of each.

    Args:
        server: A VictoriaMetrics that runs.
        selector: Which series.
        span_ms: From when to when, both with what is at that moment [ms]; None for all.
    """
    server.request("GET", "/internal/force_flush")
    # It remembers what a question found, so each is a new one, by a condition that always holds.
    query = {"match[]": selector.replace("}", f',asked!="{next(_ASKED)}"}}')}
    if span_ms is not None:
        query |= {name: f"{at_ms / 1_000:.3f}" for name, at_ms in zip(("start", "end"), span_ms, strict=True)}
    status, body = server.request("GET", f"/api/v1/export?{urlencode(query)}")
    assert status == http.client.OK, body
    return [json.loads(line) for line in body.splitlines()]
