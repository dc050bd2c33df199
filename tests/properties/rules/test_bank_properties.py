"""The alarm machines, against a plain reading of their rules: one subject, its whole history, no state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rules.alarms.states import Bank, Change, Transition, alarm_id
from rules.base import Findings, Severity, Verdict
from testing.builders import T0_MS

SUBJECTS = ("a", "b", "c")
DELAYS_MS = (0, 1, 999, 1_000, 2_500, 5_000)
CLEAR, BREACH, UNKNOWN = Verdict.CLEAR, Verdict.BREACH, Verdict.UNKNOWN


@dataclass(frozen=True)
class Moment:
    """What a rule found of one subject at one tick."""

    at_ms: int
    verdict: Verdict
    is_returned: bool
    severity: Severity
    is_suppressed: bool


@dataclass(frozen=True)
class Tick:
    """What a rule found at one tick: a moment of each subject that was there, in some order."""

    at_ms: int
    moments: tuple[tuple[str, Moment], ...]


_FOUND = st.sampled_from(
    [
        (verdict, is_returned, severity, is_suppressed)
        for verdict, is_returned, severity, weight in (
            (CLEAR, True, Severity.MEDIUM, 2),
            (CLEAR, False, Severity.MEDIUM, 1),
            (BREACH, False, Severity.MEDIUM, 3),
            (BREACH, False, Severity.HIGH, 1),
            (UNKNOWN, False, Severity.MEDIUM, 1),
        )
        for is_suppressed in (False, False, True)
        for _ in range(weight)
    ]
)
_ORDERS = st.sampled_from(
    [*permutations(SUBJECTS), *(SUBJECTS[:count] for count in range(len(SUBJECTS))), *[SUBJECTS] * 10]
)
_TICKS = st.tuples(st.sampled_from((250, 1_000, 1_000, 4_000)), _ORDERS, st.tuples(_FOUND, _FOUND, _FOUND))


@st.composite
def histories(draw: st.DrawFn) -> list[Tick]:
    """Draw what a rule finds, tick by tick; subjects come, go and change places."""
    at_ms = T0_MS
    ticks = []
    for step_ms, order, found in draw(st.lists(_TICKS, min_size=1, max_size=25)):
        at_ms += step_ms
        here = zip(order, found, strict=False)
        ticks.append(Tick(at_ms, tuple((subject, Moment(at_ms, *said)) for subject, said in here)))
    return ticks


def a_bank(on_ms: int, off_ms: int) -> Bank:
    """Return machines that have judged nothing."""
    return Bank("X1", Severity.MEDIUM, on_ms, off_ms)


def findings(tick: Tick) -> Findings:
    """Return a tick as a rule would."""
    found = [moment for _, moment in tick.moments]
    return Findings(
        verdict=np.array([moment.verdict for moment in found], np.int8),
        value=np.array([float(moment.verdict) for moment in found], np.float64),
        limit=np.ones(len(found)),
        returned=np.array([moment.is_returned for moment in found], np.bool_),
        severity=np.array([moment.severity for moment in found], np.int8),
    )


def walk(bank: Bank, ticks: Sequence[Tick]) -> list[Transition]:
    """Return what happens to a bank's alarms, with what is told of it."""
    happened = []
    for tick in ticks:
        found = findings(tick)
        names = tuple(subject for subject, _ in tick.moments)
        suppressed = np.array([moment.is_suppressed for _, moment in tick.moments], np.bool_)
        changes = bank.step(names, found, tick.at_ms)
        happened += bank.tell(changes, suppressed, found, tick.at_ms)
    return happened


# The plain reading --------------------------------------------------------------------


@dataclass(frozen=True)
class Episode:
    """One alarm of one subject: since when the limit is broken, when it opened, when it returned."""

    since_ms: int
    opened_ms: int
    returned_ms: int | None


def stays(subject: str, ticks: Sequence[Tick]) -> Iterator[tuple[list[Moment], int | None]]:
    """Yield the moments of each unbroken stay of a subject, and the tick at which it was gone."""
    stay: list[Moment] = []
    for tick in ticks:
        here = dict(tick.moments).get(subject)
        if here is not None:
            stay.append(here)
        elif stay:
            yield stay, tick.at_ms
            stay = []
    if stay:
        yield stay, None


