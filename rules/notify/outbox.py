"""The outbox: notifications until they are delivered, route by route.

An attempt is recorded before it is made, and its outcome after; a crash in between repeats it, with the same
key. Within a route, what is told of one alarm goes in order: nobody hears that it is over before it began.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final

import structlog

from facility.errors import DeliveryError, StoreUnavailable
from rules.notify.base import Notifier, pause_s
from store.alarms import Notice
from store.ledger import Ledger
from store.threads import in_thread

POLL_S: Final = 1.0
"""How often what waits for its next attempt is looked at, when nothing new comes."""

MOST_REMEMBERED: Final = 10_000
"""Of how many notifications it is remembered what became of them."""

_log = structlog.get_logger(__name__)


class Outbox:
    """Delivers what the ledger holds.

    Args:
        ledger: The ledger.
        notifiers: The notifier of each route, by the route's name.
        now_ms: The clock [ms].
        random_source: Where the jitter of pauses comes from.
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
        self._outcomes: dict[tuple[str, str], Notice] = {}

    def wake(self) -> None:
        """Say that something new is in the ledger."""
        for event in self._wake.values():
            event.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as group:
            for route in self._notifiers:
                group.create_task(self._serve(route), name=f"notifier {route}")

    async def _serve(self, route: str) -> None:
        while True:
            self._wake[route].clear()
            try:
                notices = await in_thread(self._ledger.due, self._now_ms(), route)
                for notice in notices:
                    if not await self._is_told(notice):
                        await self.attempt(notice)
            except StoreUnavailable as error:
                _log.error("the ledger does not take what became of a notification", error=str(error))
                await asyncio.sleep(POLL_S)
                continue
            if not notices:
                try:
                    async with asyncio.timeout(POLL_S):
                        await self._wake[route].wait()
                except TimeoutError:
                    continue

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
        with suppress(StoreUnavailable):  # a page goes out although nobody can write down that it was tried
            await in_thread(self._ledger.settle, notice)
        try:
            await self._notifiers[notice.route].deliver(notice)
        except DeliveryError as error:
            notice = self._failed(notice, error)
        except Exception as error:  # noqa: BLE001 - no fault of one notifier may end the others
            _log.exception("notifier failed", key=notice.key, route=notice.route)
            notice = self._failed(notice, DeliveryError(repr(error), worth_retrying=True))
        else:
            notice = replace(notice, state="delivered", error="", delivered_ms=self._now_ms())
        self._outcomes[notice.route, notice.key] = notice
        if len(self._outcomes) > MOST_REMEMBERED:
            del self._outcomes[next(iter(self._outcomes))]
        await in_thread(self._ledger.settle, notice)
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
        _log.warning(
            "notification not accepted",
            key=notice.key,
            route=notice.route,
            cause=error.cause,
            final=not error.worth_retrying,
        )
        if not error.worth_retrying:
            return replace(notice, state="refused", error=error.cause)
        wait_s = pause_s(notice.attempts, error.retry_after_s, self._random)
        return replace(notice, error=error.cause, due_ms=self._now_ms() + round(wait_s * 1_000))
