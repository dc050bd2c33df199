"""What the demo is made of while it runs."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from megawatch.run.monitor import Monitor
from megawatch.scenario.play import Play
from rules.notify.webhook import sign
from simulators.publish.pace import Pace
from simulators.publish.publisher import Publisher
from simulators.run import Second
from simulators.scenario.scenario import Scenario
from store.ledger.ledger import LedgerReader


@dataclass(slots=True)
class Pager:
    """A receiver of pages that checks what it is given, as a real one would.

    Attributes:
        secret: Shared secret that pages are signed with.
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
        monitor: The monitor that is shown.
        running: Task that it runs in.
        ledger: Its ledger.
        pager: Who gets its pages.
        broker: Where they meet, for people.
        scenario: The site that is not there, and what happens to it.
        play: It, being played.
        publisher: Its voice.
        start_ms: When it began [ms]; 0 before.
        second: The last second of it that was published, -1 before it begins.
    """

    monitor: Monitor
    running: asyncio.Task[None]
    ledger: LedgerReader
    pager: Pager
    broker: str
    scenario: Scenario
    play: Play
    publisher: Publisher
    start_ms: int = 0
    second: int = -1

    @property
    def racks(self) -> int:
        """How many racks the site has."""
        return len(self.scenario.site.site.racks)

    @property
    def caption(self) -> str:
        """What happens now; what the scenario proves where it has nothing to tell of this."""
        past = [text for at_s, text in sorted(self.scenario.captions.items()) if at_s <= self.second]
        return past[-1] if past else self.scenario.proves

    def heard(self, second: Second, _pace: Pace) -> None:
        """Note a second that was published."""
        if second.second == 0:
            self.start_ms = second.time_ms
        self.second = second.second
