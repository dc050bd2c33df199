"""The composition root: what a monitor is made of, live, replayed, rehearsed and in the demo alike.

Registries say which decoder, receiver and history a site file means (`collector.decode.registry`,
`rules.notify.registry`, `store.histories`); the functions here put together what stands between them. What
differs from one use to another is given: the journal, the ledger, the clock, and where pages go.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from itertools import count
from pathlib import Path

import structlog
from rich.console import Console

from collector.continuity.keeping import Keeping
from collector.decode.base import Context
from collector.decode.registry import Kept, make_decoder, patience_s, topics_of
from collector.influx_poller import make_poller, query_of
from collector.mqtt.address import Address
from collector.mqtt.session import Session
from collector.register import Register
from collector.row_builder import Ranges
from collector.service import Collector
from facility.errors import StoreUnavailable
from facility.instants import Clock
from facility.names import CANARY_RULE
from facility.sitefile.reader import SiteFile
from facility.sitefile.tables import BrokerTable, FeedTable
from megawatch.run.acknowledging import AcknowledgementServer
from megawatch.run.canary import ACCEPTED_S, FIRST_S, WIRES, Canary, Trials
from megawatch.run.clock import SteadyClock
from megawatch.run.heartbeat import Heartbeat
from megawatch.run.lock import locked
from megawatch.run.part import Part
from megawatch.run.parts import Parts
from megawatch.run.problems import problems_of, trouble_of
from megawatch.run.self_monitoring import RULE as SELF
from megawatch.run.self_monitoring import Distress, given
from megawatch.run.status import read_status
from megawatch.run.supervisor import Supervisor
from megawatch.site.folder import SiteFolder
from megawatch.site.installation import client_id_of
from megawatch.site.timings import timing
from rules.base import Rule, runbook_of
from rules.engine import snapshot
from rules.engine.judging import Judging
from rules.engine.service import Book, RulesService, Source
from rules.engine.settled import Patience
from rules.notify.base import Notifier
from rules.notify.http import Poster
from rules.notify.links import Links
from rules.notify.mail import Server
from rules.notify.outbox import Outbox
from rules.notify.registry import Surroundings, forgetful, make_notifiers, make_routes
from rules.notify.reminding import Reminder
from rules.notify.routing import Route, routes_of_document
from rules.notify.telling import Teller
from store.histories import history_of
from store.journal.entries import Known
from store.journal.file import FILE as JOURNAL_FILE
from store.journal.file import Waiting
from store.journal.follower import JournalFollower
from store.journal.journal import Journal
from store.ledger.ledger import Ledger
from store.series import Health
from store.shipping import Shipper

_log = structlog.get_logger(__name__)


def make_context(
    file: SiteFile, known: Mapping[int, Known] | None = None, waiting: Iterable[Waiting] = ()
) -> Context:
    """Return what the decoders of a site share.

    Args:
        file: What the site file says.
        known: The points that an earlier run knew, by their numbers.
        waiting: Messages of then that wait for their metadata.
    """
    return Context(
        site=file.site,
        register=Register(known or {}, [broker.name for broker in file.brokers]),
        ranges=Ranges(),
        waiting_numbers=count(max((item.id for item in waiting), default=0) + 1),
    )


def make_judging(file: SiteFile, rules: Sequence[Rule]) -> Judging:
    """Return engines that have taken nothing.

    Args:
        file: What the site file says.
        rules: The rules, with the parameters that it sets.
    """
    rhythm = file.engine
    return Judging(
        file.site,
        {source.name: timing(source) for source in file.sources},
        rules,
        tick_ms=rhythm.tick_ms,
        lateness_ms=rhythm.lateness_ms,
        patience=Patience(
            grace_ms=round(rhythm.settle_after_s * 1_000),
            silent_ms=round(rhythm.wait_for_silent_s * 1_000),
            away_ms=round(rhythm.wait_for_broker_s * 1_000),
        ),
    )


def make_rules_service(
    file: SiteFile,
    judging: Judging,
    source: Source,
    ledger: Book,
    *,
    routes: Sequence[Route],
    clock: Clock,
    folder: Path | None = None,
    told: Callable[[], None] = lambda: None,
    links: Links | None = None,
) -> RulesService:
    """Return judging on a journal.

    Args:
        file: What the site file says.
        judging: Engines that have taken nothing.
        source: The journal, as it is read.
        ledger: Where what it brings is saved.
        routes: Which notifications go where.
        clock: Gives wall time [ms] and monotonic time [s].
        folder: The data folder, where the snapshot is; None where none is kept.
        told: Is called when something is to be told.
        links: Makes links to acknowledge alarms; None for none.
    """
    return RulesService(
        judging,
        source,
        ledger,
        teller=Teller(ledger, judging.rules, site=file.site, routes=routes, links=links),
        folder=folder,
        clock=clock,
        rhythm=file.engine,
        told=told,
    )


class Composition:
    """The running monitor: builds the parts of one process.

    Args:
        site: The site's files.
        wanted: Which parts run in this process.
        console: Where the console notifier prints.
        random_source: Where the jitter of pauses comes from.
    """

    def __init__(
        self, site: SiteFolder, wanted: frozenset[Part], console: Console, random_source: random.Random
    ) -> None:
        self.site = site
        self._wanted = wanted
        self._console = console
        self._random = random_source
        self._client_id = f"megawatch-{site.file.site.name}"  # until it collects

    def distress(self, notifiers: Mapping[str, Notifier], clock: SteadyClock) -> Distress:
        """Return what tells of the monitor's own faults; of none yet."""
        return Distress(
            site=self.site.file.site.name,
            problems=given,
            notifiers=notifiers,
            routes=make_routes(self.site.file.routes, self.site.file.site.zone),
            clock=clock,
            random_source=self._random,
            runbook=self.site.file.site.runbook(runbook_of(SELF)),
        )

    def build(self, stack: AsyncExitStack, health: Callable[[], Health]) -> Parts:
        """Build every part that runs in this process.

        Args:
            stack: Closes what the parts hold.
            health: Gives the pipeline's own health, once it runs.

        Raises:
            StoreError: Where the disk or a file of the data folder does not allow it.
            OSError: Likewise.
        """
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
            self._build_notifier(stack, parts)
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
                health=health,
            )
        return parts

    def _build_notifier(self, stack: AsyncExitStack, parts: Parts) -> None:
        notifiers = self.notifiers(stack, parts.clock)
        parts.outbox = Outbox(parts.ledger, notifiers, now_ms=parts.clock.now_ms, random_source=self._random)
        parts.reminders = [
            Reminder(
                parts.outbox.receivers[route].label,
                notifier,
                partial(parts.ledger.standing, route),
                now_ms=parts.clock.now_ms,
            )
            for route, notifier in forgetful(self.site.file.routes, notifiers).items()
        ]
        parts.heartbeat = self._heartbeat(stack, parts)
        parts.acknowledgements = self._acknowledgements(parts)
        parts.canary = self._canary(parts)
        parts.distress = self.distress(notifiers, parts.clock)
        routes = make_routes(self.site.file.routes, self.site.file.site.zone)
        taking = partial(routes_of_document, routes=routes, at_ms=parts.clock.now_ms())
        if moved := parts.ledger.reroute(notifiers, taking):
            _log.warning("pages waited for routes that the site file names no longer", pages=moved)
        parts.distress.problems = partial(problems_of, parts)

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
            self._address(broker),
            [(topic, broker.qos) for topic in topics_of(broker, self.site.file.site.name)],
            now_ms=clock.now_ms,
            monotonic_s=clock.monotonic_s,
            random_source=self._random,
            asked_again=partial(self._address, broker),
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

    def _address(self, broker: BrokerTable) -> Address:
        return self.site.address(broker, self._client_id)

    def _rules(self, parts: Parts, source: Journal | JournalFollower) -> RulesService:
        file = self.site.file
        return make_rules_service(
            file,
            make_judging(file, self.site.rules),
            source,
            parts.ledger,
            routes=make_routes(file.routes, file.site.zone),
            clock=parts.clock,
            folder=self.site.data,
            told=parts.outbox.wake if parts.outbox is not None else lambda: None,
            links=self._links(),
        )

    def _heartbeat(self, stack: AsyncExitStack, parts: Parts) -> Heartbeat | None:
        table = self.site.file.heartbeat
        if table.url_file is None:
            return None
        poster = Poster(self.site.secrets[table.url_file], now_ms=parts.clock.now_ms, proxy=table.proxy)
        stack.push_async_callback(poster.close)
        return Heartbeat(
            poster,
            self.site.file.site.name,
            tick_ms=lambda: parts.ledger.cursor()[1],
            trouble=partial(trouble_of, parts),
            now_ms=parts.clock.now_ms,
        )

    def _links(self) -> Links | None:
        """Return what makes the links of pages; None where the site file asks for none."""
        table = self.site.file.acknowledge
        if table.url is None or table.secret_file is None:
            return None
        return Links(table.url, self.site.secrets[table.secret_file].encode())

    def _acknowledgements(self, parts: Parts) -> AcknowledgementServer | None:
        table = self.site.file.acknowledge
        if not table.port:
            return None
        secret = "" if table.pagerduty_secret_file is None else self.site.secrets[table.pagerduty_secret_file]
        return AcknowledgementServer(
            table.port,
            links=self._links(),
            pagerduty_secret=secret.encode(),
            ledger=parts.ledger,
            now_ms=parts.clock.now_ms,
        )

    def _canary(self, parts: Parts) -> Canary | None:
        table, file = self.site.file.canary, self.site.file
        if table is None:
            return None
        broker = next(b for b in file.brokers if table.broker in (None, b.name))
        hold_s = next((rule.on_delay_s for rule in self.site.rules if rule.name == CANARY_RULE), 0.0)
        now_ms = parts.clock.now_ms
        trials = Trials(
            every_ms=round(table.every_s * 1_000),
            bound_ms=round((ACCEPTED_S + hold_s) * 1_000),
            from_ms=now_ms() + round(FIRST_S * 1_000),
        )
        wire = WIRES[broker.format](file.site.name)
        return Canary(self._address(broker).as_probe("canary"), wire, parts.ledger, trials, now_ms=now_ms)

    def _mail_server(self) -> Server | None:
        table = self.site.file.smtp
        if not table.host:
            return None
        return Server(
            host=table.host,
            port=table.port,
            security=table.security,
            username=table.username,
            password="" if table.password_file is None else self.site.secrets[table.password_file],
            sender=table.sender or "",
        )

    def notifiers(self, stack: AsyncExitStack, clock: SteadyClock) -> Mapping[str, Notifier]:
        """Return the notifier of each route; the stack closes them."""
        around = Surroundings(
            now_ms=clock.now_ms,
            console=self._console,
            secret=lambda name: self.site.secrets[name],
            own=SELF,
            mail=self._mail_server(),
        )
        notifiers = make_notifiers(self.site.file.routes, around)
        for notifier in notifiers.values():
            stack.push_async_callback(notifier.close)
        return notifiers
