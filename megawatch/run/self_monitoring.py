"""What the monitor tells of itself when it cannot do its work: from memory, past the journal and the ledger.

A disk that is full or broken takes no alarm either, so this must not need one. It is told as rule Q9 on the
routes that take it, tried until each has accepted it, and once more when it is over. A restart during an
episode tells it as a new one: nothing could be written down.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from facility.instants import Clock
from rules.alarms.states import Change, alarm_id
from rules.base import Desk, Severity
from rules.notify.base import Notifier
from rules.notify.discretion import UNSAID_CAUSE, readers_of
from rules.notify.memory import MemoryPages
from rules.notify.message import notices_of
from rules.notify.notification import Notification, message_key
from rules.notify.outbox import Outbox, ask_at_once
from rules.notify.routing import Route, routes_of
from rules.notify.wording import worded_plainly
from rules.subject import Subject, SubjectKind

RULE: Final = "Q9"
TITLE: Final = "the monitor cannot store"
LOOK_AT: Final = (
    "Free space on the monitor's disk, or replace it. Nothing is acknowledged to the brokers until then; what"
    " they cannot hold is lost, and no tenant is known to comply."
)
START_TITLE: Final = "the monitor cannot start"
LOOK_AT_START: Final = (
    "Mend what the cause names: the disk, the rights of the data folder, or a file of another version. It is"
    " tried again every few seconds. Until then nothing is received, and no tenant is known to comply."
)
ON_DELAY_MS: Final = 10_000
"""How long a disk must refuse before that is told: trimming may make room by itself (our choice)."""
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
        avoids: The route on which it cannot be told, "" for none.
        severity: How bad it is.
        silences_all: Whether no tenant's alarms may be told because of it.
    """

    subject: str
    cause: str
    title: str = TITLE
    look_at: str = LOOK_AT
    avoids: str = ""
    severity: Severity = Severity.CRITICAL
    silences_all: bool = False


def given(*problems: Problem) -> Sequence[Problem]:
    """Return problems that are known already; none where none are given."""
    return problems


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
        site: Name of the site.
        problems: Gives what is wrong now; empty while all is well.
        notifiers: The notifier of each route, by the route's name.
        routes: Which notifications go where.
        clock: Gives wall time [ms] and monotonic time [s].
        random_source: Where the jitter of pauses comes from.
        runbook: Where its runbook is; "" where there is none.
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
    runbook: str = ""
    pages: MemoryPages = field(init=False, default_factory=MemoryPages)
    outbox: Outbox = field(init=False)
    rounds: int = field(init=False, default=0)
    _episodes: dict[str, _Episode] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Make what delivers."""
        self.outbox = Outbox(
            self.pages,
            self.notifiers,
            now_ms=self.clock.now_ms,
            random_source=self.random_source,
            ask=ask_at_once,
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
        for episode in self._episodes.values():  # our clock may have been set back
            episode.since_ms, episode.seen_ms = min(episode.since_ms, now_ms), min(episode.seen_ms, now_ms)
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
        for route in self._routes(told, episode.problem.avoids):
            # What is said of an error may name other tenants than those who read there, and where things are.
            is_whole = readers_of(route, self.routes) is None
            worded = worded_plainly(told, episode.problem.cause if is_whole else UNSAID_CAUSE)
            self.pages.put(notices_of(worded, [route], now_ms))
        self.outbox.wake()

    def _routes(self, told: Notification, avoids: str) -> list[str]:
        """Return where something is told: where it is taken, else anywhere but on the route to avoid."""
        # What the monitor tells of itself waits for no hours.
        names = dict.fromkeys(r.name for r in routes_of(told, self.routes) if not r.unacknowledged_ms)
        taking = [name for name in names if name != avoids]
        return taking if taking or not avoids else [route for route in self.notifiers if route != avoids]

    def _compose(self, episode: _Episode, change: Change, now_ms: int) -> Notification:
        """Return what is told of a problem, without its headline and its text."""
        problem = episode.problem
        return Notification(
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
            runbook=self.runbook,
            silences_all=problem.silences_all,
        )
