"""Meters above the racks narrow a tenant's draw, as far as they can be believed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from facility.names import AssetId
from facility.points import Asset, Cadence
from facility.readings import Quality
from rules.draw.draw import find_draw
from rules.telemetry.trust import PATIENCE_MS, Memory
from testing.builders import T0_MS
from testing.rules.halls import (
    BUS,
    KW,
    PAIR,
    Plant,
    Tape,
    a_meter,
    a_row,
    a_row_of,
    a_site,
    a_tenant,
    a_version,
    an_engine,
    at_once,
    bounds_kw,
    draw_of,
    known_meter,
    known_rack,
    layout_of,
    play,
    points_of,
    racks_of,
    state_of,
)

INFINITY = float("inf")

TAPS = ("tap-r0-a", "tap-r0-b", "tap-r1-a", "tap-r1-b")


def around(parents_kw: float, others_kw: float = 0) -> tuple[float, float]:
    """Return between what the rest beneath parents lies: 1 % meter error, 1.5 % loss on the way."""
    return parents_kw / 1.01 * 0.985 - others_kw, parents_kw / 0.99 - others_kw


def near(bounds: tuple[float, float]) -> Any:  # noqa: ANN401 - what pytest compares with
    """Return bounds but for the milliwatt to which each meter's are rounded outwards."""
    return pytest.approx(bounds, abs=2.01e-6)


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
        pytest.param(
            TAPS[:2], [50, 60, 30, 31], [], (110, around(61, -60)[1]), id="a heard rack against its taps"
        ),
        pytest.param(TAPS[:2], [0, 60, 60, 61], [0], (60, around(121, -60)[1]), id="taps beyond the rating"),
        pytest.param(
            ("bus-a", "bus-b"), [0, 60, 20, 21], [0], (around(41)[0], 160), id="buses below what is heard"
        ),
        pytest.param(
            ("bus-a", "bus-b"), [0, 60, 90, 91], [0], (60, around(181)[1]), id="buses above all ratings"
        ),
        pytest.param(("bus-a", "bus-b"), [0, 0, 192, 192], [], (0, around(384)[1]), id="racks stuck at zero"),
        pytest.param(("bus-a", "bus-b"), [96, 96, 0, 0], [], (0, 192), id="buses stuck at zero"),
    ],
)
def test_two_certainties_that_exclude_each_other_are_the_hull_of_both(
    meters: tuple[str, ...], powers_kw: list[float], silent: list[int], expected: tuple[float, float]
) -> None:
    """When the two do not meet, a meter or the topology is wrong, and neither proves anything."""
    site = a_row_of(*PAIR)

    draw = draw_of(site, points_of(PAIR, *meters), powers_kw, silent=silent)

    assert bounds_kw(draw) == near(expected)
    assert not draw.is_consistent[0]


def test_a_contradiction_further_up_counts_as_well() -> None:
    """Buses that agree with racks that are stuck at zero do not hide what the main meter says."""
    assets = (*a_row(*PAIR), a_meter("main", "bus-a", "bus-b"))
    site = a_site(racks_of(*PAIR, feeds=2), a_tenant("acme", PAIR), assets=assets)

    draw = draw_of(site, points_of(PAIR, "bus-a", "bus-b", "main"), [0, 0, 0, 0, 180])

    assert bounds_kw(draw) == near((0, 180 / 0.99))


def test_of_two_tenants_that_a_meter_contradicts_either_may_have_what_is_missing() -> None:
    """A bus of 200 above racks of 60 and 60: the missing 80 may be those of any of the two."""
    site = a_site(
        racks_of(*PAIR, feeds=2), a_tenant("acme", ["r0"]), a_tenant("bell", ["r1"]), assets=a_row(*PAIR)
    )

    draw = draw_of(site, points_of(PAIR, "bus-a", "bus-b"), [60, 60, 100, 100])

    assert bounds_kw(draw, 0) == bounds_kw(draw, 1) == near((60, 200 / 0.99 - 60))


# Silence after a contradiction ---------------------------------------------------------


