"""What racks drew, what feeds carried and what the site did, minute by minute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from facility.instants import MINUTE_MS
from facility.names import AssetId, TenantId
from facility.points import Asset, Cadence
from facility.site import Holding, Site, Tenant
from rules.engine import snapshot
from rules.engine.engine import Step
from rules.engine.rollups import Members
from store.journal.entries import Known
from store.series import FeedDraw, RackDraw, Rollup, SiteDraw
from testing.builders import T0_MS, a_point
from testing.rules.halls import (
    BUS,
    KW,
    NO_RULES,
    PAIR,
    Tape,
    a_judging,
    a_meter,
    a_row,
    a_site,
    a_tenant,
    a_version,
    an_engine,
    play,
    points_of,
    racks_of,
)

BEGIN_MS = T0_MS // MINUTE_MS * MINUTE_MS + MINUTE_MS
"""The first whole minute of what is told [ms]."""
FIRST = (BEGIN_MS - T0_MS) // 1_000
"""Which second it begins with."""


def the_site(*, supply: tuple[str, ...] = ()) -> Site:
    """Return two racks on two busways; one is held by a tenant of 80 kW, the other is the operator's."""
    site = a_site(racks_of(*PAIR, feeds=2), a_tenant("acme", PAIR[:1], a_version(80)), assets=a_row(*PAIR))
    return replace(
        site, firm_capacity_milliwatts=250 * KW, supply_meters=tuple(AssetId(meter) for meter in supply)
    )


def a_tape(site: Site, powers: Sequence[tuple[float | None, ...]], meters: tuple[str, ...] = ()) -> Tape:
    """Return a journal of racks and meters that speak each second, from `BEGIN_MS` on; then of one more."""
    tape = Tape()
    tape.put(T0_MS - 1_000, tuple(points_of([str(rack) for rack in site.racks], *meters)))
    tape.connect(T0_MS - 1_000)
    for second, row in enumerate([*powers, powers[-1]]):
        tape.second(FIRST + second, *row)
    return tape


def played(site: Site, tape: Tape, seconds: int) -> list[Step]:
    """Return the steps of an engine up to some seconds after `BEGIN_MS`."""
    return play(an_engine(site, rules=NO_RULES), tape.entries, until_ms=BEGIN_MS + seconds * 1_000)


def minute(steps: list[Step], start_ms: int = BEGIN_MS) -> list[Rollup]:
    """Return what was told of a minute."""
    return [row for step in steps for row in step.rollups if row.start_ms == start_ms]


def test_a_minute_is_told_at_its_end() -> None:
    """Its rows come with the tick that ends it, once, and no other tick has any."""
    site = the_site()
    steps = played(site, a_tape(site, [(30.0, 40.0)] * 120), 120)

    told = [(step.at_ms - BEGIN_MS, {row.start_ms - BEGIN_MS for row in step.rollups}) for step in steps]
    assert [row for row in told if row[1]] == [(60_000, {0}), (120_000, {60_000})]


def test_racks_have_their_mean_their_most_and_who_holds_them() -> None:
    """Half a minute at 30 kW and half at 60 are 45 kW; what nobody holds is the operator's."""
    site = the_site()
    steps = played(site, a_tape(site, [(30.0, 40.0)] * 30 + [(60.0, 40.0)] * 30), 60)

    assert [row for row in minute(steps) if isinstance(row, RackDraw)] == [
        RackDraw(
            rack="r0",
            tenant="acme",
            start_ms=BEGIN_MS,
            mean_milliwatts=45 * KW,
            most_milliwatts=60 * KW,
            coverage=1.0,
        ),
        RackDraw(
            rack="r1",
            tenant="operator",
            start_ms=BEGIN_MS,
            mean_milliwatts=40 * KW,
            most_milliwatts=40 * KW,
            coverage=1.0,
        ),
    ]


def test_a_silent_rack_is_covered_for_as_long_as_it_was_known() -> None:
    """Its mean is of the time when its power was known; a whole minute of silence has no row."""
    site = the_site()
    steps = played(site, a_tape(site, [(30.0, 40.0)] * 30 + [(None, 40.0)] * 90), 120)

    first = {row.rack: row for row in minute(steps) if isinstance(row, RackDraw)}
    second = [row.rack for row in minute(steps, BEGIN_MS + MINUTE_MS) if isinstance(row, RackDraw)]
    assert first["r0"].mean_milliwatts == 30 * KW
    # A document that comes each second stands for three, and for five at least.
    assert 0.5 < first["r0"].coverage < 0.6
    assert first["r1"].coverage == 1.0
    assert second == ["r1"]


