"""What a gap held is judged at its own source time once it has arrived, whatever made the gap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from facility.names import AssetId
from facility.points import Cadence
from facility.readings import Batch, Flag
from rules.alarms.states import Change
from rules.engine import snapshot
from rules.engine.judging import Judging
from rules.engine.settled import Patience
from store.journal.entries import Entry, Known, Mark, MarkKind
from testing.builders import T0_MS
from testing.rules.halls import (
    BUS,
    Tape,
    a_judging,
    a_site,
    a_tenant,
    a_version,
    at_once,
    block,
    bounds_kw,
    changes_of,
    known_rack,
    known_racks_of,
    one_tenant,
    play,
    racks_of,
    received,
)

PATIENCE = Patience(grace_ms=5_000, silent_ms=30_000, away_ms=120_000)
CALM = (60.0, 60.0, 60.0)
BUSY = (80.0, 80.0, 80.0)
MINUTE_MS = T0_MS // 60_000 * 60_000
"""A demand block begins here."""
RISES_S, FALLS_S = 12, 22
"""The tenant of 200 kW draws 240 kW for ten seconds."""


def power_at(second: int) -> tuple[float, ...]:
    """Return what each rack draws at a second [kW]."""
    return BUSY if RISES_S <= second < FALLS_S else CALM


def spoken(second: int, *, flags: Flag = Flag.NONE, arrives_ms: int | None = None) -> Batch:
    """Return what the racks say at a second, as it arrives."""
    at_ms = T0_MS + second * 1_000
    return at_once(power_at(second), at_ms, received_ms=arrives_ms or at_ms + 10, flags=flags)


def opened() -> Tape:
    """Return a journal that begins: points are known, and a broker is connected."""
    tape = Tape()
    tape.put(T0_MS - 1_000, known_racks_of(one_tenant()))
    tape.connect(T0_MS - 1_000)
    return tape


def say(tape: Tape, begin_s: int, end_s: int) -> None:
    """Let every second of a span arrive as it is."""
    for second in range(begin_s, end_s):
        tape.put(T0_MS + second * 1_000 + 20, spoken(second))


def backlog(tape: Tape, begin_s: int, back_s: int) -> None:
    """Let what was said since a second arrive all at once."""
    at_ms = T0_MS + back_s * 1_000
    kept = [spoken(second) for second in range(begin_s, back_s)]
    tape.put(at_ms + 300, received(Batch.concatenate(kept), at_ms + 290))


def cut_network(gap_s: int) -> Tape:
    """Return a journal in which the connection breaks for a while, in a session that the broker keeps."""
    tape, back_s = opened(), 10 + gap_s
    say(tape, 0, 10)
    tape.mark(T0_MS + 14_000, MarkKind.LOST, since_ms=T0_MS + 9_020)
    tape.mark(T0_MS + back_s * 1_000 + 100, MarkKind.CONNECTED)
    backlog(tape, 10, back_s)
    tape.mark(T0_MS + back_s * 1_000 + 400, MarkKind.CAUGHT_UP)
    say(tape, back_s, back_s + 90)
    return tape


def cut_network_of_an_unknown_queue(gap_s: int) -> Tape:
    """Return the same where nothing proves that the broker kept all: a periodic value holds all the same."""
    tape, back_ms = cut_network(gap_s), T0_MS + (10 + gap_s) * 1_000
    place = next(i for i, e in enumerate(tape.entries) if e.stamp_ms == back_ms + 100)
    entries = tape.entries[: place + 1]
    gap = Mark(MarkKind.GAP, BUS, T0_MS + 9_020, until_ms=back_ms + 100)
    entries.append(Entry(entries[-1].seq + 1, back_ms + 100, gap))
    entries += [Entry(e.seq + 1, e.stamp_ms, e.content) for e in tape.entries[place + 1 :]]
    return Tape(entries=entries)


def stood_still(gap_s: int) -> Tape:
    """Return a journal in which nothing was written for a while: a paused process, or a full disk."""
    tape, back_s = opened(), 10 + gap_s
    say(tape, 0, 10)
    backlog(tape, 10, back_s)
    say(tape, back_s, back_s + 90)
    return tape


def killed(gap_s: int) -> Tape:
    """Return a journal of a collector that was killed and started again."""
    tape, back_s = opened(), 10 + gap_s
    say(tape, 0, 10)
    tape.mark(T0_MS + back_s * 1_000 + 50, MarkKind.STARTED, since_ms=T0_MS + 9_020)
    tape.mark(T0_MS + back_s * 1_000 + 100, MarkKind.CONNECTED)
    backlog(tape, 10, back_s)
    tape.mark(T0_MS + back_s * 1_000 + 400, MarkKind.CAUGHT_UP)
    say(tape, back_s, back_s + 90)
    return tape


def cut_again_just_after_a_start(gap_s: int) -> Tape:
    """Return a journal in which the connection broke before what was kept had been read."""
    tape, back_s = opened(), 10 + gap_s
    say(tape, 0, 10)
    tape.mark(T0_MS + 11_000, MarkKind.STARTED, since_ms=T0_MS + 9_020)
    tape.mark(T0_MS + 11_100, MarkKind.CONNECTED)
    tape.mark(T0_MS + 11_200, MarkKind.LOST, since_ms=T0_MS + 11_100)
    tape.mark(T0_MS + back_s * 1_000 + 100, MarkKind.CONNECTED)
    backlog(tape, 10, back_s)
    tape.mark(T0_MS + back_s * 1_000 + 400, MarkKind.CAUGHT_UP)
    say(tape, back_s, back_s + 90)
    return tape


def late_gateway(gap_s: int) -> Tape:
    """Return a journal of a gateway that was cut off from the broker, and sends what it kept."""
    return stood_still(gap_s)


def judged(judging: Judging, tape: Tape) -> list[str]:
    """Return what is told of the overdraw, as `rule change since-over` in seconds."""
    steps = []
    for entry in tape.entries:
        # Nobody looks before a collector that was killed has started again.
        if getattr(entry.content, "kind", None) is not MarkKind.STARTED:
            steps += judging.advance(entry.stamp_ms - 1)
        steps += judging.take(entry)
    steps += judging.advance(tape.entries[-1].stamp_ms + 1_000)
    assert all(step.view is not None for step in steps if step.changes), "nothing to tell it with"

    def second(at_ms: int | None) -> str:
        return "" if at_ms is None else f"{(at_ms - T0_MS) / 1_000:g}"

    return [
        f"{change.rule} {change.change} {second(change.since_ms)}-{second(change.over_ms)}"
        f"{' past' if change.is_past else ''}"
        for change in changes_of(steps)
        if change.rule == "C2" and change.is_told
    ]


@pytest.mark.parametrize("gap_s", [20, 60])
@pytest.mark.parametrize(
    "gap",
    [
        cut_network,
        cut_network_of_an_unknown_queue,
        stood_still,
        cut_again_just_after_a_start,
        late_gateway,
    ],
)
def test_an_overdraw_inside_a_gap_is_told_whatever_made_the_gap(
    gap: Callable[[int], Tape], gap_s: int
) -> None:
    """It began and ended while nothing was heard: it is told as past, with its times, once."""
    told = judged(a_judging(one_tenant(), patience=PATIENCE, lateness_ms=250), gap(gap_s))

    assert told == [f"C2 opened {RISES_S}-{FALLS_S} past"]


@pytest.mark.parametrize("gap_s", [20, 60])
def test_after_a_kill_it_is_told_once(gap_s: int) -> None:
    """The live engine judges the missed ticks in order, so what the settled one finds is no news."""
    told = judged(a_judging(one_tenant(), patience=PATIENCE, lateness_ms=250), killed(gap_s))

    assert [line.split(" ")[1] for line in told] == ["opened", "returned"]
    assert told[0].startswith(f"C2 opened {RISES_S}-")


def test_an_overdraw_that_was_told_live_is_not_told_again() -> None:
    """The settled judgement finds the same, and says nothing."""
    tape = opened()
    say(tape, 0, 120)

    told = judged(a_judging(one_tenant(), patience=PATIENCE, lateness_ms=250), tape)

    assert told == [f"C2 opened {RISES_S}-", f"C2 returned {RISES_S}-{FALLS_S}"]


def test_what_was_sent_at_most_once_into_a_gap_is_not_made_up() -> None:
    """Nothing kept it: nothing is told of it."""
    tape = opened()
    for second in range(10):
        tape.put(T0_MS + second * 1_000 + 20, spoken(second, flags=Flag.AT_MOST_ONCE))
    tape.mark(T0_MS + 14_000, MarkKind.LOST, since_ms=T0_MS + 9_020)
    tape.mark(T0_MS + 30_100, MarkKind.CONNECTED)
    tape.mark(T0_MS + 30_400, MarkKind.CAUGHT_UP)
    for second in range(31, 120):
        tape.put(T0_MS + second * 1_000 + 20, spoken(second, flags=Flag.AT_MOST_ONCE))

    assert judged(a_judging(one_tenant(), patience=PATIENCE, lateness_ms=250), tape) == []


def test_nothing_is_settled_while_a_broker_may_still_keep_something() -> None:
    """The ticks of the gap wait until it has caught up; those before it do not."""
    judging, tape = a_judging(one_tenant(), patience=PATIENCE, lateness_ms=250), cut_network(60)

    for entry in tape.entries:
        judging.take(entry)
        if getattr(entry.content, "kind", None) is MarkKind.CONNECTED and entry.stamp_ms > T0_MS:
            break
        judging.advance(entry.stamp_ms)

    assert judging.settled.tick_ms == T0_MS + 9_000 - PATIENCE.grace_ms


def test_a_publisher_that_is_gone_for_good_holds_nothing_up_for_long() -> None:
    """One of two gateways dies: the other one's ticks are settled once patience has run out."""
    names = ("r0", "r1")
    site = a_site(racks_of(*names), a_tenant("acme", names, a_version(150)))
    tape = Tape()
    tape.put(T0_MS - 1_000, (known_rack(0, "r0"), known_rack(1, "r1", stream=f"{BUS}:other")))
    tape.connect(T0_MS - 1_000)
    judging = a_judging(site, patience=PATIENCE)
    for entry in tape.entries:
        judging.take(entry)
    for second in range(100):
        tape.second(second, 60.0, 60.0 if second < 20 else None)
        judging.take(tape.entries[-1])
        judging.advance(T0_MS + second * 1_000)
        if second == 40:
            assert judging.settled.tick_ms == T0_MS + 19_000 - PATIENCE.grace_ms

    assert judging.settled.tick_ms == T0_MS + 99_000 - PATIENCE.grace_ms


