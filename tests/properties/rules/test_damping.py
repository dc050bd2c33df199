"""Whatever opens, and however often: what is critical is told, what is told returns, and pages have a cap."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from rules.alarms.openings import FLOOD_MS
from rules.alarms.states import Change, Transition
from rules.base import Damping, Severity
from testing.rules.openings import RULE, Damped

DAMPING: Final = Damping(least_openings=3, within_ms=10_000, quiet_ms=30_000, most_alarms=4, few_alarms=2)
"""As usual, with less of everything, so that a short course reaches all of it."""
SUBJECTS: Final = [f"s{number}" for number in range(9)]
LOW_ONLY: Final = frozenset(SUBJECTS[:6])
"""What is never of high severity."""
Course = Sequence[tuple[int, Mapping[str, Severity], bool]]
"""How long after the moment before [s], what is broken then, and whether there is a restart before."""


@st.composite
def courses(draw: st.DrawFn) -> Course:
    """Return what is broken at some moments, most of it as at the moment before or the opposite."""
    steps = []
    for _ in range(draw(st.integers(10, 40))):
        after_s = draw(st.sampled_from((1, 1, 1, 3, 9, 10, 11, 29, 30, 200, 599)))
        broken = {}
        for subject in draw(st.sets(st.sampled_from(SUBJECTS))):
            most = Severity.MEDIUM if subject in LOW_ONLY else Severity.CRITICAL
            broken[subject] = draw(st.sampled_from([one for one in Severity if one <= most]))
        steps.append((after_s, broken, draw(st.booleans())))
    return steps


def played(course: Course, found: Damped, *, restarts: bool) -> list[list[Transition]]:
    """Return what each moment of a course brought."""
    at_s, brought = 0, []
    for after_s, broken, is_restart in course:
        if restarts and is_restart:
            found.restart()
        at_s += after_s
        brought.append(found.tick(at_s, broken))
    return brought


def told_ms(changes: Iterable[Transition], subject: str) -> list[int]:
    """Return when people were told that an alarm of a subject opened [ms]."""
    return [
        change.at_ms
        for change in changes
        if change.subject == subject and change.is_told and change.change is Change.OPENED
    ]


@settings(max_examples=60)
@given(courses())
def test_what_is_critical_or_never_suppressed_is_told_at_once(course: Course) -> None:
    """An alarm that stands and is critical is one that people were told of."""
    for is_exempt in (False, True):
        found = Damped(SUBJECTS, DAMPING, is_exempt=is_exempt)
        told = set[str]()
        for (_, broken, _), changes in zip(course, played(course, found, restarts=False), strict=True):
            told |= {change.alarm_id for change in changes if change.is_told}
            opened = [change for change in changes if change.change is Change.OPENED]
            must = {
                change.alarm_id
                for change in changes
                if change.change is not Change.RETURNED
                and (is_exempt or change.severity is Severity.CRITICAL)
            }
            assert must <= told
            assert all(change.subject in broken for change in opened)


@settings(max_examples=60)
@given(courses())
def test_each_end_is_told_of_what_was_told_and_of_nothing_else(course: Course) -> None:
    """Nobody waits for the end of an alarm, and nobody is told of the end of one that was held back."""
    found, told = Damped(SUBJECTS, DAMPING), set[str]()
    for changes in played(course, found, restarts=False):
        for change in changes:
            if change.change is Change.RETURNED:
                assert change.is_told == (change.alarm_id in told)
            elif change.is_told:
                told.add(change.alarm_id)


@settings(max_examples=60)
@given(courses())
def test_what_is_held_back_is_explained(course: Course) -> None:
    """By a chatter or a flood that there is at that moment."""
    found, at_s = Damped(SUBJECTS, DAMPING), 0
    for after_s, broken, _ in course:
        at_s += after_s
        for change in found.tick(at_s, broken):
            if change.is_damped:
                assert not change.is_told
                assert {RULE, f"{RULE} {change.subject}"} & found.on, change


@settings(max_examples=60)
@given(courses())
def test_pages_stay_within_their_cap(course: Course) -> None:
    """Of an alarm three in a while; of a rule below high severity as many alarms in ten minutes as may be."""
    found = Damped(SUBJECTS, DAMPING)
    changes = [change for moment in played(course, found, restarts=False) for change in moment]
    for subject in LOW_ONLY:
        times = told_ms(changes, subject)
        for at_ms in times:
            assert sum(at_ms - DAMPING.within_ms < time_ms <= at_ms for time_ms in times) <= 3
    low = sorted((at_ms, subject) for subject in LOW_ONLY for at_ms in told_ms(changes, subject))
    for at_ms, _ in low:
        alarms = {subject for time_ms, subject in low if at_ms - FLOOD_MS < time_ms <= at_ms}
        assert len(alarms) <= DAMPING.most_alarms


@settings(max_examples=60)
@given(courses())
def test_what_is_high_and_stands_is_told(course: Course) -> None:
    """At the latest once it has stood for as long as openings make a chatter."""
    found, at_s = Damped(SUBJECTS, DAMPING), 0
    told, opened_s, high = set[str](), dict[str, int](), dict[str, Severity]()
    for after_s, broken, _ in course:
        at_s += after_s
        for change in found.tick(at_s, broken):
            if change.change is Change.RETURNED:
                opened_s.pop(change.subject)
                high.pop(change.subject)
                told.discard(change.subject)
                continue
            opened_s.setdefault(change.subject, at_s)
            high[change.subject] = change.severity
            if change.is_told:
                told.add(change.subject)
        for subject, severity in high.items():
            stood_ms = (at_s - opened_s[subject]) * 1_000
            assert severity < Severity.HIGH or stood_ms < DAMPING.within_ms or subject in told


@settings(max_examples=60)
@given(courses())
def test_a_restart_changes_nothing(course: Course) -> None:
    """Saved and loaded between any two moments, it goes on as it would have."""
    whole, again = Damped(SUBJECTS, DAMPING), Damped(SUBJECTS, DAMPING)

    assert repr(played(course, whole, restarts=False)) == repr(played(course, again, restarts=True))
    assert repr(whole.openings.view()) == repr(again.openings.view())


@settings(max_examples=30)
@given(courses())
def test_it_remembers_no_more_than_there_is(course: Course) -> None:
    """However long it goes on: of each alarm some openings, and nothing once all is quiet."""
    found = Damped(SUBJECTS, DAMPING)
    played(course, found, restarts=False)
    saved = found.openings.save()
    sizes: dict[str, int] = defaultdict(int)
    for _, subject, times in saved["recent"]:
        sizes[subject] += len(times)
    assert max(sizes.values(), default=0) <= DAMPING.most_alarms

    quiet_s = 10 * FLOOD_MS // 1_000 + sum(after_s for after_s, _, _ in course)
    for after_s in (0, 1, 2):
        found.tick(quiet_s + after_s, {})
    assert not any(found.openings.save().values())
