"""Rehearsal: messages in, pages out, in virtual time: no broker, no disk, no sleeping.

The decoders, the sifting of what was stored before, the engine and the texts of pages are those of the
running monitor. What is left out only carries: the network, the files of journal and ledger, delivery.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from collector.decode.base import Gathered, decode_at_once
from collector.decode.registry import make_decoder
from collector.mqtt.message import Message, Messages
from facility.readings import Batch, Flag, Rejection
from facility.sitefile.reader import SiteFile
from facility.sitefile.tables import BrokerTable
from megawatch.composition import make_context, make_judging, make_rules_service
from rules.base import Severity
from rules.engine.engine import Step
from rules.notify.routing import Route
from rules.registry import make_rules
from store.journal.entries import Mark, MarkKind
from store.journal.intake import Intake, changes_of
from store.ledger.alarms import AlarmChange, Notice
from testing.fakes.memory_journal import MemoryJournal
from testing.fakes.memory_ledger import MemoryLedger

GATHER_MS: Final = 50
"""What arrives within this comes into one append [ms]: the running collector waits 10 ms, then works."""

# An enumeration's members are looked up anew each time, which counts where every message has some.
_RETAINED: Final = int(Flag.RETAINED)
_AT_MOST_ONCE: Final = int(Flag.AT_MOST_ONCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Something that people were told.

    Attributes:
        key: What makes it the same page whenever it is sent.
        rule: The rule, as the alarm names it.
        subject: Id of the tenant, rack or other subject.
        change: What happened.
        severity: How bad it is.
        at_ms: The event time at which it happened [ms].
        told_ms: When it left, by the clock of the rehearsal [ms].
        headline: What it says in a line.
    """

    key: str
    rule: str
    subject: str
    change: str
    severity: str
    at_ms: int
    told_ms: int
    headline: str


@dataclass(slots=True, kw_only=True)
class Alarm:
    """An alarm from its opening to its return.

    Attributes:
        id: Its identity.
        rule: The rule, as the alarm names it.
        subject: Id of the tenant, rack or other subject.
        severity: The worst that it had.
        opened_ms: When it opened, in event time [ms].
        returned_ms: When it returned [ms], None while it stands.
        told_ms: When people were told, by the clock of the rehearsal [ms]; None while they are not.
        value: What was judged when it opened, in the rule's unit.
        limit: What that was held against.
        opened_clock: How often the clock of the machine had been set when it opened.
        told_clock: How often it had been set when people were told.
        returned_clock: How often it had been set when the alarm returned.
    """

    id: str
    rule: str
    subject: str
    severity: Severity
    opened_ms: int
    returned_ms: int | None = None
    told_ms: int | None = None
    value: float = float("nan")
    limit: float = float("nan")
    opened_clock: int = 0
    told_clock: int = 0
    returned_clock: int = 0


@dataclass(slots=True)
class Heard:
    """What a rehearsal came to.

    Attributes:
        alarms: Every alarm, in the order in which they opened.
        pages: Everything that people were told, in order.
        account: What became of everything that was received.
        received: Readings and refused messages that were decoded.
        rejections: The first few dead letters by reason.
    """

    alarms: list[Alarm] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    account: Counter[str] = field(default_factory=Counter)
    received: int = 0
    rejections: dict[str, list[Rejection]] = field(default_factory=dict)


