"""What a route of tenants is not told: a tenant may read there, and no tenant is to read of another.

Such a route reads which of its own tenants' alarms are held back, and of how many others; and that something
is wrong with the monitor, without the text of an error, which may name other tenants, addresses and paths.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import tzinfo
from typing import Final

from rules.notify.message import notices_of
from rules.notify.notification import HeldBack, Notification
from rules.notify.routing import Route
from rules.notify.wording import worded
from store.ledger.alarms import Notice

UNSAID_CAUSE: Final = "known to those who run the monitor"
"""Stands for the text of an error."""
UNSAID_LACK: Final = "not everything could be put together"
"""Stands for why details are missing."""


def readers_of(name: str, routes: Sequence[Route]) -> frozenset[str] | None:
    """Return the tenants that all routes to a receiver are limited to; None where one of them is not.

    Args:
        name: Name of the route, which is that of its receiver.
        routes: Every route; none of that name is one to the terminal of those who run the monitor.
    """
    found = [route.tenants for route in routes if route.name == name]
    return frozenset[str]().union(*found) if found and all(found) else None


def discreet(told: Notification, readers: frozenset[str] | None, zone: tzinfo) -> Notification:
    """Return a notification as some may read it: other tenants are counted and not named.

    Args:
        told: What is told.
        readers: The tenants that may read it; None for those who run the monitor.
        zone: The time zone of its text.
    """
    if readers is None:
        return told
    kept, held_back = told, told.details.held_back
    if held_back is not None and not readers.issuperset(held_back.damped_tenants):
        own = [name for name in held_back.damped_tenants if name in readers]
        cut = HeldBack(damped_tenants=own, damped_others=len(held_back.damped_tenants) - len(own))
        kept = replace(kept, details=replace(kept.details, held_back=cut))
    if kept.incomplete:
        kept = replace(kept, incomplete=UNSAID_LACK)
    return told if kept is told else worded(kept, zone)


def notices_for(
    told: Notification, names: Iterable[str], routes: Sequence[Route], zone: tzinfo, now_ms: int
) -> list[Notice]:
    """Return a notification as it waits for its delivery, on each route as those who read there may read it.

    Args:
        told: What is told.
        names: The names of the routes that take it.
        routes: Every route.
        zone: The time zone of its text.
        now_ms: The time [ms].
    """
    readers = {name: readers_of(name, routes) for name in names}
    notices = notices_of(told, [name for name, who in readers.items() if who is None], now_ms)
    for name, who in readers.items():
        if who is not None:
            notices += notices_of(discreet(told, who, zone), [name], now_ms)
    return notices
