"""What a draw is summed of: one level of meters, each once, and no reading is no zero."""

from __future__ import annotations

import pytest

from facility.contracts import PPM, Boundary, Limit, Version
from rules.base import Verdict
from testing.builders import T0_MS
from testing.rules.halls import (
    KW,
    PAIR,
    Tape,
    a_meter,
    a_row,
    a_row_of,
    a_site,
    a_tenant,
    a_version,
    an_engine,
    block,
    bounds_kw,
    described,
    draw_of,
    known_meter,
    known_rack,
    play,
    points_of,
    racks_of,
)

INFINITY = float("inf")


@pytest.mark.parametrize(
    ("feeds", "powers_kw", "silent", "expected"),
    [
        pytest.param("ab", [40, 30], [], (70, 70), id="both feeds"),
        pytest.param("ab", [40, 30], [1], (40, 100), id="one feed silent"),
        pytest.param("a", [40], [], (40, 100), id="one feed never metered"),
        pytest.param("ab", [40, 30], [0, 1], (0, 100), id="both silent"),
    ],
)
def test_a_rack_metered_by_feed_is_the_sum_of_all_its_feeds(
    feeds: str, powers_kw: list[float], silent: list[int], expected: tuple[float, float]
) -> None:
    """A feed without a reading is no zero."""
    site = a_site(racks_of("r0", feeds=2), a_tenant("acme", ["r0"], a_version(100)))
    known = [known_rack(number, "r0", feed=feed) for number, feed in enumerate(feeds)]

    draw = draw_of(site, known, powers_kw, silent=silent)

    assert bounds_kw(draw) == expected


def test_a_rack_metered_as_a_whole_and_by_feed_counts_once() -> None:
    """The whole is taken, and its feeds are not added to it."""
    site = a_site(racks_of("r0", feeds=2), a_tenant("acme", ["r0"], a_version(100)))
    known = [known_rack(0, "r0", feed="a"), known_rack(1, "r0"), known_rack(2, "r0", feed="b")]

    draw = draw_of(site, known, [40, 70.5, 30])

    assert bounds_kw(draw) == (70.5, 70.5)


def test_a_rack_whose_feeds_contradict_its_whole_is_the_hull_of_both() -> None:
    """A rack says 0 as a whole and 40 and 30 by feed: neither proves anything."""
    site = a_site(racks_of("r0", feeds=2), a_tenant("acme", ["r0"], a_version(100)))
    known = [known_rack(0, "r0", feed="a"), known_rack(1, "r0"), known_rack(2, "r0", feed="b")]

    draw = draw_of(site, known, [40, 0, 30])

    assert bounds_kw(draw) == pytest.approx((0, 70 / 0.99), abs=2e-6)
    assert not draw.is_consistent[0]


def test_a_rack_without_any_meter_is_never_zero() -> None:
    """Lack of a meter is lack of knowledge: the rack may draw all it can."""
    site = a_site(racks_of(*PAIR), a_tenant("acme", PAIR, a_version(100)))

    draw = draw_of(site, points_of(["r0"]), [60])

    assert bounds_kw(draw) == (60, 160)
    assert draw.coverage[0] == 0.5


TAPS = ("tap-r0-a", "tap-r0-b", "tap-r1-a", "tap-r1-b")


@pytest.mark.parametrize(
    ("meters", "powers_kw", "silent", "expected", "coverage"),
    [
        pytest.param(TAPS, [30, 31, 32, 33], [], (126, 126), 1, id="all heard"),
        pytest.param(TAPS, [30, 31, 32, 33], [1], (95, 165), 0.5, id="one tap silent"),
        pytest.param(TAPS[:3], [30, 31, 32], [], (93, 161), 0.5, id="one tap has no meter"),
        pytest.param((), [0], [0], (0, 200), 0, id="no tap has one"),
    ],
)
def test_a_boundary_of_taps_sums_both_taps_of_each_rack(
    meters: tuple[str, ...],
    powers_kw: list[float],
    silent: list[int],
    expected: tuple[float, float],
    coverage: float,
) -> None:
    """What a tap does not say lies between nothing and what the rack's rating leaves."""
    site = a_row_of(*PAIR, boundary=Boundary.TAP_METER)
    known = [*points_of([], *meters), *described(*PAIR)]

    draw = draw_of(site, known, powers_kw, silent=silent)

    assert bounds_kw(draw) == expected
    assert draw.coverage[0] == coverage