def episodes(stay: Sequence[Moment], gone_ms: int | None, on_ms: int, off_ms: int) -> Iterator[Episode]:
    """Yield the alarms of one stay, from the words of the machine's description."""
    rest = list(stay)
    while True:
        begins = next((i for i, moment in enumerate(rest) if moment.verdict is BREACH), None)
        if begins is None:
            return
        since_ms = rest[begins].at_ms
        # Pending until it is known to be clear; unknown goes on.
        cleared = next((i for i in range(begins, len(rest)) if rest[i].verdict is CLEAR), len(rest))
        opens = next((i for i in range(begins, cleared) if rest[i].at_ms - since_ms >= on_ms), None)
        if opens is None:
            rest = rest[cleared:]
            if not rest:
                return
            continue
        over = next(
            (i for i in range(opens + 1, len(rest)) if over_since(rest, opens, i, off_ms)),
            None,
        )
        if over is None:
            yield Episode(since_ms, rest[opens].at_ms, gone_ms)
            return
        yield Episode(since_ms, rest[opens].at_ms, rest[over].at_ms)
        rest = rest[over + 1 :]


def over_since(rest: Sequence[Moment], opens: int, last: int, off_ms: int) -> bool:
    """Tell whether an alarm has been over, without a break, for the off-delay."""
    first = last + 1
    while first - 1 > opens and rest[first - 1].verdict is CLEAR and rest[first - 1].is_returned:
        first -= 1
    return first <= last and rest[last].at_ms - rest[first].at_ms >= off_ms


def expected(ticks: Sequence[Tick], on_ms: int, off_ms: int) -> dict[str, list[Episode]]:
    """Return the alarms of every subject."""
    return {
        subject: [
            episode
            for stay, gone_ms in stays(subject, ticks)
            for episode in episodes(stay, gone_ms, on_ms, off_ms)
        ]
        for subject in SUBJECTS
    }


def happened(changes: Sequence[Transition], subject: str) -> list[Episode]:
    """Return the alarms that a bank reported of a subject."""
    opened = {c.alarm_id: c for c in reversed(changes) if c.subject == subject and c.change is Change.OPENED}
    returned = {c.alarm_id: c for c in changes if c.subject == subject and c.change is Change.RETURNED}
    assert set(returned) <= set(opened)
    return [
        Episode(
            change.since_ms,
            change.opened_ms,
            returned[alarm].at_ms if alarm in returned else None,
        )
        for alarm, change in sorted(opened.items(), key=lambda item: item[1].opened_ms)
    ]


# The properties -----------------------------------------------------------------------


@given(histories(), st.sampled_from(DELAYS_MS), st.sampled_from(DELAYS_MS))
def test_alarms_are_those_of_the_plain_reading(ticks: list[Tick], on_ms: int, off_ms: int) -> None:
    """Every subject has the alarms that its own history says, whoever else is there and in what place."""
    changes = walk(a_bank(on_ms, off_ms), ticks)

    found = {subject: happened(changes, subject) for subject in SUBJECTS}

    assert found == expected(ticks, on_ms, off_ms)


@given(histories(), st.sampled_from(DELAYS_MS))
def test_nothing_opens_sooner_than_the_on_delay(ticks: list[Tick], on_ms: int) -> None:
    """Between the last moment at which all was well and an alarm lies the on-delay at least."""
    changes = walk(a_bank(on_ms, 1_000), ticks)

    for change in changes:
        if change.change is not Change.OPENED:
            continue
        clear = [
            tick.at_ms
            for tick in ticks
            if tick.at_ms <= change.opened_ms
            and dict(tick.moments).get(change.subject, moment_of(tick.at_ms, CLEAR)).verdict is CLEAR
        ]
        assert change.opened_ms - max(clear, default=change.opened_ms - on_ms) >= on_ms
        assert change.opened_ms - change.since_ms >= on_ms


