"""The judge: episodes by the contract's words alone, each with its right moments, from plain series."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from simulators.truth.episodes import Clause, Duty, Episode, Promise, Sight
from simulators.truth.judge import judge
from simulators.truth.terms import Agreement, Phase, Terms

UTC = ZoneInfo("UTC")
NOON = 1_780_315_200_000
"""2026-06-01T12:00:00Z."""
LIMIT = 1_000_000
"""The limit of most contracts here: 1 kW in milliwatts."""
AT_ONCE = Promise(overdraw_ms=0, ahead_ms=0, lag_ms=0)


def terms(**changes: object) -> Terms:
    """Return the terms of a contract of one kilowatt that has been in force for long."""
    return replace(Terms(from_ms=0, committed=LIMIT), **changes)  # type: ignore[arg-type]  # a test's fields


def judged(
    series: list[int],
    *versions: Terms,
    promise: Promise = AT_ONCE,
    begin_ms: int = NOON,
    ends_ms: int | None = None,
    zone: ZoneInfo = UTC,
) -> list[Episode]:
    """Return what is owed for a series that everybody can see."""
    found = judge("acme", Agreement(versions, ends_ms), Sight.perfect(begin_ms, series), zone, promise)
    return [episode for episode in found if episode.duty is Duty.PAGE]


def seconds_of(episodes: list[Episode], begin_ms: int = NOON) -> list[tuple[int, int]]:
    """Return when each episode begins and ends, in seconds of the series."""
    return [((e.from_ms - begin_ms) // 1_000, (e.to_ms - begin_ms) // 1_000) for e in episodes]


# Every moment ---------------------------------------------------------------------------


@pytest.mark.parametrize(("above", "below", "owed"), [(4, 4, 1), (2, 6, 0), (4, 20, 0)])
def test_a_load_that_swings_is_owed_once_it_was_above_for_long_enough(
    above: int, below: int, owed: int
) -> None:
    """Four seconds above and four below never last as long as a delay; a third of a minute does."""
    series = ([LIMIT + 1] * above + [LIMIT] * below) * 12
    promise = Promise(lag_ms=0)

    found = judged(series, terms(), promise=promise)

    assert bool(found) is bool(owed)
    assert all(20 <= e.earliest_ms // 1_000 - NOON // 1_000 <= 40 for e in found[:1])
    assert not judged(series, terms(sustain_ms=10_000), promise=promise)


def test_exactly_at_the_limit_is_compliant() -> None:
    """A draw of the limit is none above it; one milliwatt more is."""
    assert judged([LIMIT] * 20, terms()) == []
    assert seconds_of(judged([LIMIT] * 5 + [LIMIT + 1] * 5 + [LIMIT] * 5, terms())) == [(5, 10)]


@pytest.mark.parametrize(("lasts", "owed"), [(9, 0), (10, 1), (11, 1)])
def test_an_overdraw_counts_once_it_has_lasted_as_long_as_the_clause_says(lasts: int, owed: int) -> None:
    """A sustain of 10 s is kept by 9 s above the limit, and broken by 10."""
    series = [0] * 5 + [LIMIT + 1] * lasts + [0] * 20

    found = judged(series, terms(sustain_ms=10_000))

    assert len(found) == owed
    assert [e.earliest_ms - NOON for e in found] == [15_000] * owed


def test_a_page_is_due_when_promise_and_clause_are_both_over() -> None:
    """The promised delay counts where the contract asks for less, and news takes its time."""
    promise = Promise(overdraw_ms=5_000, lag_ms=2_000)

    (found,) = judged([0] * 3 + [LIMIT + 1] * 30, terms(sustain_ms=1_000), promise=promise)

    assert (found.earliest_ms - NOON, found.latest_ms - NOON) == (8_000, 10_000)


def test_an_overdraw_shorter_than_the_news_takes_is_not_owed() -> None:
    """What is over before it must be known may be paged, and need not be."""
    promise = Promise(overdraw_ms=5_000, lag_ms=2_000)
    series = [0] * 3 + [LIMIT + 1] * 6 + [0] * 20

    found = judge("acme", Agreement((terms(),)), Sight.perfect(NOON, series), UTC, promise)

    assert [e.duty for e in found] == [Duty.NONE]


def test_tolerance_and_loss_move_the_limit() -> None:
    """Two percent are granted on top, and power counts where it is delivered."""
    granted = terms(tolerance=Fraction(2, 100))
    delivered = terms(delivery=Fraction(102, 100))

    assert judged([1_020_000] * 9, granted) == []
    assert seconds_of(judged([1_020_001] * 9, granted)) == [(0, 9)]
    assert judged([980_392] * 9, delivered) == []
    assert seconds_of(judged([980_393] * 9, delivered)) == [(0, 9)]


def test_each_version_holds_from_its_second() -> None:
    """An amendment that lowers the limit makes an overdraw of what was none, at its instant."""
    lowered = terms(from_ms=NOON + 7_000, committed=LIMIT // 2)

    assert seconds_of(judged([LIMIT] * 20, terms(), lowered)) == [(7, 20)]


def test_nothing_is_owed_outside_the_contract() -> None:
    """Before it begins and from its end on, no draw breaks it."""
    begun = terms(from_ms=NOON + 5_000)

    assert seconds_of(judged([LIMIT + 1] * 20, begun, ends_ms=NOON + 15_000)) == [(5, 15)]


def test_a_linear_ramp_is_met_to_the_milliwatt() -> None:
    """On the straight line the draw is compliant, and a milliwatt above it is not."""
    ramp = terms(phases=(Phase(0, 0), Phase(NOON, 0), Phase(NOON + 10_000, LIMIT, is_linear=True)))
    line = [LIMIT * second // 10 for second in range(11)]

    assert judged(line, ramp) == []
    above = [e for e in judged([draw + 1 for draw in line], ramp) if e.clause is Clause.OVERDRAW]
    assert seconds_of(above) == [(0, 11)]


def test_ahead_of_the_ramp_is_above_this_phase() -> None:
    """Above the last one too; where every moment is held against the limit, that is told instead."""
    ramp = terms(method="block", phases=(Phase(0, LIMIT // 2), Phase(NOON + 30_000, LIMIT)))
    series = [LIMIT // 2] * 5 + [LIMIT // 2 + 1] * 5 + [LIMIT] * 5 + [LIMIT + 1] * 5 + [LIMIT] * 20

    ahead = [e for e in judged(series, ramp) if e.clause is Clause.AHEAD]

    assert seconds_of(ahead) == [(5, 30)]
    instant = judged(series, replace(ramp, method="instantaneous"))
    assert {e.clause for e in instant} == {Clause.OVERDRAW}


# What could be known --------------------------------------------------------------------


@pytest.mark.parametrize(("after", "lasts_on"), [(1, False), (0, True)])
def test_what_lasts_to_the_end_may_be_told_of_at_any_time_after(after: int, lasts_on: bool) -> None:  # noqa: FBT001 - a case of a table
    """An overdraw that is over is told of by its end; of one that goes on nobody knows the end."""
    sight = Sight.perfect(NOON, [LIMIT + 1] * 60 + [LIMIT] * after * 10)

    found = judge("acme", Agreement((terms(),)), sight, UTC, AT_ONCE, settled=sight)

    latest_ms = {e.latest_ms for e in found if e.duty is Duty.TELL}
    assert len(latest_ms) == 1
    assert (latest_ms.pop() > NOON + 600_000) is lasts_on


def test_what_could_not_be_proved_must_be_doubted() -> None:
    """Where nobody could know that the limit is broken, no page is owed, but the doubt is."""
    count = 60
    sight = Sight(
        begin_ms=NOON,
        true=[LIMIT + 1] * count,
        open=[LIMIT + 1] * count,
        proven=[LIMIT - 1] * count,
        brief=[LIMIT - 1] * count,
        recent=[LIMIT + 1] * count,
        possible=[2 * LIMIT] * count,
    )

    found = judge("acme", Agreement((terms(),)), sight, UTC, Promise(doubt_ms=30_000, lag_ms=1_000))

    assert [e.duty for e in found if e.duty is not Duty.NONE] == [Duty.DOUBT]
    assert found[0].latest_ms == NOON + 31_000


def test_what_nobody_could_doubt_is_owed_nothing() -> None:
    """Where not even the doubt could be known, a page is right and none is right too."""
    count = 60
    sight = Sight(
        begin_ms=NOON,
        true=[LIMIT + 1] * count,
        open=[0] * count,
        proven=[0] * count,
        brief=[0] * count,
        recent=[LIMIT + 1] * count,
        possible=[2 * LIMIT] * count,
    )

    found = judge("acme", Agreement((terms(),)), sight, UTC, AT_ONCE)

    assert {e.duty for e in found} == {Duty.NONE}


# Demand ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("blind", "allowed"), [(1, 0), (4, 1), (30, 1)])
def test_what_was_seen_may_be_held_until_somebody_can_tell_that_it_is_over(blind: int, allowed: int) -> None:
    """A draw is seen above for a second and then not at all: whoever holds on may page, and need not."""
    promise = Promise(overdraw_ms=5_000, lag_ms=0)
    true = [0] * 5 + [LIMIT + 1] + [0] * 40
    possible = [0] * 5 + [LIMIT + 1] * (1 + blind) + [0] * (40 - blind)
    sight = replace(Sight.perfect(NOON, true), possible=possible)

    found = judge("acme", Agreement((terms(),)), sight, UTC, promise)

    assert [episode.duty for episode in found] == [Duty.NONE] * allowed
    assert [(e.earliest_ms - NOON, e.latest_ms - NOON) for e in found] == [
        (10_000, 6_000 + blind * 1_000)
    ] * allowed


def block(minutes: int = 1, **changes: object) -> Terms:
    """Return terms that bind the mean over clock-aligned blocks."""
    return terms(method="block", block_ms=minutes * 60_000, **changes)


def test_a_block_is_broken_by_a_milliwatt_for_a_second() -> None:
    """The mean of a block is held against its limit exactly, as it closes."""
    series = [LIMIT] * 60 + [LIMIT] * 59 + [LIMIT + 1]

    (found,) = judged(series, block())

    assert seconds_of([found]) == [(60, 120)]
    assert found.earliest_ms == found.latest_ms == NOON + 120_000
    assert found.peak == LIMIT + Fraction(1, 60)


def test_blocks_follow_the_wall_clock() -> None:
    """A series that begins between two borders has its first whole block at the next one."""
    found = judged([LIMIT + 1] * 150, block(), begin_ms=NOON + 20_000)

    assert seconds_of(found, NOON + 20_000) == [(40, 100)]


def test_the_mean_of_a_block_may_be_legal_though_its_moments_are_not() -> None:
    """Half a block at twice the limit and half at nothing keeps it."""
    assert judged([2 * LIMIT] * 30 + [0] * 30, block()) == []


def test_a_version_in_the_middle_of_a_block_counts_for_its_part() -> None:
    """Half a minute at one limit and half at its double may take the mean of both, and no more."""
    doubled = block(from_ms=NOON + 30_000, committed=2 * LIMIT)
    allowed = LIMIT * 3 // 2

    assert judged([allowed] * 60, block(), doubled) == []
    assert seconds_of(judged([allowed] * 59 + [allowed + 1], block(), doubled)) == [(0, 60)]


def test_a_block_counts_from_where_its_clause_begins() -> None:
    """What was drawn under a clause of every moment is no part of the first demand."""
    instant = terms(committed=10 * LIMIT)
    demand = block(from_ms=NOON + 30_000)
    series = [9 * LIMIT] * 30 + [LIMIT] * 30

    assert judged(series, instant, demand) == []
    assert seconds_of(judged([*series[:-1], LIMIT + 1], instant, demand)) == [(30, 60)]


def test_a_block_closes_where_the_clause_ends() -> None:
    """The part of a block up to the end of the contract is judged at that end."""
    found = judged([LIMIT + 1] * 60, block(), ends_ms=NOON + 45_000)

    assert seconds_of(found) == [(0, 45)]


def test_a_rolling_block_is_judged_at_every_subinterval() -> None:
    """Three minutes slide by one: a high minute is in three of them."""
    rolling = terms(method="rolling", block_ms=180_000, slide_ms=60_000)
    series = [LIMIT] * 240 + [LIMIT + 1] * 60 + [LIMIT] * 300

    found = judged(series, rolling)

    assert seconds_of(found) == [(120, 300), (180, 360), (240, 420)]


def test_a_linear_ramp_has_its_exact_mean_in_a_block() -> None:
    """The allowance of a minute on a straight line from nothing is half of what it ends at."""
    ramp = block(phases=(Phase(0, 0), Phase(NOON, 0), Phase(NOON + 60_000, LIMIT, is_linear=True)))

    assert [e for e in judged([LIMIT // 2] * 60, ramp) if e.clause is Clause.DEMAND] == []
    over = judged([LIMIT // 2] * 59 + [LIMIT // 2 + 1], ramp)
    assert [e.clause for e in over if e.clause is Clause.DEMAND] == [Clause.DEMAND]


@pytest.mark.parametrize(
    ("zone", "change_ms", "minutes", "expected"),
    [
        # Lord Howe goes back by half an hour at 15:00 UTC: a block of an hour begins anew there.
        ("Australia/Lord_Howe", 1_775_314_800_000, 60, [(-3_600, 0), (0, 1_800), (1_800, 5_400)]),
        # Berlin goes back by an hour at 01:00 UTC, which an hour's blocks do not notice.
        ("Europe/Berlin", 1_792_890_000_000, 60, [(-3_600, 0), (0, 3_600)]),
        # Berlin goes forward at 01:00 UTC: two hours by the clock are one.
        ("Europe/Berlin", 1_774_746_000_000, 120, [(0, 3_600)]),
    ],
)
def test_no_block_spans_a_change_of_the_clock(
    zone: str, change_ms: int, minutes: int, expected: list[tuple[int, int]]
) -> None:
    """Where the wall clock is set forward or back a new block begins."""
    begin_ms = change_ms - 3_600_000
    found = judged([LIMIT + 1] * 9_000, block(minutes), begin_ms=begin_ms, zone=ZoneInfo(zone))

    assert seconds_of(found, change_ms) == expected


# Burst ----------------------------------------------------------------------------------


def test_a_burst_is_owed_a_page_once_its_minutes_are_used_up() -> None:
    """The first minute of a month above the commitment and within the burst is free, the second is not."""
    bursting = terms(burst=LIMIT, burst_minutes=1)
    series = [LIMIT + 1] * 60 + [LIMIT] * 10 + [LIMIT + 1] * 10

    found = judged(series, bursting)

    assert [(e.clause, *seconds_of([e])) for e in found] == [(Clause.BURST, (70, 80))]


def test_burst_minutes_begin_anew_with_the_month() -> None:
    """What was used in May does not count in June."""
    june = 1_780_272_000_000
    bursting = terms(burst=LIMIT, burst_minutes=1)

    assert judged([LIMIT + 1] * 120, bursting, begin_ms=june - 60_000) == []
