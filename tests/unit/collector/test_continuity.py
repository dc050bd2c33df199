"""What the journal is told of a connection: breaks, gaps, and when what was kept has been read."""

from __future__ import annotations

import pytest

from collector.continuity.backlog import ANSWERS, LONGEST_MS, SETTLE_MS
from collector.continuity.continuity import ASK_MS, PATIENCE_MS, Continuity
from collector.continuity.keeping import Keeping
from collector.mqtt.message import ConnectionChange, ConnectionEvent
from store.journal.entries import Mark, MarkKind
from testing.builders import T0_MS

LOST, RESUMED, RENEWED, OVERLOADED, PAUSED = (
    ConnectionChange.LOST,
    ConnectionChange.RESUMED,
    ConnectionChange.RENEWED,
    ConnectionChange.OVERLOADED,
    ConnectionChange.PAUSED,
)
PLENTY = 1_000_000


def continuity(*, since_ms: int = 0, queue: int | None = PLENTY, rate_per_s: float = 10) -> Continuity:
    """Return what follows a connection from `T0_MS` on."""
    return Continuity("bus", Keeping(queue, rate_per_s), now_ms=T0_MS, since_ms=since_ms)


def happen(of: Continuity, change: ConnectionChange, second: float, doubt: str = "") -> list[MarkKind]:
    """Let something happen to the connection; return the marks."""
    at_ms = T0_MS + round(second * 1_000)
    return kinds(of.happen(ConnectionEvent(change, at_ms, "seen", doubt), at_ms))


def kinds(marks: list[Mark]) -> list[MarkKind]:
    """Return the kinds of marks."""
    return [mark.kind for mark in marks]


def look(of: Continuity, second: float, *, is_idle: bool = True) -> list[MarkKind]:
    """Let time pass; return the marks."""
    return kinds(of.look(T0_MS + round(second * 1_000), is_idle=is_idle))


def answers(of: Continuity, second: float, *, came: int = 0, acknowledged: int = 0) -> list[MarkKind]:
    """Let the broker answer often enough that it has no more; return the marks."""
    found: list[MarkKind] = []
    at_ms = T0_MS + round(second * 1_000)
    for _ in range(ANSWERS):
        at_ms += ASK_MS
        if acknowledged:
            found += kinds(of.take(acknowledged, 0, 60_000.0, at_ms))
        assert of.asks(at_ms)
        of.answer(came, at_ms)
    return found + kinds(of.look(at_ms, is_idle=True))


def live(of: Continuity, second: float) -> list[MarkKind]:
    """Let a message arrive that is new; return the marks."""
    return kinds(of.take(1, 0, 5.0, T0_MS + round(second * 1_000)))


# What happens [change], in which second, to a monitor that was away since which second; the marks and gaps.
_EVENTS = {
    "the first session": ([(RENEWED, 0)], None, [MarkKind.CONNECTED], 0),
    "a session of an earlier installation": ([(RESUMED, 0)], None, [MarkKind.CONNECTED], 0),
    "a session that was kept": ([(RESUMED, 0)], -5, [MarkKind.CONNECTED], 0),
    "forgotten while we were away": ([(RENEWED, 0)], -5, [MarkKind.SESSION_LOST], 1),
    "forgotten while it was away": (
        [(RENEWED, 0), (LOST, 1), (RENEWED, 2)],
        None,
        [MarkKind.CONNECTED, MarkKind.LOST, MarkKind.SESSION_LOST],
        1,
    ),
    "kept, and longer than the queue holds": ([(RESUMED, 0)], -60_000, [MarkKind.CONNECTED, MarkKind.GAP], 1),
}


@pytest.mark.shows
@pytest.mark.parametrize(("events", "since", "marks", "gaps"), _EVENTS.values(), ids=_EVENTS)
def test_what_happens_to_a_connection_is_a_mark(
    events: list[tuple[ConnectionChange, float]], since: int | None, marks: list[MarkKind], gaps: int
) -> None:
    """A session that was forgotten is a gap, except where there was none before; and one that lacks some."""
    made = continuity(since_ms=0 if since is None else T0_MS + since * 1_000)

    assert [kind for change, second in events for kind in happen(made, change, second)] == marks
    assert made.gaps == gaps