@pytest.mark.parametrize(
    ("racks_kw", "meters_kw", "expected"),
    [
        pytest.param((70, 60), (50, 50), (60, 160), id="an overdraw does not end"),
        pytest.param((65, 65), (77.5, 77.5), (65, 165), id="an overdraw is not invented"),
    ],
)
def test_silence_does_not_make_a_contradicting_meter_right(
    racks_kw: tuple[float, float], meters_kw: tuple[float, float], expected: tuple[float, float]
) -> None:
    """Once a rack falls silent, its meter fits what is left: it is not believed for that."""
    plant = Plant(a_row_of(*PAIR), points_of(PAIR, "bus-a", "bus-b"))
    plant.say(*racks_kw, *meters_kw)

    draw = plant.say(*racks_kw, *meters_kw, silent=[0])

    assert bounds_kw(draw) == expected
    assert not draw.is_consistent[0]


def test_silence_does_not_make_contradicted_racks_right() -> None:
    """A meter that contradicted its racks and falls silent leaves what these can draw at all."""
    plant = Plant(a_row_of(*PAIR), points_of(PAIR, "bus-a", "bus-b"))
    plant.say(0, 0, 90, 90)

    draw = plant.say(0, 0, 90, 90, silent=[2])

    assert bounds_kw(draw) == (0, 200)


def test_a_meter_is_believed_again_once_it_agrees_with_all_beneath_it() -> None:
    """Agreeing with what is left while a rack is silent is no proof; agreeing with all is."""
    plant = Plant(a_row_of(*PAIR), points_of(PAIR, "bus-a", "bus-b"))
    plant.say(70, 60, 50, 50)
    wide = plant.say(70, 60, 65, 65, silent=[0])
    agreed = plant.say(70, 60, 65, 65)
    narrow = plant.say(70, 60, 65, 65, silent=[0])

    assert bounds_kw(wide) == (60, 160)
    assert bounds_kw(agreed) == (130, 130)
    assert bounds_kw(narrow) == near(around(130))


def test_what_was_contradicted_stays_so_when_the_layout_changes() -> None:
    """A point that becomes known makes other arrays and forgets nothing."""
    plant = Plant(a_row_of(*PAIR), points_of(PAIR, "bus-a", "bus-b"))
    plant.say(70, 60, 50, 50)
    plant.known = [*plant.known, known_rack(4, "r9")]

    draw = plant.say(70, 60, 50, 50, 10, silent=[0])

    assert bounds_kw(draw) == (60, 160)


def test_what_was_contradicted_stays_so_over_a_restart() -> None:
    """What is remembered is part of a snapshot."""
    plant = Plant(a_row_of(*PAIR), points_of(PAIR, "bus-a", "bus-b"))
    plant.say(70, 60, 50, 50)
    saved = json.loads(json.dumps(plant.memory.save()))
    plant.memory = Memory()
    plant.memory.load(saved)

    assert bounds_kw(plant.say(70, 60, 50, 50, silent=[0])) == (60, 160)


# Readings of different times -----------------------------------------------------------


def test_a_difference_counts_once_all_that_take_part_were_read_during_it() -> None:
    """A load that rises is told by its racks before its meter: that is no contradiction."""
    plant = Plant(a_row_of(*PAIR), points_of(PAIR, "bus-a", "bus-b"))

    draw = plant.say(90, 90, 60, 60, lasts_ms=PATIENCE_MS - 1)

    assert bounds_kw(draw) == (180, 180)
    assert draw.is_consistent[0]


@pytest.mark.parametrize(
    ("age_ms", "expected"),
    [
        pytest.param(1_000, around(110), id="read in the same second"),
        pytest.param(4_000, (50, 150), id="read four seconds before"),
    ],
)
def test_a_meter_beside_a_faster_one_tells_only_of_the_time_when_it_was_read(
    age_ms: int, expected: tuple[float, float]
) -> None:
    """Bus A speaks each second and bus B every five: 4 s later their sum is that of no moment."""
    layout = layout_of(a_row_of(*PAIR), points_of(PAIR, "bus-a", "bus-b"))
    power = np.array([60, 50, 55, 55], np.int64) * KW
    state = state_of(
        power,
        np.array([False, True, True, True]),
        as_of_ms=np.array([T0_MS, T0_MS, T0_MS, T0_MS - age_ms]),
        lasts_ms=np.array([1_500, 1_500, 1_500, 7_500]),
    )

    draw, _ = find_draw(layout, state, Memory(), T0_MS)

    assert bounds_kw(draw) == near(expected)


