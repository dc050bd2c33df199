"""After a stop the ticks that were missed are judged in order, with what the broker kept, at its own time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from facility.points import Cadence
from facility.readings import Batch, Flag, Quality
from rules.engine.engine import Engine, Step
from rules.engine.event_time_buffer import date_doubts
from store.journal.entries import MarkKind
from testing.builders import T0_MS
from testing.rules.halls import (
    KW,
    NO_RULES,
    Tape,
    an_engine,
    at_once,
    bounds_kw,
    known_rack,
    known_racks_of,
    lines_of,
    one_tenant,
    play,
    received,
)

AWAY_S, BACK_S, END_S = 9, 20, 40
CALM = (60.0, 60.0, 60.0)
BUSY = (70.0, 70.0, 70.0)


def a_tape(flags: Flag, *, cadence: Cadence = Cadence.ON_CHANGE) -> Tape:
    """Return a journal: calm for 9 s, then the collector is away, and when it is back the tenant overdraws.

    What was sent at least once meanwhile is there at once; what was sent at most once is gone.
    """
    tape = Tape()
    tape.put(T0_MS - 1_000, known_racks_of(one_tenant(), cadence=cadence))
    tape.connect(T0_MS - 1_000)
    for second in range(AWAY_S):
        at_ms = T0_MS + second * 1_000
        tape.put(at_ms + 20, at_once(CALM, at_ms, received_ms=at_ms + 10, flags=flags))
    back_ms = T0_MS + BACK_S * 1_000
    tape.mark(back_ms + 50, MarkKind.STARTED, since_ms=T0_MS + (AWAY_S - 1) * 1_000 + 20)
    tape.mark(back_ms + 100, MarkKind.CONNECTED, since_ms=back_ms + 80)
    kept = [at_once(BUSY, T0_MS + s * 1_000, flags=flags) for s in range(AWAY_S, BACK_S + 1)]
    if not flags & Flag.AT_MOST_ONCE:
        tape.put(back_ms + 200, received(Batch.concatenate(kept), back_ms + 150))
    tape.mark(back_ms + 300, MarkKind.CAUGHT_UP)
    for second in range(BACK_S + 1, END_S):
        at_ms = T0_MS + second * 1_000
        tape.put(at_ms + 20, at_once(BUSY, at_ms, received_ms=at_ms + 10, flags=flags))
    return tape


def the_engine() -> Engine:
    """Return an engine of a tenant of 200 kW that waits 200 ms for readings."""
    return an_engine(one_tenant(), rules=NO_RULES, tick_ms=250, lateness_ms=200)


def bounds_at(steps: list[Step], second: int) -> tuple[int, int | None]:
    """Return the bounds of the tenant's draw at a second [kW]."""
    (draw,) = (s.draws[0] for s in steps if s.at_ms == T0_MS + second * 1_000)
    high = draw.high_milliwatts
    return draw.low_milliwatts // KW, None if high is None else high // KW


@pytest.mark.parametrize("cadence", list(Cadence))
def test_what_the_broker_kept_is_judged_at_its_own_time(cadence: Cadence) -> None:
    """The overdraw began while nobody was there: it opens when it would have opened."""
    steps = play(the_engine(), a_tape(Flag.NONE, cadence=cadence).entries)

    assert lines_of(steps, "C2") == [f"{AWAY_S + 5} C2 acme opened"]
    assert {bounds_at(steps, second) for second in range(AWAY_S)} == {(180, 180)}
    assert {bounds_at(steps, second) for second in range(AWAY_S, END_S - 1)} == {(210, 210)}


def test_no_missed_tick_is_judged_before_the_backlog_is_read() -> None:
    """Between the new start and the last of what was kept nothing is decided."""
    engine, tape = the_engine(), a_tape(Flag.NONE)
    at = max(i for i, e in enumerate(tape.entries) if getattr(e.content, "kind", "") == MarkKind.STARTED)
    caught_up = at + 3

    before = play(engine, tape.entries[:at])
    during = play(engine, tape.entries[at:caught_up], until_ms=T0_MS + 10**5)
    after = engine.take(tape.entries[caught_up])

    assert before[-1].at_ms <= T0_MS + (AWAY_S - 1) * 1_000
    assert [step.at_ms for step in during if step.at_ms > T0_MS + (AWAY_S - 1) * 1_000] == []
    assert after[-1].at_ms == T0_MS + BACK_S * 1_000


def test_what_was_sent_at_most_once_is_unknown_until_it_is_heard_again() -> None:
    """Nothing was kept: from when the collector was away until each point is heard nothing is claimed."""
    steps = play(the_engine(), a_tape(Flag.AT_MOST_ONCE).entries)

    assert bounds_at(steps, AWAY_S - 1) == (180, 180)
    assert {bounds_at(steps, second) for second in range(AWAY_S, BACK_S + 1)} == {(0, 300)}
    assert bounds_at(steps, BACK_S + 1) == (210, 210)
    assert lines_of(steps, "C2") == [f"{BACK_S + 6} C2 acme opened"]