def test_a_boundary_of_taps_does_not_take_the_racks_own_meters() -> None:
    """One level only: what is bought is measured where the contract says."""
    site = a_row_of(*PAIR, boundary=Boundary.TAP_METER)
    known = points_of(PAIR, *TAPS)

    draw = draw_of(site, known, [61.1, 64.5, 30, 31, 32, 33])

    assert bounds_kw(draw) == (126, 126)


def test_taps_that_their_racks_contradict_are_the_hull_of_both() -> None:
    """The meters of a boundary may be what is wrong: the racks beneath them count as a second witness."""
    site = a_row_of(*PAIR, boundary=Boundary.TAP_METER)

    draw = draw_of(site, points_of(PAIR, *TAPS), [96, 96, 0, 0, 0, 0])

    assert bounds_kw(draw) == pytest.approx((0, 192 / 0.99 / 0.985), abs=4e-6)
    assert not draw.is_consistent[0]


def test_a_meter_that_serves_two_racks_directly_counts_once() -> None:
    """A tap that two racks share carries their sum; it is not the power of each."""
    assets = (a_meter("pdu", "r0", "r1"),)
    version = a_version(1_000, boundary=Boundary.TAP_METER)
    site = a_site(racks_of(*PAIR, feeds=1), a_tenant("acme", PAIR, version), assets=assets)
    known = [known_meter(0, "pdu"), *described(*PAIR)]

    low, high = bounds_kw(draw_of(site, known, [120]))

    assert low <= 120 <= high
    assert high < 240


def test_a_boundary_of_named_meters_sums_these_and_nothing_else() -> None:
    """Racks have no part in such a contract."""
    version = a_version(1_000, boundary=Boundary.NAMED_METERS, meters=("bus-a", "bus-b"))
    site = a_site(racks_of(*PAIR, feeds=2), a_tenant("acme", PAIR, version), assets=a_row(*PAIR))
    known = points_of(PAIR, "bus-a", "bus-b")

    draw = draw_of(site, known, [61, 61, 61, 62])

    assert bounds_kw(draw) == (123, 123)


def test_named_meters_that_the_racks_beneath_contradict_are_the_hull_of_both() -> None:
    """Meters of a contract that are stuck at 0 do not make its tenant compliant."""
    version = a_version(100, boundary=Boundary.NAMED_METERS, meters=("bus-a", "bus-b"))
    site = a_site(racks_of(*PAIR, feeds=2), a_tenant("acme", PAIR, version), assets=a_row(*PAIR))

    draw = draw_of(site, points_of(PAIR, "bus-a", "bus-b"), [60, 60, 0, 0])

    assert bounds_kw(draw) == pytest.approx((0, 120 / 0.99 / 0.985), abs=4e-6)
    assert not draw.is_consistent[0]


@pytest.mark.parametrize(
    ("racks", "powers_kw", "expected"),
    [
        pytest.param((), [61, 62], (61, INFINITY), id="racks without meters"),
        pytest.param(PAIR, [60, 61, 61, 62], (121 / 1.01, 121 / 0.99 / 0.985), id="racks with meters"),
    ],
)
def test_a_silent_named_meter_is_bounded_only_by_the_racks_beneath(
    racks: tuple[str, ...], powers_kw: list[float], expected: tuple[float, float]
) -> None:
    """Nobody knows the most that a meter can carry."""
    version = a_version(1_000, boundary=Boundary.NAMED_METERS, meters=("bus-a", "bus-b"))
    site = a_site(racks_of(*PAIR, feeds=2), a_tenant("acme", PAIR, version), assets=a_row(*PAIR))
    known = [*points_of(racks, "bus-a", "bus-b"), *described(*PAIR)]

    draw = draw_of(site, known, powers_kw, silent=[len(racks) + 1])

    assert bounds_kw(draw) == pytest.approx(expected, abs=4e-6)


def test_a_named_meter_that_nobody_knows_is_no_zero() -> None:
    """A meter that the bus never spoke of is silent, not absent."""
    version = a_version(1_000, boundary=Boundary.NAMED_METERS, meters=("bus-a", "ghost"))
    site = a_site(racks_of(*PAIR), a_tenant("acme", PAIR, version), assets=a_row(*PAIR))

    draw = draw_of(site, points_of(PAIR, "bus-a"), [50, 50, 61])

    assert bounds_kw(draw) == (61, INFINITY)


