"""What people decided not to be told of for a while: shelved alarms, suppression by design, maintenance.

The words are those of ISA-18.2 and IEC 62682. Each hides that an alarm opens or worsens, never that one which
was told is over, and each says who, when and why.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from facility.patterns import any_matches
from facility.shown import in_line
from store.ledger.alarms import is_of_any


class SuppressionKind(StrEnum):
    """Why alarms are hidden."""

    SHELVED = "shelved"
    BY_DESIGN = "suppressed by design"
    OUT_OF_SERVICE = "out of service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """Alarms that are not told for a span.

    Attributes:
        id: Its identity.
        kind: Why they are hidden.
        alarm_id: Id of the one alarm; "" where it is not of one.
        rules: Names of rules; empty for all.
        subjects: Patterns of the ids of subjects; empty for all.
        assets: Patterns of the ids of assets: what is about one of them, or about what one of them serves;
            empty for all.
        from_ms: When it begins [ms].
        to_ms: When it ends by itself [ms]; None for not.
        by: Who decided it.
        why: Why.
        made_ms: When that was [ms].
        ended_ms: When somebody ended it [ms]; None where nobody did.
        ended_by: Who did.
    """

    id: str
    kind: SuppressionKind
    alarm_id: str = ""
    rules: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    assets: tuple[str, ...] = ()
    from_ms: int
    to_ms: int | None
    by: str
    why: str
    made_ms: int
    ended_ms: int | None = None
    ended_by: str | None = None

    @property
    def over_ms(self) -> int | None:
        """When it is over [ms]; None while no end is known."""
        ends = [end for end in (self.to_ms, self.ended_ms) if end is not None]
        return min(ends, default=None)

    def is_in_force(self, at_ms: int) -> bool:
        """Tell whether it holds at a moment [ms]."""
        over_ms = self.over_ms
        return self.from_ms <= at_ms and (over_ms is None or at_ms < over_ms)

    def covers(self, alarm_id: str, rule: str, subject: str, assets: Collection[str]) -> bool:
        """Tell whether it is about an alarm, whenever that is.

        Args:
            alarm_id: Id of the alarm.
            rule: Name of its rule, such as C2 or C2-cannot-verify.
            subject: Id of its subject.
            assets: The asset that it is about and everything that serves it; empty for a tenant.
        """
        if self.alarm_id:
            return alarm_id == self.alarm_id
        if self.kind is SuppressionKind.OUT_OF_SERVICE and not self.assets:
            return False
        return (
            (not self.rules or is_of_any(rule, self.rules))
            and (not self.subjects or any_matches(self.subjects, (subject,)))
            and (not self.assets or any_matches(self.assets, assets))
        )

    @property
    def scope(self) -> str:
        """What it is about, in words."""
        if self.alarm_id:
            return f"alarm {self.alarm_id}"
        parts = [
            f"{word} {', '.join(values)}"
            for word, values in (("rule", self.rules), ("subject", self.subjects), ("asset", self.assets))
            if values
        ]
        return "; ".join(parts)

    @property
    def words(self) -> str:
        """Who decided it and why, in one line."""
        return f"{self.kind} by {in_line(self.by)} ({self.id}): {in_line(self.why)}"