# Class errors --------------------------------------------------------------------------


def test_a_class_error_makes_a_rack_s_reading_an_interval() -> None:
    """A meter of 1 % that reads 100 may stand for anything between 100 / 1.01 and 100 / 0.99."""
    racks = {name: replace(rack, error_ppm=10_000) for name, rack in racks_of(*PAIR).items()}
    site = a_site(racks, a_tenant("acme", PAIR))

    draw = draw_of(site, points_of(PAIR), [100, 50])

    assert bounds_kw(draw) == near((150 / 1.01, 150 / 0.99))
    assert draw.best[0] == 150 * KW


def test_class_errors_of_racks_count_when_they_are_held_against_a_meter() -> None:
    """Racks of 2 % and a meter of 1 % that are 2.5 % apart agree; without a class the racks would not."""
    racks = racks_of(*PAIR, feeds=2)
    coarse = {name: replace(rack, error_ppm=20_000) for name, rack in racks.items()}
    known, said = points_of(PAIR, "bus-a", "bus-b"), [50, 50, 48.75, 48.75]

    agree = draw_of(a_site(coarse, a_tenant("acme", PAIR), assets=a_row(*PAIR)), known, said)
    differ = draw_of(a_site(racks, a_tenant("acme", PAIR), assets=a_row(*PAIR)), known, said)

    assert agree.is_consistent[0]
    assert not differ.is_consistent[0]


def test_a_meter_that_may_be_wrong_by_all_it_says_is_not_asked() -> None:
    """An error of 100 % in the site file ends what a meter contradicts."""
    row = a_row_of(*PAIR)
    site = replace(row, meter_errors_ppm={AssetId("bus-a"): 1_000_000})

    draw = draw_of(site, points_of(PAIR, "bus-a", "bus-b"), [0, 0, 192, 192])

    assert bounds_kw(draw) == (0, 0)
    assert draw.is_consistent[0]


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


def test_a_value_that_is_held_by_habit_bounds_no_other_beneath_a_meter() -> None:
    """Its gateway fell silent, and the meter saw it rise: the rest beneath drew no more for that."""
    racks = ("r0", "r1", "r2")
    site = a_site(
        racks_of(*racks),
        a_tenant("acme", racks[:1], a_version(200)),
        a_tenant("beta", racks[1:], a_version(200)),
        assets=[a_meter("m", *racks)],
    )
    engine, tape = an_engine(site, lateness_ms=250), Tape()
    known = [
        known_rack(i, r, cadence=Cadence.ON_CHANGE, stream=f"{BUS}:{'ab'[i > 0]}")
        for i, r in enumerate(racks)
    ]
    known.append(known_meter(3, "m", cadence=Cadence.ON_CHANGE, stream=f"{BUS}:m"))
    tape.put(T0_MS - 1_000, tuple(known))
    tape.connect(T0_MS - 1_000)
    for second in range(60):
        # Either rack of the other gateway has said nothing for 10 s, while the other one spoke.
        others = [None if begin <= second < begin + 10 else 60.0 for begin in (10, 20)]
        tape.second(second, 60.0, *others, 180.0)
    tape.put(T0_MS + 59_500, at_once((60.0,), T0_MS + 59_500, quality=Quality.SOURCE_DOUBTS))
    for second in range(60, 64):
        tape.second(second, None, None, None, 210.0)

    steps = play(engine, tape.entries, until_ms=T0_MS + 64_000)

    lows = {(s.at_ms - T0_MS) // 1_000: s.draws[0].low_milliwatts / KW for s in steps if s.draws}
    assert [second for second, low in lows.items() if low > 60.001] == []
