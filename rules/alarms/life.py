"""The life of an alarm as one table: what every event does to it, and what people are told then.

The words are those of ISA-18.2 and OPC UA Part 9. The table is data. `step` reads it for one subject of one
rule; the machines that run (`states.Bank` for all subjects of a rule at once, the ledger for what people do)
are held against it by tests, the page `docs/alarms.md` and a model for Spin are made from it.

Four things make up a state, and none of them changes another but by the rows below:

- the condition, which only what is judged changes;
- what holds back telling, which changes neither when an alarm opens nor when it returns;
- what was told, and whether it is graver by now than that;
- what people have acknowledged, and what still waits for that.

UNKNOWN starts and ends nothing: what was known last stands. Nobody can resolve an alarm whose condition
stands: there is no such event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from typing import Final


class Condition(IntEnum):
    """What is known of the limit, the codes as they stand in arrays."""

    NORMAL = 0
    PENDING = 1  # OPC UA: OnDelay
    ACTIVE = 2
    RETURNING = 3  # OPC UA: OffDelay; active still
    UNSEEN = 4  # over when it was last known, and not known now: the off-delay waits; active still


class Hold(StrEnum):
    """What keeps an alarm from being told."""

    CAUSE = "hidden by its cause"  # OPC UA: SuppressedState, by another alarm that says more
    SHELVED = "shelved"  # ISA-18.2 G; OPC UA: ShelvedState, timed
    BY_DESIGN = "suppressed by design"  # ISA-18.2 H; OPC UA: SuppressedState
    OUT_OF_SERVICE = "out of service"  # ISA-18.2 I; OPC UA: OutOfServiceState


class Event(StrEnum):
    """What can happen to an alarm."""

    BREACH = "breach"
    CLEAR = "clear"
    DEADBAND = "clear, within the deadband"
    UNKNOWN = "unknown"
    ON_DELAY_OVER = "on-delay over"
    OFF_DELAY_OVER = "off-delay over"
    SEVERITY_UP = "breach, graver than ever"
    SEVERITY_DOWN = "breach, less grave"
    CARRIES = "hides what is graver than ever"
    CARRIES_UNTOLD = "held back, hides what is graver than was told, and is not"
    GONE = "subject or rule gone"
    CLOCK_SET = "clock set"
    HIDDEN = "cause active"
    CAUSE_OVER = "cause over"
    SHELVE = "shelved"
    UNSHELVE = "unshelved, or its end"
    SUPPRESS = "suppressed by design"
    UNSUPPRESS = "suppressed no more"
    REMOVE = "taken out of service"
    RESTORE = "back in service"
    ACKNOWLEDGE = "acknowledged"
    REPEAT = "re-alarm time over"
    RESTART = "crash and restart"


class Told(StrEnum):
    """What people are told of an alarm."""

    OPENED = "opened"
    WORSENED = "worsened"
    RETURNED = "returned"
    REPEATED = "repeated"


class Happens(StrEnum):
    """What the condition's change does to the alarm, told or not."""

    OPENS = "opens"
    WORSENS = "worsens"
    RETURNS = "returns"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table of conditions.

    Attributes:
        before: The conditions in which the event does this; in all others it does nothing.
        event: What happens.
        after: The condition then.
        happens: What becomes of the alarm by that; None for nothing.
    """

    before: tuple[Condition, ...]
    event: Event
    after: Condition
    happens: Happens | None = None


@dataclass(frozen=True, slots=True)
class Telling:
    """A row of the table of telling: what people are to be told, unless something holds it back.

    Attributes:
        told: What they are told.
        conditions: In which conditions.
        was_told: Whether that is of an alarm of which they were told; None for either.
        is_graver: Whether only where it is graver than they were told.
        is_unacknowledged: Whether only where nobody has acknowledged it.
        at: Only at this change or event; None for at any time.
        despite: Which holds do not hold it back.
    """

    told: Told
    conditions: tuple[Condition, ...]
    was_told: bool | None
    is_graver: bool = False
    is_unacknowledged: bool = False
    at: Happens | Event | None = None
    despite: tuple[Hold, ...] = ()


BY_PEOPLE: Final = (Hold.OUT_OF_SERVICE, Hold.BY_DESIGN, Hold.SHELVED)
"""What people hold back, in the order in which an alarm's state names one of several."""

NORMAL, PENDING, ACTIVE, RETURNING, UNSEEN = Condition
ENDING: Final = (RETURNING, UNSEEN)
"""The conditions in which what was last known of an alarm is that it is over."""
STANDS: Final = (ACTIVE, *ENDING)
"""The conditions in which there is an alarm."""

