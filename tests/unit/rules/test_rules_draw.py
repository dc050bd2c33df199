"""A tenant's draw is an interval of exact integers, and silence only ever widens it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from rules.draw.draw import Draw
from rules.view import UNBOUNDED
from testing.rules.halls import (
    KW,
    PAIR,
    Plant,
    a_site,
    a_tenant,
    a_version,
    bounds_kw,
    draw_of,
    known_rack,
    points_of,
    racks_of,
)

INFINITY = float("inf")


# Sums ---------------------------------------------------------------------------------


def test_a_sum_is_exact() -> None:
    """Tenths of a kilowatt add up to the milliwatt, where floats would not."""
    names = [f"r{i}" for i in range(1_000)]
    site = a_site(racks_of(*names), a_tenant("acme", names, a_version(1_000)))

    draw = draw_of(site, points_of(names), [0.1] * 1_000)

    assert (draw.low[0], draw.best[0], draw.high[0]) == (100 * KW, 100 * KW, 100 * KW)
    assert draw.coverage[0] == 1.0


def test_every_tenant_has_its_own_sum_and_the_rest_is_the_operator_s() -> None:
    """A rack counts for who holds it, once; what nobody holds is the site's own load."""
    names = ["r0", "r1", "r2", "r3"]
    site = a_site(
        racks_of(*names),
        a_tenant("acme", ["r0", "r2"], a_version(100)),
        a_tenant("bell", ["r1"], a_version(100)),
    )

    draw = draw_of(site, points_of(names), [1, 10, 100, 30])

    assert draw.best.tolist() == [101 * KW, 10 * KW, 30 * KW]
    assert draw.low.tolist() == draw.high.tolist() == draw.best.tolist()


def test_a_tenant_that_holds_nothing_draws_nothing() -> None:
    """No rack is no draw and full coverage; that is no gap."""
    site = a_site(racks_of("r0"), a_tenant("acme", [], a_version(100)))

    draw = draw_of(site, points_of(["r0"]), [50])

    assert bounds_kw(draw, 0) == (0, 0)
    assert bounds_kw(draw, 1) == (50, 50)
    assert draw.coverage.tolist() == [1.0, 1.0]


def test_a_site_without_racks_has_a_draw() -> None:
    """A site of which nothing is known yet is no error."""
    draw = draw_of(a_site({}), [], [])

    assert draw.low.tolist() == draw.high.tolist() == [0]


def test_a_heard_rack_that_nobody_declared_is_the_operator_s() -> None:
    """What is heard counts, and without a rating its silence has no upper bound."""
    heard = draw_of(a_site({}), points_of(["r9"]), [40])
    silent = draw_of(a_site({}), points_of(["r9"]), [40], silent=[0])

    assert bounds_kw(heard) == (40, 40)
    assert bounds_kw(silent) == (0, INFINITY)


# Silence ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rating_kw", "floor_kw", "silent", "expected"),
    [
        pytest.param(100, 0, [], (140, 140), id="nothing silent"),
        pytest.param(100, 0, [0], (80, 180), id="one silent"),
        pytest.param(100, 0, [0, 1], (0, 200), id="all silent"),
        pytest.param(100, 15, [0], (95, 180), id="one silent above its floor"),
        pytest.param(None, 0, [0], (80, INFINITY), id="a silent rack without a rating"),
        pytest.param(None, 0, [], (140, 140), id="a heard rack without a rating"),
    ],
)
def test_a_silent_rack_adds_between_its_floor_and_its_rating(
    rating_kw: int | None, floor_kw: int, silent: list[int], expected: tuple[float, float]
) -> None:
    """What is not heard lies between the least and the most that the rack can draw."""
    site = a_site(
        racks_of(*PAIR, rating_kw=rating_kw, floor_kw=floor_kw), a_tenant("acme", PAIR, a_version(100))
    )

    draw = draw_of(site, points_of(PAIR), [60, 80], silent=silent)

    assert bounds_kw(draw) == expected
    assert draw.coverage[0] == 1 - len(silent) / 2


def test_the_best_estimate_of_a_silent_rack_is_what_it_said_last() -> None:
    """The last known value stands as an estimate, within the bounds."""
    site = a_site(racks_of(*PAIR, floor_kw=15), a_tenant("acme", PAIR, a_version(100)))

    known = draw_of(site, points_of(PAIR), [60, 80], silent=[0])
    below_floor = draw_of(site, points_of(PAIR), [5, 80], silent=[0])

    assert known.best[0] == 140 * KW
    assert below_floor.best[0] == 95 * KW


