"""The table of an alarm's life as arrays, and what it makes of many subjects at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facility.readings import BoolArray
from rules.alarms.life import Condition, Event, Happens, Hold, State, Told, states, step
from rules.alarms.states import Bank, Change, Transition
from rules.base import Findings, Severity, Verdict
from testing.builders import T0_MS

Codes = NDArray[np.int64]

HEARD: Final = (
    Event.BREACH,
    Event.CLEAR,
    Event.DEADBAND,
    Event.UNKNOWN,
    Event.SEVERITY_UP,
    Event.ON_DELAY_OVER,
    Event.HIDDEN,
)
"""What may come at a tick. An on-delay that is over stands for whichever delay runs; what is hidden for the
beginning of a cause, and for its end where there is one."""
JUDGED: Final = (
    *HEARD,
    Event.SEVERITY_DOWN,
    Event.OFF_DELAY_OVER,
    Event.CAUSE_OVER,
)
STATES: Final = states(latches=False, events=JUDGED)
"""The states that a bank can be in, by their numbers."""
CHANGES: Final = (Change.OPENED, Change.WORSENED, Change.RETURNED)
_OF: Final = {Happens.OPENS: 0, Happens.WORSENS: 1, Happens.RETURNS: 2}
_TOLD: Final = {Told.OPENED: 0, Told.WORSENED: 1, Told.RETURNED: 2}
NONE: Final = -1
LATER: Final = np.iinfo(np.int64).max
"""A delay that does not end."""


def _tables() -> tuple[Codes, Codes, Codes]:
    """Return the state, what is told and what happens, shape (states, events) each; `NONE` for nothing."""
    number = {state: i for i, state in enumerate(STATES)}
    after = np.zeros((len(STATES), len(JUDGED)), np.int64)
    told, happens = np.full_like(after, NONE), np.full_like(after, NONE)
    for i, state in enumerate(STATES):
        for j, event in enumerate(JUDGED):
            then, said = step(state, event)
            after[i, j] = number[then]
            told[i, j] = NONE if said is None else _TOLD[said]
            happens[i, j] = _what_happens(state, then, event)
    return after, told, happens


def _what_happens(before: State, after: State, event: Event) -> int:
    """Return what the condition's change does to the alarm, from the conditions alone."""
    stood, stands = (state.condition >= Condition.ACTIVE for state in (before, after))
    if stands and not stood:
        return _OF[Happens.OPENS]
    if stood and not stands:
        return _OF[Happens.RETURNS]
    return _OF[Happens.WORSENS] if stood and event is Event.SEVERITY_UP else NONE


AFTER, TOLD, HAPPENS = _tables()
CONDITION: Final = np.array([state.condition for state in STATES])
IS_TOLD: Final = np.array([state.is_told for state in STATES])
IS_HIDDEN: Final = np.array([Hold.CAUSE in state.holds for state in STATES])