CONDITIONS: Final = (
    Row((NORMAL,), Event.BREACH, PENDING),
    Row((NORMAL,), Event.SEVERITY_UP, PENDING),
    Row((NORMAL,), Event.SEVERITY_DOWN, PENDING),
    Row((PENDING,), Event.CLEAR, NORMAL),
    Row((PENDING,), Event.DEADBAND, NORMAL),
    Row((PENDING,), Event.GONE, NORMAL),
    Row((PENDING,), Event.CLOCK_SET, NORMAL),
    Row((PENDING,), Event.ON_DELAY_OVER, ACTIVE, Happens.OPENS),
    Row((ACTIVE,), Event.CLEAR, RETURNING),
    Row((RETURNING,), Event.UNKNOWN, UNSEEN),
    Row((UNSEEN,), Event.CLEAR, RETURNING),
    Row(ENDING, Event.BREACH, ACTIVE),
    Row(ENDING, Event.SEVERITY_DOWN, ACTIVE),
    Row(ENDING, Event.DEADBAND, ACTIVE),
    Row(ENDING, Event.CLOCK_SET, ACTIVE),
    Row(STANDS, Event.SEVERITY_UP, ACTIVE, Happens.WORSENS),
    Row((ACTIVE,), Event.CARRIES, ACTIVE, Happens.WORSENS),
    Row((RETURNING,), Event.CARRIES, RETURNING, Happens.WORSENS),
    Row((UNSEEN,), Event.CARRIES, UNSEEN, Happens.WORSENS),
    Row((RETURNING,), Event.OFF_DELAY_OVER, NORMAL, Happens.RETURNS),
    Row(STANDS, Event.GONE, NORMAL, Happens.RETURNS),
)
"""What is judged. What has no row changes nothing: a graver breach is one of a severity that the alarm never
had, and one that is less grave leaves it as grave as it was. A cause is as grave as what it hides."""

BEGINS: Final[Mapping[Event, Hold]] = {
    Event.HIDDEN: Hold.CAUSE,
    Event.SHELVE: Hold.SHELVED,
    Event.SUPPRESS: Hold.BY_DESIGN,
    Event.REMOVE: Hold.OUT_OF_SERVICE,
}
"""Which event begins which hold, whether there is an alarm or not."""

ENDS: Final[Mapping[Event, Hold]] = {
    Event.CAUSE_OVER: Hold.CAUSE,
    Event.UNSHELVE: Hold.SHELVED,
    Event.UNSUPPRESS: Hold.BY_DESIGN,
    Event.RESTORE: Hold.OUT_OF_SERVICE,
}
"""Which event ends which hold."""

HOLDS_BACK: Final[Mapping[Hold, tuple[Told, ...]]] = {
    Hold.CAUSE: (Told.OPENED, Told.WORSENED),
    Hold.SHELVED: (Told.OPENED, Told.WORSENED, Told.REPEATED),
    Hold.BY_DESIGN: (Told.OPENED, Told.WORSENED, Told.REPEATED),
    Hold.OUT_OF_SERVICE: (Told.OPENED, Told.WORSENED, Told.REPEATED),
}
"""What each hold keeps from being told: never a return.

A cause hides an alarm that opens beside it, until that alarm is active without a cause: one that stood before
its cause came is not hidden by it, and one that is about to return when its cause is over stays hidden, also
while nothing is known of it: a page claims nothing that was over when it was last known."""

TELLINGS: Final = (
    # Who shelves what is mild has not shelved what it hides.
    Telling(Told.WORSENED, STANDS, was_told=None, at=Event.CARRIES_UNTOLD, despite=BY_PEOPLE),
    # At whatever event: so it is told too when what held it back is over.
    Telling(Told.OPENED, STANDS, was_told=False),
    Telling(Told.WORSENED, STANDS, was_told=True, is_graver=True),
    Telling(Told.RETURNED, (NORMAL,), was_told=True, at=Happens.RETURNS),
    Telling(Told.REPEATED, STANDS, was_told=True, is_unacknowledged=True, at=Event.REPEAT),
)
"""What people are told: at an event the first row that is true and that nothing holds back.

What people hold back on a cause holds back what becomes of that cause, and not what it hides: where something
of that is graver than the cause by itself and than anything that was told of it, and nobody holds it back as
well, it is told, once, and the hold holds again afterwards. That is so whenever it comes about: also where
what is hidden is held back no longer, and beside something graver that is held back. So what is told first of
an alarm may be that it worsened; that is its opening then."""

ACKNOWLEDGEABLE: Final = STANDS
"""The conditions in which there is something to acknowledge; what returned and waits for that is, always.

An acknowledgement is of an alarm as grave as it was: it ends where that worsens, told or not."""


