"""From verdicts to alarms: one machine for each subject of a rule, all of a rule's stepped at once.

What happens to an alarm, and what is told of it, is the table of `life`: tests hold these machines against
it. What people do to an alarm (acknowledge, shelve) lives in the ledger and never changes when it opens or
returns.

    normal   --breach-->               pending since now
    pending  --clear-->                normal
    pending  --on-delay over-->        active: the alarm opens
    active   --returned for off-delay--> normal: the alarm returns

Where a rule asks for it, a breach opens the alarm also when those of the last minutes add up to its time
above, however often they were interrupted; not where a contract says how long the subject must stay above.

UNKNOWN starts nothing and ends nothing. A pending on-delay runs on through it, for the last that was known is
a breach; a running off-delay begins anew after it, for it is not known to be clear meanwhile. Nor is it known
to be broken: what nobody was told of is not told then.

Where a rule asks for it, an alarm is graver once its limit was broken for long, and was not known to be kept
meanwhile; one that stands only because it is not clear enough to end does not count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar, Final, Self

import numpy as np
from numpy.typing import NDArray

from facility.readings import BoolArray, FloatArray, IntArray
from rules.alarms.carried import Carried, HiddenAlarm, told_by_its_cause
from rules.alarms.life import Condition
from rules.alarms.time_above import TimeAbove
from rules.base import CodeArray, Findings, Rise, Severity, Verdict
from rules.columns import Columns

NORMAL: Final = int(Condition.NORMAL)
PENDING: Final = int(Condition.PENDING)
ACTIVE: Final = int(Condition.ACTIVE)
"""Also while its off-delay runs: that is a column of its own."""
NEVER: Final = -1
NOT_DAMPED: Final[Mapping[int, str]] = MappingProxyType({})


class Change(StrEnum):
    """What happens to an alarm: by itself, and by people where they acknowledge it."""

    OPENED = "opened"
    WORSENED = "worsened"
    RETURNED = "returned"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A change of one alarm.

    Attributes:
        is_told: Whether people are told, now or when the alarm opened: not while another alarm says more.
        alarm_id: The alarm's identity, the same whenever this is computed.
        rule: Name of the rule, such as C2 or C2-cannot-verify.
        subject: Id of the tenant, rack or other subject.
        change: What happened.
        at_ms: When, in event time [ms].
        since_ms: Since when the limit is broken [ms].
        opened_ms: When the alarm opened [ms].
        severity: How bad it is.
        value: What was judged, in the rule's unit; NaN where there is none.
        limit: What it was held against; NaN where there is none.
        peak: The worst value so far; NaN where there is none.
        reason: Why it ended or worsened, where nothing was judged of it that did; or why it is damped.
        over_ms: Since when the limit is broken no more [ms]; None while it is.
        is_past: Whether the settled judgement found it, after what was known live had said nothing of it.
        is_damped: Whether it opens and is not told because too much opens: that is told in its place.
    """

    alarm_id: str
    rule: str
    subject: str
    change: Change
    at_ms: int
    since_ms: int
    opened_ms: int
    severity: Severity
    value: float
    limit: float
    peak: float
    is_told: bool = False
    reason: str = ""
    over_ms: int | None = None
    is_past: bool = False
    is_damped: bool = False

    @classmethod
    def restored(cls, values: Mapping[str, Any]) -> Self:
        """Return the transition that `dataclasses.asdict` made these plain values of."""
        known = {name: value for name, value in values.items() if name in cls.__slots__}
        change, severity = Change(values["change"]), Severity(values["severity"])
        return cls(**{**known, "change": change, "severity": severity})


def alarm_id(rule: str, subject: str, opened_ms: int) -> str:
    """Return the identity of an alarm: a hash of rule, subject and the event time at which it opened."""
    text = f"{rule}\n{subject}\n{opened_ms}".encode()
    return hashlib.blake2b(text, digest_size=10).hexdigest()