def test_a_feed_has_what_it_carries_and_what_it_would_carry_alone() -> None:
    """Each busway carries half of the row; were the other lost, it would carry all of it."""
    site = the_site()
    meters = ("bus-a", "bus-b")
    steps = played(site, a_tape(site, [(30.0, 40.0, 35.5, 36.5)] * 60, meters), 60)

    feeds = {row.feed: row for row in minute(steps) if isinstance(row, FeedDraw)}
    assert set(feeds) == {"bus-a", "bus-b", "tap-r0-a", "tap-r0-b", "tap-r1-a", "tap-r1-b"}
    assert feeds["bus-a"] == FeedDraw(
        feed="bus-a",
        kind="PowerMeter",
        start_ms=BEGIN_MS,
        racks=2,
        metered_milliwatts=35_500_000,
        racks_milliwatts=70 * KW,
        most_milliwatts=70 * KW,
        coverage=1.0,
    )
    assert feeds["bus-b"].metered_milliwatts == 36_500_000
    assert (feeds["tap-r0-a"].metered_milliwatts, feeds["tap-r0-a"].racks_milliwatts) == (None, 30 * KW)


def a_current(number: int, meter: str, name: str, *, phase: str = "") -> Known:
    """Return a current of a meter, or its limit."""
    point = a_point(
        f"meter/{meter}/{name}{phase}", asset=meter, quantity=name, unit="A", stream=f"{BUS}:docs"
    )
    return Known(number, structs.replace(point, phase=phase, cadence=Cadence.PERIODIC))


def test_a_line_current_grows_as_the_power_would() -> None:
    """A busway that carries half of its row on its highest phase of 60 A would carry 120 A alone."""
    site = the_site()
    tape = Tape()
    known = points_of([str(rack) for rack in site.racks], "bus-a", "bus-b")
    phases = [a_current(4 + i, "bus-a", "current.phase", phase=f"L{i + 1}") for i in range(3)]
    tape.put(T0_MS - 1_000, (*known, *phases, a_current(7, "bus-a", "current.limit")))
    tape.connect(T0_MS - 1_000)
    for second in range(61):
        tape.second(FIRST + second, 30.0, 40.0, 35.0, 0.0, 50.0, 60.0, 55.0, 100.0)
    silent, unset = Tape([*tape.entries]), Tape([*tape.entries])
    for second in range(61, 121):
        silent.second(FIRST + second, 30.0, 40.0, 35.0, 0.0)
        unset.second(FIRST + second, 30.0, 40.0, 35.0, 0.0, 50.0, 60.0, 55.0, 0.0)

    def of(steps: list[Step], start_ms: int = BEGIN_MS) -> dict[str, tuple[float | None, ...]]:
        feeds = [row for row in minute(steps, start_ms) if isinstance(row, FeedDraw)]
        return {row.feed: (row.amps, row.limit_amps, row.alone_amps) for row in feeds}

    assert of(played(site, tape, 60))["bus-a"] == (60.0, 100.0, 120.0)
    # A meter that carries nothing, and one without currents.
    assert of(played(site, tape, 60))["bus-b"] == (None, None, None)
    assert of(played(site, silent, 120), BEGIN_MS + MINUTE_MS)["bus-a"] == (None, None, None)
    # A limit that was never set in the meter.
    assert of(played(site, unset, 120), BEGIN_MS + MINUTE_MS)["bus-a"] == (60.0, None, 120.0)


def test_a_minute_belongs_to_who_held_the_rack_in_it() -> None:
    """A rack that changes hands as a minute ends was its first tenant's until then."""
    first, second = (
        Tenant(id=TenantId(name), name=name, holdings=(Holding(racks=(AssetId("r0"),), from_ms=a, to_ms=b),))
        for name, a, b in (("acme", 0, BEGIN_MS + MINUTE_MS), ("basil", BEGIN_MS + MINUTE_MS, None))
    )
    site = a_site(racks_of(*PAIR), first, second)
    steps = played(site, a_tape(site, [(30.0, 40.0)] * 120), 120)

    holders = [
        row.tenant for step in steps for row in step.rollups if isinstance(row, RackDraw) and row.rack == "r0"
    ]
    assert holders == ["acme", "basil"]


def test_a_feed_of_which_half_the_racks_are_silent_is_covered_by_half() -> None:
    """Coverage says how much of what it would carry is known."""
    site = the_site()
    steps = played(site, a_tape(site, [(None, 40.0)] * 60), 60)

    (bus,) = (row for row in minute(steps) if isinstance(row, FeedDraw) and row.feed == "bus-a")
    assert (bus.racks_milliwatts, bus.coverage) == (40 * KW, 0.5)


