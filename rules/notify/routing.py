"""Which notifications go where."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, Final

from facility.hours import Hours, is_within
from facility.names import CANARY
from facility.patterns import any_matches
from rules.base import Rule, Severity
from rules.notify.notification import Notification
from rules.subject import Subject
from store.ledger.alarms import Alarm, is_of_any

CONSOLE: Final = "console"
"""The route to the terminal: there is always one, and without `[[route]]` everything goes there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A place where notifications go, and which ones do.

    Attributes:
        name: What the outbox calls it.
        severities: Of these severities; empty for all.
        desks: For one of these desks; empty for all.
        rules: Of these rules; empty for all.
        tenants: About these tenants, or what keeps their alarms from being told; empty for all.
        assets: Patterns of assets: about one of them, or about what one of them serves; empty for all.
        hours: Only within these; empty for always.
        zone: The time zone of its hours.
        unacknowledged_ms: Only what was not acknowledged for so long after it was first told [ms].
        repeat_ms: After how long what stands and was not acknowledged is told again [ms]; 0 for not.
        hears_acknowledgements: Whether it is told that somebody acknowledged an alarm.
    """

    name: str
    severities: frozenset[str] = frozenset()
    desks: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()
    assets: frozenset[str] = frozenset()
    hours: tuple[Hours, ...] = ()
    zone: tzinfo = UTC
    unacknowledged_ms: int = 0
    repeat_ms: int = 0
    hears_acknowledgements: bool = False

    @property
    def waits(self) -> bool:
        """Whether it may be told of an alarm later than when that opens, or again."""
        return bool(self.hours or self.unacknowledged_ms or self.repeat_ms)

    def is_open(self, at_ms: int) -> bool:
        """Tell whether anything may be told here at a moment [ms], hours considered."""
        return is_within(self.hours, at_ms, self.zone)

    def takes_at_once(self, at_ms: int) -> bool:
        """Tell whether what opens at a moment [ms] is told here at once."""
        return not self.unacknowledged_ms and self.is_open(at_ms)

    def takes(
        self,
        *,
        severity: str,
        desks: Collection[str],
        rule: str,
        tenants: Collection[str] | None,
        assets: Collection[str] | None = None,
    ) -> bool:
        """Tell whether what is told of such an alarm goes here, at whatever time.

        Args:
            severity: How bad it is, in a word.
            desks: The desks that have to act.
            rule: Name of the rule, such as C2 or C2-cannot-verify.
            tenants: The tenants that it concerns; None for every tenant.
            assets: The asset that it is about and what serves that; None where that is not known.
        """
        concerned = self.tenants - {CANARY} if tenants is None else self.tenants.intersection(tenants)
        if tenants is not None and set(tenants) == {CANARY} and not concerned:
            return False  # it wakes nobody
        return (
            (not self.severities or severity in self.severities)
            and (not self.desks or not self.desks.isdisjoint(desks))
            and (not self.rules or is_of_any(rule, self.rules))
            and (not self.tenants or bool(concerned))
            and (not self.assets or assets is None or any_matches(self.assets, assets))
        )


def takes_alarm(
    route: Route,
    alarm: Alarm,
    rule: type[Rule] | Rule,
    assets: Collection[str] | None,
    damped: Collection[str] = (),
) -> bool:
    """Tell whether what is told of an alarm as it stands goes to a route, at whatever time.

    Args:
        route: Where it may go, whatever its hours are now.
        alarm: How it stands, with its severity of now.
        rule: What found it, which says who has to act.
        assets: The asset that it is about and what serves that; None where that is not known.
        damped: Tenants whose alarms it keeps from being told.
    """
    tenant = Subject(rule.kind, alarm.subject).tenant
    return route.takes(
        severity=alarm.severity,
        desks=rule.desks_of(Severity.of(alarm.severity)),
        rule=alarm.rule,
        tenants=damped if tenant is None else (tenant,),
        assets=assets,
    )


def routes_of(told: Notification, routes: Sequence[Route]) -> list[Route]:
    """Return the routes that take a notification, at whatever time."""
    word, tenants, assets = told.severity.word, told.tenants, told.assets
    return [
        route
        for route in routes
        if route.takes(severity=word, desks=told.desks, rule=told.rule, tenants=tenants, assets=assets)
    ]


def routes_of_document(body: Mapping[str, Any], routes: Sequence[Route], at_ms: int) -> list[str]:
    """Return the names of the routes that take a notification that waits, each once.

    What names tenants whose alarms are held back goes to no route of others: these are told by themselves.
    So are those that wait for an acknowledgement or for their hours, once it is time.

    Args:
        body: What it says.
        routes: Every route.
        at_ms: The time [ms].
    """
    word, desks = str(body.get("severity", "")), body.get("desks") or ()
    rule, tenant = str(body.get("rule", "")), body.get("tenant")
    tenants = body.get("damped_tenants") or () if tenant is None else (tenant,)
    may = (route for route in routes if not route.tenants or route.tenants.issuperset(tenants))
    now = (route for route in may if route.takes_at_once(at_ms))
    taking = (r for r in now if r.takes(severity=word, desks=desks, rule=rule, tenants=tenants))
    return list(dict.fromkeys(route.name for route in taking))
