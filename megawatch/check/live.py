"""Reaching what a site file names: its brokers, its database and its pagers, before they are needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

from collector.decode.registry import FORMATS, pace_s, topics_of
from collector.influx_poller import query_of, rules_of
from collector.mqtt.connection import Lost, Refused
from collector.mqtt.message import Messages, count_of
from collector.mqtt.probe import Patient, in_either_version
from collector.mqtt.versions import NAMES
from facility.errors import StoreUnavailable
from facility.names import AssetId
from facility.points import Asset
from facility.sitefile.tables import BrokerTable, FeedTable
from megawatch.check.destinations import reach_receiver, result
from megawatch.cli.outputs import Reached
from megawatch.discover.listener import Listener
from megawatch.run.clock import SteadyClock
from megawatch.site.folder import SiteFolder
from rules.notify.registry import addresses_of
from store.histories import history_of
from store.influx.feed import InfluxFeed
from store.threads import in_thread

LISTENED_S = 2.0
"""How long is listened to a broker from the first message on [s]: the retained ones come at once."""
MOST_LISTENED_S = 15.0
"""How long is waited for it at most [s]: a heartbeat of the DSX bus, and half of one."""
MOST_TOLD = 5
"""How many faults of what a database holds are told."""


async def reach(site: SiteFolder, heard: dict[AssetId, Asset] | None = None) -> list[Reached]:
    """Try to reach everything that a site file names.

    Args:
        site: The site's files.
        heard: Takes the assets that DSX buses describe meanwhile.

    Returns:
        For each what it is, whether it was reached, and what was seen.
    """
    assets = {} if heard is None else heard
    tries = [_broker(site, place, assets) for place in range(len(site.file.brokers))]
    check = history_of(site.file.store).check
    if check is not None:
        tries.append(_database(check(site.place)))
    if site.file.feed is not None:
        tries.append(_feed(site, site.file.feed))
    tries += [reach_receiver(address, proxy) for address, proxy in addresses_of(site.file.routes)]
    return list(await asyncio.gather(*tries))


async def _feed(site: SiteFolder, table: FeedTable) -> Reached:
    """Read what the database holds: one series of numbers for each point, and a reading that is not old."""
    query, now_ms = query_of(table, site.feed_token), SteadyClock().now_ms()
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


async def _broker(site: SiteFolder, place: int, heard: dict[AssetId, Asset]) -> Reached:
    table = site.file.brokers[place]
    clock = SteadyClock()
    # Another client id: the monitor that may be running must not be thrown out.
    address = site.address(table, "check").as_probe()
    topics = [(topic, table.qos) for topic in topics_of(table, site.file.site.name)]
    what = f"broker {table.name}"

    async def hear(version: int) -> tuple[list[Messages], float]:
        came: list[Messages] = []
        async with Patient(address, version, clock, came) as patient:
            await patient.connection.subscribe(topics)
            return came, await _listen(patient, came, patience_s(table))

    try:
        version, (came, listened_s) = await in_either_version(hear)
    except (Refused, Lost) as error:
        return result(what, ok=False, detail=error.cause)
    remarks: list[str] = []
    if FORMATS[table.format].describes_site:
        listener = Listener(table)
        for messages in came:
            listener.take(messages)
        heard.update(listener.heard.assets)
        remarks = listener.heard.remarks(table.publishers)
    seen = f"{address.place} lets us in and subscribe, MQTT {NAMES[version]}"
    arrives = f"{count_of(came):,} messages" if came else "nothing arrives"
    is_fine = bool(came) or patience_s(table) > MOST_LISTENED_S
    return result(what, ok=is_fine, detail="; ".join([seen, f"{arrives} in {listened_s:.0f} s", *remarks]))


def patience_s(table: BrokerTable) -> float:
    """Return within how long something must arrive from a broker [s]: a heartbeat or a document, and half."""
    return 1.5 * pace_s(table)


async def _listen(patient: Patient, came: Sequence[Messages], must_s: float) -> float:
    """Wait until something has come, and for more of it for a while; return how long that took [s]."""
    loop = asyncio.get_running_loop()
    begin_s = loop.time()
    until_s = begin_s + min(max(must_s, LISTENED_S), MOST_LISTENED_S)
    while loop.time() < until_s:
        await asyncio.sleep(0.1)
        new = patient.acknowledge()
        if new and new == count_of(came):
            until_s = loop.time() + LISTENED_S
    return loop.time() - begin_s


async def _database(check: Awaitable[None]) -> Reached:
    try:
        await check
    except StoreUnavailable as error:
        return result("database", ok=False, detail=error.cause)
    return result("database", ok=True, detail="answers, and takes the token")
