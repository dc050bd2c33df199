"""Live, caught up, replayed or restarted: the same entries give the same alarms with the same ids."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facility.contracts import Method
from facility.errors import StoreCorrupt
from facility.points import Cadence
from facility.readings import Batch, Flag, Quality
from facility.site import Site
from rules.alarms.states import Change
from rules.engine import snapshot
from rules.engine.engine import Step
from rules.engine.judging import Judging
from rules.engine.settled import Patience
from store.journal.entries import Entry, Known, MarkKind
from testing.builders import T0_MS
from testing.rules.halls import (
    BUS,
    Tape,
    a_judging,
    a_site,
    a_tenant,
    a_version,
    block,
    known_heartbeat,
    known_rack,
    racks_of,
)

RACKS = tuple(f"r{i}" for i in range(6))
TICK_MS = 250
LATENESS_MS = 200
PATIENCE = Patience(grace_ms=2_000, silent_ms=3_000, away_ms=5_000)
RULES = {
    "C2": {"on_delay_s": 1, "off_delay_s": 2, "unknown_delay_s": 3},
    "C1": {"on_delay_s": 1, "off_delay_s": 1},
    "C3": {"on_delay_s": 2, "off_delay_s": 1},
    "C5": {"on_delay_s": 1, "off_delay_s": 1},
    "Q1": {"on_delay_s": 1, "off_delay_s": 1},
    "Q2": {"on_delay_s": 1, "off_delay_s": 1},
    "Q3": {"on_delay_s": 1, "off_delay_s": 1, "least_racks": 2},
}


def the_site() -> Site:
    """Return a site of three tenants: one bound at every moment, one by blocks, one by rolling blocks."""
    rolling = replace(block(20_000), method=Method.ROLLING, subinterval_ms=5_000)
    return a_site(
        racks_of(*RACKS),
        a_tenant("acme", RACKS[:2], a_version(150)),
        a_tenant(
            "bell",
            RACKS[2:4],
            a_version(150, limit=block(10_000)),
            a_version(120, from_ms=T0_MS + 17_000, limit=block(10_000)),
        ),
        a_tenant("cove", RACKS[4:], a_version(150, limit=rolling), ends_ms=T0_MS + 33_000),
    )


def the_engine() -> Judging:
    """Return both judgements, which have taken nothing."""
    return a_judging(the_site(), rules=RULES, tick_ms=TICK_MS, lateness_ms=LATENESS_MS, patience=PATIENCE)


def a_tape(seed: int, seconds: int = 45) -> list[Entry]:
    """Return the journal of a site at which everything happens, as its seed draws it."""
    chance = random.Random(seed)  # noqa: S311 - a course of events, not a secret
    tape = Tape()
    points = [
        known_rack(
            i, rack, stream=f"{BUS}:g{i % 2}", cadence=Cadence.ON_CHANGE if i % 3 else Cadence.PERIODIC
        )
        for i, rack in enumerate(RACKS)
    ]
    beats = [known_heartbeat(len(RACKS) + i, f"{BUS}:g{i}") for i in (0, 1)]
    tape.put(T0_MS - 2_000, (*points, *beats))
    tape.connect(T0_MS - 2_000)
    stamp_ms, silent_until = T0_MS - 2_000, [0] * len(RACKS)
    for second in range(seconds):
        if chance.random() < 0.1:
            stamp_ms = _break(tape, chance, stamp_ms)
        rows = []
        for point in range(len(RACKS)):
            if chance.random() < 0.05:
                silent_until[point] = second + chance.randint(1, 15)
            if second >= silent_until[point]:
                quality = chance.choices((Quality.GOOD, Quality.SOURCE_DOUBTS, Quality.REFUSED), (20, 1, 1))[
                    0
                ]
                power = np.nan if quality is Quality.REFUSED else chance.choice((40.0, 75.0, 85.0))
                rows.append((point, chance.randint(-300, 1_500), power, quality))
        if second % 10 == 0:
            rows += [(len(RACKS) + i, 0, float(second), Quality.GOOD) for i in (0, 1)]
        at_ms = T0_MS + 1_000 * second
        stamp_ms = max(stamp_ms, at_ms + chance.randint(1, 400))
        if rows:
            tape.put(stamp_ms, _batch(rows, at_ms, stamp_ms, chance))
    return tape.entries


def _batch(
    rows: Sequence[tuple[int, int, float, Quality]], at_ms: int, stamp_ms: int, chance: random.Random
) -> Batch:
    points, late, values, qualities = zip(*rows, strict=True)
    flag = chance.choice((Flag.NONE, Flag.AT_MOST_ONCE))
    # Some are measured ahead of their time: they wait in the engine's queue.
    source = [at_ms + ms if ms > 1_200 else at_ms - abs(ms) // 10 for ms in late]
    received = [max(at_ms, stamp_ms - 5)] * len(rows)
    return Batch.of([points, source, received, values, qualities, [flag] * len(rows)])


def _break(tape: Tape, chance: random.Random, stamp_ms: int) -> int:
    """Put what a collector writes about a break: a lost connection, or a new start."""
    since_ms = stamp_ms
    first = chance.choice((MarkKind.LOST, MarkKind.STARTED, MarkKind.OVERLOADED))
    tape.mark(stamp_ms, first, since_ms=since_ms)
    back_ms = stamp_ms + chance.randint(50, 3_000)
    if first is not MarkKind.OVERLOADED:
        tape.mark(back_ms, chance.choice((MarkKind.CONNECTED, MarkKind.SESSION_LOST)), since_ms=since_ms)
    tape.mark(back_ms + 40, MarkKind.CAUGHT_UP)
    return back_ms + 40


def replayed(entries: Iterable[Entry], until_ms: int) -> list[Step]:
    """Return the steps of an engine that takes all entries at once."""
    engine = the_engine()
    return [step for entry in entries for step in engine.take(entry)] + finished(engine, until_ms)


def finished(engine: Judging, until_ms: int) -> list[Step]:
    """Judge on to a moment, and what is settled by then however long it was waited for."""
    steps = engine.advance(until_ms)
    for later_ms in range(until_ms, until_ms + 20_000, 4_000):
        steps += engine.settled.advance(later_ms)
    return [step for step in steps if step.at_ms <= until_ms]


def told(steps: Iterable[Step]) -> str:
    """Return everything that steps say, so that it can be compared: NaN reads like NaN.

    Which entry had been taken by a settled tick says how often somebody looked, and nothing else.
    """
    return "\n".join(
        f"{step.at_ms} {0 if step.is_settled else step.seq} {step.changes!r} {step.draws!r}"
        f" {step.blocks!r} {step.rollups!r}"
        for step in sorted(steps, key=lambda step: (step.is_settled, step.at_ms))
    )


def restarted(engine: Judging, entries: Sequence[Entry]) -> Judging:
    """Return another engine in the state of one, through a snapshot on disk."""
    points = [entry for entry in entries if isinstance(entry.content, tuple)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / snapshot.FILE
        snapshot.save(engine, path)
        fresh = the_engine()
        assert snapshot.load(fresh, path, points)
    return fresh


@pytest.mark.parametrize("seed", range(2))
def test_an_engine_that_restarts_after_every_entry_is_one_that_never_stopped(seed: int) -> None:
    """Stopped between any two entries and restored from its snapshot, an engine goes on as it would have."""
    entries = a_tape(seed)
    until_ms = entries[-1].stamp_ms + 20_000
    engine, steps = the_engine(), []

    for entry in entries:
        steps += engine.take(entry)
        engine = restarted(engine, entries)
    steps += finished(engine, until_ms)

    whole = replayed(entries, until_ms)
    assert told(steps) == told(whole), f"seed {seed}"
    happened = {change.rule for step in whole for change in step.changes}
    assert happened >= {"C1", "C2", "C5", "Q1", "Q2", "Q10", "C4-cannot-verify"}, (
        f"seed {seed}: only {happened}"
    )


@settings(max_examples=6)
@given(st.integers(0, 10_000), st.data())
def test_an_engine_that_restarts_after_any_tick_is_one_that_never_stopped(
    seed: int, data: st.DataObject
) -> None:
    """Stopped at any tick, wherever the journal stands then, an engine goes on as if it had not."""
    entries = a_tape(seed, seconds=25)
    ticks = (entries[-1].stamp_ms + 3_000 - T0_MS) // TICK_MS
    cuts = sorted(data.draw(st.sets(st.integers(0, ticks), min_size=1, max_size=4), "ticks"))
    engine, steps, rest = the_engine(), [], list(entries)

    for cut in cuts:
        closed_ms = T0_MS + cut * TICK_MS
        while rest and rest[0].stamp_ms <= closed_ms:
            steps += engine.take(rest.pop(0))
        steps += engine.advance(closed_ms)
        engine = restarted(engine, entries)
    steps += [step for entry in rest for step in engine.take(entry)]
    steps += finished(engine, entries[-1].stamp_ms + 5_000)

    assert told(steps) == told(replayed(entries, entries[-1].stamp_ms + 5_000))


@settings(max_examples=6)
@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_live_and_afterwards_over_the_same_journal_is_the_same(seed: int, rhythm: int) -> None:
    """However often a live engine looks, and however far behind it is, it comes to the steps of a replay."""
    entries = a_tape(seed, seconds=25)
    until_ms = entries[-1].stamp_ms + 5_000
    chance = random.Random(rhythm)  # noqa: S311 - a course of events, not a secret
    live, steps, rest = the_engine(), [], list(entries)
    now_ms = entries[0].stamp_ms

    while now_ms < until_ms:
        now_ms = min(until_ms, now_ms + chance.choice((1, 37, 250, 1_000, 9_000)))
        while rest and rest[0].stamp_ms <= now_ms:
            steps += live.take(rest.pop(0))
        steps += live.advance(now_ms)
    steps += finished(live, until_ms)

    assert told(steps) == told(replayed(entries, until_ms))


def test_ids_are_those_of_the_alarms_whoever_computes_them() -> None:
    """Two engines that never met give an alarm one id, and no two alarms have the same."""
    entries = a_tape(1)
    first, second = (replayed(entries, entries[-1].stamp_ms + 20_000) for _ in range(2))

    opened = [c for step in first for c in step.changes if c.change is Change.OPENED]
    ids = [change.alarm_id for change in opened]

    assert ids == [c.alarm_id for step in second for c in step.changes if c.change is Change.OPENED]
    assert len({(c.rule, c.subject, c.opened_ms) for c in opened}) == len(set(ids))


def test_a_restart_learns_what_became_known_since() -> None:
    """Points that were described after the snapshot are taken from the journal, not lost."""
    entries = a_tape(2, seconds=10)
    engine = the_engine()
    for entry in entries:
        engine.take(entry)
    fresh = restarted(engine, entries)
    late: tuple[Known, ...] = (known_rack(40, "r40", stream=f"{BUS}:g0"),)

    for one in (engine, fresh):
        one.take(Entry(len(entries) + 1, entries[-1].stamp_ms + 10, late))
        one.advance(entries[-1].stamp_ms + 2_000)

    assert fresh.live.view is not None
    assert engine.live.view is not None
    assert "r40" in fresh.live.view.racks.ids
    assert fresh.live.view.racks.ids == engine.live.view.racks.ids


def test_a_damaged_snapshot_is_said_and_changes_nothing(tmp_path: Path) -> None:
    """A snapshot that was cut short or changed is refused whole; the engine then starts from the journal."""
    entries = a_tape(3, seconds=5)
    engine = the_engine()
    for entry in entries:
        engine.take(entry)
    path = tmp_path / snapshot.FILE
    snapshot.save(engine, path)
    data = path.read_bytes()

    for damaged in (data[:-7], data[:100] + bytes([data[100] ^ 1]) + data[101:], b""):
        path.write_bytes(damaged)
        fresh = the_engine()
        with pytest.raises(StoreCorrupt):
            snapshot.load(fresh, path, [])
        assert fresh.live.tick_ms is None
        assert fresh.seq == 0


def test_no_snapshot_is_no_fault(tmp_path: Path) -> None:
    """A first start has none."""
    assert not snapshot.load(the_engine(), tmp_path / snapshot.FILE, [])
