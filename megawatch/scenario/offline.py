"""Rehearsal: messages in, pages out, in virtual time: no broker, no disk, no sleeping.

The decoders, the sifting of what was stored before, the engine and the texts of pages are those of the
running monitor. What is left out only carries: the network, the files of journal and ledger, delivery.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import numpy as np

from collector.decode.base import Context, Gathered
from collector.decode.registry import make_decoder
from collector.mqtt.message import Message
from collector.register import Register
from collector.row_builder import Ranges
from facility.readings import Batch, Flag, Quality, Rejection
from facility.sitefile.reader import SiteFile
from facility.sitefile.tables import BrokerTable
from megawatch.composition import make_judging
from rules.alarms.states import Change, Transition
from rules.base import CANNOT_VERIFY, Rule, Severity
from rules.engine.engine import Step
from rules.notify.message import compose
from rules.notify.notification import Notification
from rules.registry import make_rules
from store.journal.deduplication import Seen
from store.journal.entries import EVERY_BROKER, Content, Entry, Mark, MarkKind
from store.journal.intake import changes_of, contents_of, readings_of, sift

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
        subject: Whom it is about.
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
        subject: Whom it is about.
        severity: The worst it came to.
        opened_ms: When it opened, in event time [ms].
        returned_ms: When it returned [ms], None while it stands.
        told_ms: When people were told, by the clock of the rehearsal [ms]; None while they are not.
        value: What was judged when it opened, in the rule's unit.
        limit: What that was held against.
        opened_clock: How often the clock of the machine had been set when it opened.
        told_clock: The same when people were told.
        returned_clock: The same when it returned.
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
        rejections: The first few dead letters of each reason.
    """

    alarms: list[Alarm] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    account: Counter[str] = field(default_factory=Counter)
    received: int = 0
    rejections: dict[str, list[Rejection]] = field(default_factory=dict)


