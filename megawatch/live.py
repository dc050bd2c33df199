"""Reaching what a site file names: its brokers, its database and its pagers, before they are needed."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

from collector.mqtt import Connection, Lost, Refused
from facility import dsx
from facility.errors import StoreUnavailable
from facility.rackdoc import topic_filter
from megawatch.clock import SteadyClock
from megawatch.feeder import query_of, rules_of
from megawatch.monitor import Monitor
from megawatch.sitefolder import SiteFolder
from store.influx import InfluxSink
from store.influxfeed import InfluxFeed
from store.shipping import make_sink
from store.threads import in_thread

REACH_S = 5.0
"""How long something may take to answer."""
MOST_TOLD = 5
"""How many faults of what a database holds are told."""


async def reach(site: SiteFolder) -> list[dict[str, Any]]:
    """Try to reach everything that a site file names.

    Args:
        site: The site.

    Returns:
        For each what it is, whether it was reached, and what was seen.
    """
    tries = [_broker(site, place) for place in range(len(site.file.brokers))]
    if site.file.store.influxdb is not None:
        tries.append(_database(site))
    if site.file.feed is not None:
        tries.append(_feed(site))
    hooks = {route.to.webhook for route in site.file.routes if route.to.webhook}
    tries += [_address(f"webhook {hook}", hook) for hook in sorted(hooks)]
    return list(await asyncio.gather(*tries))


async def _feed(site: SiteFolder) -> dict[str, Any]:
    """Read what the database holds: one series of numbers for each point, and a reading that is not old."""
    table = site.file.feed
    assert table is not None  # noqa: S101 - who has no feed calls nobody
    query, now_ms = query_of(site), SteadyClock().now_ms()
    try:
        found = await in_thread(InfluxFeed(query, rules_of(table), table.name, {}).stored, now_ms)
    except StoreUnavailable as error:
        return _result("source", ok=False, detail=error.cause)
    finally:
        query.close()
    if found.faults:
        more = f"; and {len(found.faults) - MOST_TOLD} more" if len(found.faults) > MOST_TOLD else ""
        return _result("source", ok=False, detail="; ".join(found.faults[:MOST_TOLD]) + more)
    if found.newest_ms is None:
        detail = "answers, and nothing that [[influxdb.series]] names was stored in the last 24 h"
        return _result("source", ok=False, detail=detail)
    age_s = max(0.0, (now_ms - found.newest_ms) / 1_000)
    series = f"answers; {found.series} series of {found.assets} assets, the newest {age_s:,.0f} s old"
    if age_s > table.repeat_s:
        return _result("source", ok=False, detail=f"{series}: nothing arrives")
    return _result("source", ok=True, detail=series)


async def _broker(site: SiteFolder, place: int) -> dict[str, Any]:
    table = site.file.brokers[place]
    clock = SteadyClock()
    # Another client id: the monitor that may be running must not be thrown out.
    address = Monitor(site).address(table).as_probe()
    usual = dsx.TOPICS if table.format == "dsx" else topic_filter(site.file.site.name)
    topics = [(topic, table.qos) for topic in table.topics or (usual,)]
    what = f"broker {table.name}"
    detail = ""
    for version, name in ((5, "MQTT 5"), (4, "MQTT 3.1.1")):
        connection = Connection(
            address,
            version=version,
            generation=1,
            take=lambda _message: None,
            connected=lambda _resumed: None,
            now_ms=clock.now_ms,
        )
        try:
            async with connection:
                await connection.subscribe(topics)
                return _result(what, ok=True, detail=f"{address.place} lets us in and subscribe, {name}")
        except Refused as error:
            detail = error.cause
            if not error.is_version:
                break
        except Lost as error:
            detail = error.cause
            if not error.is_unanswered:
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
        is_refused = isinstance(error, ConnectionRefusedError)
        return _result(
            what, ok=False, detail="connection refused" if is_refused else str(error) or "no answer"
        )
    writer.close()
    return _result(what, ok=True, detail="accepts connections; nothing was sent")


def _result(what: str, *, ok: bool, detail: str) -> dict[str, Any]:
    return {"what": what, "ok": ok, "detail": detail}
