"""A broker may have dropped some of what it kept for us: what was measured by then is of unknown age."""

from __future__ import annotations

import pytest

from facility.points import Cadence
from store.journal.entries import EVERY_BROKER, Mark, MarkKind
from testing.builders import T0_MS
from testing.rules.halls import BUS, Tape, an_engine, at_once, known_racks_of, one_tenant, play, received
from tests.unit.rules.knowing import is_certain, on_change, says

BACK_S = 10
CALM_KW, BUSY_KW = (60.0, 60.0, 60.0), (90.0, 90.0, 90.0)


def test_what_was_measured_in_a_gap_does_not_count_as_heard_again() -> None:
    """A value of before the end of the gap may have been followed by one that was dropped."""
    knowledge = on_change()
    says(knowledge, range(5), 50, 1)
    knowledge.break_stream(BUS, is_lossless=False, until_ms=T0_MS + 10_000)

    says(knowledge, [5, 6, 10], 60, 1)
    assert not is_certain(knowledge, 10.1)
    says(knowledge, [11], 60, 1)
    assert is_certain(knowledge, 11.1)


@pytest.mark.parametrize("is_whole", [True, False])
def test_an_overdraw_that_the_broker_dropped_is_never_a_clear(is_whole: bool) -> None:  # noqa: FBT001 - a parameter
    """The racks rose after the queue was full: bounds stay wide from the break until each rack is heard."""
    site = one_tenant()
    engine, tape = an_engine(site), Tape()
    tape.put(T0_MS - 1_000, known_racks_of(site, cadence=Cadence.ON_CHANGE))
    tape.connect(T0_MS - 1_000)
    for second in range(5):
        tape.second(second, *CALM_KW)
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

    draws = {step.at_ms: step.draws[0] for step in steps if step.draws}
    after = draws[T0_MS + (BACK_S + 4) * 1_000]
    assert (after.low_milliwatts == after.high_milliwatts) is is_whole


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
    site = one_tenant()
    engine, tape = an_engine(site), Tape()
    tape.put(T0_MS - 1_000, known_racks_of(site, cadence=Cadence.ON_CHANGE))
    tape.connect(T0_MS - 1_000)
    for second in range(6):
        tape.second(second, *CALM_KW)
    gap_ms = T0_MS + 5_500
    tape.put(gap_ms, Mark(MarkKind.GAP, EVERY_BROKER, gap_ms, "entry 7 is damaged", until_ms=gap_ms))
    for second in range(6, 9):
        at_ms = T0_MS + second * 1_000
        tape.put(at_ms + 20, at_once((60.0, None, None), at_ms, received_ms=at_ms + 10))

    steps = play(engine, tape.entries, until_ms=T0_MS + 9_000)

    draws = {step.at_ms: step.draws[0] for step in steps if step.draws}
    before, after = draws[T0_MS + 5_000], draws[T0_MS + 8_000]
    assert before.low_milliwatts == before.high_milliwatts
    assert after.low_milliwatts < before.low_milliwatts < (after.high_milliwatts or 2**62)
