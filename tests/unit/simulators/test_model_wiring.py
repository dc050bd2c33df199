"""Layouts and wiring: site files without a fault, roles by place, what is impossible refused at once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from facility.sitefile.reader import read_site
from simulators.model.jobs import Idle
from simulators.model.layouts import Lease, Scheme, Shape, site_text
from simulators.model.plant import Plant
from simulators.model.ratings import Curve, RackRating, Rating, Role, WiringError
from simulators.model.wiring import wire
from testing.simulators.model_plants import KW, SEED, SMALL, run, steady, wired, wired_text

HALL = "[site]\nname = 'hall'\n[[rack]]\nids = 'r{1..3}'\nrating_kw = 100\n"


@pytest.mark.parametrize("scheme", ["2N", "3N2", "4N3R"])
@pytest.mark.parametrize("racks", [1, 6, 48, 500, 2_270])
def test_every_layout_is_a_site_file_without_a_fault(racks: int, scheme: Scheme) -> None:
    """Each rack has two taps on two busways on two UPS, a coolant unit and an air handler."""
    wiring = wired(Shape(racks=racks, scheme=scheme))

    assert len(wiring.racks) == racks
    assert wiring.rack_tap.shape == (racks, 2)
    assert wiring.rack_has_feed.all()
    roles = Counter(wiring.node_roles)
    assert roles[Role.TAP] == 2 * racks
    assert roles[Role.UTILITY] == 2
    assert roles[Role.UPS] == roles[Role.SWITCH] == roles[Role.GENERATOR] == roles[Role.TRANSFORMER]
    assert min(wiring.rack_cdu.min(), wiring.rack_crah.min()) >= 0
    ups = np.array([[above(wiring.node_parents, int(tap), 2) for tap in taps] for taps in wiring.rack_tap])
    assert (ups[:, 0] != ups[:, 1]).all()
    assert {wiring.node_roles[node] for node in ups.ravel()} == {Role.UPS}


def above(parents: tuple[tuple[int, ...], ...], node: int, steps: int) -> int:
    """Return what is so many steps above a node."""
    return node if steps == 0 else above(parents, parents[node][0], steps - 1)


def test_a_site_of_300_megawatts_is_that_large() -> None:
    """2,270 racks of 132 kW, and utilities that carry them from either side."""
    wiring = wired(Shape(racks=2_270))

    assert wiring.rack_rating_milliwatts.sum() == 299_640 * KW
    utilities = wiring.of_role(Role.UTILITY)
    assert (wiring.sizes.milliwatts[utilities] > 299_640 * KW).all()


def test_leases_become_contracts() -> None:
    """A ramp, a burst and an amendment are in the same file, for the monitor."""
    leases = (
        Lease(id="a", racks=2, ramp=(("2026-01-01", 0.5), ("2026-07-01", 1.0)), redundancy="2N"),
        Lease(id="b", racks=2, burst_share=0.1),
        Lease(id="c", racks=1, amended=("2026-06-15", 1.1), extra="notice_days = 30"),
    )
    site = read_site(site_text(replace(SMALL, leases=leases))).site
    wiring = wire(site)

    contracts = {tenant.id: tenant.contract for tenant in site.tenants}
    a, b, c = (contracts[name] for name in ("a", "b", "c"))  # type: ignore[index]  # ids are strings
    assert a is not None
    assert b is not None
    assert c is not None
    assert [level.milliwatts for level in a.versions[0].ramp] == [118_800 * 1_000, 237_600 * 1_000]
    assert b.versions[0].burst_milliwatts == 23_760 * 1_000
    assert [v.committed_milliwatts // 1_000 for v in c.versions] == [118_800, 130_680]
    assert wiring.racks_of("b", 1_780_000_000_000) == [2, 3]
    assert wiring.racks_of("operator", 1_780_000_000_000) == [5]


def test_a_site_without_assets_is_wired_too() -> None:
    """Its racks have as many feeds as the site says, and nothing above them."""
    wiring = wired_text(HALL.replace("'hall'\n", "'hall'\nrack_feeds = 1\n"))
    state = run(wiring, [steady(wiring, 50)], seconds=2)[1]

    assert wiring.feeds == 1
    assert not wiring.nodes
    assert state.feed_milliwatts.tolist() == [[50 * KW]] * 3
    assert state.rack_is_live.all()


def test_a_meter_on_two_sources_is_a_switch_and_a_bus_may_be_the_root() -> None:
    """Roles follow from places alone, as with the meters of the recorded pod."""
    text = HALL + "".join(
        f"[[asset]]\nid = '{name}'\nkind = 'PowerMeter'\nserves = [{serves}]\n"
        for name, serves in (
            ("bus", "'tap{1..3}'"),
            ("other", "'tap3'"),
            ("tap1", "'r1'"),
            ("tap2", "'r2'"),
            ("tap3", "'r3'"),
        )
    )
    wiring = wired_text(text)

    assert dict(zip(wiring.nodes, wiring.node_roles, strict=True)) == {
        "bus": Role.BUSWAY,
        "other": Role.BUSWAY,
        "tap1": Role.TAP,
        "tap2": Role.TAP,
        "tap3": Role.SWITCH,
    }
    assert run(wiring, [steady(wiring, 50)], seconds=1)[0].node_source.tolist() == [-1, -1, 0, 0, 0]


def test_impossible_ratings_are_refused_all_at_once() -> None:
    """Every fault has its place, what was expected and found, and the nearest known name."""
    ratings = {
        "UPS-01A": Rating(amps=-5, battery_s=-1, loss_percent=40),
        "UPS-1A": Rating(amps=5),
        "P01A-BUS-A": Rating(amps=20),
        "XFMR-01A": Rating(volts=9, curve=Curve(from_x=0.2)),
    }
    racks = {"P01A-01": RackRating(idle_fraction=1.5), "P01A-99": RackRating()}
    site = read_site(site_text(SMALL)).site

    with pytest.raises(WiringError) as refused:
        wire(site, ratings=ratings, rack_ratings=racks)

    faults = {fault.path: fault for fault in refused.value.faults}
    assert set(faults) == {
        "plant 'UPS-01A'.amps",
        "plant 'UPS-01A'.battery_s",
        "plant 'UPS-01A'.loss_percent",
        "plant 'UPS-1A'",
        "plant 'P01A-BUS-A'.amps",
        "plant 'XFMR-01A'.volts",
        "plant 'XFMR-01A'.curve",
        "rack 'P01A-01'.idle_fraction",
        "rack 'P01A-99'",
    }
    assert faults["plant 'UPS-1A'"].hint == "did you mean 'UPS-01A'?"
    assert "idle beneath" in faults["plant 'P01A-BUS-A'.amps"].expected


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("rating_kw = 100\n", "", "rack.rating_kw"),
        ("rating_kw = 100\n", "rating_kw = 0\n", "rack 'r1'"),
        ("rating_kw = 100\n", "rating_kw = 5000\n", "rack 'r3'"),
        ("[[rack]]\nids = 'r{1..3}'\nrating_kw = 100\n", "", "rack"),
        (
            "rating_kw = 100\n",
            "rating_kw = 100\n[[asset]]\nid = 'm'\nkind = 'UPS'\nserves = ['r4']\n",
            "asset[0].serves",
        ),
        (
            "rating_kw = 100\n",
            "rating_kw = 100\n[[asset]]\nid = 'r1'\nkind = 'UPS'\n",
            "asset[0].id",
        ),
        (
            "rating_kw = 100\n",
            "rating_kw = 100\n[[asset]]\nid = 'x'\nkind = 'Rack'\n",
            "asset[0].kind",
        ),
        (
            "rating_kw = 100\n",
            (
                "rating_kw = 100\n[[asset]]\nid = 'g'\nkind = 'Generator'\n"
                "[[asset]]\nid = 'u'\nkind = 'PowerMeter'\nserves = ['g']\n"
            ),
            "asset",
        ),
    ],
)
def test_a_site_that_can_not_be_a_plant_is_refused(old: str, new: str, path: str) -> None:
    """The fault says where."""
    with pytest.raises(WiringError) as refused:
        wired_text(HALL.replace(old, new))

    assert path in {fault.path for fault in refused.value.faults}


@pytest.mark.parametrize(("racks", "per_row", "per_group"), [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_a_shape_without_racks_is_refused(racks: int, per_row: int, per_group: int) -> None:
    """A site has at least one of everything."""
    with pytest.raises(ValueError, match="at least one"):
        Shape(racks=racks, racks_per_row=per_row, rows_per_group=per_group)


def test_leases_of_more_racks_than_there_are_are_refused() -> None:
    """Seven racks of six."""
    with pytest.raises(ValueError, match="at most 6 racks, found 7"):
        replace(SMALL, leases=(Lease(id="a", racks=7),))


def test_seconds_come_one_after_the_other() -> None:
    """A plant has a past: no second is left out or asked for twice."""
    plant = Plant(wired(), [Idle(name="i", racks=("P01A-01",))], SEED)
    plant.step(0)

    with pytest.raises(ValueError, match="expected second 1"):
        plant.step(0)
    with pytest.raises(ValueError, match="found 2"):
        plant.step(2)
