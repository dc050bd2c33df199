"""Shelving, suppression by design and maintenance: made, previewed, listed and ended from the command line.

A running monitor reads them from the ledger at its next tick. Each says who decided it, when and why.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Final
from zoneinfo import ZoneInfo

from facility.graph import Graph
from facility.instants import to_iso
from facility.patterns import PatternError, choose
from facility.shown import in_line
from megawatch.cli.outputs import Hidden, SuppressionNow
from megawatch.cli.queries import RULE_BY_NAME, one_alarm, open_ledger, rule_named
from megawatch.cli.query import local_time, moment_ms, span_ms
from megawatch.cli.usage import WrongUsage
from megawatch.run.clock import SteadyClock
from megawatch.site.folder import SiteFolder
from rules.model.rows import Topology
from rules.registry import RULES
from store.journal.file import FILE as JOURNAL_FILE
from store.journal.file import JournalReader
from store.ledger.alarms import Alarm, rule_of
from store.ledger.ledger import Ledger
from store.ledger.suppressions import Suppression, SuppressionKind

MOST_SHELVED_MS: Final = 7 * 86_400_000
"""How long an alarm may be shelved: what lasts longer is a decision, suppression by design (our choice)."""
EARLY_MS: Final = 60_000
"""So much in the past a window may begin: that is now, typed slowly (our choice)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked to be suppressed, as it was written.

    Attributes:
        kind: Why it is hidden.
        alarm: First characters of the id of one alarm; "" for none.
        rules: Names of rules.
        subjects: Patterns of subjects.
        assets: Patterns of assets.
        last: For how long; None where `until` says it, or without end.
        since: When it begins; None for now.
        until: When it ends; None where `last` says it, or without end.
        by: Who asks.
        why: Why.
    """

    kind: SuppressionKind
    alarm: str = ""
    rules: Sequence[str] = ()
    subjects: Sequence[str] = ()
    assets: Sequence[str] = ()
    last: str | None = None
    since: str | None = None
    until: str | None = None
    by: str
    why: str


def suppression_of(folder: SiteFolder, asked: Asked) -> Suppression:
    """Return what is asked for, not kept yet.

    Args:
        folder: The site's files.
        asked: What is asked for.

    Raises:
        NeverRan: Where no monitor ever did anything.
        WrongUsage: Where it names nothing, an unknown rule, no reason, or a span that cannot be.
        MegawatchError: Where its alarm is not one alarm.
    """
    now_ms = SteadyClock().now_ms()
    from_ms, to_ms = _span(asked, folder.file.site.zone, now_ms)
    if not asked.why.strip():
        raise WrongUsage("expected a reason after --why, found none")
    if not (asked.alarm or asked.rules or asked.subjects or asked.assets):
        raise WrongUsage("expected an alarm, a rule, a subject or an asset, found none")
    if asked.kind is SuppressionKind.OUT_OF_SERVICE and not asked.assets:
        raise WrongUsage("expected the assets that are worked on after --asset, found none")
    if asked.alarm and (asked.rules or asked.subjects):
        raise WrongUsage("expected an alarm, or rules and subjects, found both")
    _check_rules(asked.rules)
    _check_patterns((*asked.subjects, *asked.assets))
    alarm_id = ""
    if asked.alarm:
        with open_ledger(folder) as reader:
            alarm = one_alarm(reader.alarm(asked.alarm), asked.alarm)
        if alarm.returned_ms is not None:
            raise WrongUsage(f"expected an alarm that stands, found {alarm.id}, which is over")
        _check_rules([rule_of(alarm.rule)])
        alarm_id = alarm.id
    return Suppression(
        id=secrets.token_hex(4),
        kind=asked.kind,
        alarm_id=alarm_id,
        rules=tuple(asked.rules),
        subjects=tuple(asked.subjects),
        assets=tuple(asked.assets),
        from_ms=from_ms,
        to_ms=to_ms,
        by=asked.by,
        why=asked.why.strip(),
        made_ms=now_ms,
    )


def keep(folder: SiteFolder, suppression: Suppression) -> None:
    """Let a suppression hold from its beginning on."""
    with closing(Ledger(folder.data)) as ledger:
        ledger.suppress(suppression)


def end(folder: SiteFolder, beginning: str, by: str) -> Suppression:
    """End a suppression, or the one that hides an alarm.

    Args:
        folder: The site's files.
        beginning: First characters of its id, or of the id of an alarm that it hides.
        by: Who ends it.

    Returns:
        The suppression, ended.

    Raises:
        NeverRan: Where no monitor ever did anything.
        WrongUsage: Where that is not one suppression which is not over.
    """
    now_ms = SteadyClock().now_ms()
    with open_ledger(folder) as reader:
        hidden_by = {alarm.suppression_id for alarm in reader.alarm(beginning)} if beginning else set()
        found = [
            one
            for one in reader.suppressions()
            if (one.id.startswith(beginning) or one.id in hidden_by) and not _is_over(one, now_ms)
        ]
    if len(found) != 1 or not beginning:
        raise WrongUsage(f"expected the id of one suppression, found {len(found)} for '{beginning}'")
    with closing(Ledger(folder.data)) as ledger:
        ledger.end_suppression(found[0].id, by=by, at_ms=now_ms)
    return replace(found[0], ended_ms=now_ms, ended_by=by)


def listed(folder: SiteFolder, *, everything: bool) -> list[Suppression]:
    """Return what is suppressed now or planned to be, or all that ever was.

    Raises:
        NeverRan: Where no monitor ever did anything.
    """
    now_ms = SteadyClock().now_ms()
    with open_ledger(folder) as reader:
        return [one for one in reader.suppressions() if everything or not _is_over(one, now_ms)]


def preview(folder: SiteFolder, suppression: Suppression, last: str) -> list[Alarm]:
    """Return the alarms of the past that were told, and would not have been had it held all the time.

    Args:
        folder: The site's files.
        suppression: What is asked for.
        last: How far back.
    """
    since_ms = SteadyClock().now_ms() - span_ms(last)
    with open_ledger(folder) as reader:
        alarms = [alarm for alarm in reader.alarms(since_ms=since_ms) if alarm.is_told]
    topology = _topology(folder) if suppression.assets else None
    found = []
    for alarm in alarms:
        rule = RULE_BY_NAME.get(rule_of(alarm.rule))
        if rule is None or rule.is_never_suppressed:
            continue
        assets = frozenset[str]() if topology is None else topology.about(rule.kind, alarm.subject)
        if suppression.covers(alarm.id, alarm.rule, alarm.subject, assets):
            found.append(alarm)
    return found


def hidden_document(suppression: Suppression, alarms: Sequence[Alarm]) -> Hidden:
    """Return a preview as a document."""
    return {
        "suppression": document(suppression),
        "alarms": [alarm.id for alarm in alarms],
        "by_rule": dict(sorted(Counter(alarm.rule for alarm in alarms).items())),
        "critical": sum(alarm.severity == "critical" for alarm in alarms),
    }


def preview_lines(alarms: Sequence[Alarm], last: str, zone: ZoneInfo) -> Iterator[str]:
    """Yield for people what it would have hidden: the sum, then each alarm, the newest first."""
    counts = ", ".join(f"{rule} {count}" for rule, count in Counter(a.rule for a in alarms).most_common())
    yield f"in the last {last} it would have hidden {len(alarms)} alarms" + (f": {counts}" if counts else "")
    for alarm in sorted(alarms, key=lambda alarm: -alarm.opened_ms):
        about = f"{alarm.rule} {in_line(alarm.subject)}: {alarm.title}"
        yield f"  {local_time(alarm.opened_ms, zone)}  {alarm.severity:8} {about}"


def document(suppression: Suppression) -> SuppressionNow:
    """Return a suppression as a document."""
    return {
        "id": suppression.id,
        "kind": suppression.kind.value,
        "alarm": suppression.alarm_id or None,
        "rules": list(suppression.rules),
        "subjects": list(suppression.subjects),
        "assets": list(suppression.assets),
        "from": to_iso(suppression.from_ms),
        "to": None if suppression.to_ms is None else to_iso(suppression.to_ms),
        "by": suppression.by,
        "why": suppression.why,
        "made": to_iso(suppression.made_ms),
        "ended": None if suppression.ended_ms is None else to_iso(suppression.ended_ms),
        "ended_by": suppression.ended_by,
    }


def line_of(suppression: Suppression, zone: ZoneInfo) -> str:
    """Return a suppression in one line for people."""
    over_ms = suppression.over_ms
    until = "until it is ended" if over_ms is None else f"to {local_time(over_ms, zone)}"
    span = f"from {local_time(suppression.from_ms, zone)} {until}"
    ended = f", ended by {in_line(suppression.ended_by)}" if suppression.ended_by else ""
    who = f"{in_line(suppression.by)}: {in_line(suppression.why)}"
    return f"{suppression.id}  {suppression.kind}  {in_line(suppression.scope)}  {span}{ended}  ({who})"


def _is_over(suppression: Suppression, now_ms: int) -> bool:
    return suppression.over_ms is not None and suppression.over_ms <= now_ms


def _span(asked: Asked, zone: ZoneInfo, now_ms: int) -> tuple[int, int | None]:
    """Return when it begins and ends [ms]; None for no end."""
    from_ms = now_ms if asked.since is None else moment_ms(asked.since, zone)
    if from_ms < now_ms - EARLY_MS:
        raise WrongUsage(f"expected a beginning from now on, found {to_iso(from_ms)}")
    from_ms = max(from_ms, now_ms)
    if asked.last is not None and asked.until is not None:
        raise WrongUsage("expected --for or --to, found both")
    to_ms = None
    if asked.last is not None:
        to_ms = from_ms + span_ms(asked.last)
    elif asked.until is not None:
        to_ms = moment_ms(asked.until, zone)
    if to_ms is not None and to_ms <= from_ms:
        raise WrongUsage(f"expected an end after {to_iso(from_ms)}, found {to_iso(to_ms)}")
    if to_ms is None and asked.kind is not SuppressionKind.BY_DESIGN:
        raise WrongUsage(
            "expected an end, --for or --to, found none; without an end it is megawatch suppress"
        )
    if asked.kind is SuppressionKind.SHELVED and to_ms is not None and to_ms - from_ms > MOST_SHELVED_MS:
        raise WrongUsage("expected at most 7d for a shelf, found more; suppress what shall stay hidden")
    return from_ms, to_ms


def _check_rules(names: Sequence[str]) -> None:
    for name in names:
        rule = rule_named(name)
        if rule.is_never_suppressed:
            raise WrongUsage(f"{name} ({rule.title}) is told whatever else is: it cannot be suppressed")


def _check_patterns(patterns: Sequence[str]) -> None:
    for pattern in patterns:
        try:
            choose(pattern, ())
        except PatternError as error:
            raise WrongUsage(str(error)) from error


def _topology(folder: SiteFolder) -> Topology:
    """Return what hangs on what, as the site file and the journal describe it."""
    site, graph, points = folder.file.site, Graph(), {}
    for asset in site.assets:
        graph.add(asset)
    if (folder.data / JOURNAL_FILE).exists():
        with closing(JournalReader(folder.data)) as journal:
            for number, known in journal.known().items():
                points[number] = known.point
                if known.asset is not None:
                    graph.add(known.asset)
    quantities = frozenset[str]().union(*(rule.judged_quantities() for rule in RULES))
    return Topology(site, graph, points, quantities, dict.fromkeys(site.racks, ()))
