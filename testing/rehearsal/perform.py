"""A scenario performed: the simulated site through the whole monitor, in virtual time.

    plant ─► meters ─► gateways ─► decoder ─► engine ─► pages

What came of it is held against what the scenario's file says must come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from collector.continuity.keeping import Keeping
from collector.continuity.standstill import STANDSTILL_S
from collector.mqtt.message import Message
from facility.instants import SECOND_MS, to_iso
from facility.readings import Flag
from rules.base import Severity
from rules.engine.engine import Step
from simulators.run import Second, Simulation, wiring_of
from simulators.scenario.scenario import Break, BreakKind, Expectation, Scenario
from simulators.wire.bus import payloads
from simulators.wire.points import Equipment
from store.journal.entries import MarkKind
from testing.rehearsal.rehearsal import GATHER_MS, Alarm, Heard, Rehearsal, as_message

TRANSIT_MS: Final = 5
"""How long a message takes to arrive where nothing holds it up."""
LEAN: Final = Equipment(tap_points=("power",), bus_points=("power",), has_sensors=False)
"""The points that the rules about power need; the rest of a bus takes time and changes nothing."""


@dataclass(slots=True)
class Performed:
    """What a performance came to.

    Attributes:
        scenario: What was performed.
        heard: What the monitor made of it.
        messages: How many messages the monitor received.
        kept: The last retained message of each topic, as the broker has it.
    """

    scenario: Scenario
    heard: Heard
    messages: int = 0
    kept: dict[str, bytes] = field(default_factory=dict)


def perform(
    scenario: Scenario,
    *,
    equipment: Equipment | None = LEAN,
    tick_ms: int | None = None,
    gather_ms: int = GATHER_MS,
    watch: Callable[[Second], None] | None = None,
    told: Callable[[Step], None] | None = None,
) -> Performed:
    """Perform a scenario.

    Args:
        scenario: What happens, and the site.
        equipment: What of the plant is on the bus; None for what is usual.
        tick_ms: Event time between two judgements, where not as the site file says [ms].
        gather_ms: What arrives within this comes into one append, unless it is judged before [ms].
        watch: Is given every second of the plant as it passes.
        told: Is given every step of the engine.
    """
    wiring = wiring_of(scenario)
    simulation = Simulation(scenario, wiring=wiring, equipment=equipment)
    file = scenario.site
    if tick_ms is not None:
        file = replace(file, engine=file.engine.model_copy(update={"tick_ms": tick_ms}))
    rehearsal = Rehearsal(file, begin_ms=scenario.begin_ms, told=told, gather_ms=gather_ms)
    audience = Audience(
        rehearsal,
        scenario.breaks,
        begin_ms=scenario.begin_ms,
        qos=scenario.qos,
        keeping=Keeping(file.brokers[0].queued_messages),
    )
    for second in simulation.seconds():
        if watch is not None:
            watch(second)
        audience.hear(list(messages_of(second, scenario.qos)), second.second)
    rehearsal.hear([], scenario.begin_ms + scenario.seconds * SECOND_MS + SECOND_MS)
    return Performed(scenario, rehearsal.heard, audience.messages, audience.kept)


class Audience:
    """The monitor's end of the connection: what the broker holds while it is away, and what it forgets.

    The plant's time is the true one; what arrives is received by the clock of the monitor's machine.

    Args:
        rehearsal: The monitor, in virtual time.
        breaks: When the monitor does not listen, or has a wrong clock, in order.
        begin_ms: When the first second begins [ms].
        qos: Quality of service of the values.
        keeping: What the broker can keep, by the site file.

    Attributes:
        messages: How many messages the monitor received.
        kept: The last retained message of each topic, as the broker has it.
        ahead_ms: How far the clock of the monitor's machine is ahead of the plant's time [ms].
    """

    def __init__(
        self, rehearsal: Rehearsal, breaks: Sequence[Break], *, begin_ms: int, qos: int, keeping: Keeping
    ) -> None:
        self._rehearsal = rehearsal
        self._keeping = keeping
        self._breaks = breaks
        self._begin_ms = begin_ms
        self._qos = qos
        self._held: list[Message] = []
        self._away: Break | None = None
        self.messages = 0
        self.kept: dict[str, bytes] = {}
        self.ahead_ms = 0

    def hear(self, messages: Sequence[Message], second: int) -> None:
        """Let a second pass.

        Args:
            messages: What is published in it, in the order in which it arrives.
            second: Which, from 0.
        """
        time_ms = self._begin_ms + second * SECOND_MS
        self._change(second, time_ms)
        end_ms = time_ms + SECOND_MS - 1 + self.ahead_ms
        for message in messages:
            message.received_ms += self.ahead_ms
            if message.flags & Flag.RETAINED:
                self.kept[message.topic] = message.payload
        kind = BreakKind.CLOCK_OFF if self._away is None else self._away.kind
        if kind is BreakKind.CLOCK_OFF:
            self.messages += len(messages)
            self._keeping.hear(end_ms, len(messages))
            self._rehearsal.hear(messages, end_ms)
            return
        if kind.is_pause or (kind is not BreakKind.SESSION_LOST and self._qos > 0):
            self._held += messages  # in a pause the connection stands, so that all is read
        if kind is BreakKind.QUEUE_OVERFLOWED and self._away is not None:
            del self._held[self._away.queue :]
        if kind is not BreakKind.MACHINE_PAUSED:
            self._rehearsal.hear([], end_ms, judges=kind.is_judging)

    def _change(self, second: int, time_ms: int) -> None:
        """Begin and end the times in which the monitor does not listen, or has a wrong clock."""
        if self._away is not None and second >= self._away.to_s:
            self._come_back(self._away, time_ms)
            self._away = None
        if self._away is None:
            self._away = next((b for b in self._breaks if b.from_s <= second < b.to_s), None)
            if self._away is not None:
                self._leave(self._away, time_ms)

    def _leave(self, away: Break, time_ms: int) -> None:
        """Begin a time in which the monitor does not listen, or has a wrong clock."""
        if away.kind is BreakKind.CLOCK_OFF:
            self.ahead_ms = away.by_s * SECOND_MS
            self._rehearsal.set_clock(time_ms + self.ahead_ms)
        elif not away.kind.is_pause:
            self._keeping.pause()
            if away.kind.is_judging:
                self._rehearsal.mark(MarkKind.LOST, time_ms)

    def _come_back(self, away: Break, time_ms: int) -> None:
        """Connect again: first comes what the broker kept, then what is new."""
        since_ms = self._begin_ms + away.from_s * SECOND_MS
        rehearsal = self._rehearsal
        held, self._held = self._held, []
        for message in held:
            message.received_ms = time_ms
        if away.kind in (BreakKind.MACHINE_PAUSED, BreakKind.CLOCK_OFF):
            self.ahead_ms = 0
            rehearsal.set_clock(time_ms)
        is_noticed = not away.kind.is_pause or away.to_s - away.from_s > STANDSTILL_S
        if away.kind in (BreakKind.MACHINE_PAUSED, BreakKind.CLOCK_OFF) or not is_noticed:
            self.messages += len(held)
            rehearsal.hear(held, time_ms)
            return
        if away.kind is BreakKind.MONITOR_STOPPED:
            rehearsal.mark(MarkKind.STARTED, since_ms)
        elif away.kind is BreakKind.MONITOR_PAUSED:
            self._keeping.pause()
            rehearsal.mark(MarkKind.LOST, since_ms)
        is_new = away.kind is BreakKind.SESSION_LOST
        # As the collector says it: what it connected to is heard from then on, and not since it left.
        rehearsal.mark(MarkKind.SESSION_LOST if is_new else MarkKind.CONNECTED, time_ms)
        doubt_of = self._keeping.doubt_of_delay if away.kind.is_pause else self._keeping.doubt_of_break
        if not is_new and doubt_of(time_ms - since_ms):
            rehearsal.mark(MarkKind.GAP, since_ms, until_ms=time_ms)
        kept = self.kept.items() if is_new else ()
        again = [as_message(topic, said, time_ms, qos=1, is_retained=True) for topic, said in kept if said]
        self.messages += len(again) + len(held)
        rehearsal.hear([*again, *held], time_ms)
        if not is_new and self._keeping.doubt_of_backlog(len(held)):
            rehearsal.mark(MarkKind.GAP, since_ms, until_ms=time_ms)
        rehearsal.mark(MarkKind.CAUGHT_UP, time_ms)


def messages_of(second: Second, qos: int) -> Iterator[Message]:
    """Yield the messages of a second as a subscriber receives them.

    Args:
        second: A second of a simulation.
        qos: Quality of service of the values.
    """
    rows = second.rows
    for channel, payload, sent_ms, is_retained in zip(
        rows.channel.tolist(),
        payloads(rows),
        rows.sent_ms.tolist(),
        rows.is_retained.tolist(),
        strict=True,
    ):
        topic = second.topics[channel]
        yield as_message(topic, payload, sent_ms + TRANSIT_MS, qos=qos, is_retained=is_retained)


# What must come of it -------------------------------------------------------------------


def differences(performed: Performed) -> list[str]:
    """Return where what came is not what the scenario says, one sentence each."""
    scenario = performed.scenario
    left = list(performed.heard.alarms)
    wrong: list[str] = []
    for expected in scenario.must:
        found = next((alarm for alarm in left if _fits(alarm, expected, scenario)), None)
        if found is None:
            near = [a for a in left if (a.rule, a.subject) == (expected.rule, expected.subject)]
            said = _described(near[0], scenario) if near else "none"
            wrong.append(
                f"missed: {expected.rule} {expected.subject}, expected to open from {expected.from_s} to "
                f"{expected.to_s} s, found {said}"
            )
            continue
        left.remove(found)
        wrong += _details(found, expected, scenario)
    for alarm in left:
        why = next(
            (
                p.why
                for p in scenario.must_not
                if p.rule in ("*", alarm.rule) and p.subject in ("*", alarm.subject)
            ),
            "",
        )
        wrong.append(f"not expected: {_described(alarm, scenario)}{f' ({why})' if why else ''}")
    return wrong


def _fits(alarm: Alarm, expected: Expectation, scenario: Scenario) -> bool:
    second = _second(alarm.opened_ms, scenario)
    same = (alarm.rule, alarm.subject) == (expected.rule, expected.subject)
    return same and expected.from_s <= second <= expected.to_s


def _details(alarm: Alarm, expected: Expectation, scenario: Scenario) -> Iterator[str]:
    """Yield what is wrong with an alarm that was right to open."""
    what = f"{alarm.rule} {alarm.subject}"
    if expected.severity and alarm.severity != Severity[expected.severity.upper()]:
        yield f"{what}: expected severity {expected.severity}, found {alarm.severity.word}"
    if expected.is_told != (alarm.told_ms is not None):
        yield f"{what}: expected to be {'told' if expected.is_told else 'silent'}, found the opposite"
    if expected.returns_by_s is not None:
        back = None if alarm.returned_ms is None else _second(alarm.returned_ms, scenario)
        if back is None or back > expected.returns_by_s:
            found = "it stands" if back is None else f"{back:g}"
            yield f"{what}: expected to be over by {expected.returns_by_s} s, found {found}"


def _described(alarm: Alarm, scenario: Scenario) -> str:
    back = "" if alarm.returned_ms is None else f", over at {_second(alarm.returned_ms, scenario):g} s"
    silent = "" if alarm.told_ms is not None else ", not told"
    return (
        f"{alarm.rule} {alarm.subject} {alarm.severity.word} at {_second(alarm.opened_ms, scenario):g} s"
        f"{back}{silent}, {alarm.value:.3f} of {alarm.limit:.3f} ({to_iso(alarm.opened_ms)})"
    )


def _second(at_ms: int, scenario: Scenario) -> float:
    return (at_ms - scenario.begin_ms) / SECOND_MS
