"""Streams, not brokers: what happened to one says nothing of another, and whatever begins has an end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from facility.points import Cadence
from facility.readings import Batch
from rules.engine.engine import RECOVERY_MS, SHARED_RECOVERY_MS, Engine, Step
from rules.engine.ongoing import Ongoing
from rules.engine.settled import Patience, SettledEngine
from rules.registry import make_rules
from store.journal.entries import Entry, Mark, MarkKind
from testing.builders import T0_MS
from testing.rules.halls import (
    EVERY_SECOND,
    KW,
    NO_RULES,
    Tape,
    a_site,
    a_tenant,
    a_version,
    at_once,
    known_rack,
    lines_of,
    play,
    racks_of,
    received,
)

NEAR, FAR = "near", "far"
SITE = a_site(
    racks_of("r0", "r1"),
    a_tenant("acme", ["r0"], a_version(50)),
    a_tenant("basil", ["r1"], a_version(50)),
)
AWAY_S, BACK_S = 60, 70
CALM, BUSY = 40.0, 60.0


def at(second: float) -> int:
    """Return a second after `T0_MS` [ms]."""
    return T0_MS + round(second * 1_000)


def the_engine() -> Engine:
    """Return an engine of two tenants, each behind a broker of its own."""
    timings = {NEAR: EVERY_SECOND, FAR: EVERY_SECOND}
    return Engine(SITE, timings, make_rules(NO_RULES, []), tick_ms=250, lateness_ms=200)


def before_the_restart() -> Tape:
    """Return a journal of one rack behind each broker, both calm until the monitor is stopped."""
    tape = Tape()
    on_change = Cadence.ON_CHANGE
    racks = [
        known_rack(0, "r0", stream=f"{NEAR}:docs", cadence=on_change),
        known_rack(1, "r1", stream=f"{FAR}:docs", cadence=on_change),
    ]
    tape.put(at(-1), tuple(racks))
    for broker in (NEAR, FAR):
        for kind in (MarkKind.STARTED, MarkKind.CONNECTED, MarkKind.CAUGHT_UP):
            tape.mark(at(-1), kind, broker=broker)
    for second in range(AWAY_S):
        tape.put(at(second + 0.02), of_one(0, CALM, second))
        tape.put(at(second + 0.03), of_one(1, CALM, second))
    for broker in (NEAR, FAR):
        tape.mark(at(BACK_S), MarkKind.STARTED, since_ms=at(AWAY_S - 1), broker=broker)
    return tape


def of_one(rack: int, power_kw: float, second: int) -> Batch:
    """Return what one rack says at a second."""
    return at_once(
        [power_kw if place == rack else None for place in range(2)], at(second), received_ms=at(second + 0.01)
    )


def near_goes_on(tape: Tape, until_s: int) -> None:
    """Let the near broker send what it kept, and then what is new: an overdraw from the stop on."""
    tape.mark(at(BACK_S + 0.1), MarkKind.CONNECTED, broker=NEAR)
    kept = Batch.concatenate([of_one(0, BUSY, second) for second in range(AWAY_S, BACK_S + 1)])
    tape.put(at(BACK_S + 0.2), received(kept, at(BACK_S + 0.15)))
    tape.mark(at(BACK_S + 0.3), MarkKind.CAUGHT_UP, broker=NEAR)
    for second in range(BACK_S + 1, until_s):
        tape.put(at(second + 0.02), of_one(0, BUSY, second))


def told_by(tape: Tape, engine: Engine | None = None) -> tuple[list[Step], list[tuple[float, str]]]:
    """Let an engine live through a journal; return its steps, and what opened at which second."""
    engine, steps, told = engine or the_engine(), list[Step](), list[tuple[float, str]]()
    for entry in tape.entries:
        for step in [*engine.take(entry), *engine.advance(entry.stamp_ms)]:
            steps.append(step)
            told += [
                ((entry.stamp_ms - T0_MS) / 1_000, line)
                for line in lines_of([step], "C2")
                if "opened" in line
            ]
    return steps, told


def test_a_broker_that_never_answers_holds_the_others_for_a_bounded_time() -> None:
    """Even where its collector says nothing any more: the overdraw behind the other broker is told."""
    tape = before_the_restart()
    near_goes_on(tape, BACK_S + 60)

    steps, told = told_by(tape)

    ((second, line),) = told
    assert line == f"{AWAY_S + 5} C2 acme opened"
    assert SHARED_RECOVERY_MS / 1_000 <= second - BACK_S < SHARED_RECOVERY_MS / 1_000 + 2
    acme, basil, _ = next(step.draws for step in reversed(steps) if step.draws)
    assert acme.low_milliwatts == 60 * KW
    assert (basil.low_milliwatts, basil.high_milliwatts) == (0, 100 * KW)


def test_a_backlog_of_one_broker_makes_no_point_of_another_silent() -> None:
    """It is read for two minutes: what comes through the other is live meanwhile, and certain."""
    tape = before_the_restart()
    tape.mark(at(BACK_S + 0.1), MarkKind.CONNECTED, broker=FAR)
    near_goes_on(tape, BACK_S + 60)
    backlog = [
        Entry(
            0, at(second + 0.5), received(of_one(1, BUSY, AWAY_S + (second - BACK_S) // 10), at(second + 0.4))
        )
        for second in range(BACK_S + 1, BACK_S + 60)
    ]
    entries = sorted([*tape.entries, *backlog], key=lambda entry: entry.stamp_ms)
    merged = Tape([replace(entry, seq=number) for number, entry in enumerate(entries, 1)])

    steps, told = told_by(merged)

    assert told[0][1] == f"{AWAY_S + 5} C2 acme opened"
    draws = {step.at_ms: step.draws for step in steps if step.draws}
    assert {draws[at(second)][0].low_milliwatts for second in range(AWAY_S + 1, BACK_S + 58)} == {60 * KW}


def test_two_brokers_that_recover_for_ever_are_waited_for_no_longer_than_one() -> None:
    """Nothing but marks: then both are lost."""
    engine, tape = the_engine(), before_the_restart()
    play(engine, tape.entries)

    assert engine.advance(at(BACK_S) + RECOVERY_MS - 1) == []
    assert engine.advance(at(BACK_S) + RECOVERY_MS)
    assert not engine.recovering


def test_a_second_start_is_waited_for_anew() -> None:
    """Killed before all was read, and started again a minute later."""
    engine, tape = the_engine(), before_the_restart()
    for broker in (NEAR, FAR):
        tape.mark(at(BACK_S + 200), MarkKind.STARTED, since_ms=at(BACK_S + 20), broker=broker)
    play(engine, tape.entries)

    assert engine.advance(at(BACK_S + 200) + RECOVERY_MS - 1) == []
    assert engine.advance(at(BACK_S + 200) + RECOVERY_MS)


def test_a_live_engine_and_a_replay_end_a_recovery_at_the_same_moment() -> None:
    """Whoever looks at every tick, and whoever sees the entries alone."""
    tape = before_the_restart()
    near_goes_on(tape, BACK_S + 60)
    steps, _ = told_by(tape)

    replayed = play(the_engine(), tape.entries, until_ms=tape.entries[-1].stamp_ms)

    assert [replace(step, view=None) for step in steps] == [replace(step, view=None) for step in replayed]


def test_what_is_recovering_is_found_again_by_name() -> None:
    """A snapshot in the middle of a recovery changes nothing of its end; one of an older version neither."""
    tape = before_the_restart()
    near_goes_on(tape, BACK_S + 60)
    first = [entry for entry in tape.entries if entry.stamp_ms <= at(BACK_S + 10)]
    half, again = the_engine(), the_engine()
    play(half, first)
    arrays, values = half.save()
    again.load(arrays, values, [entry for entry in first if isinstance(entry.content, tuple)], "memory")
    rest = tape.entries[len(first) :]

    assert list(again.recovering) == [FAR]
    assert lines_of(play(again, rest)) == lines_of(play(half, rest)) != []
    assert not again.recovering
    old = the_engine()
    values = values | {name: sorted(values[name]) for name in ("recovering", "behind")}
    old.load(arrays, values, [entry for entry in first if isinstance(entry.content, tuple)], "memory")
    assert list(old.recovering) == [FAR]


def a_stream_mark(kind: MarkKind, second: float, stream: str, *, since_s: float | None = None) -> Mark:
    """Return what happened to one stream of the near broker."""
    return Mark(kind, NEAR, at(second if since_s is None else since_s), stream=stream)


def test_a_stream_that_is_lost_takes_no_other_of_its_broker_with_it() -> None:
    """Two publishers behind one broker: one of them says that it goes, and comes back."""
    tape = Tape()
    known = [
        known_rack(0, "r0", stream=f"{NEAR}:one", cadence=Cadence.ON_CHANGE),
        known_rack(1, "r1", stream=f"{NEAR}:two", cadence=Cadence.ON_CHANGE),
    ]
    tape.put(at(-1), tuple(known))
    for kind in (MarkKind.STARTED, MarkKind.CONNECTED, MarkKind.CAUGHT_UP):
        tape.mark(at(-1), kind, broker=NEAR)
    stream = f"{NEAR}:two"
    for second in range(30):
        if second == 10:
            tape.put(at(second), a_stream_mark(MarkKind.LOST, second, stream))
        if second == 20:
            tape.put(at(second), a_stream_mark(MarkKind.CONNECTED, second, stream))
        if second == 22:
            tape.put(at(second), a_stream_mark(MarkKind.CAUGHT_UP, second, stream))
        is_there = not 10 <= second < 20
        tape.put(
            at(second + 0.02), at_once([CALM, CALM if is_there else None], at(second), received_ms=at(second))
        )
    engine = the_engine()

    draws = {step.at_ms: step.draws for step in play(engine, tape.entries, until_ms=at(30)) if step.draws}

    assert {draws[at(second)][0].low_milliwatts for second in range(1, 29)} == {40 * KW}
    assert {draws[at(second)][1].low_milliwatts for second in range(11, 20)} == {0}
    assert {draws[at(second)][1].low_milliwatts for second in range(21, 29)} == {40 * KW}
    assert not engine.behind


@pytest.mark.parametrize("patience_s", [30, 3_600])
def test_a_stream_that_is_away_is_waited_for_by_name(patience_s: int) -> None:
    """What is settled waits for it, for as long as for a broker."""
    patience = Patience(grace_ms=0, silent_ms=0, away_ms=patience_s * 1_000)
    made = SettledEngine(SITE, {NEAR: EVERY_SECOND}, [], tick_ms=1_000, patience=patience)
    tape = Tape()
    tape.put(at(-1), (known_rack(0, "r0", stream=f"{NEAR}:one"), known_rack(1, "r1", stream=f"{NEAR}:two")))
    for second in range(60):
        if second == 10:
            tape.put(at(second), a_stream_mark(MarkKind.LOST, second, f"{NEAR}:two"))
        powers = [CALM, CALM if second < 10 else None]
        tape.put(at(second + 0.02), at_once(powers, at(second), received_ms=at(second)))

    steps = play(made, tape.entries)

    assert (steps[-1].at_ms <= at(10)) is (patience_s == 3_600)


def test_a_state_of_a_broker_ends_with_those_of_its_streams() -> None:
    """And the end of one stream is that of no other; a broker that the site file does not name has none."""
    ongoing = Ongoing([NEAR])
    for scope in (f"{NEAR}:one", f"{NEAR}:two", FAR, f"{FAR}:one"):
        ongoing.begin(scope, T0_MS)
    assert list(ongoing) == [f"{NEAR}:one", f"{NEAR}:two"]

    ongoing.end(f"{NEAR}:one")
    assert list(ongoing) == [f"{NEAR}:two"]
    ongoing.end(NEAR)
    assert not ongoing


def test_a_state_is_as_old_as_the_oldest_scope_that_holds() -> None:
    """A broker is all of its streams; one stream says nothing of its broker."""
    ongoing = Ongoing([NEAR])
    ongoing.begin(f"{NEAR}:one", T0_MS)
    assert (ongoing.since_ms(f"{NEAR}:one"), ongoing.since_ms(NEAR)) == (T0_MS, None)

    ongoing.begin(NEAR, T0_MS + 1_000)
    ongoing.begin(NEAR, T0_MS + 2_000)
    assert [ongoing.since_ms(f"{NEAR}:{name}") for name in ("one", "two")] == [T0_MS, T0_MS + 1_000]


def test_a_state_of_a_broker_that_left_the_site_file_is_not_taken_over() -> None:
    """It would never end."""
    before, after = Ongoing([NEAR, FAR]), Ongoing([NEAR])
    for scope in (NEAR, f"{FAR}:one"):
        before.begin(scope, T0_MS)

    after.load(before.save(), 0)

    assert after.items() == [(NEAR, T0_MS)]
