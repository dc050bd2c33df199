"""From when on alarms are held back for their number, and until when: by hand, at each threshold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest

from facility.names import CANARY
from rules.alarms.openings import FOR_CHATTER, FOR_FLOOD
from rules.alarms.states import Change
from rules.base import Severity
from testing.builders import T0_MS
from testing.rules.openings import RULE, USUAL, Damped

CHATTERING = frozenset({"T5 a"})
LOW, HIGH, CRITICAL = Severity.LOW, Severity.HIGH, Severity.CRITICAL
MANY = [f"s{number:02d}" for number in range(40)]


def opened_at(seconds: Iterable[int], found: Damped, severity: Severity = LOW) -> list[int]:
    """Let alarm `a` open at some seconds, for a second each; return at which of them it was told."""
    told = []
    for second in seconds:
        told += [second for change in found.tick(second, {"a": severity}) if change.is_told]
        found.tick(second + 1, {})
    return told


@pytest.mark.parametrize(
    ("seconds", "chatters"),
    [
        ([0, 2], False),
        ([0, 2, 4], True),
        ([0, 30, 59], True),
        ([0, 30, 60], False),
        ([0, 30, 61], False),
        ([0, 55, 70, 90], True),
        ([0, 31, 62, 93, 124, 155, 186, 217, 248], False),
        ([0, 31, 62, 93, 124, 155, 186, 217, 248, 279], True),
        ([0, 66, 132, 198, 264, 330, 396, 462, 528, 599], True),
        ([0, 66, 132, 198, 264, 330, 396, 462, 528, 600], False),
    ],
)
def test_three_in_a_minute_or_ten_in_ten_minutes_chatter(seconds: list[int], chatters: bool) -> None:  # noqa: FBT001 - a row
    """A minute ago is no more within the minute; each of these openings is told."""
    found = Damped(["a"])

    told = opened_at(seconds, found)

    assert told == seconds
    assert found.on == (CHATTERING if chatters else frozenset())


def test_what_follows_is_told_where_it_stands_for_a_minute() -> None:
    """A second less is chatter."""
    found = Damped(["a"])
    opened_at([0, 2, 4], found)

    short = [change for second in range(100, 160) for change in found.tick(second, {"a": HIGH})]
    (over,) = found.tick(160, {})
    long = [change for second in range(200, 261) for change in found.tick(second, {"a": HIGH})]

    assert [(change.change, change.is_told, change.reason) for change in (*short, over)] == [
        (Change.OPENED, False, FOR_CHATTER),
        (Change.RETURNED, False, ""),
    ]
    assert [(change.change, change.is_told, change.is_damped) for change in long] == [
        (Change.OPENED, False, True),
        (Change.OPENED, True, False),
    ]
    assert found.tick(261, {})[0].is_told


@pytest.mark.parametrize(("second", "is_on"), [(603, True), (604, False)])
def test_it_ends_once_it_has_not_opened_for_ten_minutes(second: int, is_on: bool) -> None:  # noqa: FBT001 - a row
    """Counted from the last opening, told or not."""
    found = Damped(["a"])
    opened_at([0, 2, 4], found)

    found.tick(second, {})

    assert found.on == (CHATTERING if is_on else frozenset())
    assert opened_at([second + 1], found) == ([] if is_on else [second + 1])


def test_what_another_alarm_hides_counts_for_nothing() -> None:
    """Nobody suffers from what is not told."""
    found = Damped(["a", *MANY])
    for second in range(0, 10, 2):
        found.tick(second, dict.fromkeys(["a", *MANY], LOW), hidden=["a", *MANY])
        found.tick(second + 1, {})

    assert found.on == frozenset()


@pytest.mark.parametrize("severity", [LOW, HIGH, CRITICAL])
def test_what_is_never_suppressed_is_told_each_time(severity: Severity) -> None:
    """That it chatters is found all the same."""
    found = Damped(["a"], is_exempt=True)

    assert opened_at(range(0, 40, 2), found, severity) == list(range(0, 40, 2))
    assert found.on == CHATTERING
    assert not found.openings.view().is_damped[found.openings.view().ids.index("T5 a")]


def test_what_is_critical_is_told_each_time() -> None:
    """Also where the alarm opened lower, and chatters."""
    found = Damped(["a"])

    assert opened_at(range(0, 40, 2), found, CRITICAL) == list(range(0, 40, 2))
    (lower,) = found.tick(50, {"a": HIGH})
    told = found.tick(51, {"a": CRITICAL})

    assert (lower.is_told, lower.reason) == (False, FOR_CHATTER)
    assert [change.severity for change in told if change.is_told] == [CRITICAL]


def test_the_canary_never_chatters() -> None:
    """It proves that pages come through."""
    found = Damped([CANARY])
    told = []
    for second in range(0, 100, 2):
        told += [change.is_told for change in found.tick(second, {CANARY: LOW})]
        found.tick(second + 1, {})

    assert told == [True] * 50
    assert found.on == frozenset()


def told_of(found: Damped, at_s: int, broken: Mapping[str, Severity]) -> list[str]:
    """Return whose openings a moment tells."""
    changes = found.tick(at_s, broken)
    return [change.subject for change in changes if change.is_told and change.change is Change.OPENED]


@pytest.mark.parametrize(("count", "is_on"), [(10, False), (11, True), (40, True)])
def test_more_than_ten_alarms_are_a_flood(count: int, is_on: bool) -> None:  # noqa: FBT001 - a row
    """The first ten are told."""
    found = Damped(MANY)

    assert told_of(found, 0, dict.fromkeys(MANY[:count], LOW)) == MANY[:10]
    assert found.on == (frozenset({RULE}) if is_on else frozenset())


def test_a_flood_comes_alarm_by_alarm_as_well() -> None:
    """The eleventh within ten minutes is held back; ten minutes after the first, one more is told."""
    found = Damped(MANY)
    broken = {}
    for number, subject in enumerate(MANY[:10]):
        broken[subject] = LOW
        assert told_of(found, number * 60, broken) == [subject]

    (eleventh,) = found.tick(599, broken | {MANY[10]: LOW})
    told = told_of(found, 600, broken | dict.fromkeys(MANY[10:12], LOW))

    assert (eleventh.is_told, eleventh.reason) == (False, FOR_FLOOD)
    assert found.on == {RULE}
    assert told == [MANY[11]]


def test_high_and_critical_are_told_in_a_flood() -> None:
    """Also what becomes so; each counts."""
    found = Damped(MANY)
    found.tick(0, dict.fromkeys(MANY[:11], LOW))

    told = told_of(found, 1, dict.fromkeys(MANY[:10], LOW) | dict.fromkeys(MANY[10:20], HIGH))

    assert sorted(told) == MANY[10:20]


@pytest.mark.parametrize(("later", "ends_s"), [(4, 600), (5, 900)])
def test_a_flood_ends_below_five(later: int, ends_s: int) -> None:
    """Of those that were told within ten minutes."""
    found = Damped(MANY)
    found.tick(0, dict.fromkeys(MANY[: 10 - later], LOW))
    found.tick(300, dict.fromkeys(MANY[10 - later : 11], LOW))
    assert found.on == {RULE}

    found.tick(ends_s - 1, {})
    before = found.on
    found.tick(ends_s, {})

    assert before == {RULE}
    assert found.on == frozenset()


def test_what_is_held_back_and_stands_is_the_flood() -> None:
    """None of it is told later, one by one, until four are left."""
    found = Damped(MANY)
    broken = dict.fromkeys(MANY, LOW)
    for second in range(0, 4_000, 100):
        assert told_of(found, second, broken) == (MANY[:10] if second == 0 else [])

    assert found.on == {RULE}
    left = dict.fromkeys(MANY[-4:], LOW)
    found.tick(4_001, left)
    assert found.on == frozenset()
    assert told_of(found, 4_002, left) == MANY[-4:]


def test_one_alarm_that_chatters_is_no_flood_and_hides_no_other() -> None:
    """However often it opens."""
    found = Damped(MANY)
    for second in range(0, 1_200, 2):
        found.tick(second, {MANY[0]: LOW})
        found.tick(second + 1, {})

    assert found.on == {f"T5 {MANY[0]}"}
    assert told_of(found, 1_300, dict.fromkeys(MANY[1:10], LOW)) == MANY[1:10]


def test_many_that_chatter_are_a_flood_for_as_long_as_they_do() -> None:
    """Nothing of them is told any more, and they count."""
    found = Damped(MANY)
    told = []
    for second in range(0, 1_400, 10):
        told += told_of(found, second, dict.fromkeys(MANY, LOW))
        found.tick(second + 5, {})

    assert RULE in found.on
    assert len(told) == 10 * USUAL.least_openings


def test_what_opened_and_what_was_not_told_is_counted() -> None:
    """Of an alarm that chatters, and of a flood."""
    found = Damped(["a"])
    opened_at(range(0, 40, 2), found)
    view = found.openings.view()
    place = view.ids.index("T5 a")
    assert (view.openings[place], view.untold[place]) == (20, 17)

    flood = Damped(MANY)
    flood.tick(0, dict.fromkeys(MANY[:15], LOW))
    flood.tick(1, dict.fromkeys(MANY, LOW))
    view = flood.openings.view()
    assert (view.openings[0], view.untold[0]) == (40, 30)


def test_parameters_hold() -> None:
    """Two openings in ten seconds, ten seconds of quiet, three alarms."""
    damping = replace(USUAL, least_openings=2, within_ms=10_000, quiet_ms=10_000, most_alarms=3, few_alarms=2)
    found = Damped(["a"], damping)
    assert opened_at([0, 9, 12], found) == [0, 9]
    found.tick(22, {})
    assert found.on == frozenset()

    flood = Damped(MANY, damping)
    assert told_of(flood, 0, dict.fromkeys(MANY[:4], LOW)) == MANY[:3]


def test_a_clock_that_was_set_forgets_when_things_opened() -> None:
    """What chatters does so until it was quiet for ten minutes by the new time."""
    found = Damped(["a"])
    opened_at([0, 2], found)
    found.openings.begin_anew(found_ms(-5_000))
    assert opened_at([-4_990], found) == [-4_990]
    assert found.on == frozenset()

    opened_at([-4_980, -4_970], found)
    found.openings.begin_anew(found_ms(9_000))
    found.tick(9_599, {})
    assert found.on == CHATTERING
    found.tick(9_600, {})
    assert found.on == frozenset()


def found_ms(second: int) -> int:
    """Return a second after `T0_MS` [ms]."""
    return T0_MS + second * 1_000


def test_a_rule_that_is_gone_is_forgotten_with_its_alarms() -> None:
    """And what was saved before anything was known of openings is no fault."""
    found = Damped(["a"])
    opened_at([0, 2, 4], found)
    saved = found.openings.save()

    found.openings = Damped(["a"]).openings
    found.openings.load(saved, {"T6"})
    assert found.openings.view().ids == ()

    found.openings.load({}, {RULE})
    assert found.openings.view().ids == ()