def test_the_agreed_cap_of_a_rack_bounds_its_silence() -> None:
    """The contract may say that a rack draws less than its rating."""
    version = a_version(100, rack_cap_milliwatts=70 * KW)
    site = a_site(racks_of(*PAIR), a_tenant("acme", PAIR, version))

    draw = draw_of(site, points_of(PAIR), [60, 60], silent=[0])

    assert bounds_kw(draw) == (60, 130)


def test_a_value_beyond_the_rating_puts_the_rating_in_doubt() -> None:
    """A rack that said more than its rating allows may draw anything: the site file may be wrong."""
    site = a_site(racks_of(*PAIR), a_tenant("acme", PAIR, a_version(100)))

    draw = draw_of(site, points_of(PAIR), [250, 80], beyond=[0])

    assert bounds_kw(draw) == (80, INFINITY)


def test_a_value_beyond_one_rack_s_rating_says_nothing_of_racks_without_a_meter() -> None:
    """The doubt is about the rack that said it, wherever its point stands among the others."""
    site = a_site(racks_of(*PAIR), a_tenant("acme", ["r0"], a_version(100)), a_tenant("bell", ["r1"]))

    draw = draw_of(site, [known_rack(0, "r1")], [250], beyond=[0])

    assert bounds_kw(draw, 0) == (0, 100)
    assert bounds_kw(draw, 1) == (0, INFINITY)


def test_a_rack_last_heard_above_its_cap_is_not_bounded_by_it() -> None:
    """What was measured proves that the cap is no bound: a silent rack may draw at least that."""
    site = a_site(racks_of(*PAIR), a_tenant("acme", PAIR, a_version(100)))

    low, high = bounds_kw(draw_of(site, points_of(PAIR), [104, 80], silent=[0]))

    assert low == 80
    assert high >= 184


def test_one_feed_above_the_cap_does_not_make_the_other_nothing() -> None:
    """When feed A alone carries more than the rating, silent feed B still may carry what it did."""
    site = a_site(racks_of("r0", feeds=2), a_tenant("acme", ["r0"], a_version(100)))
    known = [known_rack(0, "r0", feed="a"), known_rack(1, "r0", feed="b")]

    low, high = bounds_kw(draw_of(site, known, [104, 30], silent=[1]))

    assert low == 104
    assert high >= 134


@pytest.mark.parametrize(
    "rated", [{"acme": 100, "bell": 100}, {"acme": 100, "bell": 300}], ids=["alike", "different"]
)
def test_coverage_is_the_share_of_the_rating_that_is_heard(rated: Mapping[str, int]) -> None:
    """A large rack weighs more than a small one."""
    racks = racks_of("r0", rating_kw=rated["acme"]) | racks_of("r1", rating_kw=rated["bell"])
    site = a_site(racks, a_tenant("acme", PAIR))

    draw = draw_of(site, points_of(PAIR), [50, 50], silent=[1])

    assert draw.coverage[0] == rated["acme"] / (rated["acme"] + rated["bell"])


def test_an_unrated_rack_weighs_as_much_as_is_usual() -> None:
    """Coverage counts a rack without a rating like the others."""
    racks = racks_of("r0", "r1", "r2", rating_kw=80) | racks_of("r3", rating_kw=None)
    names = ["r0", "r1", "r2", "r3"]
    site = a_site(racks, a_tenant("acme", names))

    draw = draw_of(site, points_of(names), [50] * 4, silent=[3])

    assert draw.coverage[0] == 0.75


def test_draws_are_of_the_type_that_sums_need() -> None:
    """Powers stay 64-bit integers all the way: 300 MW in milliwatts do not fit 32."""
    names = [f"r{i}" for i in range(2_270)]
    site = a_site(racks_of(*names, rating_kw=132), a_tenant("acme", names))

    draw: Draw = draw_of(site, points_of(names), [132.0] * 2_270)

    assert {draw.low.dtype, draw.best.dtype, draw.high.dtype} == {np.dtype(np.int64)}
    assert draw.low[0] == 299_640 * KW < UNBOUNDED


def test_a_rack_that_was_ever_seen_above_its_rating_is_not_bounded_by_it() -> None:
    """A rack rated 100 drew 140, then 80, then nothing is heard: it may draw 140 again."""
    site = a_site(racks_of(*PAIR), a_tenant("acme", PAIR, a_version(100)))
    plant = Plant(site, points_of(PAIR))
    plant.say(140, 50)
    plant.say(80, 50)

    low, high = bounds_kw(plant.say(80, 50, silent=[0]))

    assert low == 50
    assert high == 250