def test_a_doubt_of_the_session_is_a_gap_however_short_the_break_was() -> None:
    """The broker did not run, or somebody else was given what it kept."""
    made = continuity()
    happen(made, RENEWED, 0)
    live(made, 1)
    happen(made, LOST, 2)
    (_, gap) = made.happen(
        ConnectionEvent(RESUMED, T0_MS + 3_000, "", "the broker did not run"), T0_MS + 3_000
    )

    assert (gap.kind, gap.since_ms, gap.until_ms) == (MarkKind.GAP, T0_MS + 2_000, T0_MS + 3_000)
    assert gap.detail == "the broker did not run"


@pytest.mark.shows(MarkKind.GAP)
def test_a_backlog_that_filled_the_queue_is_a_gap_up_to_its_end() -> None:
    """More was published in the break than before: the queue of 1,000 was full, and what followed is gone."""
    made = continuity(queue=1_000, rate_per_s=10)
    happen(made, RENEWED, 0)
    live(made, 1)
    happen(made, LOST, 2)
    assert happen(made, RESUMED, 12) == [MarkKind.CONNECTED]
    assert kinds(made.take(1_000, 0, 9_000.0, T0_MS + 12_100)) == []

    gap, caught_up = made.take(1, 0, 3.0, T0_MS + 12_200)

    assert (gap.kind, gap.since_ms, gap.until_ms) == (MarkKind.GAP, T0_MS + 2_000, T0_MS + 12_200)
    assert caught_up.kind is MarkKind.CAUGHT_UP


def test_nothing_is_over_while_nobody_is_connected() -> None:
    """Cut for 3 s just after a restart: what the broker keeps is still to come, and judging waits for it."""
    made = continuity(since_ms=T0_MS - 60_000)
    assert happen(made, RESUMED, 0) == [MarkKind.CONNECTED]
    made.take(100, 0, 50_000.0, T0_MS + 500)
    assert happen(made, LOST, 1) == []
    assert [look(made, second) for second in (2, 3, 3.9)] == [[], [], []]
    assert not made.asks(T0_MS + 3_950)
    assert happen(made, RESUMED, 4) == [MarkKind.CONNECTED]
    assert look(made, 5.5) == []

    assert answers(made, 6) == [MarkKind.CAUGHT_UP]


def test_a_broker_that_stays_away_holds_up_judging_for_so_long_at_most() -> None:
    """After a while the loss is told as one."""
    made = continuity(since_ms=T0_MS - 60_000)
    happen(made, RESUMED, 0)
    happen(made, LOST, 1)

    assert look(made, 1 + PATIENCE_MS / 1_000) == []
    assert look(made, 1.1 + PATIENCE_MS / 1_000) == [MarkKind.LOST]
    assert look(made, 90) == []


def test_a_broker_that_never_answers_holds_up_judging_for_so_long_at_most() -> None:
    """Away since the journal's end."""
    made = continuity(since_ms=T0_MS - 60_000)

    assert look(made, PATIENCE_MS / 1_000) == []
    (mark,) = made.look(T0_MS + PATIENCE_MS + 1, is_idle=True)
    assert (mark.kind, mark.since_ms) == (MarkKind.LOST, T0_MS - 60_000)


def test_silence_ends_no_backlog_and_an_answer_does() -> None:
    """A network that is cut is silent as well."""
    made = continuity(since_ms=T0_MS - 60_000)
    happen(made, RESUMED, 0)

    assert [look(made, second) for second in range(1, 60)] == [[]] * 59
    assert answers(made, 60) == [MarkKind.CAUGHT_UP]


def test_who_reads_no_faster_than_others_publish_is_not_up_to_date() -> None:
    """A lag that does not fall proves nothing: on a slow processor the newest reading may be 75 s old."""
    made = continuity(since_ms=T0_MS - 60_000)
    happen(made, RESUMED, 0)
    found = []
    for second in range(2, 100):
        found += kinds(made.take(2_000, 500, 75_000.0, T0_MS + second * 1_000))
        if made.asks(T0_MS + second * 1_000):
            made.answer(2_000, T0_MS + second * 1_000)
        found += look(made, second, is_idle=False)

    assert found == []


def test_a_slow_clock_is_told_from_a_backlog_by_the_answers() -> None:
    """Everything is a minute old, and the broker has no more."""
    made = continuity(since_ms=T0_MS - 60_000)
    happen(made, RESUMED, 0)

    assert answers(made, 2, came=1, acknowledged=4) == [MarkKind.CAUGHT_UP]


