"""What is told of what happens to alarms, and where: between judging and the ledger.

An alarm that opens or worsens is told on the routes that take it, unless people decided not to be told
(`store.ledger.suppressions`). Once that is over, what still stands is told, under the key that it would have
had. An alarm that is over is told wherever anything was told of it, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final, Protocol

import numpy as np

from facility.names import CANARY, CANARY_RULE
from facility.quantities import known_or_none
from facility.site import Site
from rules.alarms.carried import HiddenAlarm, told_by_its_cause
from rules.alarms.states import Change, Transition, alarm_id
from rules.base import CANNOT_VERIFY, Rule, Severity
from rules.notify.discretion import notices_for
from rules.notify.links import Links
from rules.notify.message import compose, ended
from rules.notify.notification import Notification
from rules.notify.routing import CONSOLE, Route, routes_of, takes_alarm
from rules.notify.wording import worded
from rules.subject import SubjectKind
from rules.view import View
from store.ledger.alarms import Alarm, AlarmChange, Notice
from store.ledger.suppressions import Suppression

_TELLING: Final = frozenset({"opened", "worsened", "unsuppressed"})
"""Changes of an alarm that are told, where it is not suppressed."""


class Told(Protocol):
    """The ledger, as far as telling needs it."""

    def alarms(self, *, only_open: bool = False) -> list[Alarm]:
        """Return alarms, oldest first."""
        ...

    def opening(self, alarm_id: str) -> list[Notice]:
        """Return what was made to tell that an alarm opened, one notification for each route."""
        ...

    def notices_of(self, alarm_id: str) -> list[Notice]:
        """Return what was made to tell of an alarm, in the order of what it tells."""
        ...

    def changes_of(self, alarm_id: str) -> list[AlarmChange]:
        """Return what happened to an alarm, in order."""
        ...

    def suppressions(self, at_ms: int | None = None) -> list[Suppression]:
        """Return what people are not told of at a moment [ms]."""
        ...

    def acknowledged(self) -> dict[str, str]:
        """Return who acknowledged the alarms that are not over, by their ids."""
        ...

    def cursor(self) -> tuple[int, int]:
        """Return up to which entry and which tick [ms] was judged; zeros before that began."""
        ...


@dataclass(slots=True)
class Telling:
    """What is to be saved of some ticks.

    Attributes:
        changes: What happened to alarms.
        notices: What is to be told.
    """

    changes: list[AlarmChange] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)


@dataclass(slots=True)
class _Heard:
    """What was told of an alarm on a route.

    Attributes:
        last_ms: When it was last told there, in event time [ms].
        severity: How grave it was at worst.
    """

    last_ms: int
    severity: Severity


class Teller:
    """Decides what is told of what happens to alarms.

    Args:
        ledger: Where alarms and what was told of them are kept.
        rules: Every rule, by the names that alarms give it.
        site: What the site file declares.
        routes: Which notifications go where.
        links: Makes links to acknowledge alarms; None for none.
    """

    def __init__(
        self,
        ledger: Told,
        rules: Mapping[str, Rule],
        *,
        site: Site,
        routes: Sequence[Route],
        links: Links | None = None,
    ) -> None:
        self._ledger = ledger
        self._rules = rules
        self._site = site
        self._routes = routes
        self._links = links
        self._standing = {a.id: a for a in ledger.alarms(only_open=True) if a.returned_ms is None}
        self._over = set[str]()
        self._acknowledged = set[str]()
        self._worsened = set[str]()  # as the ledger does not know yet: what is acknowledged there was before
        self._renewed = set[str]()  # of those acknowledged before, until people are told of it
        self._heard: dict[str, dict[str, _Heard]] = {}  # by alarm and route
        self._first_told_ms: dict[str, int] = {}
        self._told_as: dict[str, Severity] = {}  # the worst that was told since we run, wherever
        self._has_followed = False
        self._known_ms = ledger.cursor()[1]  # ticks up to here were judged by an earlier start
        self._at_ms = 0

    def tell(self, changes: Iterable[Transition], view: View | None, now_ms: int) -> Telling:
        """Return what is kept and told of what one tick changed.

        Args:
            changes: What happened to alarms.
            view: The site at that tick; None where it is not known.
            now_ms: The time [ms].
        """
        telling = Telling()
        in_force = cache(self._ledger.suppressions)
        for change in changes:
            if change.subject == CANARY and change.rule != CANARY_RULE:
                continue  # whatever else is found of it proves nothing
            alarm, reason = self._alarm_of(change, view, in_force)
            telling.changes.append(
                AlarmChange(alarm=alarm, change=change.change.value, at_ms=change.at_ms, reason=reason)
            )
            if change.change is Change.RETURNED:
                self._over.add(alarm.id)
            if change.change is Change.WORSENED:
                self._end_acknowledgement(alarm.id, change.at_ms)
            self._standing[alarm.id] = alarm
            if change.is_told and alarm.is_told and alarm.suppression is None and view is not None:
                telling.notices += self._notices(change, view, now_ms)
        if view is not None:
            self._tell_carried(view, now_ms, telling)
        return telling

    def follow(self, view: View | None, now_ms: int) -> Telling:
        """Return what begins and ends to be suppressed by the last tick, and is told because it ends.

        Args:
            view: The site at that tick; None before the first.
            now_ms: The time [ms].
        """
        telling = Telling()
        if view is None:
            return telling
        if view.at_ms < self._at_ms:  # our clock was set back: nothing is as late as what was judged by it
            self._known_ms = 0
        self._at_ms = view.at_ms
        if self._standing:
            self._tell_carried(view, now_ms, telling)
            self._follow_suppressions(view, now_ms, telling)
            self._follow_damping(view, now_ms, telling)
            # What is judged again may have been acknowledged, and be over.
            if view.at_ms > self._known_ms:
                self._follow_acknowledgements(view, now_ms, telling)
        return telling

    def _tell_carried(self, view: View, now_ms: int, telling: Telling) -> None:
        """Tell of what people hold back that it hides what is graver, and what nobody holds back.

        Once for each severity; what holds it back holds again afterwards.
        """
        in_force = self._ledger.suppressions(view.at_ms) if view.carried else []
        if not in_force:
            return
        for alarm in list(self._standing.values()):
            if alarm.rule not in view.carried or alarm.rule not in self._rules or alarm.id in self._over:
                continue
            # What another alarm hides is told by that, or by what hides that.
            is_hidden = not alarm.is_told and alarm.suppression is None
            if is_hidden or self._covering(in_force, alarm, view) is None:
                continue
            if not (graver := self._carried(alarm, view, in_force)):
                continue
            reason, severity = told_by_its_cause(graver)
            # `_follow_suppressions` lets the hold hold again.
            told = replace(alarm, is_told=True, suppression=None, suppression_id=None)
            self._standing[alarm.id] = told
            self._end_acknowledgement(alarm.id, view.at_ms)
            worse = AlarmChange(alarm=told, change=Change.WORSENED.value, at_ms=view.at_ms, reason=reason)
            # Of one moment it worsens once: for this, and not as what is held back.
            telling.changes[:] = [c for c in telling.changes if not _is_same(c, worse)]
            telling.changes.append(worse)
            self._tells(alarm.id, Severity(severity))
            as_told = replace(told, severity=Severity(severity).word)
            composed = self._composed(as_told, Change.WORSENED, view, reason)
            telling.notices += self._noted(self._addressed(composed, self._hearing(composed), now_ms))

    def _carried(self, alarm: Alarm, view: View, in_force: Sequence[Suppression]) -> list[HiddenAlarm]:
        """Return what an alarm hides, itself or by what it hides, and that nobody holds back.

        Of that only what is graver than the alarm is by itself, and than anything that was told of it.
        """
        heard = [each.severity for each in self._told_at(alarm.id).values()]
        told = max(heard, default=-1)
        told = max(told, self._told_as.get(alarm.id, told))
        own = max(of_rule.own_of(alarm.subject) for of_rule in view.carried[alarm.rule])
        found, seen = dict[HiddenAlarm, None](), set[tuple[str, str]]()
        waiting = [(alarm.rule, alarm.subject)]
        for cause, subject in waiting:
            for of_rule in view.carried.get(cause, ()):
                hidden = of_rule.behind(subject, told)
                found.update(dict.fromkeys(hidden))
                named = dict.fromkeys((one.rule, one.subject) for one in hidden)
                waiting += [each for each in named if each not in seen]
                seen |= named.keys()
        return [
            replace(one, severity=one.own)
            for one in found
            if one.own > max(own, told) and one.rule in self._rules
            if not self._is_held_back(one, in_force, view)
        ]

    def _is_held_back(self, hidden: HiddenAlarm, in_force: Sequence[Suppression], view: View) -> bool:
        """Tell whether people hold back an alarm that another hides."""
        its_id = alarm_id(hidden.rule, hidden.subject, hidden.opened_ms)
        return self._suppressing(in_force, (its_id, hidden.rule, hidden.subject), view) is not None

    def _follow_suppressions(self, view: View, now_ms: int, telling: Telling) -> None:
        in_force = self._ledger.suppressions(view.at_ms)
        for alarm in list(self._standing.values()):
            if alarm.id in self._over or alarm.rule not in self._rules:
                continue
            if alarm.suppression is None and (not in_force or not alarm.is_told):
                continue  # what another alarm hides is not told anyway
            suppression = self._covering(in_force, alarm, view)
            if suppression is None and alarm.suppression is not None:
                if not self._is_still_to_begin(alarm, view.at_ms):
                    self._unsuppress(alarm, view, now_ms, telling)
            elif suppression is not None and alarm.suppression_id != suppression.id:
                kept = replace(alarm, suppression=suppression.kind.value, suppression_id=suppression.id)
                self._standing[alarm.id] = kept
                event = AlarmChange(
                    alarm=kept, change="suppressed", at_ms=view.at_ms, reason=suppression.words
                )
                telling.changes.append(event)

    def _is_still_to_begin(self, alarm: Alarm, at_ms: int) -> bool:
        """Tell whether what suppresses an alarm begins after a moment [ms].

        So it is where the past is judged again, and where our clock was set back: it holds nonetheless.
        """
        return any(s.id == alarm.suppression_id and at_ms < s.from_ms for s in self._ledger.suppressions())

    def _follow_damping(self, view: View, now_ms: int, telling: Telling) -> None:
        """Tell what holds alarms of a tenant back on the routes of that tenant, once it is so."""
        of_tenants = [route for route in self._routes if route.tenants and route.takes_at_once(view.at_ms)]
        for alarm in list(self._standing.values()) if of_tenants and any(view.alarms.tenants) else ():
            if alarm.id in self._over or alarm.rule not in self._rules or not alarm.is_told:
                continue
            damped = _damped(alarm, self._rules[alarm.rule], view)
            if not damped or alarm.suppression is not None:
                continue
            told, before = self._composed(alarm, Change.OPENED, view), self._told_at(alarm.id)
            late = [route.name for route in routes_of(told, of_tenants) if route.name not in before]
            telling.notices += self._noted(self._addressed(told, late, now_ms))

    def _follow_acknowledgements(self, view: View, now_ms: int, telling: Telling) -> None:
        """Tell who acknowledged what, and what nobody has to the routes that wait for that."""
        acknowledged = self._ledger.acknowledged()
        # A route that is new in the site file is told of what stands.
        late = [route for route in self._routes if route.waits or not self._has_followed]
        waiting = [route for route in late if route.is_open(view.at_ms)]
        self._has_followed = True
        for alarm in list(self._standing.values()):
            if alarm.id in self._over or alarm.rule not in self._rules or not alarm.is_told:
                continue
            if alarm.id in acknowledged and alarm.id in self._worsened:
                continue  # it was before: the ledger ends it with what is saved next
            if alarm.id in acknowledged:
                last_ms = [self._no_later(heard, view.at_ms) for heard in self._told_at(alarm.id).values()]
                # What is told at the same time has no order.
                if alarm.id not in self._acknowledged and last_ms and max(last_ms) < view.at_ms:
                    self._acknowledged.add(alarm.id)
                    told = self._composed(alarm, Change.ACKNOWLEDGED, view)
                    # Each acknowledgement has its own key: one ends where the alarm worsens.
                    count = sum(c.change == told.change for c in self._ledger.changes_of(alarm.id))
                    key = told.key if count <= 1 else f"{told.key}:{count}"
                    told = replace(told, by=acknowledged[alarm.id], key=key)
                    told = worded(told, self._site.zone)
                    telling.notices += self._addressed(told, self._hearing(told), now_ms)
            elif waiting and alarm.suppression is None:
                telling.notices += self._late_notices(alarm, waiting, view, now_ms)

    def _end_acknowledgement(self, alarm_id: str, at_ms: int) -> None:
        """Let an alarm that worsens be one that nobody has acknowledged, from a moment on [ms]."""
        self._worsened.add(alarm_id)
        if alarm_id in self._ledger.acknowledged():
            self._acknowledged.discard(alarm_id)
            self._told_at(alarm_id)
            self._first_told_ms[alarm_id] = at_ms
            self._renewed.add(alarm_id)

    def _late_notices(self, alarm: Alarm, waiting: Sequence[Route], view: View, now_ms: int) -> list[Notice]:
        """Return what is told of an alarm now because it still stands and was not acknowledged."""
        rule, told_on = self._rules[alarm.rule], self._told_at(alarm.id)
        severity = Severity.of(alarm.severity)
        notices: list[Notice] = []
        for route in waiting:
            first_ms = self._first_told_ms.get(alarm.id, alarm.opened_ms)
            if first_ms > view.at_ms:  # by our clock before it was set back
                first_ms = self._first_told_ms[alarm.id] = view.at_ms
            heard, change, key = told_on.get(route.name), Change.OPENED, ""
            if heard is None:
                is_due = view.at_ms - first_ms >= route.unacknowledged_ms
            elif route.hours and severity > heard.severity:  # it worsened outside them
                change, is_due = Change.WORSENED, True
            else:
                passed_ms = view.at_ms - self._no_later(heard, view.at_ms)
                is_due = bool(route.repeat_ms) and passed_ms >= route.repeat_ms
                key = f"{alarm.id}:repeated:{view.at_ms}"
            assets = view.tables.topology.about(rule.kind, alarm.subject) if route.assets else None
            if not (is_due and takes_alarm(route, alarm, rule, assets, _damped(alarm, rule, view))):
                continue
            told = self._composed(alarm, change, view)
            told = replace(told, key=key or told.key)
            if heard is not None or route.unacknowledged_ms:
                told = replace(told, unacknowledged_s=(view.at_ms - first_ms) // 1_000)
            notices += self._noted(self._addressed(worded(told, self._site.zone), [route.name], now_ms))
        return notices

    @staticmethod
    def _no_later(heard: _Heard, at_ms: int) -> int:
        """Return when a route last heard of an alarm: no later than now, also once our clock is set back."""
        heard.last_ms = min(heard.last_ms, at_ms)
        return heard.last_ms

    def _composed(self, alarm: Alarm, change: Change, view: View, reason: str = "") -> Notification:
        """Return what is told now of an alarm that opened before."""
        transition = Transition(
            alarm_id=alarm.id,
            rule=alarm.rule,
            subject=alarm.subject,
            change=change,
            at_ms=view.at_ms,
            since_ms=alarm.since_ms,
            opened_ms=alarm.opened_ms,
            severity=Severity.of(alarm.severity),
            value=_or_nan(alarm.value),
            limit=_or_nan(alarm.limit),
            peak=_or_nan(alarm.peak),
            is_told=True,
            reason=reason,
        )
        return self._compose(transition, view)

    def _compose(self, change: Transition, view: View) -> Notification:
        is_open = change.change in (Change.OPENED, Change.WORSENED)
        url = self._links.to(change.alarm_id) if self._links is not None and is_open else ""
        return compose(change, self._rules[change.rule], view, self._site, acknowledge_url=url)

    def _told_at(self, alarm_id: str) -> dict[str, _Heard]:
        """Return what was told of an alarm, by route."""
        if alarm_id not in self._heard:
            self._heard[alarm_id] = {}
            noted = self._noted(self._ledger.notices_of(alarm_id))
            if (since_ms := _acknowledged_until_ms(self._ledger.changes_of(alarm_id))) is not None:
                later = [n.source_ms for n in noted if n.source_ms >= since_ms and _is_told(n)]
                self._first_told_ms[alarm_id] = min(later, default=since_ms)
        return self._heard[alarm_id]

    def _noted(self, notices: list[Notice]) -> list[Notice]:
        """Remember on which routes notifications are told."""
        for notice in notices:
            severity = Severity.of(str(notice.body.get("severity", "info")))
            heard = self._told_at(notice.alarm_id).setdefault(
                notice.route, _Heard(notice.source_ms, severity)
            )
            heard.last_ms, heard.severity = notice.source_ms, max(heard.severity, severity)
            if notice.alarm_id in self._renewed:
                self._first_told_ms[notice.alarm_id] = notice.source_ms
                self._renewed.discard(notice.alarm_id)
            self._first_told_ms.setdefault(notice.alarm_id, notice.source_ms)
        return notices

    def saved(self) -> None:
        """Forget the alarms that are over: that is in the ledger now."""
        for over in self._over:
            self._standing.pop(over, None)
            self._heard.pop(over, None)
            self._first_told_ms.pop(over, None)
            self._told_as.pop(over, None)
        self._acknowledged -= self._over
        self._renewed -= self._over
        self._worsened.clear()
        self._over.clear()

    def endings(self, alarm: Alarm, reason: str, now_ms: int) -> list[Notice]:
        """Return what tells that an alarm ended which no rule can end; nothing where no opening was told.

        Args:
            alarm: The alarm, as it ended.
            reason: Why it did.
            now_ms: The time [ms].
        """
        self._over.add(alarm.id)
        # Where it was told only once it was worse, that is its beginning there.
        told_before = self._ledger.opening(alarm.id) or self._ledger.notices_of(alarm.id)
        if not told_before:
            return []
        told = ended(alarm, told_before[0].body, reason, now_ms, self._site)
        return self._addressed(told, self._hearing(told), now_ms)

    def _alarm_of(
        self, change: Transition, view: View | None, in_force: Callable[[int], Iterable[Suppression]]
    ) -> tuple[Alarm, str]:
        """Return an alarm as a change leaves it, and what is to be said of the change."""
        rule = self._rules[change.rule]
        # What the canary does is nobody's to acknowledge.
        is_latched = not change.rule.endswith(CANNOT_VERIFY) and change.subject != CANARY
        is_over = change.change is Change.RETURNED
        alarm = Alarm(
            id=change.alarm_id,
            rule=change.rule,
            title=rule.title_of(change.rule),
            subject=change.subject,
            severity=change.severity.word,
            unit=rule.unit,
            since_ms=change.since_ms,
            opened_ms=change.opened_ms,
            returned_ms=change.at_ms if is_over else None,
            value=known_or_none(change.value),
            limit=known_or_none(change.limit),
            peak=known_or_none(change.peak),
            is_told=change.is_told,
            needs_acknowledgement=rule.needs_acknowledgement and is_latched,
        )
        before = self._standing.get(alarm.id)
        was_kept_back = before is not None and before.suppression is not None and not before.is_told
        if is_over:
            # One that is over already is judged again after a crash: what was told of it is in the ledger.
            was_told = not was_kept_back if before is not None else bool(self._told_at(alarm.id))
            return replace(alarm, is_told=alarm.is_told and was_told), change.reason
        suppression = None
        if change.is_told and view is not None:
            suppression = self._covering(in_force(change.at_ms), alarm, view)
        if suppression is not None:
            # After a crash it may be judged again that it opened, once people were told in another life.
            was_told = bool(self._told_at(alarm.id)) if before is None else before.is_told
            kept = replace(
                alarm,
                is_told=was_told,
                suppression=suppression.kind.value,
                suppression_id=suppression.id,
            )
            return kept, suppression.words
        if before is not None and was_kept_back:
            # `follow` tells it.
            kept = replace(
                alarm, is_told=False, suppression=before.suppression, suppression_id=before.suppression_id
            )
            return kept, change.reason
        return alarm, change.reason

    def _unsuppress(self, alarm: Alarm, view: View, now_ms: int, telling: Telling) -> None:
        """Let people be told of an alarm again, and tell what they were not told meanwhile."""
        told = replace(alarm, is_told=True, suppression=None, suppression_id=None)
        self._standing[alarm.id] = told
        was = f"no longer {alarm.suppression}"
        telling.changes.append(AlarmChange(alarm=told, change="unsuppressed", at_ms=view.at_ms, reason=was))
        severity = Severity.of(alarm.severity)
        if not alarm.is_told:
            change = Change.OPENED
        elif severity > max((heard.severity for heard in self._told_at(alarm.id).values()), default=severity):
            change = Change.WORSENED
        else:
            return
        self._tells(alarm.id, severity)
        composed = self._composed(alarm, change, view)
        telling.notices += self._noted(self._addressed(composed, self._hearing(composed), now_ms))

    def _covering(self, in_force: Iterable[Suppression], alarm: Alarm, view: View) -> Suppression | None:
        """Return what keeps an alarm from being told, the one that began first; None where nothing may."""
        return self._suppressing(in_force, (alarm.id, alarm.rule, alarm.subject), view)

    def _suppressing(
        self, in_force: Iterable[Suppression], named: tuple[str, str, str], view: View
    ) -> Suppression | None:
        """Return what suppresses an alarm, named by its id, its rule and its subject; None for nothing."""
        alarm_id, name, subject = named
        rule = self._rules[name]
        if rule.is_never_suppressed or subject == CANARY:
            return None
        for suppression in in_force:
            assets = view.tables.topology.about(rule.kind, subject) if suppression.assets else ()
            if suppression.covers(alarm_id, name, subject, assets):
                return suppression
        return None

    def _notices(self, change: Transition, view: View, now_ms: int) -> list[Notice]:
        if change.change is Change.OPENED:
            self._heard.setdefault(change.alarm_id, {})
        if change.change is not Change.RETURNED:
            self._tells(change.alarm_id, change.severity)
        told = self._compose(change, view)
        return self._noted(self._addressed(told, self._hearing(told), now_ms))

    def _tells(self, alarm_id: str, severity: Severity) -> None:
        """Note how grave an alarm is that is told now, whether or not any route takes it."""
        self._told_as[alarm_id] = max(severity, self._told_as.get(alarm_id, severity))

    def _as_told(self, told: Notification) -> Notification:
        """Return what is told as grave as its alarm was at worst when it was told: not under a shelf.

        As grave as it is, where nobody knows.
        """
        severities = [
            Severity.of(change.alarm.severity)
            for change in self._ledger.changes_of(told.alarm)
            if change.change in _TELLING and change.alarm.is_told and change.alarm.suppression is None
        ]
        severities += [self._told_as[told.alarm]] if told.alarm in self._told_as else []
        rule = self._rules.get(told.rule)
        if not severities or rule is None:
            return told
        severity = max(severities)
        return replace(told, severity=severity, desks=rule.desks_of(severity))

    def _addressed(self, told: Notification, names: Iterable[str], now_ms: int) -> list[Notice]:
        """Return a notification for each of some routes, as those who read there may read it."""
        return notices_for(told, names, self._routes, self._site.zone, now_ms)

    def _hearing(self, told: Notification) -> list[str]:
        """Return where something is told now: where it is taken at once.

        What worsens is told also where the alarm was told; that it is over, or that somebody acknowledged it,
        only there. A route that the site file names no longer has no receiver.
        """
        taking = routes_of(told, self._routes)
        names = [route.name for route in taking if route.takes_at_once(told.at_ms)]
        match told.change:
            case Change.OPENED:
                pass
            case Change.WORSENED:
                before = self._told_at(told.alarm)
                later = [r.name for r in taking if r.name in before and r.is_open(told.at_ms)]
                names += later
            case Change.RETURNED:
                before = self._told_at(told.alarm)
                named = {CONSOLE, *(route.name for route in self._routes)}
                told_on = sorted(route for route in before if route in named)
                # Of a route that is gone, or where notices are lost, it ends where it would have been told.
                took = routes_of(self._as_told(told), self._routes) if not told_on else ()
                names = told_on or [route.name for route in took if not route.waits]
            case Change.ACKNOWLEDGED:
                before = self._told_at(told.alarm)
                names = [r.name for r in self._routes if r.hears_acknowledgements and r.name in before]
        return list(dict.fromkeys(names))


def _damped(alarm: Alarm, rule: Rule, view: View) -> frozenset[str]:
    """Return the tenants whose alarms one about alarms holds back."""
    if rule.kind is not SubjectKind.ALARM or alarm.subject not in view.alarms.ids:
        return frozenset()
    return view.alarms.tenants[view.alarms.ids.index(alarm.subject)]


def _acknowledged_until_ms(changes: Iterable[AlarmChange]) -> int | None:
    """Return when an alarm worsened last that was acknowledged before [ms]; None where it never did."""
    is_acknowledged, until_ms = False, None
    for change in changes:
        if change.change == Change.ACKNOWLEDGED:
            is_acknowledged = True
        elif change.change == Change.WORSENED and is_acknowledged:
            is_acknowledged, until_ms = False, change.at_ms
    return until_ms


def _is_told(notice: Notice) -> bool:
    """Tell whether a notice says that its alarm opened or worsened."""
    return notice.body.get("change") in (Change.OPENED, Change.WORSENED)


def _is_same(one: AlarmChange, other: AlarmChange) -> bool:
    """Tell whether two changes are the same of one alarm, as the ledger keeps them."""
    return (one.alarm.id, one.change, one.at_ms) == (other.alarm.id, other.change, other.at_ms)


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value
