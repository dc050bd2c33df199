"""A real pair of Alertmanager behind the outbox's notifier: one notification a group, and one end."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from facility.errors import DeliveryError
from megawatch.run import monitor
from rules.notify.alertmanager import AlertmanagerNotifier
from store.ledger.alarms import Notice
from testing.collector.publishing import Publisher
from testing.fakes.webhook import FakeReceiver, receiver
from testing.megawatch.monitoring import watching
from testing.rules.pages import a_page
from testing.servers.alertmanager import Replica, replicas
from testing.servers.brokers import Mosquitto
from testing.waiting import until
from tests.integration.onerack import BUSY_KW, CALM_KW, SITE, now_ms, speak

SETTLED_S = 3.0
"""How long nothing more comes: both intervals of the group, and a second."""


def racks(count: int, **facts: object) -> list[Notice]:
    """Return a notification of as many racks."""
    return [
        a_page(alarm=f"a{n}", rule="Q1", subject=f"r{n}", tenant=None, severity="low", **facts)
        for n in range(count)
    ]


def groups(fake: FakeReceiver) -> list[tuple[str, int]]:
    """Return what was notified: `firing` or `resolved`, and of how many alerts."""
    documents = [json.loads(delivery.body) for delivery in fake.deliveries]
    return [(document["status"], len(document["alerts"])) for document in documents]


async def nothing_more(fake: FakeReceiver) -> None:
    """Wait for as long as a notification would take to come, and see that none does."""
    before = len(fake.deliveries)
    await asyncio.sleep(SETTLED_S)
    assert len(fake.deliveries) == before, groups(fake)[before:]


def a_notifier(pair: Sequence[Replica]) -> AlertmanagerNotifier:
    """Return a notifier of every replica."""
    return AlertmanagerNotifier([replica.url for replica in pair], own="Q9", now_ms=now_ms)


@pytest.mark.servers
def test_twenty_alarms_are_one_notification_and_one_end(tmp_path: Path) -> None:
    """Figures that change and what is said again notify nobody; one replica killed changes nothing."""

    async def story() -> list[tuple[str, int]]:
        async with receiver() as fake:
            with replicas(tmp_path, fake.url) as pair:
                notifier = a_notifier(pair)
                pages = racks(20, opened_ms=now_ms())
                await asyncio.gather(*(notifier.deliver(page) for page in pages))
                await until(lambda: len(fake.deliveries) == 1, "a notification", lambda: groups(fake))

                changed = [replace(page, body={**page.body, "value": 7.5, "headline": "x"}) for page in pages]
                await notifier.remind(changed)
                await nothing_more(fake)
                assert [len(replica.alerts()) for replica in pair] == [20, 20]

                pair[0].kill()
                await notifier.remind(changed)
                await nothing_more(fake)

                ends = [replace(page, body={**page.body, "change": "returned"}) for page in pages]
                await notifier.remind(ends)
                await until(lambda: len(fake.deliveries) == 2, "the end", lambda: groups(fake))
                await notifier.remind(ends)
                await nothing_more(fake)
                await notifier.close()
            return groups(fake)

    assert asyncio.run(story()) == [("firing", 20), ("resolved", 20)]


@pytest.mark.servers
def test_an_alarm_that_worsens_is_told_anew_and_ends_whole(tmp_path: Path) -> None:
    """Its severity is a label, which routes go by: the alert of before ends as the graver one begins."""

    async def story() -> list[list[tuple[str, str]]]:
        async with receiver() as fake:
            with replicas(tmp_path, fake.url) as pair:
                notifier, began = a_notifier(pair), now_ms()
                for facts in (
                    {"change": "opened", "severity": "high"},
                    {"change": "worsened", "severity": "critical"},
                    {"change": "returned", "severity": "critical"},
                ):
                    before = len(fake.deliveries)
                    await notifier.deliver(a_page(opened_ms=began, **facts))
                    await until(lambda: len(fake.deliveries) > before, "a notification")  # noqa: B023 - at once
                    await asyncio.sleep(SETTLED_S)
                await notifier.close()
            return [shown(delivery.body) for delivery in fake.deliveries]

    found = asyncio.run(story())

    assert found[0] == [("high", "firing")]
    assert ("critical", "firing") in found[1]
    assert found[-1] == [("critical", "resolved")]


def shown(body: bytes) -> list[tuple[str, str]]:
    """Return severity and state of each alert of a notification."""
    alerts: list[dict[str, Any]] = json.loads(body)["alerts"]
    return sorted((alert["labels"]["severity"], alert["status"]) for alert in alerts)


@pytest.mark.servers
def test_no_replica_at_all_is_told(tmp_path: Path) -> None:
    """As long as one accepts, the page is delivered; where none does, it waits in the outbox."""

    async def story() -> None:
        async with receiver() as fake:
            with replicas(tmp_path, fake.url) as pair:
                notifier = a_notifier(pair)
                pair[1].kill()
                await notifier.deliver(a_page(opened_ms=now_ms()))
                pair[0].kill()
                with pytest.raises(DeliveryError):
                    await notifier.deliver(a_page(opened_ms=now_ms()))
                await notifier.close()

    asyncio.run(story())


@pytest.mark.servers
def test_what_stands_is_said_again_after_a_restart_of_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An Alertmanager that forgot its alerts knows them within a round; nothing is notified twice."""
    monkeypatch.setattr(monitor, "REMIND_S", 0.5)

    async def story() -> tuple[list[tuple[str, int]], int]:
        async with receiver() as fake:
            with (
                replicas(tmp_path / "am", fake.url, 1) as [replica],
                Mosquitto(tmp_path / "broker") as server,
                Publisher(server.port) as publisher,
            ):
                site = SITE.format(url=server.url, to=f'alertmanager = ["{replica.url}"]')

                def is_told(power_kw: int, count: int) -> bool:
                    return speak(publisher, power_kw) and len(fake.deliveries) >= count

                async with watching(tmp_path / "site", site) as watch:
                    await watch.until(lambda: is_told(BUSY_KW, 1), "a notification")
                async with watching(tmp_path / "site", site) as watch:
                    replica.kill(signal.SIGTERM)
                    await asyncio.to_thread(replica.start)
                    await watch.until(
                        lambda: is_told(BUSY_KW, 1) and replica.alerts() != [], "it is said again"
                    )
                    again = len(replica.alerts())
                    await watch.until(lambda: is_told(CALM_KW, 2), "the end")
            return groups(fake), again

    assert asyncio.run(story()) == ([("firing", 1), ("resolved", 1)], 1)