def test_what_came_before_the_answer_is_stored_before_the_backlog_is_over() -> None:
    """The mark follows everything that it speaks of."""
    made = continuity(since_ms=T0_MS - 60_000)
    happen(made, RESUMED, 0)
    at_ms = T0_MS + SETTLE_MS
    for i in range(ANSWERS):
        made.asks(at_ms + i * ASK_MS)
        made.answer(0, at_ms + i * ASK_MS)
    at_ms += ANSWERS * ASK_MS

    assert kinds(made.look(at_ms, is_idle=False)) == []
    assert kinds(made.take(10, 5_000, 60_000.0, at_ms)) == []
    assert kinds(made.take(10, 10, 60_000.0, at_ms)) == [MarkKind.CAUGHT_UP]


def test_a_backlog_without_end_lets_judging_go_on_and_stays_old() -> None:
    """The rules are told that the connection is new again, so that what arrives is dated by its source."""
    made = continuity(since_ms=T0_MS - 60_000)
    happen(made, RESUMED, 0)
    late = LONGEST_MS / 1_000 + 1

    assert look(made, late, is_idle=False) == [MarkKind.LOST, MarkKind.CONNECTED]
    assert made.is_behind
    assert look(made, late + 200, is_idle=False) == []
    assert live(made, late + 201) == [MarkKind.CAUGHT_UP]


@pytest.mark.shows(MarkKind.STARTED)
def test_a_start_is_told_from_when_on_nothing_was_heard() -> None:
    """What came at most once since the monitor was last up is not known."""
    mark = continuity(since_ms=T0_MS - 5_000).opening()

    assert (mark.kind, mark.since_ms) == (MarkKind.STARTED, T0_MS - 5_000)


def test_a_standstill_of_ours_is_a_break_that_ends_by_itself() -> None:
    """The process was stopped for 10 s: what came meanwhile is read first, and then what is new."""
    made = continuity()
    happen(made, RENEWED, 0)
    live(made, 1)

    lost, connected = made.happen(ConnectionEvent(PAUSED, T0_MS + 2_000, "stood still"), T0_MS + 12_000)
    assert (lost.kind, lost.since_ms) == (MarkKind.LOST, T0_MS + 2_000)
    assert (connected.kind, connected.since_ms) == (MarkKind.CONNECTED, T0_MS + 12_000)
    assert kinds(made.take(100, 0, 9_000.0, T0_MS + 12_100)) == []
    assert live(made, 12.2) == [MarkKind.CAUGHT_UP]


def test_a_standstill_that_the_queue_can_not_have_held_is_a_gap() -> None:
    """The broker queues what we do not acknowledge, and drops what is too much."""
    made = continuity(queue=1_000, rate_per_s=300)
    happen(made, RENEWED, 0)
    live(made, 1)

    marks = made.happen(ConnectionEvent(PAUSED, T0_MS + 2_000, "stood still"), T0_MS + 12_000)
    assert kinds(marks) == [MarkKind.LOST, MarkKind.CONNECTED, MarkKind.GAP]
    assert (marks[2].since_ms, marks[2].until_ms) == (T0_MS + 2_000, T0_MS + 12_000)


@pytest.mark.parametrize("before", [RESUMED, LOST])
def test_a_standstill_while_nothing_is_judged_says_nothing(before: ConnectionChange) -> None:
    """Just after a restart, or while we are not connected."""
    made = continuity(since_ms=T0_MS - 5_000)
    happen(made, RESUMED, 0)
    happen(made, before, 1)

    assert happen(made, PAUSED, 5) == []


@pytest.mark.shows(MarkKind.OVERLOADED, MarkKind.CAUGHT_UP)
def test_an_overload_ends_with_the_first_message_that_is_new() -> None:
    """It was never told to be over."""
    made = continuity()
    happen(made, RENEWED, 0)
    live(made, 1)

    assert happen(made, OVERLOADED, 2) == [MarkKind.OVERLOADED]
    assert live(made, 3) == [MarkKind.CAUGHT_UP]


def test_a_slow_collector_is_a_gap_where_the_queue_can_not_have_held_it() -> None:
    """A disk that takes nothing for 20 s: the broker queues meanwhile, and drops what is too much."""
    made = continuity(queue=1_000, rate_per_s=300)
    happen(made, RENEWED, 0)
    live(made, 1)

    assert kinds(made.take(10, 500, 5.0, T0_MS + 2_000)) == []
    (gap,) = made.take(10, 20_000, 20_005.0, T0_MS + 30_000)
    assert (gap.kind, gap.since_ms, gap.until_ms) == (MarkKind.GAP, T0_MS + 10_000, T0_MS + 30_000)
