"""Which notifications go where."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rules.notify.notification import Notification

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
        tenants: About these tenants; empty for all.
    """

    name: str
    severities: frozenset[str] = frozenset()
    desks: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()
    tenants: frozenset[str] = frozenset()

    def takes(self, *, severity: str, desks: Collection[str], rule: str, tenant: str | None) -> bool:
        """Tell whether what is told of such an alarm goes here."""
        return (
            (not self.severities or severity in self.severities)
            and (not self.desks or not self.desks.isdisjoint(desks))
            and (not self.rules or rule in self.rules or rule.partition("-")[0] in self.rules)
            and (not self.tenants or tenant in self.tenants)
        )


def routes_of(told: Notification, routes: Sequence[Route]) -> list[str]:
    """Return the names of the routes that take a notification, each once."""
    word, tenant = told.severity.word, told.subject.tenant
    taking = (r for r in routes if r.takes(severity=word, desks=told.desks, rule=told.rule, tenant=tenant))
    return list(dict.fromkeys(route.name for route in taking))


def routes_of_document(body: Mapping[str, Any], routes: Sequence[Route]) -> list[str]:
    """Return the names of the routes that take a notification that waits, each once."""
    word, desks = str(body.get("severity", "")), body.get("desks") or ()
    rule, tenant = str(body.get("rule", "")), body.get("tenant")
    taking = (r for r in routes if r.takes(severity=word, desks=desks, rule=rule, tenant=tenant))
    return list(dict.fromkeys(route.name for route in taking))
