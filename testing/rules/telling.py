"""Notifications on their way in a test: for as long as a context lasts, or one attempt of what is due."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from megawatch.run.process import end
from megawatch.run.self_monitoring import Distress
from rules.notify.outbox import Outbox, Pages
from store.ledger.alarms import Notice

MOST = 1_000


@asynccontextmanager
async def serving(outbox: Outbox) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Let every receiver of an outbox deliver for as long as the context lasts."""
    running = [asyncio.create_task(receiver.run()) for receiver in outbox.receivers.values()]
    try:
        yield running
    finally:
        for task in running:
            await end(task)


async def attempt(outbox: Outbox, pages: Pages, now_ms: int, route: str) -> list[Notice]:
    """Make one attempt of whatever of a route is due; return what became of it."""
    receiver = outbox.receivers[route]
    return [await receiver.attempt(notice) for notice in pages.due(now_ms, route, MOST)]


async def look(distress: Distress, now_ms: int) -> None:
    """Let a monitor look after itself once, and make one attempt of whatever is due."""
    distress.look(now_ms)
    for route in distress.outbox.receivers:
        await attempt(distress.outbox, distress.pages, now_ms, route)