@pytest.mark.parametrize("is_stamped", [True, False])
def test_a_value_that_was_refused_in_a_stop_is_in_doubt_from_its_own_time_on(*, is_stamped: bool) -> None:
    """One that says no time is as old as what the broker was given before it."""
    refused_s, good_s, back_ms = 12, 16, T0_MS + BACK_S * 1_000
    tape = Tape()
    tape.put(T0_MS - 1_000, known_racks_of(one_tenant(), cadence=Cadence.ON_CHANGE))
    tape.connect(T0_MS - 1_000)
    for second in range(AWAY_S):
        at_ms = T0_MS + second * 1_000
        tape.put(at_ms + 20, at_once(CALM, at_ms, received_ms=at_ms + 10))
    tape.mark(back_ms + 50, MarkKind.STARTED, since_ms=T0_MS + (AWAY_S - 1) * 1_000 + 20)
    tape.mark(back_ms + 100, MarkKind.CONNECTED, since_ms=back_ms + 80)
    stamp_ms = T0_MS + refused_s * 1_000 if is_stamped else back_ms + 150
    kept = []
    for second in range(AWAY_S, BACK_S):
        kept.append(at_once((60.0 if second >= good_s else None, 60.0, 60.0), T0_MS + second * 1_000))
        if second == refused_s:
            kept.append(at_once([float("nan")], stamp_ms, quality=Quality.REFUSED))
    tape.put(back_ms + 200, received(Batch.concatenate(kept), back_ms + 150))
    tape.mark(back_ms + 300, MarkKind.CAUGHT_UP)

    steps = play(the_engine(), tape.entries)

    assert {bounds_at(steps, second) for second in range(refused_s)} == {(180, 180)}
    assert {bounds_at(steps, second) for second in range(refused_s, good_s)} == {(120, 220)}
    assert {bounds_at(steps, second) for second in range(good_s, BACK_S)} == {(180, 180)}


def test_a_doubt_of_no_known_time_is_as_old_as_what_came_before_it() -> None:
    """A late value of another point makes it no older than the last of its own; one that came first stays."""
    came_ms, nan = T0_MS + 30_000, float("nan")
    doubt = at_once([nan], came_ms, quality=Quality.REFUSED)
    batch = Batch.concatenate(
        [
            doubt,
            at_once([None, 60.0], T0_MS + 2_000),
            doubt,
            at_once([50.0], T0_MS + 3_000),
            at_once([None, 60.0], T0_MS - 3_600_000),
            at_once([None, nan], T0_MS + 1_000, quality=Quality.REFUSED),
            doubt,
        ]
    )
    batch, every = received(batch, came_ms), np.ones(7, np.bool_)

    dated = date_doubts(batch, every)

    seconds = ((dated.source_ms - T0_MS) // 1_000).tolist()
    assert seconds == [30, 2, 2, 3, -3_600, 1, 3]
    assert date_doubts(batch, ~every) is batch


def test_a_live_engine_comes_to_the_same() -> None:
    """One that was there until the stop, and looked at every tick, judges the rest as a replay does."""
    tape = a_tape(Flag.NONE)
    live, steps = the_engine(), []
    for entry in tape.entries:
        steps += live.take(entry)
        steps += live.advance(entry.stamp_ms)

    replayed = play(the_engine(), tape.entries, until_ms=tape.entries[-1].stamp_ms)

    assert [replace(step, view=None) for step in steps] == [replace(step, view=None) for step in replayed]


def test_a_second_stop_before_all_was_read_loses_nothing() -> None:
    """Killed in the middle of the backlog, the collector reads the rest when it is there again."""
    tape = a_tape(Flag.NONE)
    entries, broken = tape.entries, Tape()
    whole = next(e.content for e in entries if isinstance(e.content, Batch) and len(e.content) > 3)
    for entry in entries:
        if entry.content is whole:
            half = len(whole) // 2
            first, rest = (whole.take(slice(None, half)), whole.take(slice(half, None)))  # type: ignore[arg-type] # as numpy takes it
            broken.put(entry.stamp_ms, first)
            broken.mark(entry.stamp_ms + 20, MarkKind.STARTED, since_ms=entry.stamp_ms)
            broken.mark(entry.stamp_ms + 40, MarkKind.CONNECTED, since_ms=entry.stamp_ms + 30)
            broken.put(entry.stamp_ms + 60, rest)
        else:
            broken.put(entry.stamp_ms, entry.content)

    steps = play(the_engine(), broken.entries)

    assert lines_of(steps, "C2") == [f"{AWAY_S + 5} C2 acme opened"]
    assert {bounds_at(steps, second) for second in range(AWAY_S, END_S - 1)} == {(210, 210)}


def test_points_of_a_broker_that_is_gone_are_silent() -> None:
    """A broker that was taken out of the site file leaves its points in the journal: they end nothing."""
    site = one_tenant(racks=2)
    engine = an_engine(site)
    tape = Tape()
    tape.connect(T0_MS)
    tape.put(T0_MS, (known_rack(0, "r0"), known_rack(1, "r1", stream="former:docs")))
    for second in range(1, 4):
        tape.second(second, 40.0)

    play(engine, tape.entries, until_ms=T0_MS + 3_000)

    assert engine.draw is not None
    assert bounds_kw(engine.draw) == (40, 140)
