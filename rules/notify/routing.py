"""Which notifications go where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rules.notify.notification import Notification


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

    def takes(self, told: Notification) -> bool:
        """Tell whether a notification goes here."""
        rule = told.rule
        return (
            (not self.severities or told.severity.word in self.severities)
            and (not self.desks or not self.desks.isdisjoint(told.desks))
            and (not self.rules or rule in self.rules or rule.partition("-")[0] in self.rules)
            and (not self.tenants or told.subject.tenant in self.tenants)
        )


def routes_of(told: Notification, routes: Sequence[Route]) -> list[str]:
    """Return the names of the routes that take a notification, each once."""
    return list(dict.fromkeys(route.name for route in routes if route.takes(told)))
