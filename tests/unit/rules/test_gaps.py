"""A broker may have dropped some of what it kept for us: what was measured by then is of unknown age."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from facility.points import Cadence
from facility.readings import Flag
from rules.engine.engine import Engine, Step
from rules.engine.settled import Patience
from store.journal.entries import EVERY_BROKER, Mark, MarkKind
from store.series import TenantDraw
from testing.builders import T0_MS
from testing.rules.halls import (
    BUS,
    Tape,
    a_judging,
    an_engine,
    at_once,
    bounds_kw,
    known_heartbeat,
    known_racks_of,
    one_tenant,
    play,
    received,
)
from tests.unit.rules.knowing import is_certain, on_change, says

BACK_S = 10
CALM_KW, BUSY_KW = (60.0, 60.0, 60.0), (90.0, 90.0, 90.0)


def calm_hall(seconds: int) -> tuple[Engine, Tape]:
    """Return an engine, and what three racks that publish on change say for some seconds."""
    site, tape = one_tenant(), Tape()
    tape.put(T0_MS - 1_000, known_racks_of(site, cadence=Cadence.ON_CHANGE))
    tape.connect(T0_MS - 1_000)
    for second in range(seconds):
        tape.second(second, *CALM_KW)
    return an_engine(site), tape


def draws_of(steps: Iterable[Step]) -> dict[int, TenantDraw]:
    """Return the tenant's draw by the second of each tick after `T0_MS`."""
    return {(step.at_ms - T0_MS) // 1_000: step.draws[0] for step in steps if step.draws}


def test_what_was_measured_in_a_gap_does_not_count_as_heard_again() -> None:
    """A value of before the end of the gap may have been followed by one that was dropped."""
    knowledge = on_change()
    says(knowledge, range(5), 50, 1)
    knowledge.heard.break_stream(BUS, is_lossless=False, until_ms=T0_MS + 10_000)

    says(knowledge, [5, 6, 10], 60, 1)
    assert not is_certain(knowledge, 10.1)
    says(knowledge, [11], 60, 1)
    assert is_certain(knowledge, 11.1)


@pytest.mark.parametrize("is_whole", [True, False])
def test_an_overdraw_that_the_broker_dropped_is_never_a_clear(is_whole: bool) -> None:  # noqa: FBT001 - a parameter
    """The racks rose after the queue was full: bounds stay wide from the break until each rack is heard."""
    engine, tape = calm_hall(5)
    lost_ms, back_ms = T0_MS + 4_500, T0_MS + BACK_S * 1_000
    tape.mark(lost_ms, MarkKind.LOST)
    tape.mark(back_ms, MarkKind.CONNECTED)
    if not is_whole:
        tape.put(back_ms, Mark(MarkKind.GAP, BUS, lost_ms, until_ms=back_ms))
    kept = at_once(CALM_KW, T0_MS + 5_000)
    tape.put(back_ms + 20, received(kept, back_ms + 10))
    tape.mark(back_ms + 50, MarkKind.CAUGHT_UP)
    # One rack alone goes on speaking, so that the stream is alive.
    for second in range(BACK_S + 1, BACK_S + 6):
        at_ms = T0_MS + second * 1_000
        tape.put(at_ms + 20, at_once((60.0, None, None), at_ms, received_ms=at_ms + 10))

    steps = play(engine, tape.entries, until_ms=T0_MS + (BACK_S + 5) * 1_000)

    after = draws_of(steps)[BACK_S + 4]
    assert (after.low_milliwatts == after.high_milliwatts) is is_whole


@pytest.mark.parametrize("is_told_first", [True, False])
def test_a_queue_that_dropped_its_oldest_is_no_clear_while_a_start_is_judged(*, is_told_first: bool) -> None:
    """Two racks may have risen in what was dropped: since the gap began their power is not known."""
    engine, tape = calm_hall(10)
    away_ms, back_ms = T0_MS + 9_020, T0_MS + 20_000
    gap = Mark(MarkKind.GAP, BUS, away_ms, until_ms=back_ms)
    tape.mark(back_ms, MarkKind.STARTED, since_ms=away_ms)
    tape.mark(back_ms, MarkKind.CONNECTED)
    if is_told_first:
        tape.put(back_ms, gap)
    for second in range(12, 20):
        tape.put(back_ms + 20, received(at_once((60.0, None, None), T0_MS + second * 1_000), back_ms + 10))
    if not is_told_first:
        tape.put(back_ms + 30, gap)
    tape.mark(back_ms + 50, MarkKind.CAUGHT_UP)

    steps = play(engine, tape.entries, until_ms=T0_MS + 19_000)

    draws = draws_of(steps)
    assert draws[9].low_milliwatts == draws[9].high_milliwatts
    for second in range(13, 19):
        assert draws[second].low_milliwatts < (draws[second].high_milliwatts or 2**62), f"second {second}"


def test_what_a_new_session_lost_is_no_clear_while_a_start_is_judged() -> None:
    """Their gateway's clock is 8 s slow: what one rack says at 20 s, of 12 s, says nothing of the others."""
    engine, tape = calm_hall(10)
    back_ms = T0_MS + 20_000
    tape.mark(back_ms, MarkKind.STARTED, since_ms=T0_MS + 9_020)
    tape.mark(back_ms, MarkKind.SESSION_LOST)
    for second in range(8):
        came_ms = back_ms + second * 1_000 + 20
        tape.put(came_ms, at_once((60.0, None, None), came_ms - 8_020, received_ms=came_ms))
    tape.mark(back_ms + 8_000, MarkKind.CAUGHT_UP)

    steps = play(engine, tape.entries, until_ms=T0_MS + 27_000)

    draws = draws_of(steps)
    for second in range(12, 28):
        assert draws[second].low_milliwatts < (draws[second].high_milliwatts or 2**62), f"second {second}"


LOST_MS, ANEW_MS = T0_MS + 60_000, T0_MS + 100_500
"""A break of 40 s: longer than a publisher may miss its heartbeat."""


@pytest.mark.parametrize("judgement", ["live", "settled"])
@pytest.mark.parametrize(
    ("kinds", "flags"),
    [
        pytest.param((MarkKind.SESSION_LOST,), Flag.NONE, id="the broker forgot us"),
        pytest.param((MarkKind.CONNECTED, MarkKind.GAP), Flag.NONE, id="its queue was full"),
        pytest.param((MarkKind.GAP,), Flag.NONE, id="we did not take what it sent"),
        pytest.param((MarkKind.CONNECTED,), Flag.AT_MOST_ONCE, id="it keeps nothing of quality 0"),
        pytest.param((MarkKind.OVERLOADED,), Flag.AT_MOST_ONCE, id="we could not keep up"),
    ],
)
def test_what_is_said_after_a_gap_holds_before_the_first_heartbeat(
    judgement: str, kinds: tuple[MarkKind, ...], flags: Flag
) -> None:
    """Heartbeats were lost with the rest: the publisher is not dead, and what it says again is certain."""
    site = one_tenant()
    tape = Tape()
    tape.put(
        T0_MS - 1_000,
        (*known_racks_of(site, cadence=Cadence.ON_CHANGE), known_heartbeat(3, f"{BUS}:docs")),
    )
    tape.connect(T0_MS - 1_000)
    for second in range(60):
        beat = 1.0 if second % 10 == 0 else None
        tape.put(T0_MS + second * 1_000 + 20, at_once((*CALM_KW, beat), T0_MS + second * 1_000, flags=flags))
    if MarkKind.CONNECTED in kinds or MarkKind.SESSION_LOST in kinds:
        tape.mark(LOST_MS + 500, MarkKind.LOST, since_ms=LOST_MS)
    for kind in kinds:
        is_gap = kind is MarkKind.GAP
        tape.put(ANEW_MS, Mark(kind, BUS, LOST_MS if is_gap else ANEW_MS, until_ms=ANEW_MS * is_gap))
    tape.mark(ANEW_MS + 100, MarkKind.CAUGHT_UP)
    # Every rack says its value once, and then one alone goes on: the next heartbeat is due at 110 s.
    for second in range(101, 109):
        powers = BUSY_KW if second == 101 else (90.0, None, None)
        tape.put(T0_MS + second * 1_000 + 20, at_once(powers, T0_MS + second * 1_000, flags=flags))
    judging = a_judging(site, lateness_ms=250, patience=Patience(grace_ms=1_000))

    play(judging, tape.entries, until_ms=T0_MS + 108_500)

    draw = judging.engines[judgement].draw
    assert draw is not None
    assert bounds_kw(draw) == (270, 270)


def test_a_gap_ends_no_recovery() -> None:
    """A gap says nothing of what is still to come."""
    engine, tape = an_engine(one_tenant()), Tape()
    tape.connect(T0_MS)
    tape.mark(T0_MS + 5_000, MarkKind.STARTED, since_ms=T0_MS + 1_000)
    tape.put(T0_MS + 5_100, Mark(MarkKind.GAP, BUS, T0_MS + 1_000, until_ms=T0_MS + 5_100))

    play(engine, tape.entries, until_ms=T0_MS + 6_000)

    assert list(engine.recovering) == [BUS]


def test_a_damaged_entry_of_the_journal_leaves_every_point_in_doubt_until_it_is_heard_again() -> None:
    """It reads as a gap of every broker: two racks that say nothing after it are of unknown age."""
    engine, tape = calm_hall(6)
    gap_ms = T0_MS + 5_500
    tape.put(gap_ms, Mark(MarkKind.GAP, EVERY_BROKER, gap_ms, "entry 7 is damaged", until_ms=gap_ms))
    for second in range(6, 9):
        at_ms = T0_MS + second * 1_000
        tape.put(at_ms + 20, at_once((60.0, None, None), at_ms, received_ms=at_ms + 10))

    steps = play(engine, tape.entries, until_ms=T0_MS + 9_000)

    draws = draws_of(steps)
    before, after = draws[5], draws[8]
    assert before.low_milliwatts == before.high_milliwatts
    assert after.low_milliwatts < before.low_milliwatts < (after.high_milliwatts or 2**62)
