"""Where pages go, in words; and whether a page gets there: a test page is sent on each route, and ended."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Final

from rich.console import Console

from facility.shown import in_line
from megawatch.cli.outputs import WayOfPages
from megawatch.composition import Composition
from megawatch.run.clock import SteadyClock
from megawatch.site.folder import SiteFolder
from rules.alarms.states import Change
from rules.base import Desk, Severity
from rules.notify.base import Notifier, fault_of, labels_of
from rules.notify.message import notices_of
from rules.notify.notification import Notification, message_key
from rules.notify.registry import make_routes
from rules.notify.routing import Route
from rules.notify.wording import worded_plainly
from rules.subject import Subject, SubjectKind
from store.ledger.alarms import Notice

RULE: Final = "TEST"
"""The rule that test pages name: there is none of that name."""
_EVERYTHING: Final = "everything"


def routes_now(folder: SiteFolder) -> list[WayOfPages]:
    """Return every route: where it leads, what it takes, and when."""
    site = folder.file.site
    routes = make_routes(folder.file.routes, site.zone)
    labels = labels_of(dict.fromkeys(route.name for route in routes))
    return [
        {
            "to": labels[route.name],
            "takes": _takes(route),
            "when": when(route),
            "test": None,
        }
        for route in routes
    ]


async def tried(folder: SiteFolder, console: Console) -> list[WayOfPages]:
    """Send a test page on each route, and its end; say what became of it.

    Args:
        folder: The site's files.
        console: Where the console notifier prints.
    """
    found, clock = routes_now(folder), SteadyClock()
    root = Composition(folder, frozenset(), console, random.Random())  # noqa: S311 - jitter of nothing here
    async with AsyncExitStack() as stack:
        notifiers = root.notifiers(stack, clock)
        names = [route.name for route in make_routes(folder.file.routes, folder.file.site.zone)]
        outcomes: dict[str, str] = {}
        for name in dict.fromkeys(names):
            alarm = f"test-{secrets.token_hex(6)}"
            opened, ended = (
                _test_page(folder, name, alarm, change, clock.now_ms())
                for change in (Change.OPENED, Change.RETURNED)
            )
            outcomes[name] = await _outcome(notifiers[name], opened, ended)
    return [{**row, "test": outcomes[name]} for row, name in zip(found, names, strict=True)]


def lines_of(routes: Sequence[WayOfPages]) -> Iterator[str]:
    """Yield them for people."""
    for route in routes:
        outcome = "" if route["test"] is None else f": {route['test']}"
        yield f"{in_line(route['to'])}  takes {route['takes']}, {route['when']}{outcome}"


def _takes(route: Route) -> str:
    parts = [
        f"{word} {', '.join(sorted(values))}"
        for word, values in (
            ("severity", route.severities),
            ("desk", route.desks),
            ("rule", route.rules),
            ("tenant", route.tenants),
            ("asset", route.assets),
        )
        if values
    ]
    return in_line("; ".join(parts)) or _EVERYTHING


def when(route: Route) -> str:
    """Return when a route is told, in words."""
    parts = [
        f"once nobody acknowledged it for {route.unacknowledged_ms / 1_000:g} s"
        if route.unacknowledged_ms
        else "at once"
    ]
    if route.hours:
        parts.append(f"within {', '.join(map(str, route.hours))}")
    if route.repeat_ms:
        parts.append(f"again each {route.repeat_ms / 1_000:g} s until acknowledged")
    return ", ".join(parts)


def _test_page(folder: SiteFolder, route: str, alarm: str, change: Change, now_ms: int) -> Notice:
    told = Notification(
        key=message_key(alarm, change, Severity.INFO),
        alarm=alarm,
        site=folder.file.site.name,
        rule=RULE,
        title="this is a test of Megawatch's pages",
        change=change,
        severity=Severity.INFO,
        desks=tuple(Desk),
        subject=Subject(SubjectKind.OTHER, "test"),
        subject_name=folder.file.site.name,
        at_ms=now_ms,
        since_ms=now_ms,
        opened_ms=now_ms,
        look_at="Nothing is wrong, and nothing is to be done.",
    )
    (notice,) = notices_of(worded_plainly(told, "somebody ran megawatch routes --try"), [route], now_ms)
    return notice


async def _outcome(notifier: Notifier, *notices: Notice) -> str:
    """Return what became of notifications, in words."""
    began_s = time.monotonic()
    for notice in notices:
        try:
            await notifier.deliver(notice)
        except Exception as error:  # noqa: BLE001 - whatever a notifier raises is what is asked for here
            return f"not accepted: {in_line(fault_of(error).cause)}"
    return f"accepted in {(time.monotonic() - began_s) * 1_000:,.0f} ms"


def is_well(routes: Sequence[WayOfPages]) -> bool:
    """Tell whether every test page was accepted."""
    return all((route["test"] or "").startswith("accepted") for route in routes)
