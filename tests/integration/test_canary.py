"""The canary through a real broker and a whole monitor; what is told once its page does not come through."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from facility.names import CANARY
from megawatch import composition
from testing.fakes.webhook import FakeReceiver, Reply, receiver
from testing.megawatch.monitoring import watching
from testing.servers.brokers import Mosquitto

SITE = """
[site]
name = "hall"
[[broker]]
url = "{url}"
format = "{form}"
[rules.C2]
on_delay_s = 1
[[route]]
to = {{ webhook = "{pager}" }}
[canary]
to = {{ webhook = "{watcher}" }}
"""


def told(fake: FakeReceiver) -> list[tuple[str, str, str]]:
    """Return what a receiver was told: rule, subject and change."""
    bodies = [json.loads(delivery.body) for delivery in fake.deliveries]
    return [(body["rule"], body["subject"], body["change"]) for body in bodies]


@pytest.mark.servers
@pytest.mark.parametrize("form", ["dsx", "rack-documents"])
def test_its_page_goes_the_whole_way_to_its_own_receiver(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Timed, and nobody else hears of it."""
    monkeypatch.setattr(composition, "FIRST_S", 3.0)

    async def story() -> tuple[FakeReceiver, FakeReceiver, dict[str, object]]:
        with Mosquitto(tmp_path / "broker") as server:
            async with receiver() as watcher, receiver() as pager:
                text = SITE.format(url=server.url, form=form, watcher=watcher.url, pager=pager.url)
                async with watching(tmp_path / "site", text) as watch:
                    canary = watch.monitor.built.canary
                    assert canary is not None
                    await watch.until(lambda: canary.trials.delay_ms is not None, "its page is accepted")
                    found = {**watch.monitor.status.document()["canary"]}
                    figures = watch.monitor.status.health().figures
                    assert figures["canary_delay_s"] == found["delay_s"]
            return watcher, pager, found

    watcher, pager, found = asyncio.run(story())

    assert told(watcher)[0] == ("C2", CANARY, "opened")
    assert {subject for _, subject, _ in told(pager)} <= {"hall"}
    assert found["trouble"] == ""


@pytest.mark.servers
def test_a_page_that_does_not_come_through_is_told_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its receiver answers nothing but 503: the pager hears that the canary's page does not come through."""
    monkeypatch.setattr(composition, "FIRST_S", 2.0)
    monkeypatch.setattr(composition, "ACCEPTED_S", 2.0)

    async def story() -> FakeReceiver:
        with Mosquitto(tmp_path / "broker") as server:
            async with receiver([Reply(503)] * 10_000) as watcher, receiver() as pager:
                text = SITE.format(
                    url=server.url, form="rack-documents", watcher=watcher.url, pager=pager.url
                )
                async with watching(tmp_path / "site", text) as watch:
                    await watch.until(lambda: ("Q9", "canary", "opened") in told(pager), "it is told")
            return pager

    pager = asyncio.run(story())

    assert not any(subject == CANARY for _, subject, _ in told(pager))
