"""The month through the whole monitor, in virtual time: looked at often around faults, seldom in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from collector.continuity.keeping import Keeping
from facility.instants import SECOND_MS
from rules.engine.engine import Step
from simulators.run import Simulation
from simulators.scenario.scenario import Scenario
from testing.month.faults import DAY_S, Fault
from testing.month.site import EQUIPMENT, scenario_of
from testing.rehearsal.perform import Audience, messages_of
from testing.rehearsal.rehearsal import Alarm, Rehearsal

SELDOM_S: Final = 100
"""How often instruments look in quiet times: as often as a DSX bus repeats what does not change [s]."""
JUDGED_S: Final = 300
"""How often it is judged then [s]."""
OFTEN_S: Final = 10
"""How often instruments look around a fault, and how often it is judged [s]."""
LOOKS_AT_S: Final = 5
"""Instruments look five seconds before it is judged what they show [s]."""
SLOWING: Final = ((2, 4), (5, 4), (10, 6))
"""How looks become fewer after some at every second, each interval so often [s]: what publishes on change
is not believed to be as it was where it says nothing for longer than it usually does."""
LEADS_S: Final = 60
"""How long before a fault it is looked at closely [s]."""


@dataclass(frozen=True, slots=True)
class Look:
    """A moment at which instruments look, and how it is judged up to then.

    Attributes:
        second: Which second of the month.
        is_leap: Whether the plant goes there in one step.
        tick_s: How often it is judged until then [s].
    """

    second: int
    is_leap: bool
    tick_s: int


def looks(faults: Sequence[Fault], end_s: int) -> Iterator[Look]:
    """Yield when instruments look.

    Args:
        faults: What happens, in order of time.
        end_s: Up to when [s].
    """
    at_s = 0
    yield Look(at_s, is_leap=False, tick_s=JUDGED_S)
    while at_s < end_s:
        near = next((fault for fault in faults if at_s < fault.ends_s + fault.settles_s), None)
        starts_s = end_s if near is None else near.at_s - LEADS_S
        fast = next((f for f in faults if f.fast_s and f.at_s - OFTEN_S <= at_s < f.at_s + f.fast_s), None)
        if near is None or at_s < starts_s or near.is_slow:
            edges = [] if near is None else [starts_s, near.at_s, near.ends_s]
            next_s = at_s + ((SELDOM_S - LOOKS_AT_S - at_s) % SELDOM_S or SELDOM_S)
            is_near = starts_s <= at_s
            at_s = min(next_s, *(edge for edge in (*edges, end_s) if edge > at_s))
            yield Look(at_s, is_leap=True, tick_s=SELDOM_S if is_near else JUDGED_S)
        elif fast is None:
            at_s += (LOOKS_AT_S - at_s) % OFTEN_S or OFTEN_S
            yield Look(at_s, is_leap=False, tick_s=OFTEN_S)
        else:
            intervals = [1] * (fast.at_s + fast.fast_s - at_s)
            intervals += [interval_s for interval_s, times in SLOWING for _ in range(times)]
            for interval_s in intervals:
                at_s += interval_s
                yield Look(at_s, is_leap=False, tick_s=1)


@dataclass(slots=True)
class Lived:
    """What the month came to.

    Attributes:
        scenario: What was performed.
        begins_s: Which second of the month it begins with [s].
        alarms: What the monitor said, in order.
        damped: Ids of alarms of which too much opened.
        looks: How often instruments looked.
        messages: How many messages the monitor received.
        refused: Some of the messages that were refused, by reason.
    """

    scenario: Scenario
    begins_s: int
    alarms: list[Alarm]
    damped: set[str] = field(default_factory=set)
    looks: int = 0
    messages: int = 0
    refused: dict[str, int] = field(default_factory=dict)


def live_through(
    faults: Sequence[Fault],
    seconds: int,
    *,
    begins_s: int = 0,
    told: Callable[[int, Lived], None] = lambda _, __: None,
) -> Lived:
    """Let the month happen, or a part of it.

    Args:
        faults: What happens, in order of time.
        seconds: Up to which second of it [s].
        begins_s: From which second on; what happens earlier does not [s].
        told: Is told once a day of the month is over, with what it came to up to then.
    """
    mine = [
        replace(fault, at_s=fault.at_s - begins_s) for fault in faults if begins_s <= fault.at_s < seconds
    ]
    scenario = scenario_of(
        begins_s,
        seconds - begins_s,
        tuple(event for fault in mine for event in fault.plant_events()),
        tuple(spec for fault in mine for spec in fault.wire_faults()),
    )
    simulation = Simulation(scenario, equipment=EQUIPMENT)
    engine = scenario.site.engine.model_copy(update={"tick_ms": JUDGED_S * SECOND_MS})
    file = replace(scenario.site, engine=engine)
    lived = Lived(scenario, begins_s, [])

    def note(step: Step) -> None:
        lived.damped |= {change.alarm_id for change in step.changes if change.is_damped}

    rehearsal = Rehearsal(file, begin_ms=scenario.begin_ms, told=note, gather_ms=SECOND_MS)
    lived.alarms = rehearsal.heard.alarms
    audience = Audience(
        rehearsal,
        sorted((away for fault in mine for away in fault.pauses()), key=lambda away: away.from_s),
        begin_ms=scenario.begin_ms,
        qos=scenario.qos,
        keeping=Keeping(file.brokers[0].queued_messages),
    )
    day = begins_s // DAY_S
    for look in looks(mine, seconds - begins_s):
        if (begins_s + min(look.second, scenario.seconds - 1)) // DAY_S > day:
            told(day, lived)
            day += 1
        rehearsal.set_pace(look.tick_s * SECOND_MS)
        second = simulation.look(look.second, is_leap=look.is_leap)
        audience.hear(list(messages_of(second, scenario.qos)), look.second)
        rehearsal.forget()
        lived.looks += 1
    lived.messages = audience.messages
    lived.refused = {reason: len(said) for reason, said in rehearsal.heard.rejections.items()}
    told(day, lived)
    return lived
