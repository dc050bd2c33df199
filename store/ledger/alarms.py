"""Alarms and notifications as they are kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from store.series import AnyDraw, DemandBlock


def rule_of(name: str) -> str:
    """Return the rule that an alarm names: C2 of C2-cannot-verify."""
    return name.partition("-")[0]


def is_of_any(name: str, rules: Collection[str]) -> bool:
    """Tell whether the rule that an alarm names is among some, as it is or by its first part."""
    return name in rules or rule_of(name) in rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """An alarm as it is kept.

    Attributes:
        id: Its identity.
        rule: Name of the rule, such as C2 or C2-cannot-verify.
        title: What the rule detects.
        subject: Id of the tenant, rack or other subject.
        severity: How bad it is.
        unit: The unit of value, limit and peak.
        since_ms: Since when the limit is broken [ms].
        opened_ms: When it opened [ms].
        returned_ms: When it was over [ms]; None while it is not.
        value: What was judged last; None where there is none.
        limit: What it was held against; None where there is none.
        peak: The worst value; None where there is none.
        is_told: Whether people were told.
        needs_acknowledgement: Whether it stays on the list until it is acknowledged.
        acknowledged_ms: When it was acknowledged [ms]; None while it is not, and once it worsens.
        acknowledged_by: Name of the person who did.
        suppression: Why people are not told of it now, as `SuppressionKind` says; None where they are.
        suppression_id: Id of what says so.
    """

    id: str
    rule: str
    title: str
    subject: str
    severity: str
    unit: str
    since_ms: int
    opened_ms: int
    returned_ms: int | None = None
    value: float | None = None
    limit: float | None = None
    peak: float | None = None
    is_told: bool = True
    needs_acknowledgement: bool = False
    acknowledged_ms: int | None = None
    acknowledged_by: str | None = None
    suppression: str | None = None
    suppression_id: str | None = None

    @property
    def state(self) -> str:
        """The state in the words of ISA-18.2."""
        if self.returned_ms is None and self.suppression is not None:
            return f"active, {self.suppression}"
        match (self.returned_ms is not None, self.acknowledged_ms is not None):
            case (False, False):
                return "active, unacknowledged" if self.is_told else "active, suppressed"
            case (False, True):
                return "active, acknowledged"
            case (True, False) if self.needs_acknowledgement:
                return "returned, unacknowledged"
            case _:
                return "normal"

    @property
    def is_open(self) -> bool:
        """Whether it belongs on the list of alarms."""
        return self.state != "normal"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmChange:
    """A change of an alarm.

    Attributes:
        alarm: The alarm after the change.
        change: What happened: `opened`, `worsened`, `returned`, `acknowledged`, `suppressed`, `unsuppressed`.
        at_ms: When [ms].
        reason: Why it ended, where nothing was judged that ended it; or why it is not told.
    """

    alarm: Alarm
    change: str
    at_ms: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A notification for one route.

    Attributes:
        key: What makes it the same message whenever it is sent; one for each change of an episode.
        route: Where it goes.
        alarm_id: Id of the alarm that it tells of.
        body: What it says, as the receiver's adapter takes it.
        source_ms: The source time of what it tells: the tick at which the change happened [ms].
        created_ms: When it was made [ms].
        due_ms: When it is to be tried next [ms].
        attempts: How often it was tried.
        state: `waiting`, `delivered` or `refused`.
        error: What the receiver said last.
        delivered_ms: When it was accepted [ms].
        is_urgent: Whether it, or what waits behind it, is critical; what is due says so.
    """

    key: str
    route: str
    alarm_id: str
    body: Mapping[str, Any]
    source_ms: int
    created_ms: int
    due_ms: int
    attempts: int = 0
    state: str = "waiting"
    error: str = ""
    delivered_ms: int | None = None
    is_urgent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What is saved at once.

    Attributes:
        seq: Number of the last journal entry that was taken.
        tick_ms: The last tick that was evaluated [ms].
        changes: What happened to alarms.
        notices: What is to be told.
        series: The engine's series, by tick [ms].
        blocks: Demand blocks that closed, live or settled.
    """

    seq: int
    tick_ms: int
    changes: Sequence[AlarmChange] = ()
    notices: Sequence[Notice] = ()
    series: Mapping[int, Sequence[AnyDraw]] = field(default_factory=dict)
    blocks: Sequence[DemandBlock] = ()