@dataclass(slots=True)
class Subjects:
    """Where each of many subjects is by the table, and what was found of it last; shape (subjects,) each.

    Attributes:
        state: The number of its state.
        verdict: What was found.
        returned: Whether it was clear by more than the deadband.
        severity: Of which severity that is.
        gravest: How grave its alarm is.
        opened: When its alarm opened, by the number of the tick.
    """

    state: Codes
    verdict: Codes
    returned: BoolArray
    severity: Codes
    gravest: Codes
    opened: Codes

    @classmethod
    def at_first(cls) -> Subjects:
        """Return one subject of which all is well."""
        one, no = np.ones(1, np.bool_), np.zeros(1, np.int64)
        return cls(no.copy(), no.copy(), one, no.copy(), no.copy(), no.copy())

    def repeated(self, times: int) -> Subjects:
        """Return each subject so many times."""
        return Subjects(*(np.repeat(getattr(self, name), times) for name in self.__slots__))

    def chosen(self, begin: int, end: int) -> Subjects:
        """Return some of the subjects."""
        return Subjects(*(getattr(self, name)[begin:end] for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Tick:
    """What came of each subject at a tick, and what must come of it; shape (subjects,) each.

    Attributes:
        found: What a rule would find.
        hidden: Whose alarm is hidden.
        told: What people are told, a number of `CHANGES` or `NONE`.
        happens: What happens to the alarm.
    """

    found: Findings
    hidden: BoolArray
    told: Codes
    happens: Codes


def advance(subjects: Subjects, heard: Codes, number: int) -> Tick:
    """Let one event come of each subject, and return what a rule would find.

    Args:
        subjects: Where they are; changed.
        heard: The event of each, a number of `HEARD`.
        number: The number of the tick.
    """
    stands = CONDITION[subjects.state] >= Condition.ACTIVE
    known = [HEARD.index(e) for e in (Event.BREACH, Event.CLEAR, Event.DEADBAND, Event.UNKNOWN)]
    for code, verdict in zip(
        known, (Verdict.BREACH, Verdict.CLEAR, Verdict.CLEAR, Verdict.UNKNOWN), strict=True
    ):
        here = heard == code
        subjects.verdict[here] = verdict
        subjects.returned[here] = code == HEARD.index(Event.CLEAR)
        subjects.severity[here] = Severity.INFO
    graver = heard == HEARD.index(Event.SEVERITY_UP)
    subjects.verdict[graver], subjects.returned[graver] = Verdict.BREACH, False
    most = np.minimum(np.where(stands, subjects.gravest, 0) + 1, int(Severity.CRITICAL))
    subjects.severity[graver] = most[graver]
    event = heard.copy()
    # Nothing is graver than critical, and a breach of an alarm that was graver is less grave.
    event[graver & stands & (subjects.gravest == Severity.CRITICAL)] = JUDGED.index(Event.BREACH)
    lighter = (heard == HEARD.index(Event.BREACH)) & stands & (subjects.gravest > Severity.INFO)
    event[lighter] = JUDGED.index(Event.SEVERITY_DOWN)
    is_over = heard == HEARD.index(Event.ON_DELAY_OVER)
    event[is_over & stands] = JUDGED.index(Event.OFF_DELAY_OVER)
    turns = heard == HEARD.index(Event.HIDDEN)
    event[turns & IS_HIDDEN[subjects.state]] = JUDGED.index(Event.CAUSE_OVER)
    told, happens = TOLD[subjects.state, event], HAPPENS[subjects.state, event]
    subjects.state = AFTER[subjects.state, event]
    opens, worsens = happens == _OF[Happens.OPENS], happens == _OF[Happens.WORSENS]
    subjects.opened[opens] = number
    subjects.gravest[opens | worsens] = subjects.severity[opens | worsens]
    count = len(heard)
    delay = np.where(is_over, 0, LATER)
    found = Findings(
        verdict=subjects.verdict.astype(np.int8),
        value=subjects.severity.astype(np.float64),
        limit=np.zeros(count),
        returned=subjects.returned.copy(),
        severity=subjects.severity.astype(np.int8),
        on_delay_ms=delay,
        off_delay_ms=delay,
    )
    return Tick(found, IS_HIDDEN[subjects.state], told, happens)


def check(bank: Bank, subjects: Subjects, tick: Tick, said: list[Transition], what: str) -> None:
    """Check that a bank is where the table is, and said what the table says.

    Args:
        bank: Its subjects have their places as names.
        subjects: Where they are by the table.
        tick: What came.
        said: What the bank said of it.
        what: Is said of a difference.
    """
    columns, _ = bank.save()
    stands = columns["state"] == Condition.ACTIVE
    condition = np.select(
        [stands & (columns["returning_ms"] >= 0), stands & columns["is_ending"]],
        [int(Condition.RETURNING), int(Condition.UNSEEN)],
        columns["state"],
    )
    _same(condition, CONDITION[subjects.state], f"condition, {what}")
    _same(columns["told"], IS_TOLD[subjects.state], f"told, {what}")
    stands = condition >= Condition.ACTIVE
    _same(columns["severity"][stands], subjects.gravest[stands], f"severity, {what}")
    expected = np.concatenate(
        [
            _rows(np.flatnonzero(tick.happens != NONE), tick.happens, tick.told == tick.happens, subjects),
            _rows(
                np.flatnonzero((tick.told != NONE) & (tick.told != tick.happens)),
                tick.told,
                np.ones(len(tick.told), np.bool_),
                subjects,
            ),
        ]
    )
    found = np.array(
        [(int(c.subject), CHANGES.index(c.change), c.is_told, c.opened_ms - T0_MS) for c in said], np.int64
    ).reshape(-1, 4)
    _same(_sorted(found), _sorted(expected), f"changes, {what}")


def _rows(places: NDArray[np.intp], change: Codes, is_told: BoolArray, subjects: Subjects) -> Codes:
    return np.stack([places, change[places], is_told[places], subjects.opened[places]], axis=1)


def _sorted(rows: Codes) -> Codes:
    return rows[np.lexsort(rows.T[::-1])]


def _same(found: NDArray[np.generic], expected: NDArray[np.generic], what: str) -> None:
    assert found.shape == expected.shape, f"{what}: expected {expected.shape}, found {found.shape}"
    if not np.array_equal(found, expected):
        place = int(np.flatnonzero((found != expected).reshape(len(found), -1).any(axis=1))[0])
        raise AssertionError(f"{what}, at {place}: expected {expected[place]}, found {found[place]}")
