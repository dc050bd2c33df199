"""What the monitor tells of itself when it can not do its work: from memory, past the journal and the ledger.

A disk that is full or broken takes no alarm either, so this must not need one. It is told as rule Q9 on the
routes that take it, tried until each has accepted it, and once more when it is over. A restart during an
episode tells it as a new one: nothing could be written down.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from facility.instants import Clock
from rules.alarms.states import Change, alarm_id
from rules.base import Desk, Severity
from rules.notify.base import Notifier
from rules.notify.memory import MemoryPages
from rules.notify.message import notices_of
from rules.notify.notification import Notification, message_key
from rules.notify.outbox import Outbox
from rules.notify.routing import Route, routes_of
from rules.notify.wording import worded_plainly
from rules.subject import Subject, SubjectKind

if TYPE_CHECKING:
    from megawatch.run.monitor import Parts

RULE: Final = "Q9"
TITLE: Final = "the monitor can not store"
LOOK_AT: Final = (
    "Free space on the monitor's disk, or replace it. Nothing is acknowledged to the brokers until then; what"
    " they can not hold is lost, and no tenant is known to comply."
)
HISTORY_TITLE: Final = "the database refuses what is written"
LOOK_AT_HISTORY: Final = (
    "Check the database's token, its bucket and its disk. Nothing is lost: the journal holds the readings"
    " until the database takes them, and alarms do not wait for it."
)
SNAPSHOT_TITLE: Final = "the state of judging is not saved"
LOOK_AT_SNAPSHOT: Final = (
    "Free space or inodes on the monitor's disk. Judging goes on, and nothing is lost; but the journal keeps"
    " all that was judged since, and the next start judges it once more."
)
RULE_TITLE: Final = "a rule fails, and judges nothing"
LOOK_AT_RULE: Final = (
    "Report the error to whoever maintains the rule; `enabled = false` in the site file switches it off. Its"
    " alarms stay as they are, and what it watches is not known. Every other rule goes on."
)
BUS_TITLE: Final = "what is said on the bus is in doubt"
LOOK_AT_BUS: Final = (
    "Ask who publishes that, and whether the building system was changed. Name a publisher that is right"
    " under `publishers` in the site file. What is in doubt counts as unknown: nobody complies by it."
)
BROKER_TITLE: Final = "a broker does not let us in, or throws us out"
LOOK_AT_BROKER: Final = (
    "Check address, password, certificate and client id of the broker in the site file, and the broker's log."
    " The monitor goes on trying; what it does not hear is unknown, and nobody complies by it."
)
JUDGING_TITLE: Final = "nothing is judged"
LOOK_AT_JUDGING: Final = (
    "Report the error with the monitor's log. Readings are stored and judged once it is mended; until then no"
    " tenant is known to comply."
)
ROUTE_TITLE: Final = "a receiver does not accept pages"
LOOK_AT_ROUTE: Final = (
    "Check the route's address, its password and its proxy in the site file, and the receiver itself. Pages"
    " wait for it and are tried again; `megawatch status` says how many."
)
AWAY_MS: Final = 60_000
"""How long a receiver may be away before that is told elsewhere (our choice)."""
PART_TITLE: Final = "a part of the monitor fails or hangs"
LOOK_AT_PART: Final = (
    "Report the error with the monitor's log. It is begun again by itself, every other part goes on, and what"
    " this one has not done yet is done once it runs. Where one hangs in the disk, see to the disk; else"
    " restart the monitor. Until a collector runs, what its broker says is unknown."
)
START_TITLE: Final = "the monitor can not start"
LOOK_AT_START: Final = (
    "Mend what the cause names: the disk, the rights of the data folder, or a file of another version. It is"
    " tried again every few seconds. Until then nothing is received, and no tenant is known to comply."
)
DAMAGED_TITLE: Final = "files were damaged and put aside"
LOOK_AT_DAMAGED: Final = (
    "Check the disk. What could be read was kept, and everything goes on; what is missing is in doubt until"
    " it is heard again. Copy the files if they matter, then remove them: that ends this."
)
ON_DELAY_MS: Final = 10_000
"""How long a disk must refuse before somebody is told: trimming may make room by itself (our choice)."""
OFF_DELAY_MS: Final = 10_000
"""How long it must take everything again before that is told (our choice)."""
CHECK_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong with the monitor.

    Attributes:
        subject: With what part of it.
        cause: What was said.
        title: What it is, in a few words that stand in a page.
        look_at: What to look at first.
        avoids: The route on which it can not be told, "" for none.
        severity: How bad it is.
    """

    subject: str
    cause: str
    title: str = TITLE
    look_at: str = LOOK_AT
    avoids: str = ""
    severity: Severity = Severity.CRITICAL


