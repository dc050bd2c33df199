"""The kinds of receivers: one entry each. A route's `to` says by its keys which of them it leads to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final, cast

from rich.console import Console

from facility.hours import Hours
from facility.invariants import present
from facility.sitefile.tables import RouteTable, TargetTable
from rules.notify.alertmanager import AlertmanagerNotifier
from rules.notify.base import Notifier
from rules.notify.chat import ChatNotifier, slack_message, teams_message
from rules.notify.console import ConsoleNotifier
from rules.notify.mail import MailNotifier, Server
from rules.notify.pagerduty import PagerDutyNotifier
from rules.notify.reminding import Forgetful
from rules.notify.routing import CONSOLE, Route
from rules.notify.services import ServiceNotifier
from rules.notify.webhook import WebhookNotifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What notifiers need beside what the site file says of them.

    Attributes:
        now_ms: The clock [ms].
        console: Where the console notifier prints.
        secret: Gives what a secret file holds, by the name that the site file writes.
        own: The rule of what the monitor tells of itself.
        mail: The mail server; None where the site file names none.
    """

    now_ms: Callable[[], int]
    console: Console
    secret: Callable[[str], str]
    own: str
    mail: Server | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """A kind of receiver.

    Attributes:
        route: Names the route to one, by its target; "" where the target leads to none of this kind.
        make: Builds its notifier.
        address: Says where a connection can be tried before a page needs one; "" for nowhere.
        is_forgetful: Whether it forgets what is not said again: its notifier is a `Forgetful`.
        hears_acknowledgements: Whether it is told that somebody acknowledged an alarm.
    """

    route: Callable[[TargetTable], str]
    make: Callable[[TargetTable, Surroundings], Notifier]
    address: Callable[[TargetTable], str] = lambda _: ""
    is_forgetful: bool = False
    hears_acknowledgements: bool = False


def _webhook(target: TargetTable, around: Surroundings) -> Notifier:
    secret = around.secret(target.secret_file) if target.secret_file else ""
    return WebhookNotifier(target.webhook or "", secret.encode(), now_ms=around.now_ms, proxy=target.proxy)


def _pagerduty(target: TargetTable, around: Surroundings) -> Notifier:
    key = around.secret(target.pagerduty or "")
    return PagerDutyNotifier(key, now_ms=around.now_ms, api=target.pagerduty_api, proxy=target.proxy)


def _alertmanager(target: TargetTable, around: Surroundings) -> AlertmanagerNotifier:
    return AlertmanagerNotifier(
        target.alertmanager or [], own=around.own, now_ms=around.now_ms, proxy=target.proxy
    )


def _mail(target: TargetTable, around: Surroundings) -> Notifier:
    server = present(around.mail, "a mail server, which the site file was checked for")
    return MailNotifier(server, target.email or [], now_ms=around.now_ms)


def _room(
    file: Callable[[TargetTable], str | None], message: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> Callable[[TargetTable, Surroundings], Notifier]:
    """Return what builds the notifier of a chat room, whose address is a secret."""

    def make(target: TargetTable, around: Surroundings) -> Notifier:
        url = around.secret(file(target) or "")
        return ChatNotifier(url, message, now_ms=around.now_ms, proxy=target.proxy)

    return make


RECEIVERS: Final[dict[str, Receiver]] = {
    "webhook": Receiver(
        route=lambda target: target.webhook or "",
        make=_webhook,
        address=lambda target: target.webhook or "",
        hears_acknowledgements=True,
    ),
    "pagerduty": Receiver(
        route=lambda target: f"pagerduty {target.pagerduty}" if target.pagerduty else "",
        make=_pagerduty,
        address=lambda target: target.pagerduty_api if target.pagerduty else "",
        hears_acknowledgements=True,
    ),
    "alertmanager": Receiver(
        route=lambda target: f"alertmanager {' '.join(target.alertmanager)}" if target.alertmanager else "",
        make=_alertmanager,
        is_forgetful=True,
    ),
    "email": Receiver(
        route=lambda target: f"email {' '.join(target.email)}" if target.email else "",
        make=_mail,
    ),
    "slack": Receiver(
        route=lambda target: f"slack {target.slack}" if target.slack else "",
        make=_room(lambda target: target.slack, slack_message),
        hears_acknowledgements=True,
    ),
    "teams": Receiver(
        route=lambda target: f"teams {target.teams}" if target.teams else "",
        make=_room(lambda target: target.teams, teams_message),
        hears_acknowledgements=True,
    ),
    "apprise": Receiver(
        route=lambda target: f"apprise {target.apprise}" if target.apprise else "",
        make=lambda target, around: ServiceNotifier(around.secret(target.apprise or "")),
        hears_acknowledgements=True,
    ),
    "console": Receiver(
        route=lambda target: CONSOLE if target.console else "",
        make=lambda _, around: ConsoleNotifier(around.console),
        hears_acknowledgements=True,
    ),
}


def make_routes(tables: Sequence[RouteTable], zone: tzinfo) -> Sequence[Route]:
    """Return which notifications go where; everything to the console where no route is given.

    Args:
        tables: The `[[route]]` tables of the site file.
        zone: The site's time zone, that of hours.
    """
    routes = [
        Route(
            name=name,
            severities=frozenset(table.severity or ()),
            desks=frozenset(table.desk or ()),
            rules=frozenset(table.rule or ()),
            tenants=frozenset(table.tenant or ()),
            assets=frozenset(table.asset or ()),
            hours=tuple(map(Hours.read, table.hours or ())),
            zone=zone,
            unacknowledged_ms=round(table.unacknowledged_s * 1_000),
            repeat_ms=round(table.repeat_s * 1_000),
            hears_acknowledgements=receiver.hears_acknowledgements,
        )
        for table in tables
        for receiver in RECEIVERS.values()
        if (name := receiver.route(table.to))
    ]
    return routes or [Route(name=CONSOLE, hears_acknowledgements=True)]


def make_notifiers(tables: Sequence[RouteTable], around: Surroundings) -> dict[str, Notifier]:
    """Return the notifier of each route, by the route's name; the console is always there.

    Args:
        tables: The `[[route]]` tables of the site file.
        around: What notifiers need beside it.
    """
    targets = [TargetTable(console=True), *(table.to for table in tables)]
    found: dict[str, Notifier] = {}
    for target in targets:
        for receiver in RECEIVERS.values():
            name = receiver.route(target)
            if name and name not in found:
                found[name] = receiver.make(target, around)
    return found


def forgetful(tables: Sequence[RouteTable], notifiers: Mapping[str, Notifier]) -> dict[str, Forgetful]:
    """Return the notifiers whose receivers forget what is not said again, by the route's name.

    Args:
        tables: The `[[route]]` tables of the site file.
        notifiers: The notifier of each route.
    """
    return {
        name: cast("Forgetful", notifiers[name])
        for table in tables
        for receiver in RECEIVERS.values()
        if receiver.is_forgetful and (name := receiver.route(table.to))
    }


def addresses_of(tables: Sequence[RouteTable]) -> list[tuple[str, str | None]]:
    """Return where a connection to a receiver can be tried, and through which proxy: each once, in order.

    Args:
        tables: The `[[route]]` tables of the site file.
    """
    found = {
        (address, table.to.proxy)
        for table in tables
        for receiver in RECEIVERS.values()
        if (address := receiver.address(table.to))
    }
    return sorted(found, key=lambda way: (way[0], way[1] or ""))