def test_the_site_has_what_it_draws_sold_and_can_deliver() -> None:
    """Its supply is what the named meters say together; without names, or while one is silent, nothing."""
    rows: list[tuple[float | None, ...]] = [(30.0, 40.0, 41.0, 42.0)] * 60
    meters = ("bus-a", "bus-b")
    site = the_site(supply=meters)
    expected = SiteDraw(
        start_ms=BEGIN_MS,
        racks_milliwatts=70 * KW,
        most_milliwatts=70 * KW,
        supply_milliwatts=83 * KW,
        limit_milliwatts=80 * KW,
        sold_milliwatts=80 * KW,
        firm_milliwatts=250 * KW,
        coverage=1.0,
    )

    def of_site(site: Site, rows: list[tuple[float | None, ...]]) -> list[Rollup]:
        steps = played(site, a_tape(site, rows, meters), 60)
        return [row for row in minute(steps) if isinstance(row, SiteDraw)]

    without = replace_supply(expected, None)
    assert of_site(site, rows) == [expected]
    assert of_site(the_site(), rows) == [without]
    assert of_site(the_site(supply=("bus-a", "nowhere")), rows) == [without]
    assert of_site(site, [(30.0, 40.0, 41.0, None)] * 60) == [without]


def replace_supply(draw: SiteDraw, supply: int | None) -> SiteDraw:
    """Return a draw with another supply."""
    return SiteDraw(
        **{name: getattr(draw, name) for name in draw.__struct_fields__} | {"supply_milliwatts": supply}
    )


def test_a_rack_that_becomes_known_within_a_minute_leaves_the_others_as_they_are() -> None:
    """What was added up is kept when the site grows."""
    site = the_site()
    tape = a_tape(site, [(30.0, 40.0)] * 30)
    (late,) = points_of(["r9"])
    late = structs.replace(late, id=2, asset=Asset(id=AssetId("r9"), kind="Rack"))
    tape.put(tape.entries[-1].stamp_ms, (late,))
    for second in range(FIRST + 31, FIRST + 60):
        tape.second(second, 30.0, 40.0, 50.0)

    rows = {row.rack: row for row in minute(played(site, tape, 60)) if isinstance(row, RackDraw)}

    assert (rows["r0"].mean_milliwatts, rows["r0"].coverage) == (30 * KW, 1.0)
    assert rows["r9"].mean_milliwatts == 50 * KW
    assert rows["r9"].coverage == pytest.approx(29 / 60)


@pytest.mark.parametrize("seconds", [1, 31, 59])
def test_a_restart_within_a_minute_does_not_show(seconds: int, tmp_path: Path) -> None:
    """A snapshot has what was added up."""
    site = the_site(supply=("bus-a", "bus-b"))
    powers: list[tuple[float | None, ...]] = [(30.0 + n, 40.0, 35.0, 36.0) for n in range(60)]
    tape = a_tape(site, powers, ("bus-a", "bus-b"))
    cut = next(i for i, e in enumerate(tape.entries) if e.stamp_ms >= BEGIN_MS + seconds * 1_000)
    engine = a_judging(site, rules=NO_RULES)
    before = play(engine, tape.entries[:cut])
    snapshot.save(engine, tmp_path / snapshot.FILE)
    again = a_judging(site, rules=NO_RULES)
    assert snapshot.load(again, tmp_path / snapshot.FILE, tape.entries[:cut])

    after = play(again, tape.entries[cut:], until_ms=BEGIN_MS + MINUTE_MS)

    assert minute(before + after) == minute(played(site, tape, 60)) != []


def test_a_tap_is_no_feed_of_what_is_not_on_it() -> None:
    """A node is among the feeds with the racks beneath it, and one without racks is not."""
    site = replace(the_site(), assets=(*a_row(*PAIR), a_meter("bus-c")))
    steps = played(site, a_tape(site, [(30.0, 40.0)] * 60), 60)

    counts = {row.feed: row.racks for row in minute(steps) if isinstance(row, FeedDraw)}
    assert "bus-c" not in counts
    assert counts["tap-r1-b"] == 1


@pytest.mark.parametrize(
    "places", [[[0, 1], [2, 3, 4], [0, 1, 2, 3, 4], [4]], [[0, 2], [1, 3], [0, 1, 2, 3, 4]], [[3]]]
)
def test_nodes_carry_their_racks_wherever_these_stand(places: list[list[int]]) -> None:
    """Racks side by side or apart: a node carries the sum of its own, and no other."""
    draws, are_heard = np.array([7, 11, 2**52, 5, -3]), np.array([True, False, True, True, False])
    members = Members([np.array(row, np.intp) for row in places])

    assert members.sizes.tolist() == [len(row) for row in places]
    assert members.sums(draws).tolist() == [sum(int(draws[place]) for place in row) for row in places]
    assert members.sums(are_heard).tolist() == [
        sum(bool(are_heard[place]) for place in row) for row in places
    ]


def test_a_site_without_feeds_has_no_nodes() -> None:
    """Nothing hangs on nothing."""
    assert Members([]).sums(np.array([1, 2])).tolist() == []
