"""Reaching what a site file names: its brokers, its database and its pagers, before they are needed."""

from __future__ import annotations

import asyncio
from typing import Any

from collector.mqtt import Connection, Lost, Refused
from facility import dsx
from facility.errors import StoreUnavailable
from facility.rackdoc import topic_filter
from megawatch.clock import SteadyClock
from megawatch.feeder import query_of, rules_of
from megawatch.monitor import Monitor
from megawatch.places import reach_pager, result
from megawatch.sitefolder import SiteFolder
from store.influx import InfluxSink
from store.influxfeed import InfluxFeed
from store.shipping import make_sink
from store.threads import in_thread

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
    hooks = {
        (route.to.webhook, route.to.proxy or ""): route.to for route in site.file.routes if route.to.webhook
    }
    tries += [reach_pager(target) for _, target in sorted(hooks.items())]
    return list(await asyncio.gather(*tries))


async def _feed(site: SiteFolder) -> dict[str, Any]:
    """Read what the database holds: one series of numbers for each point, and a reading that is not old."""
    table = site.file.feed
    assert table is not None  # noqa: S101 - who has no feed calls nobody
    query, now_ms = query_of(site), SteadyClock().now_ms()
    try:
        found = await in_thread(InfluxFeed(query, rules_of(table), table.name, {}).stored, now_ms)
    except StoreUnavailable as error:
        return result("source", ok=False, detail=error.cause)
    finally:
        query.close()
    if found.faults:
        more = f"; and {len(found.faults) - MOST_TOLD} more" if len(found.faults) > MOST_TOLD else ""
        return result("source", ok=False, detail="; ".join(found.faults[:MOST_TOLD]) + more)
    if found.newest_ms is None:
        detail = "answers, and nothing that [[influxdb.series]] names was stored in the last 24 h"
        return result("source", ok=False, detail=detail)
    age_s = max(0.0, (now_ms - found.newest_ms) / 1_000)
    series = f"answers; {found.series} series of {found.assets} assets, the newest {age_s:,.0f} s old"
    if age_s > table.repeat_s:
        return result("source", ok=False, detail=f"{series}: nothing arrives")
    return result("source", ok=True, detail=series)


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
                return result(what, ok=True, detail=f"{address.place} lets us in and subscribe, {name}")
        except Refused as error:
            detail = error.cause
            if not error.is_version:
                break
        except Lost as error:
            detail = error.cause
            if not error.is_unanswered:
                break
    return result(what, ok=False, detail=detail)


async def _database(site: SiteFolder) -> dict[str, Any]:
    sink = make_sink(site.file.store, site.data, site.influx_token)
    try:
        if isinstance(sink, InfluxSink):
            await sink.check()
    except StoreUnavailable as error:
        return result("database", ok=False, detail=error.cause)
    finally:
        await sink.close()
    return result("database", ok=True, detail="answers, and takes the token")
