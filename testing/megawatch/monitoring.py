"""The whole monitor in a test: built from a site file, run beside the test, asked from its data folder."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from rich.console import Console

from facility.readings import Batch, Quality
from megawatch.composition import make_judging
from megawatch.run.monitor import Monitor
from megawatch.run.process import end
from megawatch.site.folder import open_site
from store.journal.entries import Mark
from store.journal.file import JournalReader
from store.ledger.alarms import Alarm
from store.ledger.ledger import LedgerReader
from store.series import TenantDraw, tenants_of
from testing.waiting import until


@dataclass(slots=True)
class Watch:
    """A running monitor, and what can be asked of it.

    Attributes:
        monitor: It runs in the loop of the test.
        data: Its data folder.
    """

    monitor: Monitor
    data: Path

    def accounting(self) -> dict[str, Any]:
        """Return where every reading went; it adds up, whenever it is asked."""
        found: dict[str, Any] = {**self.monitor.status.accounting()}
        parts = ("stored", "dead_lettered", "duplicates", "waiting")
        assert found["received"] == sum(found[part] for part in parts), found
        return found

    def tenant(self, name: str) -> dict[str, Any]:
        """Return a tenant's figures at the last tick; before the first its verdict is None."""
        found: list[dict[str, Any]] = [{**one} for one in self.monitor.status.document()["tenants"]]
        return next((tenant for tenant in found if tenant["id"] == name), {"verdict": None})

    def undelivered(self) -> int:
        """Return how many notifications no receiver has accepted yet."""
        return sum(route["waiting"] for route in self.monitor.status.document()["routes"])

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until something holds."""
        await until(condition, what, self.monitor.status.document)

    async def until_stored(self, count: int) -> None:
        """Wait until so many readings are stored."""
        await self.until(lambda: self.accounting()["stored"] >= count, f"{count} stored")

    async def until_connected(self) -> None:
        """Wait until every broker is connected."""
        sources = self.monitor.built.sources
        await self.until(lambda: all(source.health.state == "connected" for source in sources), "connected")


@asynccontextmanager
async def watching(folder: Path, site: str) -> AsyncIterator[Watch]:
    """Run the monitor of a site for as long as the context lasts.

    Args:
        folder: Where the site file is written.
        site: Its text.
    """
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    await asyncio.to_thread((folder / "site.toml").write_text, site)
    monitor = Monitor(open_site(folder), console=Console(quiet=True), random_source=random.Random(1))  # noqa: S311 - jitter
    running = asyncio.create_task(monitor.run())
    started = asyncio.create_task(monitor.started.wait())
    try:
        await asyncio.wait({running, started}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        yield Watch(monitor, monitor.site.data)
        if running.done():
            running.result()
    finally:
        await end(running)
        started.cancel()


def journalled(data: Path) -> Batch:
    """Return every reading of a journal, in order."""
    with closing(JournalReader(data)) as journal:
        entries = journal.read(0, 10_000_000)
    batches = [entry.content for entry in entries if isinstance(entry.content, Batch)]
    whole = Batch.concatenate(batches)
    return whole.take(whole.quality != Quality.REFUSED)


def marks(data: Path) -> list[Mark]:
    """Return every mark of a journal, in order."""
    with closing(JournalReader(data)) as journal:
        entries = journal.read(0, 10_000_000)
    return [entry.content for entry in entries if isinstance(entry.content, Mark)]


def alarms(data: Path) -> list[Alarm]:
    """Return every alarm, oldest first."""
    with closing(LedgerReader(data)) as ledger:
        return ledger.alarms()


def replayed(folder: Path) -> list[tuple[str, str, str, int, int | None]]:
    """Judge a site's journal afterwards, from its first entry to the last tick that was judged live.

    Returns:
        Every alarm: id, rule, subject, when it opened and when it returned [ms].
    """
    site = open_site(folder)
    with closing(JournalReader(site.data)) as journal, closing(LedgerReader(site.data)) as ledger:
        entries = journal.read(0, 10_000_000)
        _, last_tick_ms = ledger.cursor()
    rhythm = site.file.engine
    judging = make_judging(site.file, site.rules)
    steps = [step for entry in entries for step in judging.take(entry)]
    steps += judging.advance(last_tick_ms + rhythm.lateness_ms)
    found: dict[str, tuple[str, str, str, int, int | None]] = {}
    for step in steps:
        for change in step.changes if step.at_ms <= last_tick_ms else ():
            returned_ms = change.at_ms if change.change == "returned" else None
            found[change.alarm_id] = (
                change.alarm_id,
                change.rule,
                change.subject,
                change.opened_ms,
                returned_ms,
            )
    return sorted(found.values())


def recorded(folder: Path) -> list[tuple[str, str, str, int, int | None]]:
    """Return every alarm of a site as it was recorded live, in the form of `replayed`."""
    found = alarms(open_site(folder).data)
    return sorted((a.id, a.rule, a.subject, a.opened_ms, a.returned_ms) for a in found)


def draws(data: Path, tenant: str) -> list[tuple[int, TenantDraw]]:
    """Return a tenant's draw, second by second [ms]."""
    with closing(LedgerReader(data)) as ledger:
        rows = ledger.series(0, 1_000_000)
    return [(at_ms, draw) for _, at_ms, row in rows for draw in tenants_of(row) if draw.tenant == tenant]


@dataclass(slots=True)
class Receiver:
    """A receiver of pages that keeps what it is given.

    Attributes:
        url: Where it is.
        pages: What it was given: the key and the body, in order.
        accepted_ms: When it was given each [ms].
    """

    url: str = ""
    pages: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    accepted_ms: list[int] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        """Take a page."""
        self.pages.append((request.headers["Idempotency-Key"], await request.json()))
        self.accepted_ms.append(time.time_ns() // 1_000_000)  # noqa: TID251 - a receiver has a clock of its own
        return web.Response(status=200)

    def about(self, rule: str, change: str = "opened") -> list[str]:
        """Return the keys of the pages that tell a change of a rule's alarms."""
        return [key for key, body in self.pages if (body["rule"], body["change"]) == (rule, change)]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Run a receiver of pages on loopback."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/", receiver.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        yield receiver
    finally:
        await runner.cleanup()
