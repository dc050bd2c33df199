"""A notification: what is told of one change of one alarm, and the JSON document that it is sent as.

The document is flat, and receivers parse it: a key that is there keeps its name, its unit and its place.
docs/webhook.md lists the keys.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rules.alarms.states import Change
from rules.base import Desk, Severity
from rules.subject import Subject


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Figures that belong together: each field is a key of the document."""


class Reading(Facts, frozen=True, kw_only=True):
    """What one meter says [kW]."""

    meter: str
    kw: float


class Readings(Facts, frozen=True, kw_only=True):
    """What each meter of the same power says: how many there are, the first of them, and their sum."""

    meters: int
    readings: list[Reading]
    readings_sum_kw: float


class OtherReadings(Facts, frozen=True, kw_only=True):
    """Between what the same power lies by the other meters; null where they do not bound it."""

    other_low_kw: float
    other_high_kw: float | None


class Clock(Facts, frozen=True, kw_only=True):
    """How a clock is off, in words."""

    clock: str


class TooMany(Facts, frozen=True, kw_only=True):
    """How often an alarm that chatters or the alarms of a rule opened, and how many were not told then."""

    too_many: str
    openings: int
    openings_untold: int


class HeldBack(Facts, frozen=True, kw_only=True):
    """The tenants whose alarms are held back now because too much opens, and how many more are not named."""

    damped_tenants: list[str]
    damped_others: int = 0


class Hides(Facts, frozen=True, kw_only=True):
    """How many alarms are not told because this one says more, and how many of each rule."""

    hides: int
    hides_by_rule: dict[str, int]


class Damped(Facts, frozen=True, kw_only=True):
    """What is not told because too much opens, in words."""

    damped: str


class NoLimit(Facts, frozen=True, kw_only=True):
    """A tenant whose contract has no limit now."""

    contract_limit_kw: None = None


class ContractLimit(Facts, frozen=True, kw_only=True):
    """What the contract allows now, and what that is made of."""

    contract_limit_kw: float
    contract_committed_kw: float
    contract_burst_kw: float
    contract_tolerance_percent: float
    warn_kw: float


class ClosedBlock(Facts, frozen=True, kw_only=True):
    """How the last demand block ended; the mean lies between low and high, null for no bound."""

    block_from_ms: int
    block_to_ms: int
    block_low_kw: float
    block_best_kw: float
    block_high_kw: float | None
    block_limit_kw: float
    block_coverage_percent: float


class OpenBlock(Facts, frozen=True, kw_only=True):
    """When the open demand block ends, and the mean that keeps it until then."""

    block_from_ms: int
    block_to_ms: int
    block_so_far_kw: float | None
    block_limit_kw: float
    left_s: float
    hold_below_kw: float


class Draw(Facts, frozen=True, kw_only=True):
    """What a tenant draws, how sure that is, and which racks draw most."""

    draw_low_kw: float
    draw_best_kw: float
    draw_high_kw: float | None
    coverage_percent: float
    silent_racks: int
    silent_examples: list[str]
    largest_racks: list[str]
    largest_racks_kw: list[float]
    meters_agree: bool


class Racks(Facts, frozen=True, kw_only=True):
    """The racks that a subject stands for, which of them are silent, who holds them, and what theirs draw."""

    racks: int
    racks_kw: float
    silent_racks: int
    silent_examples: list[str]
    tenants: list[str]
    tenant_names: list[str]
    tenant_kw: list[float]


class Doubt(msgspec.Struct, frozen=True, kw_only=True):
    """Racks whose power is not known for certain, for one cause."""

    cause: str
    racks: int
    examples: list[str]


class Doubts(Facts, frozen=True, kw_only=True):
    """Why the power of racks is not known for certain, the cause of most racks first."""

    doubts: list[Doubt]


