"""The monitor: every part built and put together, and run as one process or as one part of it."""

from __future__ import annotations

import asyncio
import gc
import math
import random
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog
from rich.console import Console

from collector.source import Source
from facility.errors import StoreError, StoreUnavailable
from facility.instants import DAY_MS, HOUR_MS
from facility.invariants import present
from facility.sitefile.tables import StoreTable
from megawatch.cli.terminal import Terminal
from megawatch.composition import Composition
from megawatch.run.clock import SteadyClock
from megawatch.run.metrics import MetricsServer
from megawatch.run.part import ALL_PARTS, Part, metrics_port
from megawatch.run.parts import Parts
from megawatch.run.process import end, give_back_pages
from megawatch.run.self_monitoring import LOOK_AT_START, START_TITLE, Distress, Problem, given
from megawatch.run.servicemanager import show_life
from megawatch.run.source import SourcePart
from megawatch.run.status import StatusWriter
from megawatch.run.supervisor import Every, State, Supervisor
from megawatch.site.folder import SiteFolder
from rules.engine.service import RulesService
from rules.notify.reminding import REMIND_S
from store.histories import HISTORIES, history_name
from store.history.integrity import damaged_files
from store.journal.journal import Journal
from store.ledger.ledger import Ledger
from store.threads import in_thread

TRIM_S: Final = 60.0
"""How often what is needed no more is dropped from journal and ledger, and free memory is given back."""
START_PAUSE_S: Final = 5.0
"""How long to wait before a start that the disk did not allow is tried again (our choice)."""
STATUS_S: Final = 1.0
"""How often the status is written."""
DAMAGE_S: Final = 5.0
"""How often it is looked for files that were put aside (our choice)."""
WAIT_S: Final = 0.02
"""How often rules look whether they may begin."""
RULES_BOUND_S: Final = 120.0
"""Rules without an entry or a tick for so long hang (our choice)."""
WRITING_BOUND_S: Final = 600.0
"""A writer that has made nothing for so long hangs: an hour is merged at once (our choice)."""
RULES: Final = "rules"

_log = structlog.get_logger(__name__)


