"""What a rule judges, an alarm is of, and a notification is about."""

from __future__ import annotations

from dataclasses import dataclass

from rules.base import About


@dataclass(frozen=True, slots=True)
class Subject:
    """One subject; a rack may be called like a tenant.

    Attributes:
        kind: What it is.
        id: Its id among those of its kind, as alarms and documents write it.
    """

    kind: About
    id: str

    @property
    def tenant(self) -> str | None:
        """The tenant that it is; None where it is none."""
        return self.id if self.kind is About.TENANT else None
