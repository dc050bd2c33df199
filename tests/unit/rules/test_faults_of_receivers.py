"""Every receiver with every fault on the way: the page waits, is tried again under its key, and is taken."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from facility.errors import DeliveryError
from rules.notify import http
from rules.notify.alertmanager import AlertmanagerNotifier
from rules.notify.base import Notifier
from rules.notify.chat import ChatNotifier, slack_message, teams_message
from rules.notify.outbox import Outbox
from rules.notify.pagerduty import PagerDutyNotifier
from rules.notify.webhook import WebhookNotifier
from store.ledger.alarms import Notice, Progress
from store.ledger.ledger import Ledger
from testing.builders import T0_MS
from testing.fakes.webhook import Delivery, Reply, receiver
from testing.rules.pages import a_page

RECEIVERS: Mapping[str, Callable[[str, Callable[[], int]], Notifier]] = {
    "webhook": lambda url, now_ms: WebhookNotifier(url, b"secret", now_ms=now_ms),
    "pagerduty": lambda url, now_ms: PagerDutyNotifier("0" * 32, now_ms=now_ms, api=url),
    "alertmanager": lambda url, now_ms: AlertmanagerNotifier([url], own="Q9", now_ms=now_ms),
    "slack": lambda url, now_ms: ChatNotifier(url, slack_message, now_ms=now_ms),
    "teams": lambda url, now_ms: ChatNotifier(url, teams_message, now_ms=now_ms),
}
FAULTS: Mapping[str, tuple[Reply, int]] = {
    "429 without a word": (Reply(429), 0),
    "429 with Retry-After": (Reply(429, {"Retry-After": "40"}), 40_000),
    "500 after having accepted": (Reply(500), 0),
    "503": (Reply(503), 0),
    "reset": (Reply(resets=True), 0),
    "slow": (Reply(hangs=True), 0),
    "redirected": (Reply(302, {"Location": "http://127.0.0.1:1/"}), 0),
    "not let in": (Reply(401), 0),
}
"""What happens to the first attempt, and how long it has to wait after that at least [ms]."""


def identity(kind: str, delivery: Delivery) -> object:
    """Return by what a receiver recognises a page that comes twice; where by nothing, all of it."""
    document: Any = json.loads(delivery.body)
    match kind:
        case "webhook":
            return delivery.headers["idempotency-key"], document["key"]
        case "pagerduty":
            return document["dedup_key"], document["event_action"]
        case "alertmanager":
            return sorted(document[0]["labels"].items()), document[0]["startsAt"]
        case _:
            return document


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", RECEIVERS)
def test_a_page_is_tried_until_it_is_taken_under_one_key(
    kind: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a kill between both attempts, as the ledger alone knows of the first."""
    reply, least_ms = FAULTS[fault]
    monkeypatch.setattr(http, "TIMEOUT_S", 0.2 if reply.hangs else http.TIMEOUT_S)

    async def attempt(url: str, now_ms: int) -> Notice:
        notifier = RECEIVERS[kind](url, lambda: now_ms)
        with closing(Ledger(tmp_path)) as ledger:
            outbox = Outbox(
                ledger,
                {"pager": notifier},
                now_ms=lambda: now_ms,
                random_source=random.Random(1),  # noqa: S311 - jitter
            )
            (notice,) = ledger.due(now_ms, "pager")
            found = await outbox.receivers["pager"].attempt(notice)
            await notifier.close()
            return found

    async def story() -> tuple[Notice, Notice, list[Delivery]]:
        async with receiver([reply]) as fake:
            first = await attempt(fake.url, T0_MS)
            second = await attempt(fake.url, first.due_ms)
            return first, second, fake.deliveries

    with closing(Ledger(tmp_path)) as ledger:
        ledger.save(Progress(seq=1, tick_ms=T0_MS, notices=[a_page()]))
    first, second, deliveries = asyncio.run(story())

    assert first.state == "waiting"
    assert first.due_ms >= T0_MS + max(least_ms, 1)
    assert (second.state, second.attempts) == ("delivered", 2)
    assert len(deliveries) == 2
    assert identity(kind, deliveries[0]) == identity(kind, deliveries[1])


@pytest.mark.parametrize("kind", RECEIVERS)
def test_what_is_refused_for_good_is_tried_again_only_where_it_is_critical(kind: str, tmp_path: Path) -> None:
    """400: a medium page is kept as refused, a critical one is tried again all the same."""

    async def story() -> list[str]:
        async with receiver([Reply(400)] * 2) as fake:
            notifier = RECEIVERS[kind](fake.url, lambda: T0_MS)
            with closing(Ledger(tmp_path)) as ledger:
                pages = [a_page(alarm=word, severity=word) for word in ("medium", "critical")]
                ledger.save(Progress(seq=1, tick_ms=T0_MS, notices=pages))
                outbox = Outbox(
                    ledger,
                    {"pager": notifier},
                    now_ms=lambda: T0_MS,
                    random_source=random.Random(1),  # noqa: S311 - jitter
                )
                found = {
                    notice.alarm_id: (await outbox.receivers["pager"].attempt(notice)).state
                    for notice in ledger.due(T0_MS, "pager")
                }
            await notifier.close()
            return [found["medium"], found["critical"]]

    assert asyncio.run(story()) == ["refused", "waiting"]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(301, {"Location": "https://hooks.example/services/TOKEN"}),
        Reply(404, text="Cannot POST /services/TOKEN"),
        Reply(403, {"Location": "http://[bad/TOKEN"}),
    ],
)
def test_an_address_that_is_a_secret_is_in_no_error(reply: Reply) -> None:
    """A redirect to https, or a page that repeats the path, would tell it to every other receiver."""

    async def story() -> str:
        async with receiver([reply]) as fake:
            url = f"{fake.url.rpartition('/')[0]}/services/TOKEN"
            notifier = ChatNotifier(url, slack_message, now_ms=lambda: T0_MS)
            with pytest.raises(DeliveryError) as refused:
                await notifier.deliver(a_page())
            await notifier.close()
            return refused.value.cause

    assert "TOKEN" not in asyncio.run(story())