class _Columns(Columns):
    """One place for each subject."""

    state: CodeArray
    since_ms: IntArray
    opened_ms: IntArray
    returning_ms: IntArray
    over_ms: IntArray
    broken_ms: IntArray  # since when, and not known to be kept meanwhile; only where a rule rises
    severity: CodeArray
    own: CodeArray  # how bad it was at worst by itself, without what it hides
    peak: FloatArray
    told: BoolArray
    is_ending: BoolArray
    is_of_old_clock: BoolArray  # whether its alarm opened before our clock was last set

    FILL: ClassVar[Mapping[str, tuple[Any, Any]]] = {
        "state": (np.int8, NORMAL),
        "since_ms": (np.int64, NEVER),
        "opened_ms": (np.int64, NEVER),
        "returning_ms": (np.int64, NEVER),
        "over_ms": (np.int64, NEVER),
        "broken_ms": (np.int64, NEVER),
        "severity": (np.int8, 0),
        "own": (np.int8, 0),
        "peak": (np.float64, np.nan),
        "told": (np.bool_, False),
        "is_ending": (np.bool_, False),
        "is_of_old_clock": (np.bool_, False),
    }


class Bank:
    """The machines of one rule.

    Args:
        rule: The rule's name, part of each alarm's identity.
        severity: Severity of subjects whose findings carry none.
        on_delay_ms: How long a breach must last, where findings carry nothing else [ms].
        off_delay_ms: How long it must be over [ms].
        above: How long a breach must last within a window, with breaks; None where breaks begin it anew.
        rise: From when on a limit that stays broken is graver; None where it never is for that.
        is_worse_below: Whether a value below its limit is worse the lower it is.
    """

    def __init__(
        self,
        rule: str,
        severity: Severity,
        on_delay_ms: int,
        off_delay_ms: int,
        above: TimeAbove | None = None,
        *,
        rise: Rise | None = None,
        is_worse_below: bool = False,
    ) -> None:
        self.rule = rule
        self._severity = severity
        self._on_delay_ms = on_delay_ms
        self._off_delay_ms = off_delay_ms
        self._above = above
        self._rise = rise
        self._is_worse_below = is_worse_below
        self._columns = _Columns()
        self._edited: dict[str, str] = {}
        self.subjects: tuple[str, ...] = ()
        self._placed: tuple[tuple[str, ...], Mapping[str, int]] | None = None
        self._is_at_rest = False  # whether the last step left every machine normal

    @property
    def is_active(self) -> BoolArray:
        """Which subjects have an alarm, shape (subjects,)."""
        active: BoolArray = self._columns.state == ACTIVE
        return active

    @property
    def is_pending(self) -> BoolArray:
        """Which subjects may have one soon, shape (subjects,)."""
        pending: BoolArray = self._columns.state == PENDING
        return pending

    @property
    def unrested(self) -> frozenset[str]:
        """The subjects that have an alarm, or may have one soon."""
        return frozenset(self.subjects[place] for place in np.flatnonzero(self._columns.state).tolist())

    def over_ms(self, subject: str) -> int | None:
        """Return since when the limit of a subject's alarm is broken no more [ms].

        None while it is broken, and while it is not known.
        """
        place = self.subjects.index(subject)
        is_kept = self._columns.returning_ms[place] != NEVER
        return int(self._columns.over_ms[place]) if is_kept else None

    def broken_until_ms(self, subject: str) -> int | None:
        """Return since when a subject's limit is not known to be broken any more [ms]; None while it is."""
        over_ms = int(self._columns.over_ms[self.subjects.index(subject)])
        return None if over_ms == NEVER else over_ms

    def peak(self, subject: str) -> float:
        """Return the worst value of a subject's alarm so far."""
        return float(self._columns.peak[self.subjects.index(subject)])

    def active_ids(self) -> set[str]:
        """Return the identities of the alarms that there are."""
        places = np.flatnonzero(self.is_active).tolist()
        return {alarm_id(self.rule, self.subjects[place], int(self.opened_ms[place])) for place in places}

    @property
    def has_untold(self) -> bool:
        """Whether an alarm is active that was not told."""
        return not self._is_at_rest and bool(self.is_untold.any())

    @property
    def is_untold(self) -> BoolArray:
        """Which subjects have an alarm that was not told, shape (subjects,)."""
        untold: BoolArray = (self._columns.state == ACTIVE) & ~self._columns.told
        return untold

    @property
    def stands(self) -> BoolArray:
        """Which subjects have an alarm that is neither told nor known to be over, shape (subjects,)."""
        stands: BoolArray = self.is_untold & ~self._columns.is_ending
        return stands

    @property
    def since_ms(self) -> IntArray:
        """Since when the limit of each subject is broken that has an alarm, or may have one soon [ms]."""
        return self._columns.since_ms

    @property
    def severities(self) -> CodeArray:
        """How bad the alarm of each subject was at worst, `Severity` codes, shape (subjects,)."""
        return self._columns.severity

    @property
    def own_severities(self) -> CodeArray:
        """The same by itself, without what it hides, `Severity` codes, shape (subjects,)."""
        return self._columns.own

    @property
    def opened_ms(self) -> IntArray:
        """When the alarm of each subject opened that has one [ms], shape (subjects,)."""
        return self._columns.opened_ms

    @property
    def is_of_old_clock(self) -> BoolArray:
        """Whether the alarm of each subject opened before our clock was last set, shape (subjects,)."""
        return self._columns.is_of_old_clock & self.is_active

    def begin_anew(self) -> None:
        """Forget every delay that runs, and what was above lately: it was judged by a clock that was set.

        Alarms that are active stay so until it is known that what they are about is over.
        """
        columns = self._columns
        columns.state[columns.state == PENDING] = NORMAL
        columns.returning_ms[:] = columns.over_ms[:] = columns.broken_ms[:] = NEVER
        columns.is_ending[:] = False
        columns.is_of_old_clock = columns.state == ACTIVE
        if self._above is not None:
            self._above.clear()

    def step(self, subjects: tuple[str, ...], found: Findings, at_ms: int) -> list[Transition]:
        """Judge every machine by what was found at a moment.

        Args:
            subjects: Id of each subject, in the order of the findings.
            found: What the rule found.
            at_ms: The moment, after that of the step before [ms].

        Returns:
            What changed, in the order of the subjects.
        """
        gone = self._align(subjects, at_ms)
        columns, verdict = self._columns, found.verdict
        breach = verdict == Verdict.BREACH
        above_ms = None if self._above is None else self._above.note(breach, at_ms)
        self._is_at_rest = not breach.any() and (self._is_at_rest or not columns.state.any())
        if self._is_at_rest:
            return gone  # all is well, as nearly always
        clear = verdict == Verdict.CLEAR
        severity = (
            np.full(len(subjects), int(self._severity), np.int8) if found.severity is None else found.severity
        )
        starts = (columns.state == NORMAL) & breach
        columns.state[starts] = PENDING
        columns.since_ms[starts] = at_ms
        columns.state[(columns.state == PENDING) & clear] = NORMAL
        delay = self._on_delay_ms if found.on_delay_ms is None else found.on_delay_ms
        opens = (columns.state == PENDING) & (at_ms - columns.since_ms >= delay)
        if self._above is not None and above_ms is not None:
            swings = ~opens & (columns.state == PENDING) & breach & (above_ms >= self._above.least_ms)
            swings &= delay <= self._on_delay_ms
            for place in np.flatnonzero(swings).tolist():
                columns.since_ms[place] = self._above.since_ms(place)
            opens |= swings
        if self._rise is not None:
            severity = self._risen(self._rise, severity, breach, clear, at_ms)
        columns.state[opens] = ACTIVE
        columns.opened_ms[opens] = at_ms
        columns.is_of_old_clock[opens] = False
        columns.severity[opens] = columns.own[opens] = severity[opens]
        columns.peak[opens] = found.value[opens]
        active = columns.state == ACTIVE
        if self._edited:
            # Whose limit is broken under the edited file too does not end by the edit.
            still = {self.subjects[place] for place in np.flatnonzero(active & breach).tolist()}
            self._edited = {subject: why for subject, why in self._edited.items() if subject not in still}
        columns.returning_ms[~active | ~clear | ~found.returned] = NEVER
        begins = active & clear & found.returned & (columns.returning_ms == NEVER)
        columns.returning_ms[begins] = at_ms
        columns.is_ending = active & np.where(breach | clear, clear & found.returned, columns.is_ending)
        columns.over_ms[breach] = NEVER
        columns.over_ms[active & ~breach & (columns.over_ms == NEVER)] = at_ms
        off_delay = self._off_delay_ms if found.off_delay_ms is None else found.off_delay_ms
        returns = active & (columns.returning_ms != NEVER) & (at_ms - columns.returning_ms >= off_delay)
        graver = active & breach & (severity > columns.own)
        columns.own[graver] = severity[graver]
        worsens = active & ~opens & breach & (severity > columns.severity)
        columns.severity[worsens] = severity[worsens]
        is_better = found.value <= columns.peak
        if self._is_worse_below:
            is_better = np.where(found.value < found.limit, found.value >= columns.peak, is_better)
        worst = active & breach & ~np.isnan(found.value) & ~is_better
        columns.peak[worst] = found.value[worst]
        changes = self._report(opens, worsens, returns, found, at_ms)
        columns.state[returns] = NORMAL
        return gone + changes

    def _risen(
        self, rise: Rise, severity: CodeArray, breach: BoolArray, clear: BoolArray, at_ms: int
    ) -> CodeArray:
        """Note since when limits are broken, and return how bad that is, shape (subjects,)."""
        broken_ms = self._columns.broken_ms
        broken_ms[clear] = NEVER
        broken_ms[breach & (broken_ms == NEVER)] = at_ms
        lasts = (broken_ms != NEVER) & (at_ms - broken_ms >= round(rise.after_s * 1_000))
        risen: CodeArray = np.where(lasts, np.maximum(severity, np.int8(rise.severity)), severity)
        return risen

    def _report(
        self, opens: BoolArray, worsens: BoolArray, returns: BoolArray, found: Findings, at_ms: int
    ) -> list[Transition]:
        transitions = []
        for place in np.flatnonzero(opens | worsens | returns).tolist():
            for happens, change in (
                (opens[place], Change.OPENED),
                (worsens[place], Change.WORSENED),
                (returns[place], Change.RETURNED),
            ):
                if happens:
                    value, limit = float(found.value[place]), float(found.limit[place])
                    transitions.append(self._transition(place, change, at_ms, value, limit))
        return transitions

    def _transition(self, place: int, change: Change, at_ms: int, value: float, limit: float) -> Transition:
        columns, subject = self._columns, self.subjects[place]
        opened_ms, over_ms = int(columns.opened_ms[place]), int(columns.over_ms[place])
        return Transition(
            alarm_id=alarm_id(self.rule, subject, opened_ms),
            rule=self.rule,
            subject=subject,
            change=change,
            at_ms=at_ms,
            since_ms=int(columns.since_ms[place]),
            opened_ms=opened_ms,
            severity=Severity(int(columns.severity[place])),
            value=value,
            limit=limit,
            peak=float(columns.peak[place]),
            reason=self._edited.pop(subject, "") if change is Change.RETURNED else "",
            over_ms=(at_ms if over_ms == NEVER else over_ms) if change is Change.RETURNED else None,
        )

    def _align(self, subjects: tuple[str, ...], at_ms: int) -> list[Transition]:
        """Give every subject its place; the alarm of one that is no longer there returns."""
        if subjects is self.subjects or subjects == self.subjects:
            return []
        place = {subject: i for i, subject in enumerate(subjects)}
        kept = [(i, place[subject]) for i, subject in enumerate(self.subjects) if subject in place]
        gone = [
            replace(
                self._transition(i, Change.RETURNED, at_ms, np.nan, np.nan),
                is_told=bool(self._columns.told[i]),
                reason=f"{subject} is not known any more",
            )
            for i, subject in enumerate(self.subjects)
            if subject not in place and self._columns.state[i] == ACTIVE
        ]
        old, self._columns, self.subjects = self._columns, _Columns(len(subjects)), subjects
        sources = np.array([source for source, _ in kept], np.intp)
        targets = np.array([target for _, target in kept], np.intp)
        if self._above is not None:
            self._above.align(sources, targets, len(subjects))
        for name in _Columns.FILL:
            getattr(self._columns, name)[targets] = getattr(old, name)[sources]
        return gone

    def rise(
        self, changes: list[Transition], carried: Sequence[Carried], found: Findings, at_ms: int
    ) -> list[Transition]:
        """Let alarms be as grave as what they hide, and return the changes with that.

        Args:
            changes: What `step` returned.
            carried: What they hide, by each rule of that.
            found: What the rule found.
            at_ms: The moment [ms].
        """
        columns, risen = self._columns, list(changes)
        hidden: dict[int, dict[HiddenAlarm, None]] = {}
        for of_rule in carried:
            graver = (columns.state == ACTIVE)[of_rule.causes]
            graver &= of_rule.severities > columns.severity[of_rule.causes]
            for place, alarm in of_rule.pairs(graver):
                hidden.setdefault(place, {})[alarm] = None
        for place, alarms in hidden.items():
            reason, gravest = told_by_its_cause(alarms)
            columns.severity[place] = gravest
            severity, subject = Severity(gravest), self.subjects[place]
            at = next((i for i, change in enumerate(risen) if change.subject == subject), None)
            if at is not None:
                risen[at] = replace(risen[at], severity=severity)
                continue
            value, limit = float(found.value[place]), float(found.limit[place])
            worse = self._transition(place, Change.WORSENED, at_ms, value, limit)
            risen.append(replace(worse, reason=reason))
        return risen

    def due(self, suppressed: BoolArray | None) -> BoolArray:
        """Return which alarms `tell` would tell now of those that are not told yet, shape (subjects,).

        Args:
            suppressed: Whose alarm says nothing new, shape (subjects,); None for no alarm.
        """
        return self.is_untold & ~self._hidden(suppressed)

    def tell(
        self,
        changes: list[Transition],
        suppressed: BoolArray | None,
        found: Findings,
        at_ms: int,
        damped: Mapping[int, str] = NOT_DAMPED,
    ) -> list[Transition]:
        """Decide what people are told of what changed, and of what is suppressed no longer.

        Args:
            changes: What `step` returned.
            suppressed: Whose alarm says nothing new, shape (subjects,); None for no alarm.
            found: What the rule found.
            at_ms: The moment [ms].
            damped: Why alarms are not told that are due, by their places.

        Returns:
            The changes, each saying whether it is told, and alarms that opened earlier and are told now.
        """
        columns = self._columns
        before = columns.told.copy()
        hidden = self._hidden(suppressed)
        hidden[list(damped)] = True
        columns.told |= (columns.state == ACTIVE) & ~hidden
        columns.told &= columns.state == ACTIVE
        place = self._places() if changes else {}
        result = []
        for change in changes:
            where = place.get(change.subject)
            if where is None:
                result.append(change)
                continue
            # People who are told of an alarm only now are told that it opened, and of no change before.
            opens = change.change is Change.OPENED
            if opens and where in damped:
                result.append(replace(change, reason=damped[where], is_damped=True))
            else:
                is_told = bool(before[where] or (opens and columns.told[where]))
                result.append(replace(change, is_told=is_told))
        opened = {change.subject for change in changes if change.change is Change.OPENED}
        for where in np.flatnonzero(columns.told & ~before).tolist():
            if self.subjects[where] not in opened:
                value, limit = float(found.value[where]), float(found.limit[where])
                late = self._transition(where, Change.OPENED, at_ms, value, limit)
                result.append(replace(late, is_told=True))
        return result

    def _hidden(self, suppressed: BoolArray | None) -> BoolArray:
        """Return whose alarm is not told: what is suppressed, and what was over when it was last known."""
        ending = self._columns.is_ending
        return ending.copy() if suppressed is None else ending | suppressed

    def _places(self) -> Mapping[str, int]:
        """Return the place of each subject."""
        if self._placed is None or self._placed[0] is not self.subjects:
            self._placed = self.subjects, {subject: i for i, subject in enumerate(self.subjects)}
        return self._placed[1]

    def note_edits(self, reason: Callable[[str], str]) -> None:
        """Note that the site file was edited: an alarm whose limit is not broken from now on ends by that.

        Args:
            reason: Gives what was edited that the alarm of a subject may end by, "" where nothing was.
        """
        stands = (self._columns.state == ACTIVE) & (self._columns.returning_ms == NEVER)
        for place in np.flatnonzero(stands).tolist():
            subject = self.subjects[place]
            if why := reason(subject):
                self._edited[subject] = why

    # A snapshot -----------------------------------------------------------------------

    def save(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return everything: the arrays, and as plain values the subjects of their rows."""
        above = {} if self._above is None else self._above.save()
        return self._columns.save() | above, {"subjects": list(self.subjects), "edited": dict(self._edited)}

    def load(self, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> None:
        """Take in what `save` returned."""
        self._columns, self.subjects = _Columns.load(arrays), tuple(values["subjects"])
        self._is_at_rest = False
        self._edited = dict(values["edited"])
        if self._above is not None and "above_breach" in arrays:
            self._above.load(arrays)
