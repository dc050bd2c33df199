"""Notifications that wait in memory: what is told of our own disk must not need it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from threading import Lock
from typing import Final

from rules.base import Severity
from store.ledger.alarms import Notice

MOST_WAITING: Final = 1_000
"""Of what no receiver accepts, so much is kept."""


class MemoryPages:
    """Notifications until they are delivered; a restart forgets them. Any thread may call its methods."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: dict[tuple[str, str], Notice] = {}

    @property
    def waiting(self) -> list[Notice]:
        """What waits, in the order in which it came."""
        with self._lock:
            return list(self._waiting.values())

    def put(self, notices: Iterable[Notice]) -> None:
        """Let notifications wait; beyond a bound the oldest are dropped."""
        with self._lock:
            self._waiting |= {(notice.route, notice.key): notice for notice in notices}
            for place in list(self._waiting)[:-MOST_WAITING]:
                del self._waiting[place]

    def due(self, now_ms: int, route: str, most: int) -> list[Notice]:
        """Return what is due, gravest first: the first of each alarm, as grave as the gravest behind it.

        Args:
            now_ms: The time [ms].
            route: Name of the route.
            most: How many at most.
        """
        first: dict[str, Notice] = {}
        gravest: dict[str, Severity] = {}
        for notice in self.waiting:
            if notice.route == route:
                alarm, severity = notice.alarm_id, Severity.of(notice.body["severity"])
                first.setdefault(alarm, notice)
                gravest[alarm] = max(severity, gravest.get(alarm, severity))
        due = [
            replace(notice, is_urgent=gravest[alarm] is Severity.CRITICAL)
            for alarm, notice in first.items()
            if notice.due_ms <= now_ms
        ]
        return sorted(due, key=lambda notice: -gravest[notice.alarm_id])[:most]

    def settle(self, notice: Notice) -> None:
        """Keep what became of a notification that waits; what was delivered or refused waits no longer."""
        place = notice.route, notice.key
        with self._lock:
            if notice.state != "waiting":
                self._waiting.pop(place, None)
            elif place in self._waiting:
                self._waiting[place] = notice

    def hasten(self, route: str, now_ms: int) -> None:
        """Let everything that waits for a route be tried now [ms]: its receiver accepts again."""
        with self._lock:
            for place, notice in self._waiting.items():
                if notice.route == route and notice.due_ms > now_ms:
                    self._waiting[place] = replace(notice, due_ms=now_ms)