@dataclass(slots=True)
class _Episode:
    """A problem, as long as it lasts.

    Attributes:
        problem: As it was seen last.
        since_ms: Since when [ms].
        seen_ms: When it was last seen [ms].
        alarm: Its identity, "" until it is told.
    """

    problem: Problem
    since_ms: int
    seen_ms: int
    alarm: str = ""


@dataclass(slots=True)
class Distress:
    """Tells what is wrong with the monitor itself.

    Attributes:
        site: The site's name.
        problems: Gives what is wrong now; empty while all is well.
        notifiers: The notifier of each route, by the route's name.
        routes: Which notifications go where.
        clock: The clock.
        random_source: Where the jitter of pauses comes from.
        pages: What no receiver has accepted yet.
        outbox: Delivers it; each of its receivers runs by itself.
        rounds: How often it was looked: grows while this part goes on.
    """

    site: str
    problems: Callable[[], Sequence[Problem]]
    notifiers: Mapping[str, Notifier]
    routes: Sequence[Route]
    clock: Clock
    random_source: random.Random
    pages: MemoryPages = field(init=False, default_factory=MemoryPages)
    outbox: Outbox = field(init=False)
    rounds: int = field(init=False, default=0)
    _episodes: dict[str, _Episode] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Make what delivers."""
        self.outbox = Outbox(
            self.pages, self.notifiers, now_ms=self.clock.now_ms, random_source=self.random_source
        )

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.rounds += 1
            self.look(self.clock.now_ms())
            await asyncio.sleep(CHECK_S)

    def look(self, now_ms: int) -> None:
        """Look once, and let wait what is to be told.

        Args:
            now_ms: The time [ms].
        """
        for problem in self.problems():
            episode = self._episodes.setdefault(problem.subject, _Episode(problem, now_ms, now_ms))
            episode.seen_ms, episode.problem = now_ms, problem
            if not episode.alarm and now_ms - episode.since_ms >= ON_DELAY_MS:
                episode.alarm = alarm_id(RULE, problem.subject, now_ms)
                self._tell(episode, Change.OPENED, now_ms)
        for subject, episode in list(self._episodes.items()):
            if now_ms - episode.seen_ms < (OFF_DELAY_MS if episode.alarm else 1):
                continue
            del self._episodes[subject]
            if episode.alarm:
                self._tell(episode, Change.RETURNED, now_ms)

    def _tell(self, episode: _Episode, change: Change, now_ms: int) -> None:
        told = self._compose(episode, change, now_ms)
        self.pages.put(notices_of(told, self._routes(told, episode.problem.avoids), now_ms))
        self.outbox.wake()

    def _routes(self, told: Notification, avoids: str) -> list[str]:
        """Return where something is told: where it is taken, else anywhere but on the route to avoid."""
        taking = [route for route in routes_of(told, self.routes) if route != avoids]
        return taking if taking or not avoids else [route for route in self.notifiers if route != avoids]

    def _compose(self, episode: _Episode, change: Change, now_ms: int) -> Notification:
        problem = episode.problem
        told = Notification(
            key=message_key(episode.alarm, change, problem.severity),
            alarm=episode.alarm,
            site=self.site,
            rule=RULE,
            title=problem.title,
            change=change,
            severity=problem.severity,
            desks=(Desk.PAGE, Desk.DATA),
            subject=Subject(SubjectKind.OTHER, problem.subject),
            subject_name=problem.subject,
            at_ms=now_ms,
            since_ms=episode.since_ms,
            opened_ms=episode.since_ms,
            look_at=problem.look_at,
        )
        return worded_plainly(told, problem.cause)


def problems_of(parts: Parts) -> list[Problem]:
    """Return what is wrong with the parts of a monitor now."""
    found = [
        Problem("journal", source.counters.store_error)
        for source in parts.sources
        if source.counters.store_error
    ][:1]
    if parts.rules is not None:
        lag = parts.rules.lag
        if lag.store_error:
            found.append(Problem("ledger", lag.store_error))
        if lag.snapshot_error:
            found.append(
                Problem(
                    "snapshot",
                    lag.snapshot_error,
                    SNAPSHOT_TITLE,
                    LOOK_AT_SNAPSHOT,
                    severity=Severity.HIGH,
                )
            )
        if lag.error:
            found.append(Problem("rules", lag.error, JUDGING_TITLE, LOOK_AT_JUDGING))
        found += [
            Problem(f"rule {name}", error, RULE_TITLE, LOOK_AT_RULE) for name, error in lag.failing.items()
        ]
    found += [
        Problem(part, trouble, PART_TITLE, LOOK_AT_PART) for part, trouble in parts.supervisor.failing.items()
    ]
    found += _damaged(parts)
    if parts.outbox is not None:
        found += _unheard(parts.outbox, parts.clock.now_ms())
    for source in parts.sources:
        trouble = source.health.trouble
        if trouble:
            subject = f"broker {source.name}"
            found.append(Problem(subject, trouble, BROKER_TITLE, LOOK_AT_BROKER, severity=Severity.HIGH))
        found += problems_of_bus(source.name, source.problems(parts.clock.now_ms()))
    shipping = None if parts.shipper is None else parts.shipper.trouble
    if shipping is not None and shipping.needs_somebody:
        found.append(Problem("history", shipping.text, HISTORY_TITLE, LOOK_AT_HISTORY))
    return found


def _damaged(parts: Parts) -> Iterable[Problem]:
    """Yield what was found damaged on our own disk."""
    aside = parts.damaged_files
    if aside:
        cause = f"{len(aside)} in {aside[0].parent}: {', '.join(path.name for path in aside[:3])}"
        yield Problem("damaged files", cause, DAMAGED_TITLE, LOOK_AT_DAMAGED, severity=Severity.HIGH)
    damaged = {} if parts.journal is None else parts.journal.damaged
    if damaged:
        cause = f"{len(damaged)} entries of the journal, such as {next(iter(damaged.items()))}"
        yield Problem("damaged entries", cause, DAMAGED_TITLE, LOOK_AT_DAMAGED, severity=Severity.HIGH)


def _unheard(outbox: Outbox, now_ms: int) -> Iterable[Problem]:
    """Yield the receivers that accept nothing, where that does not pass by itself or has lasted."""
    for route, failing in outbox.failing.items():
        if failing.needs_somebody or now_ms - failing.since_ms >= AWAY_MS:
            cause = f"{failing.cause}; waits there: {failing.headline}"
            subject = f"pages to {outbox.receivers[route].label}"
            yield Problem(subject, cause, ROUTE_TITLE, LOOK_AT_ROUTE, avoids=route)


def problems_of_bus(name: str, causes: Mapping[str, str]) -> list[Problem]:
    """Return what is wrong with what is said on a bus.

    Args:
        name: What the bus is called.
        causes: What is wrong: a cause by what it is wrong with.
    """
    return [
        Problem(f"{what} of {name}", cause, BUS_TITLE, LOOK_AT_BUS, severity=Severity.HIGH)
        for what, cause in causes.items()
    ]
