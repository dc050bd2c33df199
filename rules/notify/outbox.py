"""The outbox: notifications until they are delivered, every receiver by itself.

An attempt is recorded before it is made, and its outcome after; a crash in between repeats it, with the same
key. Several notifications are on their way to a receiver at once, the gravest first; what is told of one
alarm goes in order: its end is never told before its beginning.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, ParamSpec, Protocol, TypeVar

import structlog

from facility.errors import DeliveryError, Outlook
from rules.base import Severity
from rules.notify.base import Notifier, fault_of, labels_of, pause_s
from store.ledger.alarms import Notice
from store.threads import in_thread

POLL_S: Final = 1.0
"""How often what waits for its next attempt is looked at, when nothing new comes."""
ATTEMPT_S: Final = 30.0
"""How long an attempt may take, whatever the notifier does: longer than any notifier's own time-out."""
RECORD_S: Final = 1.0
"""How long a page waits for the disk to take that it is tried (our choice)."""

AT_ONCE: Final = 8
"""How many notifications are on their way to one receiver at once (our choice)."""
KEPT_FREE: Final = 2
"""So many of them are only ever critical, or what a critical one waits for: a receiver that hangs on others
does not hold these up."""

MOST_REMEMBERED: Final = 10_000
"""Of how many notifications it is remembered what became of them."""

P = ParamSpec("P")
T = TypeVar("T")

_log = structlog.get_logger(__name__)


class Pages(Protocol):
    """Where notifications wait. Methods are called from any thread."""

    def due(self, now_ms: int, route: str, most: int) -> Sequence[Notice]:
        """Return what is due, gravest first: the first of each alarm, as grave as the gravest behind it.

        Args:
            now_ms: The time [ms].
            route: Name of the route.
            most: How many at most.
        """
        ...

    def settle(self, notice: Notice) -> None:
        """Save what became of a notification."""
        ...

    def hasten(self, route: str, now_ms: int) -> None:
        """Let everything that waits for a route be tried now [ms]."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Failing:
    """A receiver that accepts nothing.

    Attributes:
        since_ms: Since when [ms].
        cause: What it or the network said last.
        needs_somebody: Whether that does not pass by itself.
        headline: Headline of the gravest page that was tried there meanwhile.
        severity: How grave that is.
    """

    since_ms: int
    cause: str
    needs_somebody: bool
    headline: str
    severity: Severity


Asks = Callable[..., Coroutine[Any, Any, Any]]
"""Calls a method of `Pages` with arguments, and returns what it returns."""


async def ask_at_once(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Ask pages that wait in memory, and so make nobody else wait."""
    return work(*args, **kwargs)


