"""What the table of an alarm's life promises, in every state that there is and at every event."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from rules.alarms.life import (
    BEGINS,
    BY_PEOPLE,
    CONDITIONS,
    ENDS,
    HOLDS_BACK,
    STANDS,
    Condition,
    Event,
    Hold,
    State,
    Told,
    states,
    step,
)

EVERY: Final = [*states(latches=False), *states(latches=True)]
PEOPLE: Final = (
    *(event for event, hold in {**BEGINS, **ENDS}.items() if hold is not Hold.CAUSE),
    Event.ACKNOWLEDGE,
)
"""What people do."""


def steps(*events: Event) -> Iterator[tuple[State, Event, State, Told | None]]:
    """Yield what each event makes of each state; of all events where none are named."""
    for state in EVERY:
        for event in events or Event:
            yield state, event, *step(state, event)


def after(*events: Event, latches: bool = False) -> tuple[State, list[Told]]:
    """Return where events lead, and what was told by the way."""
    state, said = State(latches=latches), []
    for event in events:
        state, told = step(state, event)
        said += [told] if told is not None else []
    return state, said


def test_each_condition_and_event_has_one_row() -> None:
    """Two would contradict each other."""
    pairs = [(before, row.event) for row in CONDITIONS for before in row.before]

    assert len(pairs) == len(set(pairs))


def test_unknown_starts_and_ends_nothing() -> None:
    """Neither an alarm nor a pending one; a running off-delay is not known to run on."""
    for state, _, then, told in steps(Event.UNKNOWN):
        assert (then.condition in STANDS) == (state.condition in STANDS)
        assert (then.condition is Condition.PENDING) == (state.condition is Condition.PENDING)
        assert told in (None, Told.OPENED, Told.WORSENED)


def test_what_people_do_changes_no_condition() -> None:
    """Whatever is held back or acknowledged opens and returns as if it were not."""
    assert all(then.condition is state.condition for state, _, then, _ in steps(*PEOPLE))


def test_nobody_can_resolve_an_alarm_that_stands() -> None:
    """Only what is judged, or that there is nothing left to judge, ends it."""
    ending = {
        event
        for state, event, then, _ in steps()
        if state.condition in STANDS and then.condition not in STANDS
    }

    assert ending == {Event.OFF_DELAY_OVER, Event.GONE}


def test_an_alarm_that_stands_was_told_or_has_a_reason_why_not() -> None:
    """Always one of both."""
    for state in EVERY:
        if state.condition in STANDS:
            assert state.is_told == (not state.why_not)
        else:
            assert (state.is_told, state.why_not) == (False, "")


def test_a_return_is_told_if_and_only_if_the_opening_was() -> None:
    """Whatever holds back."""
    for state, _, then, told in steps():
        returns = state.condition in STANDS and then.condition not in STANDS
        assert (told is Told.RETURNED) == (returns and state.is_told)


def test_nothing_holds_back_a_return() -> None:
    """Not one of the holds says so."""
    assert not any(Told.RETURNED in told for told in HOLDS_BACK.values())


def test_what_is_held_back_is_not_told() -> None:
    """Whichever of the holds it is that stands; a cause, where it was there first."""
    for state, event, then, told in steps():
        holding = {hold for hold in then.holds if hold is not Hold.CAUSE or then.is_hidden}
        if event is Event.CARRIES_UNTOLD:
            holding -= {*BY_PEOPLE}
        assert not any(told in HOLDS_BACK[hold] for hold in holding)
        assert told is not Told.WORSENED or state.is_told or event is Event.CARRIES_UNTOLD


def test_what_a_cause_hides_and_nobody_holds_back_is_told_whatever_people_hold_back_of_the_cause() -> None:
    """In every state in which there is an alarm that no cause hides; the hold holds again afterwards."""
    for state, _, then, told in steps(Event.CARRIES_UNTOLD):
        stands = state.condition in STANDS and not then.is_hidden
        assert (told is Told.WORSENED) == stands
        if stands:
            assert (then.is_told, then.is_graver, then.holds) == (True, False, state.holds)
            assert all(
                step(then, event)[1] is None
                for event in (Event.SEVERITY_UP, Event.CARRIES)
                if then.holds - {Hold.CAUSE}
            )


def test_what_a_cause_hides_makes_it_graver_like_any_breach() -> None:
    """Where people hold back both, it is told when the hold of the cause is over."""
    for state, _, then, told in steps(Event.CARRIES):
        assert then.condition is state.condition
        if state.condition in STANDS and state.holds - {Hold.CAUSE}:
            assert (told, then.is_graver) == (None, state.is_told)


def test_a_cause_hides_what_opens_beside_it_until_that_is_active_without_one() -> None:
    """What stood before its cause came is not hidden by it."""
    for state, _, then, _ in steps():
        if then.is_hidden and not state.is_hidden:
            assert state.condition not in STANDS
            assert Hold.CAUSE in then.holds
        if state.is_hidden and not then.is_hidden and then.condition in STANDS:
            assert then.condition is Condition.ACTIVE
            assert Hold.CAUSE not in then.holds


def test_people_know_of_whatever_is_active_and_not_held_back() -> None:
    """That it opened, and how grave it is: also when what held it back is over."""
    for state in EVERY:
        if state.condition is Condition.ACTIVE and not state.holds:
            assert state.is_told
            assert not state.is_graver


def test_an_acknowledgement_is_of_an_alarm_that_stands_and_ends_with_it() -> None:
    """The next episode is unacknowledged."""
    assert all(state.condition in STANDS for state in EVERY if state.is_acknowledged)


def test_a_worsening_ends_an_acknowledgement() -> None:
    """Told or not; nothing else of an alarm that stands does."""
    for state, event, then, told in steps():
        if state.is_acknowledged and then.condition in STANDS:
            is_worse = event in (Event.SEVERITY_UP, Event.CARRIES)
            is_worse |= event is Event.CARRIES_UNTOLD and told is Told.WORSENED
            assert then.is_acknowledged is not is_worse


def test_what_is_acknowledged_is_not_repeated() -> None:
    """Nor is what was never told, nor what somebody holds back."""
    for state, _, _, told in steps(Event.REPEAT):
        by_people = state.holds - {Hold.CAUSE}
        stands = state.condition in STANDS and state.is_told
        assert (told is Told.REPEATED) == (stands and not state.is_acknowledged and not by_people)


def test_a_latched_alarm_waits_for_an_acknowledgement_alone() -> None:
    """Whatever comes after it; one that was acknowledged before it returned does not wait."""
    for state, event, then, _ in steps():
        if state.is_latched:
            assert then.is_latched == (event is not Event.ACKNOWLEDGE)
        else:
            returns = state.condition in STANDS and then.condition not in STANDS
            assert then.is_latched == (state.latches and returns and not state.is_acknowledged)


def test_a_restart_changes_nothing() -> None:
    """It tells nothing either."""
    assert all((then, told) == (state, None) for state, _, then, told in steps(Event.RESTART))


OPEN: Final = (Event.BREACH, Event.ON_DELAY_OVER)
BACK: Final = (Event.CLEAR, Event.OFF_DELAY_OVER)


@pytest.mark.parametrize(
    ("events", "words", "said"),
    [
        ((Event.BREACH,), "normal", []),
        (OPEN, "active, unacknowledged", [Told.OPENED]),
        ((*OPEN, Event.ACKNOWLEDGE), "active, acknowledged", [Told.OPENED]),
        ((Event.HIDDEN, *OPEN), "active, suppressed", []),
        ((Event.SHELVE, *OPEN), "active, shelved", []),
        ((*OPEN, Event.SUPPRESS), "active, suppressed by design", [Told.OPENED]),
        ((*OPEN, Event.REMOVE, Event.SHELVE), "active, out of service", [Told.OPENED]),
        ((*OPEN, *BACK), "returned, unacknowledged", [Told.OPENED, Told.RETURNED]),
        ((*OPEN, *BACK, Event.ACKNOWLEDGE), "normal", [Told.OPENED, Told.RETURNED]),
        ((*OPEN, Event.ACKNOWLEDGE, *BACK), "normal", [Told.OPENED, Told.RETURNED]),
        ((*OPEN, Event.SHELVE, *BACK), "returned, unacknowledged", [Told.OPENED, Told.RETURNED]),
        ((Event.SHELVE, *OPEN, Event.UNSHELVE), "active, unacknowledged", [Told.OPENED]),
        ((Event.SHELVE, *OPEN, *BACK, Event.UNSHELVE), "returned, unacknowledged", []),
        (
            (*OPEN, Event.SHELVE, Event.SEVERITY_UP, Event.UNSHELVE),
            "active, unacknowledged",
            [Told.OPENED, Told.WORSENED],
        ),
        (
            (*OPEN, Event.HIDDEN, Event.SEVERITY_UP, *BACK),
            "returned, unacknowledged",
            [Told.OPENED, Told.WORSENED, Told.RETURNED],
        ),
        ((Event.HIDDEN, *OPEN, Event.CLEAR, Event.CAUSE_OVER), "active, suppressed", []),
        (
            (Event.HIDDEN, *OPEN, Event.CLEAR, Event.CAUSE_OVER, Event.UNKNOWN),
            "active, suppressed",
            [],
        ),
        (
            (Event.HIDDEN, *OPEN, Event.CLEAR, Event.UNKNOWN, Event.CAUSE_OVER, Event.BREACH),
            "active, unacknowledged",
            [Told.OPENED],
        ),
        (
            (Event.HIDDEN, *OPEN, Event.CLEAR, Event.CAUSE_OVER, Event.UNKNOWN, *BACK),
            "returned, unacknowledged",
            [],
        ),
        ((*OPEN, Event.CARRIES), "active, unacknowledged", [Told.OPENED, Told.WORSENED]),
        (
            (*OPEN, Event.SHELVE, Event.CARRIES, Event.CARRIES_UNTOLD),
            "active, shelved",
            [Told.OPENED, Told.WORSENED],
        ),
        ((*OPEN, Event.SHELVE, Event.CARRIES), "active, shelved", [Told.OPENED]),
        (
            (*OPEN, Event.SHELVE, Event.CARRIES, Event.UNSHELVE),
            "active, unacknowledged",
            [Told.OPENED, Told.WORSENED],
        ),
        (
            (Event.REMOVE, *OPEN, Event.CARRIES, Event.CARRIES_UNTOLD),
            "active, out of service",
            [Told.WORSENED],
        ),
        (
            (Event.SHELVE, *OPEN, Event.CARRIES_UNTOLD, Event.UNSHELVE),
            "active, unacknowledged",
            [Told.WORSENED],
        ),
        (
            (Event.SHELVE, *OPEN, Event.CARRIES_UNTOLD, *BACK),
            "returned, unacknowledged",
            [Told.WORSENED, Told.RETURNED],
        ),
        ((Event.HIDDEN, Event.SHELVE, *OPEN, Event.CARRIES_UNTOLD), "active, suppressed", []),
    ],
)
def test_the_words_of_isa_18_2(events: tuple[Event, ...], words: str, said: list[Told]) -> None:
    """Of a rule that needs an acknowledgement, after some stories."""
    state, told = after(*events, latches=True)

    assert (state.words, told) == (words, said)
