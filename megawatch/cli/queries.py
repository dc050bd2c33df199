"""What people ask of a monitor from beside it, out of its data folder: status, alarms, a series."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from facility.errors import MegawatchError, StoreError
from facility.instants import to_iso
from facility.names import CANARY, nearest
from facility.patterns import PatternError, any_matches
from megawatch.cli import query, show
from megawatch.cli.alarmstats import SEVERITIES, statistics_of
from megawatch.cli.outputs import AlarmNow, AlarmStats, ProcessStatus, SeriesAsked, Status
from megawatch.cli.usage import WrongUsage
from megawatch.run.clock import SteadyClock
from megawatch.run.lock import holders
from megawatch.run.part import Part
from megawatch.run.self_monitoring import RULE
from megawatch.run.status import FRESH_MS, read_status
from megawatch.site.folder import SiteFolder
from rules.alarms.openings import DAMPED
from rules.base import Rule
from rules.registry import RULES
from store.base import Series
from store.histories import history_of
from store.journal.file import FILE as JOURNAL_FILE
from store.journal.file import JournalReader
from store.ledger.alarms import Alarm, is_of_any, rule_of
from store.ledger.ledger import FILE as LEDGER_FILE
from store.ledger.ledger import Ledger, LedgerReader

RULE_BY_NAME = {rule.name: rule for rule in RULES}
STATS_LAST = "30d"
"""Of what span the figures of alarms are, where nothing else is asked for."""
NO_ROOM_BYTES = 1_000_000
"""With less room than this a disk is full: an append and a status take more (our choice)."""


class NeverRan(MegawatchError):  # noqa: N818 - says what was found
    """No monitor has run on a data folder yet."""

    def __init__(self, folder: SiteFolder) -> None:
        super().__init__(f"no monitor has run here yet: start one with megawatch run {folder.path.parent}")


@contextmanager
def open_ledger(folder: SiteFolder) -> Iterator[LedgerReader]:
    """Open the ledger for as long as the context lasts.

    Raises:
        NeverRan: Where no monitor ever did anything.
    """
    if not (folder.data / LEDGER_FILE).exists():
        raise NeverRan(folder)
    with closing(LedgerReader(folder.data)) as reader:
        yield reader


# Status -----------------------------------------------------------------------------------


def status_document(folder: SiteFolder) -> Status:
    """Return what the monitor is doing; `is_running` and `age_s` say whether that is of now.

    Raises:
        NeverRan: Where none ever did anything.
    """
    said = read_status(folder.data)
    running = holders(folder.data)
    if said is None and not running:
        raise NeverRan(folder)
    now_ms = SteadyClock().now_ms()
    nothing: ProcessStatus = {
        "site": folder.file.site.name,
        "at_ms": 0,
        "is_running": False,
        "undelivered": 0,
    }
    found: ProcessStatus = nothing if said is None else {**nothing, **said}
    age_ms = now_ms - found["at_ms"]
    is_of_now = found["is_running"] and age_ms < FRESH_MS
    trouble = "" if is_of_now else _trouble(folder, found["at_ms"] and age_ms, running)
    open_alarms: int | None = None
    try:
        open_alarms = len(alarm_list(folder, everything=False))
    except (NeverRan, StoreError) as error:
        trouble = " ".join(filter(None, (trouble, f"Alarms are not known: {error}.")))
    return {
        **found,
        "is_running": is_of_now or bool(running),
        "age_s": round(age_ms / 1_000, 1),
        "trouble": trouble,
        "free_bytes": _free_bytes(folder.data),
        "open_alarms": open_alarms,
        "message_us": message_us(found),
    }


def message_us(found: Mapping[str, Any]) -> dict[str, float]:
    """Return the CPU time for a message over the last minute by stage [µs]; nothing where none came.

    Args:
        found: What all processes are doing.
    """
    per_s = found.get("messages_per_s")
    if not per_s:
        return {}
    stages = found.get("stages", [])
    return {each["name"]: round(each["core"] / per_s * 1e6, 1) for each in stages if each["core"] is not None}


def _trouble(folder: SiteFolder, age_ms: int, running: Mapping[Part, str]) -> str:
    """Return why a status is old: nothing runs, or what runs cannot write it, or hangs."""
    of = f"this is of {_ago(age_ms / 1_000)} ago" if age_ms else "it has said nothing yet"
    if not running:
        return f"The monitor does not run; {of}."
    who = ", ".join(sorted({f"process {process}" for process in running.values() if process})) or "it"
    free_bytes = _free_bytes(folder.data)
    if free_bytes is not None and free_bytes < NO_ROOM_BYTES:
        return (
            f"The monitor runs ({who}), and the disk of {folder.data} is full: nothing can be stored; {of}."
        )
    if has_no_inodes(folder.data):
        return f"The monitor runs ({who}), and the disk of {folder.data} has no free inode for a file; {of}."
    return f"The monitor runs ({who}), and hangs or cannot write {folder.data}; {of}."


def has_no_inodes(data: Path) -> bool:
    """Tell whether no file can be made on the disk of a folder, however much room there is."""
    try:
        disk = os.statvfs(data)
    except OSError:
        return False
    return bool(disk.f_files) and not disk.f_favail  # some file systems make inodes as they go, and say 0


def _free_bytes(data: Path) -> int | None:
    try:
        disk = os.statvfs(data)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize


def print_status(folder: SiteFolder, found: Status) -> None:
    """Print the status for people."""
    console = show.terminal()
    width = console.width
    if found["trouble"]:
        console.print(Text(found["trouble"], style="bold red"))
    table: RenderableType = Text("not known", style="bold red")
    if found["open_alarms"] is not None:
        alarms = alarm_list(folder, everything=False)
        table = show.alarms_table(alarms, folder.file.site.zone, now_ms=SteadyClock().now_ms(), width=width)
    pipeline = show.pipeline_lines(found)
    if "accounting" in found:
        refused = show.refused_line(found["accounting"])
        lines = show.accounting_line(found["accounting"]), refused, show.cost_line(found)
        pipeline[:0] = [line for line in lines if line is not None]
    tenants = found.get("tenants", [])
    console.print(
        show.section(
            "tenants", show.tenants_table(tenants, width), *show.doubt_lines(tenants), is_roomy=False
        )
    )
    console.print(show.section("open alarms", table, is_roomy=False))
    console.print(show.section("pipeline", *pipeline, is_roomy=False))


def why_down(folder: SiteFolder) -> str:
    """Return why what is shown may not be of now, "" while the monitor runs and says how it does."""
    try:
        return str(status_document(folder)["trouble"])
    except NeverRan as error:
        return str(error)


def _ago(seconds: float) -> str:
    for size, word in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {word}"
    return f"{seconds:.0f} s"


# Alarms -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmsAsked:
    """Which alarms are asked for, as it was written.

    Attributes:
        rules: Names of rules; empty for all.
        subject: Pattern of subjects; "" for all but the canary.
        severities: Severities; empty for all.
        last: How lately they opened; None for whenever.
    """

    rules: Sequence[str] = ()
    subject: str = ""
    severities: Sequence[str] = ()
    last: str | None = None

    def of(self, alarms: Iterable[Alarm]) -> list[Alarm]:
        """Return those of some alarms that are asked for, whenever they opened.

        Raises:
            WrongUsage: Where the pattern cannot be read.
        """
        for name in self.rules:
            rule_named(name)
        for word in self.severities:
            if word not in SEVERITIES:
                raise WrongUsage(f"expected one of {', '.join(SEVERITIES)}, found '{word}'")
        try:
            return [alarm for alarm in alarms if self._takes(alarm)]
        except PatternError as error:
            raise WrongUsage(str(error)) from error

    def _takes(self, alarm: Alarm) -> bool:
        return (
            (not self.rules or is_of_any(alarm.rule, self.rules))
            and (not self.severities or alarm.severity in self.severities)
            and (any_matches((self.subject,), (alarm.subject,)) if self.subject else alarm.subject != CANARY)
        )


ALL_ALARMS = AlarmsAsked()


def alarm_list(folder: SiteFolder, asked: AlarmsAsked = ALL_ALARMS, *, everything: bool) -> list[Alarm]:
    """Return the alarms that are open, or all, of those that are asked for.

    Raises:
        NeverRan: Where no monitor ever did anything.
        WrongUsage: Where a pattern or a duration is none.
    """
    since_ms = 0 if asked.last is None else SteadyClock().now_ms() - query.span_ms(asked.last)
    with open_ledger(folder) as ledger:
        found = ledger.alarms(only_open=not everything, since_ms=since_ms)
    return [alarm for alarm in asked.of(found) if alarm.opened_ms >= since_ms]


def alarm_stats(folder: SiteFolder, asked: AlarmsAsked) -> AlarmStats:
    """Return how many alarms there were, of those that are asked for, over a span that is asked for.

    Raises:
        NeverRan: Where no monitor ever did anything.
        WrongUsage: Where a pattern or a duration is none.
    """
    to_ms = SteadyClock().now_ms()
    from_ms = to_ms - query.span_ms(asked.last or STATS_LAST)
    with open_ledger(folder) as ledger:
        damped = ledger.opened_for(DAMPED, from_ms, to_ms)
        return statistics_of(asked.of(ledger.alarms(since_ms=from_ms)), from_ms, to_ms, damped)


def print_alarms(folder: SiteFolder, alarms: list[Alarm], *, everything: bool) -> None:
    """Print alarms for people; those that are held back are counted, unless everything is asked for."""
    console = show.terminal()
    zone, now_ms = folder.file.site.zone, SteadyClock().now_ms()
    console.print(show.alarms_table(alarms, zone, now_ms=now_ms, width=console.width, folds=not everything))


def acknowledge(folder: SiteFolder, beginning: str, by: str) -> Alarm:
    """Take an alarm in hand.

    Args:
        folder: The site's files.
        beginning: First characters of the alarm's id.
        by: Who takes it.

    Returns:
        The alarm afterwards; unchanged where it was acknowledged before, or is over and was never told.

    Raises:
        NeverRan: Where no monitor ever did anything.
        MegawatchError: Where that is not one alarm.
        WrongUsage: Where people were told of it, and it is over.
    """
    with open_ledger(folder) as reader:
        alarm = one_alarm(reader.alarm(beginning), beginning)
    if not alarm.is_open and not alarm.is_told:
        return alarm
    if not alarm.is_open:
        raise WrongUsage(f"expected an alarm that stands or waits for it, found {alarm.id}, which is over")
    with closing(Ledger(folder.data)) as ledger:
        return ledger.acknowledge(alarm, by=by, at_ms=SteadyClock().now_ms())


def rule_named(name: str) -> type[Rule]:
    """Return the rule of a name, such as C2 or C2-cannot-verify.

    Raises:
        WrongUsage: Where there is none.
    """
    rule = RULE_BY_NAME.get(rule_of(name))
    if rule is None:
        hint = nearest(name, RULE_BY_NAME)
        raise WrongUsage(f"expected the name of a rule, found '{name}'" + (hint and f" ({hint})"))
    return rule


def one_alarm(found: Sequence[Alarm], beginning: str) -> Alarm:
    """Return the one alarm whose id begins so.

    Args:
        found: The alarms whose ids do.
        beginning: First characters of the id.

    Raises:
        MegawatchError: Where that is not one alarm.
    """
    if len(found) != 1 or not beginning:
        count = f"{len(found)} alarms" if found else "no alarm"
        hint = "" if found else f" (pages of {RULE}, about Megawatch itself, end by themselves: see status)"
        raise MegawatchError(
            f"expected the beginning of one alarm's id, found {count} for '{beginning}'{hint}"
        )
    return found[0]


def alarm_document(alarm: Alarm) -> AlarmNow:
    """Return an alarm as a document."""
    return {
        "id": alarm.id,
        "rule": alarm.rule,
        "title": alarm.title,
        "subject": alarm.subject,
        "severity": alarm.severity,
        "unit": alarm.unit,
        "value": alarm.value,
        "limit": alarm.limit,
        "peak": alarm.peak,
        "is_told": alarm.is_told,
        "needs_acknowledgement": alarm.needs_acknowledgement,
        "acknowledged_by": alarm.acknowledged_by,
        "suppression": alarm.suppression_id,
        "since": to_iso(alarm.since_ms),
        "opened": to_iso(alarm.opened_ms),
        "returned": None if alarm.returned_ms is None else to_iso(alarm.returned_ms),
        "acknowledged": None if alarm.acknowledged_ms is None else to_iso(alarm.acknowledged_ms),
        "state": alarm.state,
    }


# A series ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question for a series, as it was written.

    Attributes:
        subject: A tenant, an asset, or the key of a point.
        what: Figure of a tenant, or quantity of an asset; "" for the usual one.
        last: How far back.
        since: Start, instead of how far back.
        until: End; None for now.
        step: Over what to take means; None for every value.
    """

    subject: str
    what: str
    last: str
    since: str | None
    until: str | None
    step: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A series and the span that it was asked for [ms]."""

    series: Series
    from_ms: int
    to_ms: int

    def document(self) -> SeriesAsked:
        """Return it as a document."""
        return {
            "series": self.series.name,
            "unit": self.series.unit,
            "from": to_iso(self.from_ms),
            "to": to_iso(self.to_ms),
            "values": query.as_rows(self.series),
        }


def series(folder: SiteFolder, asked: Asked) -> Answer:
    """Return what was asked for.

    Raises:
        NeverRan: Where no monitor ever did anything.
        NotFound: Where nothing of that name is known.
        WrongUsage: Where a time or a duration is none.
    """
    if not (folder.data / JOURNAL_FILE).exists():
        raise NeverRan(folder)
    site = folder.file.site
    to_ms = SteadyClock().now_ms() + 1 if asked.until is None else query.moment_ms(asked.until, site.zone)
    if asked.since is None:
        from_ms = to_ms - query.span_ms(asked.last)
    else:
        from_ms = query.moment_ms(asked.since, site.zone)
    if from_ms >= to_ms:
        raise WrongUsage(f"expected a start before the end, found {to_iso(from_ms)} to {to_iso(to_ms)}")
    step_ms = None if asked.step is None else query.span_ms(asked.step)
    with closing(JournalReader(folder.data)) as journal:
        points = [known.point for known in journal.known().values()]
    question = query.Question(asked.subject, asked.what, from_ms, to_ms, step_ms)
    with closing(history_of(folder.file.store).history(folder.place)) as history:
        return Answer(query.answer(question, site, points, history), from_ms, to_ms)


def print_series(folder: SiteFolder, answer: Answer, *, as_csv: bool) -> None:
    """Print a series for people, or as CSV."""
    found, zone = answer.series, folder.file.site.zone
    if as_csv:
        sys.stdout.write(query.as_csv(found))
        return
    if found.time_ms.size:
        show.terminal().print(query.as_table(found, zone))
    else:
        show.terminal().print(
            f"nothing of {found.name} from {query.local_time(answer.from_ms, zone)}"
            f" to {query.local_time(answer.to_ms, zone)}"
        )