class Rehearsal:
    """The monitor without the world around it.

    Args:
        file: What the site file says.
        broker: Through which of its brokers everything comes; the first where nothing is said.
        told: Is given every tick's step, for those who look at draws and bounds.
        begin_ms: When the monitor starts [ms].
        gather_ms: What arrives within this comes into one append, unless it is judged before [ms].

    Attributes:
        heard: What it came to so far.
        journal: What came in.
        ledger: What came of it.
        judging: Its judgements.
        engine: The engine of the live judgement.
        now_ms: Its clock [ms].
        clock: How often that was set.
    """

    def __init__(
        self,
        file: SiteFile,
        *,
        begin_ms: int,
        broker: BrokerTable | None = None,
        told: Callable[[Step], None] | None = None,
        gather_ms: int = GATHER_MS,
    ) -> None:
        table = broker or file.brokers[0]
        self._tick_ms, self._lateness_ms = file.engine.tick_ms, file.engine.lateness_ms
        self._broker = table.name
        self._context = make_context(file)
        self._decoder = make_decoder(table, self._context)
        self._gather_ms = gather_ms
        self._time = _Time(begin_ms)
        self.journal, self.ledger = MemoryJournal(), MemoryLedger()
        self.judging = make_judging(file, make_rules(file.rules, []))
        self.engine = self.judging.live
        self._rules = make_rules_service(
            file,
            self.judging,
            self.journal,
            self.ledger,
            routes=[Route(name="pages")],
            clock=self._time,
        )
        self._rules.watch = told
        self._followed = self._paged = 0
        self._open: dict[str, Alarm] = {}
        self.heard = Heard()
        self.clock = 0
        self.mark(MarkKind.STARTED, begin_ms)
        self.mark(MarkKind.CONNECTED, begin_ms)
        self.mark(MarkKind.CAUGHT_UP, begin_ms)

    @property
    def now_ms(self) -> int:
        """Its clock [ms]."""
        return self._time.at_ms

    # What comes in ----------------------------------------------------------------------

    def hear(self, messages: Sequence[Message], until_ms: int, *, judges: bool = True) -> None:
        """Take in messages, and let time pass.

        Args:
            messages: What arrives up to `until_ms`, in the order in which it does.
            until_ms: Up to when [ms].
            judges: Whether what is due is judged; not while the monitor is away.
        """
        start = 0
        for end in self._gathered(messages):
            part = messages[start:end]
            start = end
            # What arrives just as a tick is due is appended before it is judged.
            arrived_ms = max(self.now_ms, part[-1].received_ms)
            self._pass(arrived_ms - 1, judges=judges)
            self._time.at_ms = arrived_ms
            self._take(part)
        self._pass(until_ms, judges=judges)

    def _gathered(self, messages: Sequence[Message]) -> Iterable[int]:
        """Yield where each append ends: none is open while something is judged."""
        if not messages:
            return
        tick_ms, phase_ms = self._tick_ms, self._lateness_ms
        ends_ms = -1
        for place, message in enumerate(messages):
            if message.received_ms >= ends_ms:
                if place:
                    yield place
                next_ms = message.received_ms + tick_ms - (message.received_ms - phase_ms) % tick_ms
                ends_ms = min(message.received_ms + self._gather_ms, next_ms)
        yield len(messages)

    def mark(self, kind: MarkKind, since_ms: int, *, until_ms: int = 0) -> None:
        """Note what happened to the connection.

        Args:
            kind: What happened.
            since_ms: Since when it holds [ms].
            until_ms: Up to when it held, for a gap [ms].
        """
        mark = Mark(kind, self._broker, since_ms, until_ms=until_ms)
        self.journal.append(Intake(marks=[mark]), self.now_ms)
        self._judge()

    def set_clock(self, to_ms: int) -> None:
        """Set the clock of the monitor's machine; what comes next is received by it.

        Args:
            to_ms: What it says from now on [ms].
        """
        self.journal.follow_clock(self.now_ms, to_ms)
        self._judge()
        self._time.at_ms = to_ms
        self.clock += 1

    def set_pace(self, tick_ms: int) -> None:
        """Judge from now on as often as said: a long quiet time need not be looked at every second.

        Args:
            tick_ms: Event time between two judgements [ms], at most what the site file says.
        """
        if tick_ms == self._tick_ms:
            return
        self._tick_ms = tick_ms
        for engine in self.judging.engines.values():
            engine._period_ms = tick_ms
        # What waits to be settled is kept by the tick at which it counts.
        queue = self.judging.settled.queue
        waiting = list(queue.items)
        queue.clear()
        queue._tick_ms = tick_ms
        for item in waiting:
            if isinstance(item.content, Batch):
                queue.put_readings(item.content, is_backlog=item.is_backlog)
            else:
                queue.put(item)

    def forget(self) -> None:
        """Drop what was judged: a run of weeks need not fit into memory."""
        self.journal.forget(self.judging.seq)

    def _take(self, messages: Sequence[Message]) -> None:
        gathered = Gathered()
        decode_at_once(self._decoder, Messages.of(messages), gathered)
        self._decoder.settle(self.now_ms, gathered)
        rows = gathered.rows
        new = len(rows) + len(rows.rejections) + len(gathered.waiting) - len(gathered.settled)
        self.heard.received += new
        intake = gathered.intake(self._context, messages[-1].received_ms)
        sifted = self.journal.append(intake, self.now_ms)
        self._judge()
        self.heard.account.update(changes_of(intake, sifted))
        for rejection in (*intake.rejections, *sifted.conflicts):
            kept = self.heard.rejections.setdefault(rejection.reason.value, [])
            if len(kept) < 5:
                kept.append(rejection)

    def _judge(self) -> None:
        """Judge what the journal holds by now."""
        self._rules.take(self.now_ms)
        self._follow()

    def _pass(self, until_ms: int, *, judges: bool) -> None:
        """Let time pass, tick by tick as the running monitor does, so that each page has its moment."""
        tick_ms, lateness_ms = self._tick_ms, self._lateness_ms
        while judges and self.engine.tick_ms is not None and not self.engine.recovering:
            due_ms = max(self.now_ms, self.engine.tick_ms + tick_ms + lateness_ms)
            if due_ms > until_ms:
                break
            self._time.at_ms = due_ms
            before_ms = self.engine.tick_ms
            self._rules.advance(due_ms)
            self._follow()
            if self.engine.tick_ms == before_ms:
                break  # it holds its ticks, for a reason of its own
        self._time.at_ms = max(self.now_ms, until_ms)

    # What comes out ---------------------------------------------------------------------

    def _follow(self) -> None:
        """Note what has come into the ledger, at the moment at which it did."""
        for change in self.ledger.changes[self._followed :]:
            self._note(change)
        self._followed = len(self.ledger.changes)
        self.heard.pages += [self._page(notice) for notice in self.ledger.notices[self._paged :]]
        self._paged = len(self.ledger.notices)

    def _note(self, change: AlarmChange) -> None:
        kept, severity = change.alarm, Severity[change.alarm.severity.upper()]
        alarm = self._open.get(kept.id)
        if alarm is None:
            alarm = Alarm(
                id=kept.id,
                rule=kept.rule,
                subject=kept.subject,
                severity=severity,
                opened_ms=kept.opened_ms,
                value=_nan(kept.value),
                limit=_nan(kept.limit),
                opened_clock=self.clock,
            )
            self._open[kept.id] = alarm
            self.heard.alarms.append(alarm)
        alarm.severity = max(alarm.severity, severity)
        if kept.is_told and alarm.told_ms is None:
            alarm.told_ms, alarm.told_clock = self.now_ms, self.clock
        if kept.returned_ms is not None:
            alarm.returned_ms, alarm.returned_clock = kept.returned_ms, self.clock
            del self._open[kept.id]

    def _page(self, notice: Notice) -> Page:
        body = notice.body
        return Page(
            key=notice.key,
            rule=body["rule"],
            subject=body["subject"],
            change=body["change"],
            severity=body["severity"],
            at_ms=notice.source_ms,
            told_ms=self.now_ms,
            headline=body["headline"],
        )


def _nan(value: float | None) -> float:
    return math.nan if value is None else value


@dataclass(slots=True)
class _Time:
    """A clock that is moved on by what happens.

    Attributes:
        at_ms: What it shows [ms].
    """

    at_ms: int

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic_s(self) -> float:
        return self.at_ms / 1_000


def as_message(topic: str, payload: bytes, received_ms: int, *, qos: int, is_retained: bool) -> Message:
    """Return a publication as a subscriber receives it.

    Args:
        topic: Its topic.
        payload: Its payload.
        received_ms: When it arrives [ms].
        qos: Its quality of service.
        is_retained: Whether it comes out of the broker's store, and not as it was published.
    """
    flags = (_RETAINED if is_retained else 0) | (_AT_MOST_ONCE if qos == 0 else 0)
    return Message(topic, payload, received_ms, flags)
