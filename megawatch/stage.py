"""What the demo is made of while it runs."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from megawatch.monitor import Monitor
from rules.notify.webhook import sign
from simulators.plant import Plant
from simulators.publish import Publisher
from simulators.script import Script
from store.ledger import LedgerReader


@dataclass(slots=True)
class Pager:
    """A receiver of pages that checks what it is given, as a real one would.

    Attributes:
        secret: The key that pages are signed with.
        pages: What was accepted, in order.
    """

    secret: bytes
    pages: list[dict[str, Any]] = field(default_factory=list)

    async def accept(self, request: web.Request) -> web.Response:
        """Accept a page if its signature is right."""
        body = await request.read()
        expected = sign(self.secret, request.headers.get("Megawatch-Timestamp", ""), body)
        if not secrets.compare_digest(expected, request.headers.get("Megawatch-Signature", "")):
            return web.Response(status=401, text="signature")
        page: dict[str, Any] = await request.json()
        self.pages.append(page | {"idempotency_key": request.headers["Idempotency-Key"]})
        return web.Response(status=204)


@dataclass(slots=True)
class Stage:
    """What the demo is made of while it runs.

    Attributes:
        monitor: The monitor.
        running: The task that it runs in.
        ledger: Its ledger.
        pager: Who gets its pages.
        broker: Where they meet, for people.
        plant: The site that is not there.
        script: What happens there.
        publisher: Its voice.
        start_ms: When the script began [ms]; 0 before.
        second: The second of the script, -1 before it begins.
    """

    monitor: Monitor
    running: asyncio.Task[None]
    ledger: LedgerReader
    pager: Pager
    broker: str
    plant: Plant
    script: Script
    publisher: Publisher
    start_ms: int = 0
    second: int = -1

    def heard(self, second: int, at_ms: int) -> None:
        """Note the second of the script and its time [ms]."""
        if second == 0:
            self.start_ms = at_ms
        self.second = second