@pytest.mark.parametrize(
    ("factor", "silent", "expected"),
    [
        pytest.param(1.0, [], (3 * 33.333333, 3 * 33.333333), id="none"),
        pytest.param(1.02, [], (101.999998, 101.999999), id="rounded outwards to the milliwatt"),
        pytest.param(0.98, [], (97.999999, 98), id="metered above the delivery"),
        pytest.param(1.02, [2], (67.999999, 170), id="with a silent rack"),
    ],
)
def test_a_loss_factor_scales_the_bounds_outwards(
    factor: float, silent: list[int], expected: tuple[float, float]
) -> None:
    """The delivery point's power is that of the boundary times the factor, rounded away from the middle."""
    names = ["r0", "r1", "r2"]
    site = a_site(racks_of(*names), a_tenant("acme", names, a_version(100, loss_factor=factor)))

    low, _, high = draw_of(site, points_of(names), [33.333333] * 3, silent=silent).delivered()

    assert (int(low[0]) / KW, int(high[0]) / KW) == pytest.approx(expected, abs=1e-9)


def test_what_could_be_drawn_at_most_counts_the_loss_too() -> None:
    """Where nothing was seen at all, the delivery point may have given every rating and the loss."""
    site = a_site(racks_of(*PAIR), a_tenant("acme", PAIR, a_version(100, loss_factor=1.05)))

    draw = draw_of(site, points_of(PAIR), [50, 50], silent=[0, 1])

    assert draw.delivered()[2][0] == 210 * KW
    assert draw.most[0] * draw.loss_ppm[0] == 210 * KW * PPM


@pytest.mark.parametrize(
    ("committed_milliwatts", "tolerance_percent", "is_above"),
    [
        pytest.param(101_999_997, 0, True, id="0.96 mW above the limit"),
        pytest.param(101_999_998, 0, False, id="0.04 mW below the limit"),
        pytest.param(99_999_998, 2, False, id="exactly at a limit that is no whole number"),
        pytest.param(99_999_997, 2, True, id="1.02 mW above such a limit"),
    ],
)
def test_a_loss_factor_costs_no_exactness_at_the_limit(
    committed_milliwatts: int, tolerance_percent: float, *, is_above: bool
) -> None:
    """99.999998 kW at the boundary are 101,999,997.96 mW at the delivery point: rounding changes nothing."""
    version = Version(
        from_ms=0,
        committed_milliwatts=committed_milliwatts,
        limit=Limit(tolerance_percent=tolerance_percent),
        loss_factor=1.02,
    )
    engine, tape = an_engine(a_site(racks_of("r0"), a_tenant("acme", ["r0"], version))), Tape()
    tape.connect(T0_MS - 1_000)
    tape.put(T0_MS - 1_000, (known_rack(0, "r0"),))
    tape.second(0, 99.999998)

    play(engine, tape.entries, until_ms=T0_MS)

    assert engine.view is not None
    tenants = engine.view.tenants
    assert bool(tenants.low[0] > tenants.limit[0]) is is_above
    assert bool(tenants.high[0] <= tenants.limit[0]) is not is_above


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [
        pytest.param([99.999998] * 60, Verdict.CLEAR, id="all of it exactly at the allowance"),
        pytest.param([99.999998] * 59 + [99.999999], Verdict.BREACH, id="a milliwatt more for a second"),
        pytest.param([99.999997, 99.999999] * 30, Verdict.CLEAR, id="below and above it by the same"),
    ],
)
def test_a_loss_factor_costs_no_exactness_over_a_block(seconds: list[float], verdict: Verdict) -> None:
    """Energy is carried in picojoules to the comparison with the allowance."""
    version = Version(
        from_ms=0,
        committed_milliwatts=99_999_998,
        limit=block(60_000, tolerance_percent=2),
        loss_factor=1.02,
    )
    site = a_site(racks_of("r0"), a_tenant("acme", ["r0"], version))
    engine, tape, begin_s = an_engine(site), Tape(), -(-T0_MS // 60_000) * 60 - T0_MS // 1_000
    tape.connect(T0_MS - 1_000)
    tape.put(T0_MS - 1_000, (known_rack(0, "r0"),))
    for second, power_kw in enumerate([*seconds, 0.0]):
        tape.second(begin_s + second, power_kw)

    play(engine, tape.entries, until_ms=T0_MS + 1_000 * (begin_s + 60))

    assert engine.view is not None
    assert engine.view.demand.closed_verdict[0] == verdict
