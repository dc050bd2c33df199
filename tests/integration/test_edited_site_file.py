"""A running monitor is stopped, its site file edited, and started again, three times over a real broker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rules.engine import snapshot
from store.ledger.ledger import LedgerReader
from testing.collector.publishing import Publisher
from testing.megawatch.monitoring import Receiver, Watch, alarms, receiving, watching
from testing.servers.brokers import Mosquitto

SITE = """
[site]
name = "edited"
rack_rating_kw = 100
[[broker]]
url = "{url}"
format = "rack-documents"
[engine]
snapshot_s = 1
[[tenant]]
id = "acme"
holds = [{{ racks = "r1", from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.01
[[tenant]]
id = "blue"
holds = [{{ racks = "r2", from = 2026-01-01 }}]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.1
[rules.C2]
on_delay_s = 0
"""
CYAN = """[[tenant]]
id = "cyan"
holds = [{ racks = "r3", from = 2026-01-01 }]
[[tenant.contract]]
from = 2026-01-01
committed_mw = 0.1
"""
POWERS_KW: Mapping[str, int] = {"r1": 90, "r2": 20, "r3": 30}
DRAWN_KW: Mapping[str, int] = {"acme": 90, "blue": 20, "cyan": 30}


def speak(publisher: Publisher) -> None:
    """Let every rack say what it draws now."""
    now_ms = time.time_ns() // 1_000_000  # noqa: TID251 - a publisher has a clock of its own
    for rack, power in POWERS_KW.items():
        body = b'{"time":%d,"power_kw":%d}' % (now_ms, power)
        publisher.publish(f"megawatch/v1/edited/{rack}", body)


async def ran(folder: Path, site: str, publisher: Publisher, *tenants: str) -> None:
    """Run the monitor until each tenant's draw is known; no figure is another tenant's meanwhile."""
    path = folder / "data" / snapshot.FILE
    before = path.stat().st_mtime_ns if path.exists() else 0

    def is_known(watch: Watch) -> bool:
        speak(publisher)
        found = {tenant: watch.tenant(tenant) for tenant in tenants}
        judged = {name: one for name, one in found.items() if one["verdict"] is not None}
        for name, one in judged.items():
            assert one["low_kw"] <= DRAWN_KW[name] <= one["high_kw"], found
        is_exact = all(one["low_kw"] == one["high_kw"] for one in judged.values())
        is_kept = path.exists() and path.stat().st_mtime_ns > before
        return is_exact and is_kept and judged.keys() == set(tenants)

    async with watching(folder, site) as watch:
        await watch.until(lambda: is_known(watch), "every draw is known, and a snapshot of it")


@pytest.mark.servers
def test_a_monitor_goes_on_under_edited_files(tmp_path: Path) -> None:
    """A tenant in front of the others, a broker of another name, a rule that is off: a restart for each."""
    folder = tmp_path / "site"

    async def story() -> list[tuple[str, str, bool]]:
        found: list[tuple[str, str, bool]] = []

        def look() -> None:
            found.extend((a.rule, a.id, a.returned_ms is None) for a in alarms(folder / "data"))

        with Mosquitto(tmp_path / "broker") as server, Publisher(server.port) as publisher:
            text = SITE.format(url=server.url)
            await ran(folder, text, publisher, "acme", "blue")
            look()
            text = text.replace("[[tenant]]", f"{CYAN}[[tenant]]", 1)
            await ran(folder, text, publisher, "cyan", "acme", "blue")
            look()
            text = text.replace("[[broker]]", '[[broker]]\nname = "hall"')
            await ran(folder, text, publisher, "cyan", "acme", "blue")
            look()
            text = text.replace("[rules.C2]", "[rules.C2]\nenabled = false")
            await ran(folder, text, publisher, "cyan", "acme", "blue")
            look()
        return found

    found = asyncio.run(story())

    overdraws = [(alarm, is_open) for rule, alarm, is_open in found if rule == "C2"]
    assert len({alarm for alarm, _ in overdraws}) == 1
    assert [is_open for _, is_open in overdraws] == [True, True, True, False]
    with closing(LedgerReader(folder / "data")) as ledger:
        reasons = [change.reason for _, change in ledger.changes(0) if change.alarm.rule == "C2"]
    assert reasons == ["", "rule C2 is switched off"]


@pytest.mark.servers
def test_pages_follow_a_receiver_that_moves(tmp_path: Path) -> None:
    """What waited goes to the new address, under its key; that the old one misses the end is told there."""
    folder = tmp_path / "site"

    async def story() -> tuple[list[str], list[str], list[dict[str, Any]]]:
        with Mosquitto(tmp_path / "broker") as server, Publisher(server.port) as publisher:
            site = SITE.format(url=server.url)
            async with receiving() as old:
                routes = [route_to("http://127.0.0.1:1/"), route_to(old.url)]
                async with watching(folder, site + "".join(routes)) as watch:
                    await watch.until(lambda: has(publisher, old, "C2"), "it is told")
                    await watch.until(lambda: watch.undelivered() == 1, "that is noted")
                with closing(LedgerReader(folder / "data")) as ledger:
                    waited = [one.key for one in ledger.notices(state="waiting")]
            async with receiving() as new, watching(folder, site + route_to(new.url)) as watch:
                await watch.until(lambda: has(publisher, new, "Q9"), "the old receiver is missed")
                await watch.until(lambda: has(publisher, new, "C2"), "what waited is told")
        return waited, new.about("C2"), [body for _, body in new.pages if body["rule"] == "Q9"]

    waited, told, missed = asyncio.run(story())

    assert told == waited
    [page] = missed
    assert (page["title"], page["severity"]) == ("a receiver is not told that alarms end", "medium")
    assert page["subject"].startswith("route 127.0.0.1:")


def route_to(url: str) -> str:
    """Return a route of a site file."""
    return f'[[route]]\nto = {{ webhook = "{url}" }}\n'


def has(publisher: Publisher, receiver: Receiver, rule: str) -> bool:
    """Let every rack speak, and tell whether a rule's alarm was told."""
    speak(publisher)
    return receiver.about(rule) != []