class Monitor:
    """The monitor of one site.

    Args:
        site: The site's files.
        parts: Which parts run in this process.
        console: Where the console notifier prints.
        random_source: Where the jitter of pauses comes from.
    """

    def __init__(
        self,
        site: SiteFolder,
        *,
        parts: frozenset[Part] = ALL_PARTS,
        console: Console | None = None,
        random_source: random.Random | None = None,
    ) -> None:
        self.site = site
        self._wanted = parts
        self._random = random_source or random.Random()  # noqa: S311 - jitter, not a secret
        self._root = Composition(site, parts, console or Terminal(stderr=True), self._random)
        self._built: Parts | None = None
        self._status: StatusWriter | None = None
        self.started = asyncio.Event()

    async def run(self) -> None:
        """Run until cancelled.

        Raises:
            MegawatchError: Where it cannot go on.
        """
        async with AsyncExitStack() as stack:
            parts = self._built = await self._build_when_possible(stack)
            status = self._status = StatusWriter(self.site, parts)
            stack.callback(status.end)
            if parts.rules is not None:
                parts.rules.start()
            gc.freeze()  # what a start made stays: it need not be looked through for garbage again and again
            try:
                self._supervise(parts, status)
                self.started.set()
                await parts.supervisor.run()
            finally:
                gc.unfreeze()  # what ends is let go of
                if parts.rules is not None and parts.rules.lag.tick_ms:
                    with suppress(StoreUnavailable):
                        parts.rules.save_snapshot()

    def _supervise(self, parts: Parts, status: StatusWriter) -> None:
        """Put each part under supervision, with the time in which it makes progress for certain."""
        add = parts.supervisor.add
        for place, make in enumerate(parts.makes):
            source = SourcePart(parts.sources, place, make)
            add(source.name, source, failed=source.failed)
        if parts.rules is not None:
            add(RULES, _Rules(parts.rules, parts.sources), bound_s=RULES_BOUND_S)
        self._supervise_pages(parts)
        if parts.distress is not None:
            _supervise_telling(parts.supervisor, parts.distress)
            look = partial(self._look_for_damage, parts)
            add("search for damaged files", Every(period_s=DAMAGE_S, work=look))
        if parts.shipper is not None:
            add("history writer", parts.shipper, bound_s=WRITING_BOUND_S)
        if parts.journal is not None:
            work = partial(self._trim, parts.journal, parts.ledger)
            add("trim", Every(period_s=TRIM_S, work=work), bound_s=WRITING_BOUND_S)
        add("memory", Every(period_s=TRIM_S, work=partial(in_thread, give_back_pages)))
        add("status", Every(period_s=STATUS_S, work=status.write))
        add("count of notifications", Every(period_s=STATUS_S, work=status.count))
        if self.site.file.metrics.port:
            port = metrics_port(self.site.file.metrics.port, self._wanted)
            add("metrics", MetricsServer(port, status.metrics))
        add("service manager", _Life(self._is_well), bound_s=math.inf)

    def _supervise_pages(self, parts: Parts) -> None:
        """Supervise what tells of alarms, where it runs here."""
        add = parts.supervisor.add
        if parts.outbox is not None:
            for receiver in parts.outbox.receivers.values():
                add(f"receiver {receiver.label}", receiver)
        for reminder in parts.reminders:
            add(f"reminder {reminder.label}", Every(period_s=REMIND_S, work=reminder.remind))
        if parts.heartbeat is not None:
            every_s = float(self.site.file.heartbeat.every_s)
            add("heartbeat", Every(period_s=every_s, work=parts.heartbeat.beat))
        if parts.canary is not None:
            add("canary", parts.canary)
        if parts.acknowledgements is not None:
            add("acknowledgements", parts.acknowledgements)

    @property
    def built(self) -> Parts:
        """What runs; there once `started` is set."""
        return present(self._built, "a monitor that is built")

    @property
    def status(self) -> StatusWriter:
        """What it is doing; there once `started` is set."""
        return present(self._status, "a monitor that is built")

    def _is_well(self) -> bool:
        """Tell whether judging, where it runs here, does not hang in a way that only a restart ends."""
        rules = self.built.supervisor.parts.get(RULES)
        return rules is None or rules.state is not State.HANGING

    async def forget_sessions(self) -> None:
        """Let every broker forget us; to be called when the monitor runs no more."""
        for source in self.built.sources:
            await source.forget()

    # Building -------------------------------------------------------------------------

    async def _build_when_possible(self, stack: AsyncExitStack) -> Parts:
        """Build everything; where the disk or a file does not let us, tell that, and try until it does."""
        teller: Distress | None = None
        while True:
            async with AsyncExitStack() as attempt:
                try:
                    parts = self._root.build(attempt, health=lambda: self.status.health())  # noqa: PLW0108 - none yet
                except (StoreError, OSError) as error:
                    if Part.NOTIFIER not in self._wanted:
                        raise
                    if teller is None:
                        _log.error("cannot start; tried again until it can", error=str(error))
                        teller = self._begin_telling(stack)
                    problem = Problem("start", str(error), START_TITLE, LOOK_AT_START, silences_all=True)
                    teller.problems = partial(given, problem)
                else:
                    if teller is not None:
                        teller.problems = given
                    stack.push_async_exit(attempt.pop_all())
                    return parts
            await asyncio.sleep(START_PAUSE_S)

    def _begin_telling(self, stack: AsyncExitStack) -> Distress:
        """Tell from memory what keeps us from starting, and later that it is over."""
        clock = SteadyClock()
        teller = self._root.distress(self._root.notifiers(stack, clock), clock)
        supervisor = Supervisor(clock, self._random)
        _supervise_telling(supervisor, teller)
        running = asyncio.create_task(supervisor.run(), name="start")
        stack.push_async_callback(end, running)
        return teller

    async def _trim(self, journal: Journal, ledger: Ledger) -> None:
        try:
            await in_thread(trim, self.site.file.store, journal, ledger)
        except StoreUnavailable as error:
            _log.warning("not trimmed", error=str(error))

    @staticmethod
    async def _look_for_damage(parts: Parts) -> None:
        parts.damaged_files = await in_thread(damaged_files, parts.ledger.path.parent)
        if parts.outbox is not None:
            named = list(parts.outbox.receivers)
            parts.told_elsewhere = await in_thread(parts.ledger.told_elsewhere, named)


@dataclass(slots=True)
class _Rules:
    """Judging, but no tick before the journal says since when each collector was away.

    Attributes:
        service: Judges.
        sources: What readings come from.
        waits: How often it was looked whether it may begin.
    """

    service: RulesService
    sources: Sequence[Source]
    waits: int = 0

    @property
    def rounds(self) -> object:
        """What changes while it goes on."""
        return self.waits, self.service.rounds

    async def run(self) -> None:
        """Wait, then judge until cancelled."""
        while not all(source.announced.is_set() for source in self.sources):
            self.waits += 1
            await asyncio.sleep(WAIT_S)
        await self.service.run()


@dataclass(slots=True)
class _Life:
    """Signs of life for the service manager.

    Attributes:
        is_well: Whether what has to go on does.
        rounds: It makes no progress that is watched.
    """

    is_well: Callable[[], bool]
    rounds: int = 0

    async def run(self) -> None:
        """Give them until cancelled."""
        await show_life(self.is_well)


def _supervise_telling(supervisor: Supervisor, distress: Distress) -> None:
    """Put telling of the monitor itself under supervision."""
    supervisor.add("self-monitoring", distress)
    for receiver in distress.outbox.receivers.values():
        supervisor.add(f"receiver {receiver.label}, of self-monitoring", receiver)


def trim(store: StoreTable, journal: Journal, ledger: Ledger) -> None:
    """Drop what is older than the site file wants it kept.

    Args:
        store: What the site file says of keeping.
        journal: The journal, as its writer.
        ledger: The ledger. What the journal may bring again is kept in it, so that nothing is paged twice.

    Raises:
        StoreUnavailable: Where the disk did not take it.
    """
    now_ms = journal.head_stamp_ms
    journal.trim(
        now_ms - round(store.journal_hours * HOUR_MS),
        round(store.journal_gb * 1e9),
        unused=HISTORIES.keys() - {history_name(store)},
    )
    ledger.trim(min(now_ms - round(store.alarm_days * DAY_MS), journal.tail_stamp_ms()))
