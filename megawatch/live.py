"""Reaching what a site file names: its brokers, its database and its pagers, before they are needed."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

from collector.mqtt import Connection, Lost, Refused
from facility.errors import StoreUnavailable
from megawatch.clock import SteadyClock
from megawatch.monitor import Monitor
from megawatch.sitefolder import SiteFolder
from store.influx import InfluxSink
from store.shipping import make_sink

REACH_S = 5.0
"""How long something may take to answer."""


async def reach(site: SiteFolder) -> list[dict[str, Any]]:
    """Try to reach everything that a site file names.

    Args:
        site: The site.

    Returns:
        For each what it is, whether it was reached, and what was seen.
    """
    found = [await _broker(site, place) for place in range(len(site.file.brokers))]
    if site.file.store.influxdb is not None:
        found.append(await _database(site))
    hooks = {route.to.webhook for route in site.file.routes if route.to.webhook}
    found += [await _address(f"webhook {hook}", hook) for hook in sorted(hooks)]
    return found


async def _broker(site: SiteFolder, place: int) -> dict[str, Any]:
    table = site.file.brokers[place]
    clock = SteadyClock()
    address = Monitor(site).address(table)
    what = f"broker {table.name}"
    detail = ""
    for version in (5, 4):
        connection = Connection(
            # Another client id: the monitor that may be running must not be thrown out.
            address.as_probe(),
            version=version,
            generation=1,
            take=lambda _message: None,
            connected=lambda _resumed: None,
            now_ms=clock.now_ms,
        )
        try:
            async with connection:
                return _result(what, ok=True, detail=f"MQTT {'5' if version == 5 else '3.1.1'}")  # noqa: PLR2004
        except Refused as error:
            detail = error.cause
            if not error.is_version:
                break
        except Lost as error:
            detail = error.cause
            break
    return _result(what, ok=False, detail=detail)


async def _database(site: SiteFolder) -> dict[str, Any]:
    sink = make_sink(site.file.store, site.data, site.influx_token)
    try:
        if isinstance(sink, InfluxSink):
            await sink.check()
    except StoreUnavailable as error:
        return _result("database", ok=False, detail=error.cause)
    finally:
        await sink.close()
    return _result("database", ok=True, detail="answers, and takes the token")


async def _address(what: str, url: str) -> dict[str, Any]:
    """Open a connection to where a page would go; nothing is sent, for a test page is a page."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(REACH_S):
            _, writer = await asyncio.open_connection(
                parts.hostname, port, ssl=parts.scheme == "https" or None
            )
    except (OSError, TimeoutError) as error:
        return _result(what, ok=False, detail=str(error) or "no answer")
    writer.close()
    return _result(what, ok=True, detail="accepts connections; nothing was sent")


def _result(what: str, *, ok: bool, detail: str) -> dict[str, Any]:
    return {"what": what, "ok": ok, "detail": detail}
