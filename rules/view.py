"""The site at one moment of event time, as the rules see it: arrays over tenants and over racks.

All power is in integer milliwatts. An upper bound that does not exist is `UNBOUNDED`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from facility.readings import BoolArray, FloatArray, IntArray
from rules.subject import OF_NO_RACKS, SubjectKind
from rules.telemetry.voices import Voices
from store.series import DemandBlock

if TYPE_CHECKING:
    from rules.alarms.carried import Carried
    from rules.model.rows import Links
    from rules.model.tables import Table, Tables

UNBOUNDED: Final = np.iinfo(np.int64).max
"""The upper bound of a draw that has none."""
NO_LIMIT: Final = -1
"""The limit of a tenant that has none at the moment."""

KILOWATT: Final = 1e6
"""Milliwatts in a kilowatt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantView:
    """Every tenant at one moment; arrays of shape (tenants,), the operator's own load last.

    Attributes:
        ids: Id of each tenant, the operator's own load last.
        low: The draw is at least this [mW], int64.
        best: The best estimate of it [mW], int64.
        is_estimated: Whether that says more than the bounds do: nothing may have been heard yet.
        high: It is at most this [mW], int64; `UNBOUNDED` where there is no bound.
        limit: What may be drawn [mW], int64; `NO_LIMIT` without a contract in force.
        final: What may be drawn once every ramp is over [mW], int64; `NO_LIMIT` without one.
        warn: Above this the desk is warned [mW], int64; `NO_LIMIT` without a contract in force.
        critical: Above this an overdraw is critical [mW], int64; `NO_LIMIT` without one.
        coverage: Share of the held rating whose readings are fresh, 0 to 1, float64.
        binds_instantly: Whether every moment's draw is held against the limit.
        binds_blocks: Whether the mean over demand blocks is held against the limit.
        sustain_ms: How long a draw must stay above before it counts [ms], int64.
        rack_cap: The most that each rack of it may draw [mW], int64; `NO_LIMIT` where nothing is agreed.
        has_racks: Whether it holds anything.
        is_consistent: Whether parent meters and the readings beneath them agree.
        is_starting: Whether something of it was never heard and still has time to speak.
        certain: Share of the held rating whose power is certain now, 0 to 1, float64: at most its coverage,
            for what was heard lately counts as covered, and may have changed since.
    """

    ids: tuple[str, ...]
    low: IntArray
    best: IntArray
    is_estimated: BoolArray
    high: IntArray
    limit: IntArray
    final: IntArray
    warn: IntArray
    critical: IntArray
    coverage: FloatArray
    binds_instantly: BoolArray
    binds_blocks: BoolArray
    sustain_ms: IntArray
    rack_cap: IntArray
    has_racks: BoolArray
    is_consistent: BoolArray
    is_starting: BoolArray
    certain: FloatArray

    def estimate(self, place: int) -> int | None:
        """Return the best estimate of a tenant's draw [mW], None where there is none."""
        return int(self.best[place]) if self.is_estimated[place] else None


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandView:
    """Demand blocks at one moment; arrays of shape (tenants,).

    A verdict here is 0 where the block keeps its allowance for certain, 1 where it breaks it for certain,
    2 where that cannot be told (`rules.base.Verdict`); it is made of exact integers of energy.

    Attributes:
        closed_verdict: How the last closed block ended, int8; 0 before the first one.
        closed_kw: Its demand [kW], best estimate; NaN before the first one.
        closed_limit_kw: Its mean limit [kW]; NaN before the first one.
        forecast_verdict: How the open block will end if nothing changes, int8.
        demand_kw: Mean of the open block so far [kW], best estimate; NaN where there is none.
        forecast_kw: Its mean at its end if nothing changes [kW], best estimate; NaN where there is none, and
            as long as nothing was heard of the tenant.
        limit_kw: Its mean limit [kW]; NaN where there is none.
        elapsed_share: How much of it is over, 0 to 1.
        left_ms: How long it still lasts [ms], int64.
        closed: The last closed block of each tenant, None before the first one.
    """

    closed_verdict: NDArray[np.int8]
    closed_kw: FloatArray
    closed_limit_kw: FloatArray
    forecast_verdict: NDArray[np.int8]
    demand_kw: FloatArray
    forecast_kw: FloatArray
    limit_kw: FloatArray
    elapsed_share: FloatArray
    left_ms: IntArray
    closed: tuple[DemandBlock | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RackView:
    """Every rack at one moment; arrays of shape (racks,).

    Attributes:
        ids: Id of each rack.
        is_silent: Whether its power is not known: never heard, too old, not to be trusted.
        is_unheard: Whether it is silent and was never heard at all.
        is_starting: Whether it was never heard and still has time to speak: that is no silence.
        is_misdated: Whether it speaks, and is refused for its stamps: that is no silence either.
        holders: Row of the tenant that holds each, the operator's own load last, intp.
        is_contracted: Whether a tenant holds it.
        silent_ms: For how long [ms], int64; 0 where it is not.
        cause: Why its power is not known for certain, `Cause` codes, int8; 0 where it is.
        draw: Its power, the last that was known [mW], int64; of racks that share their meters an equal part.
        groups: What racks have in common (a gateway, a feed, a coolant unit): name to their places.
        publishers: The places of the racks whose power each publisher tells, by what its stream is called.
        brokers: The places of the racks whose power comes over each broker, by its name.
        voices: Which of these publishers and brokers do not speak; nothing where no rack is silent.
        shared: What the groups are called, and after them the brokers.
        members: The places of all groups, one group after the other, shape (members,).
        starts: Where each group begins among them, shape (groups,).
    """

    ids: tuple[str, ...]
    is_silent: BoolArray
    is_unheard: BoolArray
    is_starting: BoolArray
    is_misdated: BoolArray
    holders: NDArray[np.intp]
    is_contracted: BoolArray
    silent_ms: IntArray
    cause: NDArray[np.int8]
    draw: IntArray
    groups: Mapping[str, NDArray[np.intp]]
    publishers: Mapping[str, NDArray[np.intp]]
    brokers: Mapping[str, NDArray[np.intp]]
    voices: Voices
    shared: tuple[str, ...]
    members: NDArray[np.intp]
    starts: NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterView:
    """Meters that others can be held against, at one moment; arrays of shape (meters,) if not said otherwise.

    First come the claims of other meters about a draw (`rules.draw.summation_plan.Level`), then points that
    say the same.

    Attributes:
        ids: Id of each comparison: the meters that it is about.
        is_denied: Whether they contradict others, and were not seen to agree since.
        apart: How far the two are apart beyond their errors [mW], int64; 0 where they meet or one is silent.
        low: What is beneath them says that it is at least this [mW], int64.
        high: It says that it is at most this [mW], int64; `UNBOUNDED` where there is no bound.
        names: What each of the meters is called.
        readings: What each of them says, or said last [mW], int64, shape (readings,).
        starts: Where those of each place begin among them.
        within: The place of the next meters that carry all that each place is about; below 0 where none do.
        twins: How many places, the last ones, are about points that say the same.
    """

    ids: tuple[str, ...]
    is_denied: BoolArray
    apart: IntArray
    low: IntArray
    high: IntArray
    names: tuple[tuple[str, ...], ...]
    readings: IntArray
    starts: NDArray[np.intp]
    within: NDArray[np.intp]
    twins: int


def _no_meters() -> MeterView:
    nothing = np.zeros(0, np.int64)
    return MeterView(
        ids=(),
        is_denied=np.zeros(0, np.bool_),
        apart=nothing,
        low=nothing,
        high=nothing,
        names=(),
        readings=nothing,
        starts=np.zeros(0, np.intp),
        within=np.zeros(0, np.intp),
        twins=0,
    )


NO_METERS: Final = _no_meters()
"""Where no meter can be held against another one, or no rule is about meters."""


MONITOR: Final = "monitor"
"""What our own machine is called among the publishers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherView:
    """Every publisher at one moment, our own machine first; arrays of shape (publishers,).

    Attributes:
        ids: Broker and publisher, as streams are called; `MONITOR`.
        offset_ms: How far its clock is ahead [ms], below zero where it is behind, int64: the worst of its
            points. Of our own machine, by how much its clock was set in the last minute.
        jumped_ms: By how much that clock jumped ahead in the last hour [ms], below zero for back; 0 for not.
        drift_ppm: How much too fast it runs [millionths], below zero for too slow; 0 where none is seen.
        is_watched: Whether it was heard for long enough for a jump or a drift to be seen.
        says_two: Whether a point of it says several values of one stamp.
    """

    ids: tuple[str, ...]
    offset_ms: IntArray
    jumped_ms: IntArray
    drift_ppm: IntArray
    is_watched: BoolArray
    says_two: BoolArray


NO_PUBLISHERS: Final = PublisherView(
    ids=(),
    offset_ms=np.zeros(0, np.int64),
    jumped_ms=np.zeros(0, np.int64),
    drift_ppm=np.zeros(0, np.int64),
    is_watched=np.zeros(0, np.bool_),
    says_two=np.zeros(0, np.bool_),
)
"""Where no rule is about publishers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmView:
    """What opens too often at one moment; arrays of shape (rules and alarms,): first the rules.

    Attributes:
        ids: Each rule of which alarms were told lately, such as `T7`; then each alarm that chatters by its
            rule and its subject, such as `T5 cdu1`.
        is_rule: Whether it is a rule.
        is_on: Whether there are too many: whether it floods, or chatters.
        openings: How many alarms opened since that began, with those that began it, int64.
        untold: How many of these were not told when they opened, int64.
        limit: How many are not too many of a rule, or too many of one alarm, int64.
        span_ms: Within how long [ms], int64.
        severity: How bad the gravest alarm is that a flood holds back, `Severity` codes, int8; 0 for none.
        is_damped: Whether openings are held back.
        within: The place of the rule of each alarm, below 0 for none, intp.
        stands_ms: How long an opening of an alarm that chatters must stand to be told [ms].
        quiet_ms: How long it must not have opened to chatter no more [ms].
        tenants: Whose alarms each holds back, of rules about tenants.
    """

    ids: tuple[str, ...]
    is_rule: BoolArray
    is_on: BoolArray
    openings: IntArray
    untold: IntArray
    limit: IntArray
    span_ms: IntArray
    severity: NDArray[np.int8]
    is_damped: BoolArray
    within: NDArray[np.intp]
    stands_ms: int
    quiet_ms: int
    tenants: tuple[frozenset[str], ...]


def _no_alarms() -> AlarmView:
    nothing, never = np.zeros(0, np.int64), np.zeros(0, np.bool_)
    return AlarmView(
        ids=(),
        is_rule=never,
        is_on=never,
        openings=nothing,
        untold=nothing,
        limit=nothing,
        span_ms=nothing,
        severity=np.zeros(0, np.int8),
        is_damped=never,
        within=np.zeros(0, np.intp),
        stands_ms=0,
        quiet_ms=0,
        tenants=(),
    )


NO_ALARMS: Final = _no_alarms()
"""Where no rule is about alarms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The site at one moment.

    Attributes:
        at_ms: The moment, in event time [ms].
        tenants: Every tenant.
        demand: Open and last closed demand block of every tenant.
        racks: Every rack.
        meters: Every meter that others can be held against; none where no rule is about meters.
        publishers: Every publisher; none where no rule is about publishers.
        tables: Every measured quantity that a rule judges, in a table for each kind of subject.
        alarms: What opens too often; nothing where no rule is about alarms, and until all others have judged.
        hides: How many alarms of each rule an alarm hides, by its own rule and subject; nothing until all
            have judged.
        carried: What alarms of each rule hide that is graver than they are themselves; likewise.
    """

    at_ms: int
    tenants: TenantView
    demand: DemandView
    racks: RackView
    meters: MeterView
    publishers: PublisherView
    tables: Tables
    alarms: AlarmView = NO_ALARMS
    hides: Mapping[tuple[str, str], Mapping[str, int]] = field(default_factory=dict)
    carried: Mapping[str, Sequence[Carried]] = field(default_factory=dict)

    def table(self, kind: SubjectKind) -> Table:
        """Return the table of a kind of subjects."""
        return self.tables.table(kind)

    def ids(self, kind: SubjectKind) -> tuple[str, ...]:
        """Return the identity of each subject of a kind."""
        match kind:
            case SubjectKind.TENANT:
                return self.tenants.ids
            case SubjectKind.RACK:
                return self.racks.ids
            case SubjectKind.GROUP:
                return self.racks.shared
            case SubjectKind.COMPARISON:
                return self.meters.ids
            case SubjectKind.PUBLISHER:
                return self.publishers.ids
            case SubjectKind.ALARM:
                return self.alarms.ids
            case _:
                return self.table(kind).ids

    def racks_of(self, kind: SubjectKind) -> Links | None:
        """Return the racks that subjects of a kind stand for, None for a kind that stands for none."""
        return None if kind in OF_NO_RACKS else self.table(kind).racks