def blocks_of(judging: Judging, tape: Tape) -> list[str]:
    """Return what is kept of each demand block: `judgement from-to verdict low-high` in seconds and kW."""
    steps = []
    for entry in tape.entries:
        steps += judging.advance(entry.stamp_ms - 1)
        steps += judging.take(entry)
    return [
        f"{'settled' if b.is_settled else 'live'}"
        f" {(b.from_ms - MINUTE_MS) // 1_000}-{(b.to_ms - MINUTE_MS) // 1_000}"
        f" {b.verdict} {b.mean_kw(b.low_milliwatt_ms):g}-"
        f"{'' if b.high_milliwatt_ms is None else f'{b.mean_kw(b.high_milliwatt_ms):g}'}"
        for step in steps
        for b in step.blocks
    ]


def a_minute_of(site_limit_kw: int, delay_ms: int) -> Tape:
    """Return a journal of racks that draw 150 kW for one minute and 60 before and after, each late alike."""
    tape = Tape()
    tape.put(MINUTE_MS - 1_000, known_racks_of(one_tenant(site_limit_kw)))
    tape.connect(MINUTE_MS - 1_000)
    for second in range(-1, 240):
        at_ms = MINUTE_MS + second * 1_000
        kilowatts = (50.0, 50.0, 50.0) if 60 <= second < 120 else (20.0, 20.0, 20.0)
        arrives_ms = at_ms + delay_ms
        tape.put(arrives_ms + 10, at_once(kilowatts, at_ms, received_ms=arrives_ms))
    return tape


