"""Pages on their way to real receivers: one that does not accept them, and others that are told of it."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from megawatch.run.clock import SteadyClock
from megawatch.run.parts import Parts
from megawatch.run.problems import problems_of
from megawatch.run.self_monitoring import Distress
from megawatch.run.supervisor import Supervisor
from rules.notify.outbox import Outbox
from rules.notify.routing import Route
from rules.notify.webhook import WebhookNotifier
from store.ledger.alarms import Notice, Progress
from store.ledger.ledger import Ledger
from testing.fakes.webhook import FakeReceiver, Reply, receiver
from testing.rules.telling import look


def a_page(now_ms: int, route: str) -> Notice:
    """Return a critical page that is due."""
    body = {"headline": "[CRITICAL] acme: draw above the contracted limit", "severity": "critical"}
    return Notice(
        key="a:opened",
        route=route,
        alarm_id="a",
        body=body,
        source_ms=now_ms,
        created_ms=now_ms,
        due_ms=now_ms,
    )


def texts(receiver: FakeReceiver) -> Sequence[dict[str, Any]]:
    """Return what came to a receiver."""
    return [json.loads(delivery.body) for delivery in receiver.deliveries]


@pytest.mark.parametrize("status", [302, 401, 403, 404])
def test_a_page_that_a_receiver_does_not_accept_is_told_on_another_route(status: int, tmp_path: Path) -> None:
    """The other route hears that it waits, and what it says; once the receiver accepts, it has the page."""

    async def story(ledger: Ledger) -> tuple[FakeReceiver, FakeReceiver]:
        clock, parts = SteadyClock(), None
        async with receiver([Reply(status, text="no")]) as pager, receiver() as mail:
            notifiers = {
                fake.url: WebhookNotifier(fake.url, b"", now_ms=clock.now_ms) for fake in (pager, mail)
            }
            outbox = Outbox(
                ledger,
                notifiers,
                now_ms=clock.now_ms,
                random_source=random.Random(1),  # noqa: S311 - jitter
            )
            supervisor = Supervisor(clock, random.Random(1))  # noqa: S311 - jitter
            parts = Parts(clock=clock, ledger=ledger, supervisor=supervisor, outbox=outbox)
            teller = Distress(
                site="titan",
                problems=lambda: problems_of(parts),
                notifiers=notifiers,
                routes=[Route(name=url) for url in notifiers],
                clock=clock,
                random_source=random.Random(1),  # noqa: S311 - jitter
            )
            now_ms = clock.now_ms()
            ledger.save(Progress(seq=1, tick_ms=now_ms, notices=[a_page(now_ms, pager.url)]))
            (page,) = ledger.due(now_ms, pager.url)
            failed = await outbox.receivers[pager.url].attempt(page)
            for second in range(15):
                await look(teller, now_ms + 1_000 * second)
            await outbox.receivers[pager.url].attempt(failed)
            for second in range(15, 30):
                await look(teller, now_ms + 1_000 * second)
            for notifier in notifiers.values():
                await notifier.close()
            return pager, mail

    with closing(Ledger(tmp_path)) as ledger:
        pager, mail = asyncio.run(story(ledger))

    assert [body["headline"][:10] for body in texts(pager)] == ["[CRITICAL]"] * 2
    opened, returned = texts(mail)
    assert opened["rule"] == "Q9"
    assert f"cause: {status} no; waits there: [CRITICAL] acme: draw above" in opened["text"]
    assert (opened["change"], returned["change"]) == ("opened", "returned")