class Rehearsal:
    """The monitor without the world around it.

    Args:
        file: The site file.
        broker: Through which of its brokers everything comes; the first where nothing is said.
        told: Is given every tick's step, for those who look at draws and bounds.
        begin_ms: When the monitor starts [ms].
        gather_ms: What arrives within this comes into one append, unless it is judged before [ms].

    Attributes:
        heard: What it came to so far.
        judging: Its judgements.
        engine: The live one.
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
        self._file = file
        self._broker = table.name
        self._context = Context(
            file.site, Register({}, [broker.name for broker in file.brokers]), Ranges(), count(1)
        )
        self._decoder = make_decoder(table, self._context)
        self._rules = make_rules(file.rules, [])
        self._by_name = _by_name(self._rules)
        self.judging = make_judging(file, self._rules)
        self.engine = self.judging.live
        self._told = told
        self._gather_ms = gather_ms
        self._seen = Seen()
        self._stored: list[Batch] = []
        self._seq = 0
        self._closed_ms = 0
        self._open: dict[str, Alarm] = {}
        self.heard = Heard()
        self.now_ms = begin_ms
        self.clock = 0
        self.mark(MarkKind.STARTED, begin_ms)
        self.mark(MarkKind.CONNECTED, begin_ms)
        self.mark(MarkKind.CAUGHT_UP, begin_ms)

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
            self.now_ms = arrived_ms
            self._take(part)
        self._pass(until_ms, judges=judges)

    def _gathered(self, messages: Sequence[Message]) -> Iterable[int]:
        """Yield where each append ends: none is open while something is judged."""
        if not messages:
            return
        tick_ms, phase_ms = self._file.engine.tick_ms, self._file.engine.lateness_ms
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
            kind: What.
            since_ms: Since when it holds [ms].
            until_ms: Up to when it held, for a gap [ms].
        """
        self._append(Mark(kind, self._broker, since_ms, until_ms=until_ms))

    def set_clock(self, to_ms: int) -> None:
        """Set the clock of the monitor's machine; what comes next is received by it.

        Args:
            to_ms: What it says from now on [ms].
        """
        self._take_entry(Mark(MarkKind.STEPPED, EVERY_BROKER, self.now_ms), to_ms)
        self.now_ms, self._closed_ms = to_ms, to_ms - 1
        self.clock += 1

    def _take(self, messages: Sequence[Message]) -> None:
        gathered = Gathered()
        self._decoder.decode(list(messages), gathered)
        self._decoder.settle(self.now_ms, gathered)
        rows = gathered.rows
        new = len(rows.points) + len(rows.rejections) + len(gathered.waiting) - len(gathered.settled)
        self.heard.received += new
        intake = gathered.intake(self._context, messages[-1].received_ms)
        sifted = sift(intake.batch, self._seen, self._find)
        for content in contents_of(intake, sifted):
            self._append(content)
        self._seen.remember(readings_of(sifted.kept))
        self._stored.append(sifted.kept)
        self.heard.account.update(changes_of(intake, sifted))
        for rejection in (*intake.rejections, *sifted.conflicts):
            kept = self.heard.rejections.setdefault(rejection.reason.value, [])
            if len(kept) < 5:  # noqa: PLR2004 - a few tell what it is about
                kept.append(rejection)

    def _find(self, point: int, source_ms: int) -> float | None:
        """Look a reading up among all that were kept: its value, None where it is not there."""
        for batch in reversed(self._stored):
            rows = np.flatnonzero(
                (batch.point == point) & (batch.source_ms == source_ms) & (batch.quality != Quality.REFUSED)
            )
            if len(rows):
                return float(batch.value[rows[0]])
        return None

    def _append(self, content: Content) -> None:
        """Append an entry; as in the journal, no stamp is one up to which it was closed before."""
        self._take_entry(content, max(self.now_ms, self._closed_ms + 1))

    def _take_entry(self, content: Content, stamp_ms: int) -> None:
        self._seq += 1
        for step in self.judging.take(Entry(self._seq, stamp_ms, content)):
            self._note(step)

    def _pass(self, until_ms: int, *, judges: bool) -> None:
        """Let time pass, tick by tick as the running monitor does, so that each page has its moment."""
        tick_ms, lateness_ms = self._file.engine.tick_ms, self._file.engine.lateness_ms
        while judges and self.engine.tick_ms is not None and not self.engine.recovering:
            due_ms = max(self.now_ms, self.engine.tick_ms + tick_ms + lateness_ms)
            if due_ms > until_ms:
                break
            self.now_ms = self._closed_ms = due_ms
            before_ms = self.engine.tick_ms
            for step in self.judging.advance(due_ms):
                self._note(step)
            if self.engine.tick_ms == before_ms:
                break  # it holds its ticks, for a reason of its own
        self.now_ms = max(self.now_ms, until_ms)

    # What comes out ---------------------------------------------------------------------

    def _note(self, step: Step) -> None:
        if self._told is not None:
            self._told(step)
        for change in step.changes:
            self._follow(change)
            if change.is_told and step.view is not None:
                self._page(compose(change, self._by_name[change.rule], step.view, self._file.site))

    def _follow(self, change: Transition) -> None:
        alarm = self._open.get(change.alarm_id)
        if alarm is None:
            alarm = Alarm(
                id=change.alarm_id,
                rule=change.rule,
                subject=change.subject,
                severity=change.severity,
                opened_ms=change.opened_ms,
                value=change.value,
                limit=change.limit,
                opened_clock=self.clock,
            )
            self._open[change.alarm_id] = alarm
            self.heard.alarms.append(alarm)
        alarm.severity = max(alarm.severity, change.severity)
        if change.is_told and alarm.told_ms is None:
            alarm.told_ms, alarm.told_clock = self.now_ms, self.clock
        if change.change is Change.RETURNED:
            alarm.returned_ms, alarm.returned_clock = change.at_ms, self.clock
            del self._open[change.alarm_id]

    def _page(self, told: Notification) -> None:
        self.heard.pages.append(
            Page(
                key=told.key,
                rule=told.rule,
                subject=told.subject.id,
                change=told.change.value,
                severity=told.severity.word,
                at_ms=told.at_ms,
                told_ms=self.now_ms,
                headline=told.headline,
            )
        )


def as_message(topic: str, payload: bytes, received_ms: int, *, qos: int, is_retained: bool) -> Message:
    """Return a publication as whoever is subscribed receives it.

    Args:
        topic: Its topic.
        payload: Its payload.
        received_ms: When it arrives [ms].
        qos: Its quality of service.
        is_retained: Whether it comes out of the broker's store, and not as it was published.
    """
    flags = (_RETAINED if is_retained else 0) | (_AT_MOST_ONCE if qos == 0 else 0)
    return Message(topic, payload, received_ms, flags)


def _by_name(rules: Sequence[Rule]) -> dict[str, Rule]:
    return {name: rule for rule in rules for name in (rule.name, f"{rule.name}-{CANNOT_VERIFY}")}
