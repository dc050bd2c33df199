"""The outbox: notifications until they are delivered, every route by itself.

An attempt is recorded before it is made, and its outcome after; a crash in between repeats it, with the same
key. On a route several notifications are on their way at once, the gravest first; what is told of one alarm
goes in order: nobody hears that it is over before it began.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import structlog

from facility.errors import DeliveryError, Outlook
from rules.base import Severity
from rules.notify.base import Notifier, fault_of, labels_of, pause_s
from store.ledger.alarms import Notice
from store.ledger.ledger import Ledger
from store.threads import in_thread

POLL_S: Final = 1.0
"""How often what waits for its next attempt is looked at, when nothing new comes."""

AT_ONCE: Final = 8
"""How many notifications are on their way to one receiver at once (our choice)."""
KEPT_FREE: Final = 2
"""So many of them are only ever critical: a receiver that hangs on others does not hold these up."""

MOST_REMEMBERED: Final = 10_000
"""Of how many notifications it is remembered what became of them."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """A receiver that accepts nothing.

    Attributes:
        since_ms: Since when [ms].
        cause: What it or the network said last.
        needs_somebody: Whether that does not pass by itself.
        headline: The gravest that was tried there meanwhile.
        severity: How grave that is.
    """

    since_ms: int
    cause: str
    needs_somebody: bool
    headline: str
    severity: Severity


class Outbox:
    """Delivers what the ledger holds.

    Args:
        ledger: The ledger.
        notifiers: The notifier of each route, by the route's name.
        now_ms: The clock [ms].
        random_source: Where the jitter of pauses comes from.

    Attributes:
        labels: What people read of each route.
        failing: The routes whose receivers accept nothing, each until it accepts something.
    """

    def __init__(
        self,
        ledger: Ledger,
        notifiers: Mapping[str, Notifier],
        *,
        now_ms: Callable[[], int],
        random_source: random.Random,
    ) -> None:
        self._ledger = ledger
        self._notifiers = notifiers
        self._now_ms = now_ms
        self._random = random_source
        self._wake = {route: asyncio.Event() for route in notifiers}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._outcomes: dict[tuple[str, str], Notice] = {}
        self.labels = labels_of(notifiers)
        self.failing: dict[str, Failing] = {}

    def wake(self) -> None:
        """Say that something new is in the ledger; may be called from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake_all)

    def _wake_all(self) -> None:
        for event in self._wake.values():
            event.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            for route in self._notifiers:
                group.create_task(self._serve(route), name=f"notifier {route}")

    async def _serve(self, route: str) -> None:
        """Keep what is due on a route on its way."""
        under_way: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake[route].clear()
                for notice in await self._next(route, under_way):
                    under_way[notice.key] = group.create_task(self._tell(notice), name=f"page {notice.key}")
                await self._until_something_changes(route, under_way)
                under_way = {key: task for key, task in under_way.items() if not task.done()}

    async def _next(self, route: str, under_way: Mapping[str, object]) -> list[Notice]:
        """Return what is to be sent on its way now."""
        try:
            due = await in_thread(self._ledger.due, self._now_ms(), route, 2 * AT_ONCE)
        except Exception as error:  # noqa: BLE001 - whatever ails the ledger: it is asked again
            _log.error(
                "the ledger does not say what is to be told", route=self.labels[route], error=repr(error)
            )
            return []
        free = AT_ONCE - len(under_way)
        chosen: list[Notice] = []
        for notice in due:
            needed = 1 if notice.body.get("severity") == Severity.CRITICAL.word else 1 + KEPT_FREE
            if notice.key not in under_way and free - len(chosen) >= needed:
                chosen.append(notice)
        return chosen

    async def _until_something_changes(self, route: str, under_way: Mapping[str, asyncio.Task[None]]) -> None:
        """Wait until something new comes, something is done, or it is time to look again."""
        wakes = asyncio.create_task(self._wake[route].wait())
        try:
            await asyncio.wait(
                {wakes, *under_way.values()}, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            wakes.cancel()

    async def _tell(self, notice: Notice) -> None:
        """Make one attempt, whatever comes of it."""
        try:
            if not await self._is_told(notice):
                await self.attempt(notice)
        except Exception as error:  # noqa: BLE001 - it is still due, and no page waits for another one's fault
            _log.error("the ledger does not take what became of a notification", error=repr(error))
            await asyncio.sleep(POLL_S)

    async def attempt(self, notice: Notice) -> Notice:
        """Make one attempt.

        Args:
            notice: A notification that is due.

        Returns:
            What became of it.

        Raises:
            StoreUnavailable: Where the ledger did not take that; the notification is still due then.
        """
        notice = replace(notice, attempts=notice.attempts + 1)
        with suppress(Exception):  # a page goes out although nobody can write down that it was tried
            await in_thread(self._ledger.settle, notice)
        try:
            await self._notifiers[notice.route].deliver(notice)
        except Exception as fault:  # noqa: BLE001 - no fault of one notifier may end the others
            notice = self._failed(notice, fault_of(fault))
        else:
            notice = replace(notice, state="delivered", error="", delivered_ms=self._now_ms())
        self._outcomes[notice.route, notice.key] = notice
        if len(self._outcomes) > MOST_REMEMBERED:
            del self._outcomes[next(iter(self._outcomes))]
        await in_thread(self._ledger.settle, notice)
        if notice.state == "delivered" and self.failing.pop(notice.route, None) is not None:
            await in_thread(self._ledger.hasten, notice.route, self._now_ms())
        return notice

    async def _is_told(self, notice: Notice) -> bool:
        """Tell whether the ledger does not know yet what became of a notification, and say it again.

        Its disk may have refused to take that, or somebody who reads it beside us holds an older state of it
        open: in neither case is anybody told twice.
        """
        outcome = self._outcomes.get((notice.route, notice.key))
        if outcome is None or outcome.attempts <= notice.attempts:
            return False
        await in_thread(self._ledger.settle, outcome)
        return outcome.state != "waiting" or outcome.due_ms > self._now_ms()

    def _failed(self, notice: Notice, error: DeliveryError) -> Notice:
        severity = Severity[str(notice.body.get("severity", "info")).upper()]
        headline, since_ms = str(notice.body.get("headline", "")), self._now_ms()
        before = self.failing.get(notice.route)
        if before is not None:
            since_ms = before.since_ms
            if before.severity > severity:
                headline, severity = before.headline, before.severity
        self.failing[notice.route] = Failing(
            since_ms=since_ms,
            cause=error.cause,
            needs_somebody=error.outlook is not Outlook.PASSES,
            headline=headline,
            severity=severity,
        )
        is_final = error.outlook is Outlook.REFUSED and notice.body.get("severity") != Severity.CRITICAL.word
        _log.warning(
            "notification not accepted",
            key=notice.key,
            route=self.labels[notice.route],
            cause=error.cause,
            final=is_final,
        )
        if is_final:
            return replace(notice, state="refused", error=error.cause)
        wait_s = pause_s(notice.attempts, error, self._random)
        return replace(notice, error=error.cause, due_ms=self._now_ms() + round(wait_s * 1_000))
