"""The monitor: every part built and put together, and run as one process or as one part of it."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import structlog
from rich.console import Console

from collector.continuity.keeping import Keeping
from collector.decode.base import Context
from collector.decode.registry import Kept, make_decoder, patience_s, topics_of
from collector.influx_poller import make_poller, query_of
from collector.mqtt.address import Address
from collector.mqtt.session import Session
from collector.service import Collector
from collector.source import Source
from facility.errors import StoreError, StoreUnavailable
from facility.instants import DAY_MS, HOUR_MS
from facility.sitefile.tables import BrokerTable, FeedTable, StoreTable
from megawatch.cli.terminal import Terminal
from megawatch.composition import make_context, make_judging, make_rules_service
from megawatch.run.clock import SteadyClock
from megawatch.run.lock import locked
from megawatch.run.metrics import MetricsServer
from megawatch.run.part import ALL_PARTS, Part
from megawatch.run.process import end
from megawatch.run.self_monitoring import LOOK_AT_START, START_TITLE, Distress, Problem, problems_of
from megawatch.run.servicemanager import show_life
from megawatch.run.source import SourcePart
from megawatch.run.status import StatusWriter, read_status
from megawatch.run.supervisor import Every, State, Supervisor
from megawatch.site.folder import SiteFolder
from megawatch.site.installation import client_id_of
from rules.engine import snapshot
from rules.engine.service import RulesService
from rules.notify.base import Notifier
from rules.notify.outbox import Outbox
from rules.notify.registry import Surroundings, make_notifiers, make_routes
from store.histories import HISTORIES, history_name, history_of
from store.history.integrity import damaged_files
from store.journal.file import FILE as JOURNAL_FILE
from store.journal.follower import JournalFollower
from store.journal.journal import Journal
from store.ledger.ledger import Ledger
from store.shipping import Shipper
from store.threads import in_thread

TRIM_S: Final = 60.0
"""How often what nobody needs any more is dropped from journal and ledger."""
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


def _known(*problems: Problem) -> Sequence[Problem]:
    return problems


@dataclass(slots=True)
class Parts:
    """What runs.

    Attributes:
        clock: The clock.
        sources: Each broker, or the database that is read.
        journal: The journal, where this process writes it.
        ledger: The ledger.
        rules: Judging, where it runs here.
        outbox: Telling, where it runs here.
        distress: Telling of our own stores, where the outbox runs here.
        shipper: Writing to the history or a database, where it runs here.
        supervisor: Keeps the parts running, each by itself.
        makes: What makes each source anew.
        damaged_files: What was damaged and put aside, as it was looked for last.
    """

    clock: SteadyClock
    ledger: Ledger
    supervisor: Supervisor
    sources: list[Source] = field(default_factory=list)
    journal: Journal | None = None
    rules: RulesService | None = None
    outbox: Outbox | None = None
    distress: Distress | None = None
    shipper: Shipper | None = None
    makes: list[Callable[[], Source]] = field(default_factory=list)
    damaged_files: Sequence[Path] = ()

    def add(self, make: Callable[[], Source]) -> None:
        """Add a source of readings.

        Args:
            make: Makes it, now and whenever it failed.
        """
        self.makes.append(make)
        self.sources.append(make())


class Monitor:
    """The monitor of one site.

    Args:
        site: The site.
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
        self._console = console or Terminal(stderr=True)
        self._random = random_source or random.Random()  # noqa: S311 - jitter, not a secret
        self._built: Parts | None = None
        self._status: StatusWriter | None = None
        self._client_id = f"megawatch-{site.file.site.name}"  # until it collects
        self.started = asyncio.Event()

    async def run(self) -> None:
        """Run until cancelled.

        Raises:
            MegawatchError: Where it can not go on.
        """
        async with AsyncExitStack() as stack:
            parts = self._built = await self._build_when_possible(stack)
            status = self._status = StatusWriter(self.site, parts)
            stack.callback(status.end)
            if parts.rules is not None:
                parts.rules.start()
            try:
                self._supervise(parts, status)
                self.started.set()
                await parts.supervisor.run()
            finally:
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
        if parts.outbox is not None:
            for receiver in parts.outbox.receivers.values():
                add(f"receiver {receiver.label}", receiver)
        if parts.distress is not None:
            _supervise_telling(parts.supervisor, parts.distress)
            look = partial(self._look_for_damage, parts)
            add("search for damaged files", Every(period_s=DAMAGE_S, work=look))
        if parts.shipper is not None:
            add("history writer", parts.shipper, bound_s=WRITING_BOUND_S)
        if parts.journal is not None:
            work = partial(self._trim, parts.journal, parts.ledger)
            add("trim", Every(period_s=TRIM_S, work=work), bound_s=WRITING_BOUND_S)
        add("status", Every(period_s=STATUS_S, work=status.write))
        add("count of notifications", Every(period_s=STATUS_S, work=status.count))
        if self.site.file.metrics.port:
            add("metrics", MetricsServer(self.site.file.metrics.port, status.metrics))
        add("service manager", _Life(self._is_well), bound_s=math.inf)

    @property
    def built(self) -> Parts:
        """What runs; there once `started` is set."""
        assert self._built is not None  # noqa: S101 - set before anybody is told
        return self._built

    @property
    def status(self) -> StatusWriter:
        """What it is doing; there once `started` is set."""
        assert self._status is not None  # noqa: S101 - set before anybody is told
        return self._status

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
                    parts = self._build(attempt)
                except (StoreError, OSError) as error:
                    if Part.NOTIFIER not in self._wanted:
                        raise
                    if teller is None:
                        _log.error("can not start; tried again until it can", error=str(error))
                        teller = self._begin_telling(stack)
                    problem = Problem("start", str(error), START_TITLE, LOOK_AT_START)
                    teller.problems = partial(_known, problem)
                else:
                    if teller is not None:
                        teller.problems = _known
                    stack.push_async_exit(attempt.pop_all())
                    return parts
            await asyncio.sleep(START_PAUSE_S)

    def _begin_telling(self, stack: AsyncExitStack) -> Distress:
        """Tell from memory what keeps us from starting, and later that it is over."""
        clock = SteadyClock()
        teller = self._distress(self._notifiers(stack, clock), clock)
        supervisor = Supervisor(clock, self._random)
        _supervise_telling(supervisor, teller)
        running = asyncio.create_task(supervisor.run(), name="start")
        stack.push_async_callback(end, running)
        return teller

    def _distress(self, notifiers: Mapping[str, Notifier], clock: SteadyClock) -> Distress:
        return Distress(
            site=self.site.file.site.name,
            problems=_known,
            notifiers=notifiers,
            routes=make_routes(self.site.file.routes),
            clock=clock,
            random_source=self._random,
        )

    def _build(self, stack: AsyncExitStack) -> Parts:
        data = self.site.data
        stack.enter_context(locked(data, self._wanted))
        clock = SteadyClock()
        journal: Journal | None = None
        if Part.COLLECTOR in self._wanted:
            journal = Journal(data, clock)
            stack.callback(journal.close)
        elif not (data / JOURNAL_FILE).exists():
            raise StoreUnavailable(str(data / JOURNAL_FILE), "there is none yet: start the collector first")
        ledger = Ledger(data)
        stack.callback(ledger.close)
        if ledger.is_another or (journal is not None and journal.is_another):
            # What was made of the one before says nothing now: it is made again of what the journal holds.
            (data / snapshot.FILE).unlink(missing_ok=True)
        parts = Parts(clock=clock, ledger=ledger, supervisor=Supervisor(clock, self._random), journal=journal)
        if journal is not None:
            self._client_id = client_id_of(data, self.site.file.site.name, is_new=not journal.head_stamp_ms)
            since_ms = self._since_ms(parts, journal)
            self._build_collectors(parts, journal, since_ms)
            if self.site.file.feed is not None:
                self._build_poller(stack, parts, journal, since_ms, self.site.file.feed)
        source = journal if journal is not None else self._follow(stack)
        if Part.NOTIFIER in self._wanted:
            notifiers = self._notifiers(stack, parts.clock)
            parts.outbox = Outbox(ledger, notifiers, now_ms=clock.now_ms, random_source=self._random)
            parts.distress = self._distress(notifiers, clock)
            parts.distress.problems = partial(problems_of, parts)
        if Part.RULES in self._wanted:
            parts.rules = self._rules(parts, source)
        if Part.WRITER in self._wanted:
            sink = history_of(self.site.file.store).sink(self.site.place)
            stack.push_async_callback(sink.close)
            parts.shipper = Shipper(
                sink,
                source,
                ledger,
                journal=journal,
                clock=clock,
                random_source=self._random,
                seal_s=self.site.file.store.seal_s,
                hold=self.site.place.hold,
                health=lambda: self.status.health(),  # noqa: PLW0108 - there is none yet
            )
        return parts

    def _follow(self, stack: AsyncExitStack) -> JournalFollower:
        follower = JournalFollower(self.site.data)
        stack.callback(follower.close)
        return follower

    def _since_ms(self, parts: Parts, journal: Journal) -> int:
        """Return up to when the journal knows what happened before this start [ms], 0 for never."""
        # What was judged and saved before is not judged anew with what the brokers have kept since.
        judged_ms = parts.ledger.cursor()[1] + self.site.file.engine.lateness_ms
        return max(journal.head_stamp_ms, judged_ms) if journal.head_stamp_ms else 0

    def _build_poller(
        self, stack: AsyncExitStack, parts: Parts, journal: Journal, since_ms: int, table: FeedTable
    ) -> None:
        query = query_of(table, self.site.feed_token)
        stack.callback(query.close)
        site = self.site.file.site
        make = partial(
            make_poller, table, query, site, journal, parts.ledger, clock=parts.clock, since_ms=since_ms
        )
        parts.add(make)

    def _build_collectors(self, parts: Parts, journal: Journal, since_ms: int) -> None:
        context = make_context(self.site.file, journal.known(), journal.waiting())
        for broker in self.site.file.brokers:
            parts.add(partial(self._collector, broker, context, parts.clock, journal, since_ms))

    def _collector(
        self, broker: BrokerTable, context: Context, clock: SteadyClock, journal: Journal, since_ms: int
    ) -> Collector:
        """Return the collector of a broker, as the journal and the last status have left it."""
        context.register.restore(journal.known())
        session = Session(
            broker.name,
            self.address(broker),
            [(topic, broker.qos) for topic in topics_of(broker, self.site.file.site.name)],
            now_ms=clock.now_ms,
            random_source=self._random,
            asked_again=partial(self.address, broker),
        )
        kept = Kept(metadata=journal.metadata(), waiting=journal.waiting())
        # How much each broker published at most before this start [messages/s].
        said = read_status(self.site.data)
        brokers = [] if said is None else said.get("brokers", [])
        rates = {found["name"]: found.get("rate_per_s") for found in brokers}
        return Collector(
            session,
            make_decoder(broker, context, kept),
            context,
            journal,
            clock=clock,
            since_ms=since_ms,
            keeping=Keeping(broker.queued_messages, rates.get(broker.name)),
            patience_s=patience_s(broker),
        )

    def address(self, broker: BrokerTable) -> Address:
        """Return where and as whom to connect to a broker."""
        return self.site.address(broker, self._client_id)

    def _rules(self, parts: Parts, source: Journal | JournalFollower) -> RulesService:
        file = self.site.file
        return make_rules_service(
            file,
            make_judging(file, self.site.rules),
            source,
            parts.ledger,
            routes=make_routes(file.routes),
            clock=parts.clock,
            folder=self.site.data,
            told=parts.outbox.wake if parts.outbox is not None else lambda: None,
        )

    def _notifiers(self, stack: AsyncExitStack, clock: SteadyClock) -> Mapping[str, Notifier]:
        around = Surroundings(
            now_ms=clock.now_ms, console=self._console, secret=lambda name: self.site.secrets[name]
        )
        notifiers = make_notifiers(self.site.file.routes, around)
        for notifier in notifiers.values():
            stack.push_async_callback(notifier.close)
        return notifiers

    async def _trim(self, journal: Journal, ledger: Ledger) -> None:
        try:
            await in_thread(trim, self.site.file.store, journal, ledger)
        except StoreUnavailable as error:
            _log.warning("not trimmed", error=str(error))

    @staticmethod
    async def _look_for_damage(parts: Parts) -> None:
        parts.damaged_files = await in_thread(damaged_files, parts.ledger.path.parent)


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
        journal: The journal.
        ledger: The ledger. What the journal may bring again is kept in it: nobody is paged twice.

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
