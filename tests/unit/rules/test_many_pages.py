"""300 pages at once into a slow receiver: the critical ones first, and all within three seconds of its time.

The receiver takes 50 ms for each page. No clock decides: what is under way at once is let go together, which
is one turn of 50 ms, and turns are counted.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from rules.notify.outbox import AT_ONCE, KEPT_FREE, Outbox
from store.ledger.alarms import Notice
from store.ledger.ledger import Ledger
from testing.builders import T0_MS
from testing.rules.telling import serving
from testing.store.ledgers import put_openings
from testing.waiting import until

PAGES: Final = 300
CRITICAL: Final = 60
TURN_MS: Final = 50
ALL_WITHIN_MS: Final = 3_000


@dataclass(slots=True)
class Slow:
    """A receiver that accepts what is under way when it is told to.

    Attributes:
        turns: The keys that it accepted, turn by turn.
    """

    turns: list[list[str]] = field(default_factory=list)
    _waiting: dict[str, asyncio.Event] = field(default_factory=dict)

    @property
    def under_way(self) -> int:
        """How many deliveries wait for an answer."""
        return len(self._waiting)

    def has(self, count: int) -> bool:
        """Tell whether so many do."""
        return self.under_way == count

    async def deliver(self, notice: Notice) -> None:
        """Wait for the end of the turn."""
        self._waiting[notice.key] = asyncio.Event()
        await self._waiting[notice.key].wait()

    async def close(self) -> None:
        """Nothing is held."""

    def accept(self) -> None:
        """End a turn: accept whatever is under way."""
        waiting, self._waiting = self._waiting, {}
        self.turns.append(list(waiting))
        for event in waiting.values():
            event.set()


def put_pages(ledger: Ledger) -> None:
    """Save the openings of as many alarms in one tick, the critical ones among them here and there."""
    severities = ["critical" if number % (PAGES // CRITICAL) == 0 else "high" for number in range(PAGES)]
    put_openings(ledger, {f"{word}-{number:03d}": word for number, word in enumerate(severities)}, T0_MS)


def taken_at_once(critical: int, others: int) -> int:
    """Return how many deliveries are under way at once while so many wait."""
    urgent = min(critical, AT_ONCE)
    return urgent + max(min(others, AT_ONCE - KEPT_FREE - urgent), 0)


async def deliver_all(ledger: Ledger, slow: Slow) -> None:
    """Run the outbox until everything is accepted."""
    outbox = Outbox(ledger, {"pager": slow}, now_ms=lambda: T0_MS, random_source=random.Random(1))  # noqa: S311 - jitter
    critical, others = CRITICAL, PAGES - CRITICAL
    async with serving(outbox):
        while critical + others:
            full = taken_at_once(critical, others)
            await until(partial(slow.has, full), f"{full} deliveries under way", lambda: slow.under_way)
            slow.accept()
            urgent = sum(key.startswith("critical") for key in slow.turns[-1])
            critical, others = critical - urgent, others - (full - urgent)
            outbox.wake()
        await until(lambda: not ledger.waiting(), "nothing waits", ledger.waiting)


def test_critical_pages_come_first_and_all_within_three_seconds(tmp_path: Path) -> None:
    """Every critical page is accepted before any turn is without one; each page once."""
    slow = Slow()
    with closing(Ledger(tmp_path)) as ledger:
        put_pages(ledger)
        asyncio.run(deliver_all(ledger, slow))

    accepted = [key for turn in slow.turns for key in turn]
    assert sorted(accepted) == sorted(set(accepted))
    assert len(accepted) == PAGES
    with_critical = [any(key.startswith("critical") for key in turn) for turn in slow.turns]
    assert with_critical == sorted(with_critical, reverse=True)
    assert with_critical.count(True) * TURN_MS <= 500
    assert len(slow.turns) * TURN_MS <= ALL_WITHIN_MS