class Receiver:
    """Delivers what waits for one route.

    Args:
        route: Name of the route.
        notifier: Delivers to it.
        pages: Where notifications wait.
        label: What people read of the route.
        now_ms: The clock [ms].
        random_source: Where the jitter of pauses comes from.
        ask: How pages are asked.

    Attributes:
        label: What people read of the route.
        failing: Why it accepts nothing; None while it does.
        rounds: How often it was looked at what is due: grows while this part goes on.
    """

    def __init__(
        self,
        route: str,
        notifier: Notifier,
        pages: Pages,
        *,
        label: str,
        now_ms: Callable[[], int],
        random_source: random.Random,
        ask: Asks,
    ) -> None:
        self._route = route
        self._ask = ask
        self._notifier = notifier
        self._pages = pages
        self._now_ms = now_ms
        self._random = random_source
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._outcomes: dict[str, Notice] = {}
        self._looked_ms = sys.maxsize
        self.label = label
        self.failing: Failing | None = None
        self.rounds = 0

    def wake(self) -> None:
        """Say that something new waits; may be called from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)

    async def run(self) -> None:
        """Keep what is due on its way, until cancelled."""
        self._loop = loop = asyncio.get_running_loop()
        under_way: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                self.rounds += 1
                self._wake.clear()
                for notice in await self._next(under_way):
                    page = group.create_task(self._tell(notice), name=f"page {notice.key}")
                    page.add_done_callback(lambda _: self._wake.set())
                    under_way[notice.key] = page
                look = loop.call_later(POLL_S, self._wake.set)
                try:
                    await self._wake.wait()
                finally:
                    look.cancel()
                under_way = {key: task for key, task in under_way.items() if not task.done()}

    async def _next(self, under_way: Mapping[str, object]) -> list[Notice]:
        """Return what is to be sent on its way now."""
        before_ms, self._looked_ms = self._looked_ms, self._now_ms()
        try:
            # Pauses are dated by our clock as it was before it was set back, or before this start.
            if self._looked_ms < before_ms:
                await self._ask(self._pages.hasten, self._route, self._looked_ms)
            due = await self._ask(self._pages.due, self._looked_ms, self._route, 2 * AT_ONCE)
        except Exception as error:  # noqa: BLE001 - whatever ails the ledger: it is asked again
            _log.error("the ledger does not say what is to be told", route=self.label, error=repr(error))
            return []
        free = AT_ONCE - len(under_way)
        chosen: list[Notice] = []
        for notice in due:
            needed = 1 if notice.is_urgent else 1 + KEPT_FREE
            if notice.key not in under_way and free - len(chosen) >= needed:
                chosen.append(notice)
        return chosen

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
        # A page goes out although its attempt is not written down: the disk refuses, or takes its time.
        recording = asyncio.create_task(self._ask(self._pages.settle, notice))
        await asyncio.wait({recording}, timeout=RECORD_S)
        try:
            await self._deliver(notice)
        except Exception as fault:  # noqa: BLE001 - no fault of one notifier may end the others
            notice = self._failed(notice, fault_of(fault))
        else:
            notice = replace(notice, state="delivered", error="", delivered_ms=self._now_ms())
        # What it says is not needed to say again what became of it: ten thousand pages are 80 MB.
        is_over = notice.state != "waiting"
        self._outcomes[notice.key] = replace(notice, body={}) if is_over else notice
        if len(self._outcomes) > MOST_REMEMBERED:
            del self._outcomes[next(iter(self._outcomes))]
        with suppress(Exception):
            await recording  # what is older is written first
        await self._ask(self._pages.settle, notice)
        if notice.state == "delivered" and self.failing is not None:
            self.failing = None
            await self._ask(self._pages.hasten, self._route, self._now_ms())
        return notice

    async def _deliver(self, notice: Notice) -> None:
        """Deliver a notification; a notifier that neither answers nor ends when told to is left behind.

        Raises:
            DeliveryError: Where it was not accepted in time. Whatever else is raised passes through.
        """
        delivery = asyncio.create_task(self._notifier.deliver(notice))
        try:
            done, _ = await asyncio.wait({delivery}, timeout=ATTEMPT_S)
        finally:
            delivery.cancel()
        if not done:
            raise DeliveryError(f"no answer within {ATTEMPT_S:.0f} s", Outlook.PASSES)
        delivery.result()

    async def _is_told(self, notice: Notice) -> bool:
        """Tell whether the ledger does not know yet what became of a notification, and say it again.

        Its disk may have refused to take that, or somebody who reads it beside us holds an older state of it
        open: in neither case is anybody told twice.
        """
        outcome = self._outcomes.get(notice.key)
        if outcome is None or outcome.attempts <= notice.attempts:
            return False
        await self._ask(self._pages.settle, outcome)
        return outcome.state != "waiting" or outcome.due_ms > self._now_ms()

    def _failed(self, notice: Notice, error: DeliveryError) -> Notice:
        severity = Severity.of(str(notice.body.get("severity", "info")))
        headline, since_ms = str(notice.body.get("headline", "")), self._now_ms()
        before = self.failing
        if before is not None:
            since_ms = min(before.since_ms, since_ms)  # our clock may have been set back
            if before.severity > severity:
                headline, severity = before.headline, before.severity
        self.failing = Failing(
            since_ms=since_ms,
            cause=error.cause,
            needs_somebody=error.outlook is not Outlook.PASSES,
            headline=headline,
            severity=severity,
        )
        is_final = error.outlook is Outlook.REFUSED and notice.body.get("severity") != Severity.CRITICAL.word
        _log.warning(
            "notification not accepted", key=notice.key, route=self.label, cause=error.cause, final=is_final
        )
        if is_final:
            return replace(notice, state="refused", error=error.cause)
        wait_s = pause_s(notice.attempts, error, self._random)
        return replace(notice, error=error.cause, due_ms=self._now_ms() + round(wait_s * 1_000))


class Outbox:
    """The receivers of what waits in one place; each runs by itself.

    Args:
        pages: Where notifications wait.
        notifiers: The notifier of each route, by the route's name.
        now_ms: The clock [ms].
        random_source: Where the jitter of pauses comes from.
        ask: How pages are asked: beside the event loop, unless they wait in memory.

    Attributes:
        receivers: What delivers on each route, by the route's name.
    """

    def __init__(
        self,
        pages: Pages,
        notifiers: Mapping[str, Notifier],
        *,
        now_ms: Callable[[], int],
        random_source: random.Random,
        ask: Asks = in_thread,
    ) -> None:
        labels = labels_of(notifiers)
        self.receivers = {
            route: Receiver(
                route,
                notifier,
                pages,
                label=labels[route],
                now_ms=now_ms,
                random_source=random_source,
                ask=ask,
            )
            for route, notifier in notifiers.items()
        }

    @property
    def failing(self) -> Mapping[str, Failing]:
        """The routes whose receivers accept nothing, each until it accepts something."""
        found = {route: receiver.failing for route, receiver in self.receivers.items()}
        return {route: failing for route, failing in found.items() if failing is not None}

    def wake(self) -> None:
        """Say that something new waits; may be called from any thread."""
        for receiver in self.receivers.values():
            receiver.wake()