@dataclass(frozen=True, slots=True)
class State:
    """Where one subject of one rule is.

    Attributes:
        condition: What is known of the limit.
        holds: What holds telling back, also while there is no alarm.
        is_hidden: Whether a cause hides the alarm that stands.
        is_told: Whether people were told of the alarm: that it opened, or, while they held it back, that it
            hides what is graver.
        is_graver: Whether it is graver than they were told.
        is_acknowledged: Whether somebody has taken the alarm in hand.
        is_latched: Whether an alarm that returned waits to be acknowledged.
        latches: Whether the rule asks for that.
    """

    condition: Condition = NORMAL
    holds: frozenset[Hold] = frozenset()
    is_hidden: bool = False
    is_told: bool = False
    is_graver: bool = False
    is_acknowledged: bool = False
    is_latched: bool = False
    latches: bool = False

    @property
    def why_not(self) -> str:
        """Why people were not told of an alarm that stands; "" where they were, and where there is none."""
        if self.condition not in STANDS or self.is_told:
            return ""
        if self.is_hidden:
            return Hold.CAUSE.value if Hold.CAUSE in self.holds else "its cause is over, and so is it soon"
        return next(hold.value for hold in BY_PEOPLE if hold in self.holds)

    @property
    def words(self) -> str:
        """The state in the words of ISA-18.2, as it stands on the list of alarms."""
        if self.condition in STANDS:
            return f"active, {self._active()}"
        return "returned, unacknowledged" if self.is_latched else "normal"

    def _active(self) -> str:
        held = next((hold.value for hold in BY_PEOPLE if hold in self.holds), None)
        if held is not None and not self.is_hidden:
            return held
        if self.is_acknowledged:
            return "acknowledged"
        return "suppressed" if self.is_hidden else "unacknowledged"


_ROWS: Final = {(before, row.event): row for row in CONDITIONS for before in row.before}


def step(state: State, event: Event) -> tuple[State, Told | None]:
    """Return what an event makes of a state, and what people are told.

    Of one tick, what begins to hold back comes first, then what is judged, then the delays that are over,
    then what holds back no longer: whoever is hidden by a cause of the same tick is so from its opening on.

    Args:
        state: Where the subject is.
        event: What happens.
    """
    row = _ROWS.get((state.condition, event))
    happens = None if row is None else row.happens
    held = state.holds
    if event in BEGINS:
        held |= {BEGINS[event]}
    elif event in ENDS:
        held -= {ENDS[event]}
    now = replace(state, condition=state.condition if row is None else row.after, holds=held)
    if happens is Happens.OPENS or now.condition is ACTIVE:
        is_under = Hold.CAUSE in held
        now = replace(now, is_hidden=is_under and (now.is_hidden or happens is Happens.OPENS))
    if happens is Happens.WORSENS:
        now = replace(now, is_graver=now.is_told, is_acknowledged=False)
    if event is Event.ACKNOWLEDGE:
        now = replace(now, is_acknowledged=now.condition in ACKNOWLEDGEABLE, is_latched=False)
    told = next((t.told for t in TELLINGS if _is_due(t, now, event, happens)), None)
    if told in (Told.OPENED, Told.WORSENED):
        is_new = event is Event.CARRIES_UNTOLD
        now = replace(now, is_told=True, is_graver=False, is_acknowledged=now.is_acknowledged and not is_new)
    if happens is Happens.RETURNS:
        latched = now.is_latched or (now.latches and not now.is_acknowledged)
        now = State(condition=now.condition, holds=held, is_latched=latched, latches=now.latches)
    return now, told


def _is_due(telling: Telling, state: State, event: Event, happens: Happens | None) -> bool:
    """Tell whether a row of telling holds, and nothing holds it back."""
    return (
        state.condition in telling.conditions
        and telling.was_told in (None, state.is_told)
        and (not telling.is_graver or state.is_graver)
        and not (telling.is_unacknowledged and state.is_acknowledged)
        and (telling.at is None or telling.at in (event, happens))
        and not any(telling.told in HOLDS_BACK[hold] for hold in _holding(state) - {*telling.despite})
    )


def _holding(state: State) -> frozenset[Hold]:
    """Return what holds back telling of the alarm that stands."""
    by_people = state.holds - {Hold.CAUSE}
    return by_people | {Hold.CAUSE} if state.is_hidden else by_people


def states(*, latches: bool, events: Iterable[Event] = Event) -> list[State]:
    """Return every state that there is, the one without an alarm first.

    Args:
        latches: Whether the rule keeps what returned on the list until it is acknowledged.
        events: The events that may happen.
    """
    found, events = [State(latches=latches)], tuple(events)
    seen = set(found)
    for state in found:
        for event in events:
            after, _ = step(state, event)
            if after not in seen:
                seen.add(after)
                found.append(after)
    return found