@pytest.mark.parametrize("delay_ms", [0, 1_900, 20_000])
def test_late_readings_count_in_the_block_that_they_were_measured_in(delay_ms: int) -> None:
    """150 of 142 kW through a whole block, right stamps: exceeded, exactly, however late they come."""
    site = one_tenant(142, limit=block(60_000))
    judging = a_judging(site, patience=Patience(grace_ms=30_000), lateness_ms=250)

    found = blocks_of(judging, a_minute_of(142, delay_ms))

    assert "settled 60-120 1 150-150" in found
    assert "settled 120-180 0 60-60" in found


@pytest.mark.parametrize("restarts", [False, True])
def test_a_description_counts_from_when_it_came(tmp_path: Path, *, restarts: bool) -> None:
    """A rack's point is described as another's before a block is settled that is over: it stays certain."""
    site = one_tenant(142, limit=block(60_000))
    judging, tape = a_judging(site, patience=Patience(grace_ms=30_000), lateness_ms=250), a_minute_of(142, 0)
    described_ms = MINUTE_MS + 130_500
    place = next(i for i, entry in enumerate(tape.entries) if entry.stamp_ms > described_ms)
    before, after = tape.entries[:place], tape.entries[place:]
    seq = before[-1].seq + 1
    moved = Entry(
        seq, described_ms, (Known(0, structs.replace(known_rack(0, "r0").point, asset=AssetId("r1"))),)
    )
    before.append(moved)
    after = [replace(entry, seq=entry.seq + 1) for entry in after]

    found = blocks_of(judging, Tape(entries=before))
    if restarts:
        snapshot.save(judging, tmp_path / "state")
        judging = judging.anew()
        known = [entry for entry in before if isinstance(entry.content, tuple)]
        assert snapshot.load(judging, tmp_path / "state", known)
    found += blocks_of(judging, Tape(entries=after))

    assert "settled 60-120 1 150-150" in found
    assert "settled 120-180 0 43.6667-125.333" in found