@given(histories(), st.sampled_from(DELAYS_MS), st.sampled_from(DELAYS_MS), st.data())
def test_unknown_alone_changes_nothing(
    ticks: list[Tick], on_ms: int, off_ms: int, data: st.DataObject
) -> None:
    """From normal, unknown opens nothing however long; from active, it returns nothing however long."""
    cut = data.draw(st.integers(0, len(ticks)))
    bank = a_bank(on_ms, off_ms)
    walk(bank, ticks[:cut])
    before, is_pending = bank.is_active.copy(), bank.is_pending.copy()
    last_ms = ticks[cut - 1].at_ms if cut else T0_MS
    names = bank.subjects
    silence = [
        Tick(at_ms, tuple((name, moment_of(at_ms, UNKNOWN)) for name in names))
        for at_ms in range(last_ms + 1_000, last_ms + 60_000, 1_000)
    ]

    changes = walk(bank, silence)

    assert not [change for change in changes if change.change is Change.RETURNED]
    # What was pending goes on; nothing else opens.
    assert bank.is_active.tolist() == (before | is_pending).tolist()


@given(histories(), st.sampled_from(DELAYS_MS), st.sampled_from(DELAYS_MS), st.data())
def test_a_restart_changes_nothing(ticks: list[Tick], on_ms: int, off_ms: int, data: st.DataObject) -> None:
    """A history in two halves, with what was saved between them, is the same history."""
    cut = data.draw(st.integers(0, len(ticks)))
    first, second = a_bank(on_ms, off_ms), a_bank(on_ms, off_ms)

    changes = walk(first, ticks[:cut])
    second.load(*first.save())
    changes += walk(second, ticks[cut:])

    # NaN is not equal to itself, but it reads the same.
    assert repr(changes) == repr(walk(a_bank(on_ms, off_ms), ticks))


@given(histories(), st.sampled_from(DELAYS_MS), st.sampled_from(DELAYS_MS))
def test_ids_follow_from_rule_subject_and_opening(ticks: list[Tick], on_ms: int, off_ms: int) -> None:
    """An alarm has one id from its opening to its return, and no other alarm has it."""
    changes = walk(a_bank(on_ms, off_ms), ticks)

    owners = {(change.alarm_id, change.subject, change.opened_ms) for change in changes}
    assert len(owners) == len({identity for identity, _, _ in owners})
    for change in changes:
        assert change.alarm_id == alarm_id("X1", change.subject, change.opened_ms)


@given(histories(), st.sampled_from(DELAYS_MS), st.sampled_from(DELAYS_MS))
def test_people_hear_a_whole_story_or_none(ticks: list[Tick], on_ms: int, off_ms: int) -> None:
    """What is told of an alarm begins with its opening, and ends with its return if it returned."""
    changes = walk(a_bank(on_ms, off_ms), ticks)

    for identity in {change.alarm_id for change in changes}:
        story = [change for change in changes if change.alarm_id == identity]
        told = [change.change for change in story if change.is_told]
        was_seen = any(is_unsuppressed(ticks, change) for change in story)
        assert bool(told) == was_seen
        if told:
            assert told[0] is Change.OPENED
            assert told.count(Change.OPENED) == 1
            assert (Change.RETURNED in told) == (story[-1].change is Change.RETURNED)
            assert Change.RETURNED not in told[:-1]


@given(histories(), st.sampled_from(DELAYS_MS))
def test_severity_only_rises(ticks: list[Tick], on_ms: int) -> None:
    """While an alarm stands its severity never falls, and each rise is said once."""
    changes = walk(a_bank(on_ms, 1_000), ticks)

    for identity in {change.alarm_id for change in changes}:
        story = [change for change in changes if change.alarm_id == identity]
        severities = [change.severity for change in story]
        worsened = [change.severity for change in story if change.change is Change.WORSENED]
        assert severities == sorted(severities)
        assert len(worsened) == len(set(worsened))


def moment_of(at_ms: int, verdict: Verdict) -> Moment:
    """Return a moment at which nothing but the verdict counts."""
    return Moment(at_ms, verdict, verdict is CLEAR, Severity.MEDIUM, is_suppressed=False)


def is_unsuppressed(ticks: Sequence[Tick], change: Transition) -> bool:
    """Tell whether an alarm stood at some tick up to a change of it, and had to be told then.

    Not while it was suppressed, nor while it was about to return.
    """
    return any(
        subject == change.subject
        and not moment.is_suppressed
        and not (moment.verdict is CLEAR and moment.is_returned)
        for tick in ticks
        for subject, moment in tick.moments
        if change.opened_ms <= tick.at_ms
        and (
            tick.at_ms < change.at_ms or (tick.at_ms == change.at_ms and change.change is not Change.RETURNED)
        )
    )
