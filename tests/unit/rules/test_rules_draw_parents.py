"""Meters above the racks narrow a tenant's draw, as far as they can be believed."""

from __future__ import annotations

from typing import Any

import pytest

from facility.names import AssetId
from facility.points import Asset
from tests.unit.rules.halls import (
    PAIR,
    a_meter,
    a_row,
    a_row_of,
    a_site,
    a_tenant,
    bounds_kw,
    draw_of,
    points_of,
    racks_of,
)

INFINITY = float("inf")

TAPS = ("tap-r0-a", "tap-r0-b", "tap-r1-a", "tap-r1-b")


def around(parents_kw: float, others_kw: float = 0) -> tuple[float, float]:
    """Return between what the rest beneath parents lies: 1 % meter error, 1.5 % loss on the way."""
    return parents_kw / 1.01 * 0.985 - others_kw, parents_kw / 0.99 - others_kw


def near(bounds: tuple[float, float]) -> Any:  # noqa: ANN401 - what pytest compares with
    """Return bounds but for the milliwatt to which they are rounded outwards."""
    return pytest.approx(bounds, abs=1.01e-6)


@pytest.mark.parametrize(
    ("meters", "powers_kw", "silent", "expected"),
    [
        pytest.param(
            TAPS[:2], [0, 60, 30, 31], [0], around(61, others_kw=-60), id="both taps of the silent rack"
        ),
        pytest.param(TAPS[:1], [0, 60, 30], [0], (60, 160), id="one tap is not the whole"),
        pytest.param(TAPS[:2], [0, 60, 30, 31], [0, 3], (60, 160), id="a silent tap tells nothing"),
        pytest.param(("bus-a", "bus-b"), [0, 60, 60, 61], [0], around(121), id="the buses above the row"),
        pytest.param(("bus-a", "bus-b"), [0, 60, 60, 61], [0, 2], (60, 160), id="one bus is not the whole"),
        pytest.param(
            ("bus-a", "bus-b"), [0, 0, 60, 61], [0, 1], around(121), id="the whole row silent but its buses"
        ),
    ],
)
def test_a_parent_meter_narrows_the_interval(
    meters: tuple[str, ...], powers_kw: list[float], silent: list[int], expected: tuple[float, float]
) -> None:
    """What parents carry, less what its other racks draw, is what the silent rack draws."""
    site = a_row_of(*PAIR)

    draw = draw_of(site, points_of(PAIR, *meters), powers_kw, silent=silent)

    assert bounds_kw(draw) == near(expected)
    assert draw.is_consistent[0]


def test_a_parent_meter_gives_a_rack_without_a_rating_its_upper_bound() -> None:
    """The busways tell the most that the silent racks of a row can draw."""
    site = a_site(racks_of(*PAIR, rating_kw=None, feeds=2), a_tenant("acme", PAIR), assets=a_row(*PAIR))

    draw = draw_of(site, points_of(PAIR, "bus-a", "bus-b"), [50, 0, 60, 61], silent=[1])

    assert bounds_kw(draw) == near(around(121))


def test_two_racks_without_a_rating_are_bounded_together() -> None:
    """When both are silent, the row as a whole still is not more than its busways carry."""
    site = a_site(racks_of(*PAIR, rating_kw=None, feeds=2), a_tenant("acme", PAIR), assets=a_row(*PAIR))

    draw = draw_of(site, points_of(PAIR, "bus-a", "bus-b"), [0, 0, 60, 61], silent=[0, 1])

    assert bounds_kw(draw) == near(around(121))


def test_a_shared_parent_leaves_each_tenant_what_the_other_certainly_does_not_draw() -> None:
    """Of two tenants on one busway, one heard: the other draws the rest."""
    site = a_site(
        racks_of(*PAIR, feeds=2), a_tenant("acme", ["r0"]), a_tenant("bell", ["r1"]), assets=a_row(*PAIR)
    )

    draw = draw_of(site, points_of(PAIR, "bus-a", "bus-b"), [0, 60, 60, 61], silent=[0])

    assert bounds_kw(draw, 0) == near(around(121, 60))
    assert bounds_kw(draw, 1) == (60, 60)


def test_an_unrated_neighbour_leaves_no_lower_bound_from_above() -> None:
    """What a silent rack without a rating draws may be all that the busways carry."""
    racks = racks_of("r0", feeds=2) | racks_of("r1", rating_kw=None, feeds=2)
    site = a_site(racks, a_tenant("acme", ["r0"]), a_tenant("bell", ["r1"]), assets=a_row(*PAIR))

    draw = draw_of(site, points_of(PAIR, "bus-a", "bus-b"), [0, 0, 40, 41], silent=[0, 1])

    assert bounds_kw(draw, 0) == near((0, 81 / 0.99))
    assert bounds_kw(draw, 1) == near((0, 81 / 0.99))