@pytest.mark.parametrize(("slow_ms", "verdict"), [(90_000, "1 150-150"), (150_000, "2 100-200")])
def test_a_rack_whose_clock_is_slow_is_waited_for(slow_ms: int, verdict: str) -> None:
    """150 of 142 kW, one rack of three has a slow clock: exceeded, up to what a silence is waited for."""
    site = one_tenant(142, limit=block(60_000))
    patience = Patience(grace_ms=10_000, silent_ms=120_000)
    judging, tape = a_judging(site, patience=patience, lateness_ms=250), Tape()
    tape.put(MINUTE_MS - 1_000, known_racks_of(site))
    tape.connect(MINUTE_MS - 1_000)
    for second in range(420):
        at_ms = MINUTE_MS + second * 1_000
        right, slow = at_once([50, 50], at_ms), at_once([None, None, 50], at_ms - slow_ms)
        tape.put(at_ms + 10, received(Batch.concatenate([right, slow]), at_ms))

    assert f"settled 240-300 {verdict}" in blocks_of(judging, tape)


def test_what_was_learnt_of_clocks_ends_when_our_own_is_set() -> None:
    """While our machine was a minute fast every clock seemed slow; nothing is waited for once it is right."""
    site, patience = one_tenant(), Patience(grace_ms=10_000, silent_ms=120_000)
    judging, tape, fast_ms = a_judging(site, patience=patience), Tape(), 60_000
    tape.put(T0_MS + fast_ms - 1_000, known_racks_of(site))
    tape.connect(T0_MS + fast_ms - 1_000)
    for second in range(200):
        at_ms = T0_MS + second * 1_000
        if second == 140:
            play(judging, tape.entries)
            assert judging.settled.tick_ms == at_ms - 2_000 - patience.grace_ms
            tape.entries.clear()
            tape.mark(at_ms - 500, MarkKind.STEPPED, since_ms=at_ms - 500 + fast_ms, broker="*")
        received_ms = at_ms + (fast_ms if second < 140 else 0)
        tape.put(received_ms + 10, at_once((50.0, 50.0, 50.0), at_ms, received_ms=received_ms))
    play(judging, tape.entries)

    assert judging.settled.tick_ms == T0_MS + 198_000 - patience.grace_ms


