"""Why was that told, late, or not at all: the way of one alarm from the broken limit to each receiver."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from facility.instants import to_iso
from facility.shown import in_line
from megawatch.cli.outputs import Told, Why, WhyChange
from megawatch.cli.queries import RULE_BY_NAME, alarm_document, one_alarm, open_ledger
from megawatch.cli.query import local_time
from megawatch.cli.routes import when
from megawatch.site.folder import SiteFolder
from rules.alarms.openings import DAMPED, alarm_name
from rules.causes import CAUSES
from rules.library.data.q10_alarm_health import AlarmHealth
from rules.notify.base import labels_of
from rules.notify.registry import make_routes
from rules.notify.routing import Route, takes_alarm
from store.ledger.alarms import Alarm, AlarmChange, Notice, rule_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The way of one alarm.

    Attributes:
        alarm: The alarm as it stands.
        changes: What happened to it, in order.
        notices: What was made to tell of it, in order.
        hiders: Where it was not told: alarms of the rules that hide it, that stood as it opened; or what says
            that too much opened.
        labels: What people read of each route.
        waiting: The routes that take it and have not told it yet, in words.
    """

    alarm: Alarm
    changes: Sequence[AlarmChange]
    notices: Sequence[Notice]
    hiders: Sequence[Alarm]
    labels: dict[str, str]
    waiting: Sequence[str] = ()

    @property
    def silence(self) -> str:
        """Why nothing was told of it, "" where something was."""
        kept = [change.reason for change in self.changes if change.change in ("opened", "suppressed")]
        names = ", ".join(f"{one.rule} {one.subject} ({one.id})" for one in self.hiders)
        if not self.alarm.is_told and any(kept):
            reason = next(filter(None, reversed(kept)))
            return f"{reason}: {names}" if names and reason.startswith(DAMPED) else reason
        if not self.alarm.is_told:
            return f"hidden by {names}" if names else "hidden by an alarm that says more"
        if self.notices:
            return ""
        if self.waiting:
            return "; ".join(self.waiting)
        word = "made no telling of it" if self.changes else "keeps no more of it than its row"
        return f"no route of the site file took it as it opened, or the ledger {word}"

    def document(self) -> Why:
        """Return it as `--json` prints it."""
        return {
            "alarm": alarm_document(self.alarm),
            "hold_s": (self.alarm.opened_ms - self.alarm.since_ms) / 1_000,
            "changes": [_change(change) for change in self.changes],
            "told": [_told(notice, self.labels[notice.route]) for notice in self.notices],
            "silence": self.silence or None,
            "hidden_by": [one.id for one in self.hiders],
        }


def way_of(folder: SiteFolder, beginning: str) -> Way:
    """Return the way of an alarm.

    Args:
        folder: The site's files.
        beginning: First characters of its id.

    Raises:
        NeverRan: Where no monitor ever did anything.
        MegawatchError: Where that is not one alarm.
    """
    with open_ledger(folder) as ledger:
        alarm = one_alarm(ledger.alarm(beginning), beginning)
        changes, notices = ledger.changes_of(alarm.id), ledger.notices_of(alarm.id)
        hiding = set() if alarm.is_told else {hide.rule for hide in CAUSES.get(alarm.rule, ())}
        is_damped = any(change.reason.startswith(DAMPED) for change in changes)
        stood = [one for one in ledger.alarms() if _stood(one, alarm)] if hiding or is_damped else []
    routes = make_routes(folder.file.routes, folder.file.site.zone)
    named = [route.name for route in routes]
    labels = labels_of(dict.fromkeys((*named, *(notice.route for notice in notices))))
    return Way(
        alarm=alarm,
        changes=changes,
        notices=notices,
        hiders=[
            one
            for one in stood
            if (one.rule == AlarmHealth.name and _is_about(one, alarm) if is_damped else one.rule in hiding)
        ],
        labels=labels,
        waiting=[f"{labels[route.name]} is told {when(route)}" for route in routes if _waits(route, alarm)],
    )