class Past(Facts, frozen=True, kw_only=True):
    """An episode that late readings show: when that was known, and when it was over; null while it lasts."""

    known_ms: int
    over_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What is known at the moment of what a notification is about; None for what does not belong to it."""

    readings: Readings | None = None
    others: OtherReadings | None = None
    clock: Clock | None = None
    no_limit: NoLimit | None = None
    contract: ContractLimit | None = None
    closed: ClosedBlock | None = None
    draw: Draw | None = None
    open: OpenBlock | None = None
    racks: Racks | None = None
    doubts: Doubts | None = None
    hides: Hides | None = None
    too_many: TooMany | None = None
    held_back: HeldBack | None = None
    damped: Damped | None = None

    @property
    def groups(self) -> Iterable[Facts]:
        """Those that there are, in the order of the document."""
        return filter(None, (getattr(self, name) for name in self.__slots__))


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """What is told of one change of one alarm.

    Attributes:
        key: What makes it the same message whenever it is sent.
        alarm: Id of the alarm.
        site: The site's name.
        rule: The rule, as the alarm names it.
        title: What the rule detects.
        change: What happened.
        severity: How bad it is.
        desks: Desks that have to act.
        subject: What it is about.
        subject_name: What people call that.
        at_ms: When it happened, in event time [ms].
        since_ms: Since when the limit is broken [ms].
        opened_ms: When the alarm opened [ms].
        value: What was judged, in `unit`; None where there is none.
        limit: What it was held against; None where there is none.
        peak: The worst value; None where there is none.
        unit: Symbol of the unit of value, limit and peak.
        look_at: What to look at first.
        runbook: Where its runbook is; "" where there is none.
        reason: Why it ended or worsened, where nothing was judged of it that did.
        past: Where late readings show an episode of the past.
        value_is_bound: Whether the value is what may be, not what is.
        silences_all: Whether no tenant's alarms may be told because of it: it concerns them all.
        assets: The asset that it is about and everything that serves it; None where that is not known.
        unacknowledged_s: For how long nobody has acknowledged it, where it is told for that [s].
        by: Who acknowledged it.
        dashboard: Where Grafana shows it; "" where that is not known.
        acknowledge_url: Where it can be acknowledged; "" for nowhere but on the command line.
        details: What else is known at the moment.
        incomplete: Why details are missing, "" where none are.
        headline: All of it in one line.
        text: All of it, a labelled line for each thing to know.
    """

    key: str
    alarm: str
    site: str
    rule: str
    title: str
    change: Change
    severity: Severity
    desks: tuple[Desk, ...]
    subject: Subject
    subject_name: str
    at_ms: int
    since_ms: int
    opened_ms: int
    value: float | None = None
    limit: float | None = None
    peak: float | None = None
    unit: str = ""
    look_at: str
    runbook: str = ""
    reason: str = ""
    past: Past | None = None
    value_is_bound: bool = False
    silences_all: bool = False
    assets: frozenset[str] | None = None
    unacknowledged_s: int = 0
    by: str = ""
    dashboard: str = ""
    acknowledge_url: str = ""
    details: Details = field(default_factory=Details)
    incomplete: str = ""
    headline: str = ""
    text: str = ""

    @property
    def tenants(self) -> Collection[str] | None:
        """The tenants that it is about, or whose alarms it keeps from being told; None for every tenant."""
        if self.silences_all:
            return None
        held_back = self.details.held_back
        untold = () if held_back is None else held_back.damped_tenants
        return untold if self.subject.tenant is None else (self.subject.tenant,)

    def document(self) -> dict[str, Any]:
        """Return it as it is kept and sent: plain values; a key that does not apply is missing."""
        facts: dict[str, Any] = {
            "key": self.key,
            "alarm": self.alarm,
            "site": self.site,
            "rule": self.rule,
            "title": self.title,
            "change": self.change.value,
            "severity": self.severity.word,
            "desks": [desk.value for desk in self.desks],
            "subject": self.subject.id,
            "subject_name": self.subject_name,
            "tenant": self.subject.tenant,
            "at_ms": self.at_ms,
            "since_ms": self.since_ms,
            "opened_ms": self.opened_ms,
            "value": self.value,
            "limit": self.limit,
            "peak": self.peak,
            "unit": self.unit,
            "look_at": self.look_at,
        }
        if self.runbook:
            facts["runbook"] = self.runbook
        if self.reason:
            facts["reason"] = self.reason
        if self.past is not None:
            facts |= msgspec.to_builtins(self.past)
        if self.value_is_bound:
            facts["value_is_bound"] = True
        for name in ("unacknowledged_s", "by", "dashboard", "acknowledge_url"):
            if value := getattr(self, name):
                facts[name] = value
        for group in self.details.groups:
            facts |= msgspec.to_builtins(group)
        if self.incomplete:
            facts["incomplete"] = self.incomplete
        return facts | {"headline": self.headline, "text": self.text}


def message_key(alarm: str, change: Change, severity: Severity) -> str:
    """Return what makes a notification the same message whenever it is sent.

    Args:
        alarm: Id of the alarm.
        change: What happened to it.
        severity: How bad it is; an alarm may worsen more than once.
    """
    return f"{alarm}:{change}:{severity.word}" if change is Change.WORSENED else f"{alarm}:{change}"