@pytest.mark.parametrize("by_ms", [-600_000, 7_200_000])
def test_what_came_before_our_clock_was_set_is_judged_by_what_came(by_ms: int) -> None:
    """An overdraw inside a gap whose readings arrived just before the step: told, though not settled yet."""
    judging, tape = a_judging(one_tenant(), patience=Patience(grace_ms=30_000)), cut_network(20)
    tape.entries[:] = [entry for entry in tape.entries if entry.stamp_ms < T0_MS + 40_000]
    set_ms = T0_MS + 40_000 + by_ms
    tape.mark(set_ms, MarkKind.STEPPED, since_ms=T0_MS + 40_000, broker="*")

    steps = play(judging, tape.entries)

    told = [change for change in changes_of(steps) if change.rule == "C2" and change.is_told]
    assert [(change.since_ms - T0_MS, change.is_past) for change in told] == [(RISES_S * 1_000, True)]


def test_what_a_gap_held_is_told_though_a_later_time_of_its_alarm_was_told() -> None:
    """240 of 200 kW in a gap, then 199.5, which ends no alarm, then 240 again: the page is about the last."""
    judging, tape = a_judging(one_tenant(), patience=PATIENCE), cut_network(20)
    tape.entries[:] = [entry for entry in tape.entries if entry.stamp_ms < T0_MS + 31_000]
    for second in range(31, 140):
        at_ms = T0_MS + second * 1_000
        power = BUSY if 50 <= second < 60 else (66.5,) * 3 if second < 70 else CALM
        tape.put(at_ms + 20, at_once(power, at_ms, received_ms=at_ms + 10))

    steps = play(judging, tape.entries)

    told = [change for change in changes_of(steps) if change.rule == "C2" and change.is_told]
    opened = [change for change in told if change.change is Change.OPENED]
    found = {((change.since_ms - T0_MS) // 1_000, change.is_past) for change in opened}
    assert found == {(51, False), (RISES_S, True)}


def test_a_block_is_kept_as_it_was_known_and_as_it_was() -> None:
    """Readings 20 s late: the live row says what was known as the block closed, the settled row the rest."""
    site = one_tenant(142, limit=block(60_000))
    judging = a_judging(site, patience=Patience(grace_ms=30_000), lateness_ms=250)

    found = [line for line in blocks_of(judging, a_minute_of(142, 20_000)) if " 60-120 " in line]

    assert [line.split(" ")[0] for line in found] == ["live", "settled"]
    assert not found[0].endswith(" 1 150-150")


def test_a_block_inside_a_gap_is_exceeded_once_its_readings_arrive() -> None:
    """Its true mean was above the limit: it is no "cannot verify"."""
    site = one_tenant(142, limit=block(60_000))
    tape = a_minute_of(142, 0)
    inside = [e for e in tape.entries if MINUTE_MS + 50_000 < e.stamp_ms < MINUTE_MS + 130_000]
    late = Tape(entries=[e for e in tape.entries if e.stamp_ms <= MINUTE_MS + 50_000])
    kept = Batch.concatenate([e.content for e in inside if isinstance(e.content, Batch)])
    late.mark(MINUTE_MS + 51_000, MarkKind.LOST, since_ms=MINUTE_MS + 50_000)
    late.mark(MINUTE_MS + 130_000, MarkKind.CONNECTED)
    late.put(MINUTE_MS + 130_200, received(kept, MINUTE_MS + 130_100))
    late.mark(MINUTE_MS + 130_300, MarkKind.CAUGHT_UP)
    for entry in tape.entries:
        if entry.stamp_ms >= MINUTE_MS + 131_000:
            late.put(entry.stamp_ms, entry.content)
    judging = a_judging(site, patience=PATIENCE, lateness_ms=250)

    found = blocks_of(judging, late)

    assert "settled 60-120 1 150-150" in found


def test_on_change_points_that_a_session_bridged_are_settled_as_they_were() -> None:
    """A change in the gap of a change-driven source counts from when it happened."""
    site = one_tenant(142, limit=block(60_000))
    tape = Tape()
    tape.put(MINUTE_MS - 1_000, known_racks_of(site, cadence=Cadence.ON_CHANGE))
    tape.connect(MINUTE_MS - 1_000)
    for second in range(30):
        tape.put(MINUTE_MS + second * 1_000, at_once((20.0, 20.0, 20.0), MINUTE_MS + second * 1_000))
    tape.mark(MINUTE_MS + 35_000, MarkKind.LOST, since_ms=MINUTE_MS + 29_000)
    tape.mark(MINUTE_MS + 90_000, MarkKind.CONNECTED)
    changed = [at_once((50.0, 50.0, 50.0), MINUTE_MS + s * 1_000) for s in range(30, 91)]
    tape.put(MINUTE_MS + 90_200, received(Batch.concatenate(changed), MINUTE_MS + 90_100))
    tape.mark(MINUTE_MS + 90_300, MarkKind.CAUGHT_UP)
    for second in range(91, 200):
        tape.put(MINUTE_MS + second * 1_000, at_once((50.0, 50.0, 50.0), MINUTE_MS + second * 1_000))
    judging = a_judging(site, patience=PATIENCE, lateness_ms=250)

    found = blocks_of(judging, tape)

    assert "settled 0-60 0 105-105" in found
    assert "settled 60-120 1 150-150" in found


def test_readings_of_a_point_that_is_not_known_are_left_out() -> None:
    """What described it is damaged: the other points are judged on."""
    site = one_tenant()
    tape = Tape()
    tape.put(T0_MS - 1_000, known_racks_of(site)[:2])
    tape.connect(T0_MS - 1_000)
    for second in range(20):
        tape.second(second, 60.0, 60.0, 60.0)
        tape.put(T0_MS + second * 1_000, at_once([None] * 900 + [1.0], T0_MS + second * 1_000))
    judging = a_judging(site)

    play(judging, tape.entries, until_ms=T0_MS + 19_000)

    assert judging.live.draw is not None
    assert bounds_kw(judging.live.draw) == (120, 220)


def test_a_settled_tick_makes_nothing_that_no_rule_of_it_reads() -> None:
    """Clocks of publishers and minutes of racks are the live judgement's."""
    judging, tape = a_judging(one_tenant()), opened()
    say(tape, 0, 10)
    play(judging, tape.entries, until_ms=T0_MS + 10_000)

    assert judging.live.view is not None
    assert judging.settled.view is not None
    assert judging.live.view.publishers.ids == ("monitor", f"{BUS}:docs")
    assert judging.settled.view.publishers.ids == ()
    assert not judging.settled.rollups.save()[1]["ids"]["rack"]