def acknowledged_lines(alarm: Alarm, folder: SiteFolder, by: str) -> Iterator[str]:
    """Yield what became of an alarm that somebody took in hand, and what follows where nobody was told of it.

    Args:
        alarm: The alarm afterwards.
        folder: The site's files.
        by: Who took it.
    """
    name = f"{alarm.id} {alarm.rule} {alarm.subject}"
    if alarm.acknowledged_by is None and alarm.returned_ms is None:
        yield f"{name}: it worsened meanwhile, and is {alarm.severity} now; look at it again"
    elif alarm.acknowledged_by is None:
        yield f"{name}: it is over, and there is nothing to take in hand"
    else:
        already = "" if alarm.acknowledged_by == by else "; it was before you"
        yield f"{name}: {alarm.state}, by {alarm.acknowledged_by}{already}"
    if alarm.is_told:
        return
    yield f"nobody was told of it: {way_of(folder, alarm.id).silence}"
    if alarm.returned_ms is None:
        yield (
            "if it still stands once that is over, it is told then, once, on the routes that are open;"
            " it is neither repeated nor escalated, and not told later"
        )


def lines_of(way: Way, folder: SiteFolder) -> Iterator[str]:
    """Yield it for people: what happened, and under each change what was told of it."""
    alarm, zone = way.alarm, folder.file.site.zone
    yield f"{alarm.rule} {alarm.subject}: {alarm.title}, {alarm.state} ({alarm.id})"
    yield f"{local_time(alarm.since_ms, zone)}  the limit is broken"
    for change in way.changes:
        held = (
            f", after {(alarm.opened_ms - alarm.since_ms) / 1_000:g} s" if change.change == "opened" else ""
        )
        reason = f": {change.reason}" if change.reason else ""
        by = f" by {change.alarm.acknowledged_by}" if change.change == "acknowledged" else ""
        yield f"{local_time(change.at_ms, zone)}  {change.change} ({change.alarm.severity}){held}{by}{reason}"
        for notice in way.notices:
            if _is_of(notice, change):
                yield f"{'':25}{way.labels[notice.route]}: {_outcome(notice)}"
    for notice in way.notices:
        if not any(_is_of(notice, change) for change in way.changes):
            word = "acknowledged" if notice.body.get("change") == "acknowledged" else "still standing"
            yield (
                f"{local_time(notice.source_ms, zone)}  {word}, told to"
                f" {way.labels[notice.route]}: {_outcome(notice)}"
            )
    if way.silence:
        yield f"nothing was told: {way.silence}"


def _is_of(notice: Notice, change: AlarmChange) -> bool:
    """Tell whether a notification told a change when it happened."""
    is_its_key = notice.key.startswith(f"{change.alarm.id}:{change.change}")
    return is_its_key and notice.source_ms == change.at_ms


def _waits(route: Route, alarm: Alarm) -> bool:
    """Tell whether a route takes an alarm that stands, later."""
    rule = RULE_BY_NAME.get(rule_of(alarm.rule))
    if rule is None or alarm.returned_ms is not None or not route.waits:
        return False
    return takes_alarm(route, alarm, rule, None)


def _stood(other: Alarm, alarm: Alarm) -> bool:
    """Tell whether another alarm stood as one opened."""
    is_over = other.returned_ms is not None and other.returned_ms < alarm.opened_ms
    return other.id != alarm.id and other.since_ms <= alarm.opened_ms and not is_over


def _is_about(health: Alarm, alarm: Alarm) -> bool:
    """Tell whether what opened too often is an alarm, or its rule."""
    return health.subject in (alarm.rule, alarm_name(alarm.rule, alarm.subject))


def _outcome(notice: Notice) -> str:
    attempts = f"{notice.attempts} attempt" + ("s" if notice.attempts != 1 else "")
    if notice.delivered_ms is not None:
        return f"accepted {(notice.delivered_ms - notice.source_ms) / 1_000:.1f} s later, {attempts}"
    error = f", {in_line(notice.error)}" if notice.error else ""
    return f"{notice.state}, {attempts}{error}"


def _change(change: AlarmChange) -> WhyChange:
    return {
        "at": to_iso(change.at_ms),
        "change": change.change,
        "severity": change.alarm.severity,
        "value": change.alarm.value,
        "reason": change.reason or None,
    }


def _told(notice: Notice, label: str) -> Told:
    delivered_ms = notice.delivered_ms
    return {
        "key": notice.key,
        "route": label,
        "state": notice.state,
        "attempts": notice.attempts,
        "happened": to_iso(notice.source_ms),
        "made": to_iso(notice.created_ms),
        "accepted": None if delivered_ms is None else to_iso(delivered_ms),
        "delay_s": None if delivered_ms is None else (delivered_ms - notice.source_ms) / 1_000,
        "error": notice.error or None,
    }