@pytest.mark.parametrize(
    ("meters", "powers_kw", "silent", "expected"),
    [
        pytest.param(TAPS[:2], [50, 60, 30, 31], [], (110, 110), id="a heard rack against its taps"),
        pytest.param(TAPS[:2], [0, 60, 60, 61], [0], (60, 160), id="taps beyond the rating"),
        pytest.param(("bus-a", "bus-b"), [0, 60, 20, 21], [0], (60, 160), id="buses below what is heard"),
        pytest.param(("bus-a", "bus-b"), [0, 60, 90, 91], [0], (60, 160), id="buses above all ratings"),
    ],
)
def test_a_parent_that_contradicts_narrows_nothing_and_is_marked(
    meters: tuple[str, ...], powers_kw: list[float], silent: list[int], expected: tuple[float, float]
) -> None:
    """When the two do not meet, a meter or the topology is wrong: the wider interval stands."""
    site = a_row_of(*PAIR)

    draw = draw_of(site, points_of(PAIR, *meters), powers_kw, silent=silent)

    assert bounds_kw(draw) == expected
    assert not draw.is_consistent[0]


def test_a_contradiction_is_marked_for_whom_it_is_about() -> None:
    """A tenant on another row is not marked."""
    other = (a_meter("tap-r2-a", "r2"), a_meter("tap-r2-b", "r2"))
    site = a_site(
        racks_of("r0", "r1", "r2", feeds=2),
        a_tenant("acme", PAIR),
        a_tenant("bell", ["r2"]),
        assets=(*a_row(*PAIR), *other),
    )

    draw = draw_of(site, points_of(["r0", "r1", "r2"], "bus-a", "bus-b"), [50, 60, 70, 20, 21])

    assert draw.is_consistent.tolist() == [False, True, True]


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param(("ghost",), id="a tap that nobody described"),
        pytest.param(("tap-x",), id="a tap on which nothing hangs"),
        pytest.param(("pump",), id="a load that is no rack"),
    ],
)
def test_a_bus_with_dangling_taps_never_narrows(extra: tuple[str, ...]) -> None:
    """A busway that may feed something else tells nothing of its racks, and contradicts nothing."""
    taps = [a_meter(f"tap-{rack}-{feed}", rack) for rack in PAIR for feed in "ab"]
    buses = [a_meter(f"bus-{feed}", *(f"tap-{rack}-{feed}" for rack in PAIR), *extra) for feed in "ab"]
    others = (a_meter("tap-x"), Asset(id=AssetId("pump"), kind="Pump"))
    site = a_site(racks_of(*PAIR, feeds=2), a_tenant("acme", PAIR), assets=(*taps, *buses, *others))

    draw = draw_of(site, points_of(PAIR, "bus-a", "bus-b"), [0, 60, 190, 191], silent=[0])

    assert bounds_kw(draw) == (60, 160)
    assert draw.is_consistent[0]


def test_a_rack_with_a_feed_that_nobody_described_is_not_narrowed() -> None:
    """Two feeds and one known path: what comes by the other is not on this meter."""
    assets = (a_meter("tap-r0-a", "r0"),)
    site = a_site(racks_of("r0", feeds=2), a_tenant("acme", ["r0"]), assets=assets)

    draw = draw_of(site, points_of(["r0"], "tap-r0-a"), [0, 30], silent=[0])

    assert bounds_kw(draw) == (0, 100)


def test_a_meter_above_another_one_of_the_same_cut_is_not_counted_twice() -> None:
    """Where feed B has one meter more than feed A, the main meter already carries what that one does."""
    assets = (
        *(a_meter(f"tap-{rack}-{feed}", rack) for rack in PAIR for feed in "ab"),
        a_meter("bus-b", *(f"tap-{rack}-b" for rack in PAIR)),
        a_meter("main", *(f"tap-{rack}-a" for rack in PAIR), "bus-b"),
    )
    site = a_site(racks_of(*PAIR, rating_kw=200, feeds=2), a_tenant("acme", PAIR), assets=assets)
    known = points_of(PAIR, *TAPS, "bus-b", "main")

    draw = draw_of(site, known, [0, 60, 0, 0, 30, 30, 60, 120], silent=[0, 2, 3])

    assert bounds_kw(draw)[0] <= 120 <= bounds_kw(draw)[1]
    assert draw.is_consistent[0]


def test_a_parent_is_believed_within_its_error_of_the_truth() -> None:
    """A meter of 1 % that reads 99 kW may stand for 100 kW: its error is a share of the truth."""
    site = a_row_of("r0")

    low, high = bounds_kw(draw_of(site, points_of(["r0"], *TAPS[:2]), [0, 49.5, 49.5], silent=[0]))

    assert low <= 100 <= high
