"""Power: it closes, feeds take over from each other, breakers trip by their curves, grids come and go."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from simulators.model.events import EventKind
from simulators.model.jobs import Training
from simulators.model.layouts import Scheme, Shape
from simulators.model.plant import BOOT_S, Plant
from simulators.model.ratings import Rating
from simulators.model.sizing import DESIGN_POWER_FACTOR, SQRT3
from simulators.model.state import State
from testing.simulators.model_plants import KW, SEED, SMALL, event, run, steady, wired, wired_text

K = EventKind


@pytest.mark.parametrize("racks", [6, 48, 500, 2_270])
def test_energy_closes_at_every_second_at_every_size(racks: int) -> None:
    """Utility is racks and losses, every node balances, phases and feeds add up: in integers."""
    wiring = wired(Shape(racks=racks))
    jobs = [Training(name="job", racks=wiring.racks)]

    states = run(wiring, jobs, [event(K.FEED_LOSS, 2, "UTILITY-1", until_s=4)], seconds=6)

    assert all(state.rack_milliwatts.sum() > 0 for state in states)


@pytest.mark.parametrize("lost", ["A", "B", "UPS-01A", "P01A-BUS-A", "P01A-01-TAP-B"])
def test_a_lost_feed_is_taken_over_whole_and_at_once(lost: str) -> None:
    """The racks draw to the milliwatt what they drew; nothing of it comes over the lost feed."""
    wiring = wired()
    before, after = run(wiring, [steady(wiring, 77.7)], [event(K.FEED_LOSS, 1, lost)], seconds=2)

    assert after.rack_milliwatts.tolist() == before.rack_milliwatts.tolist()
    dead = [not after.node_is_live[tap] for tap in wiring.rack_tap.ravel()]
    assert any(dead)
    assert after.feed_milliwatts.ravel()[dead].sum() == 0
    assert before.feed_milliwatts.min() > 0


def test_without_any_feed_a_rack_is_dark_and_starts_slowly() -> None:
    """Both feeds lost: no power at all; when one is back the rack idles until it has started."""
    wiring = wired()
    events = [event(K.FEED_LOSS, 1, "A", "B", until_s=3)]

    states = run(wiring, [steady(wiring, 100)], events, seconds=4 + BOOT_S)

    totals = [int(state.rack_milliwatts.sum()) for state in states]
    assert totals[1] == totals[2] == 0
    assert not states[1].rack_is_live.any()
    assert totals[3] == round(0.15 * 132 * KW) * 6
    assert totals[2 + BOOT_S] == totals[3]
    assert totals[3 + BOOT_S] == totals[0] == 600 * KW


@pytest.mark.parametrize("scheme", ["2N", "3N2", "4N3R"])
def test_the_loss_of_any_ups_is_borne_at_full_load(scheme: Scheme) -> None:
    """What a scheme promises: all racks at their rating, one UPS gone, no breaker warms up."""
    wiring = wired(Shape(racks=24, racks_per_row=4, rows_per_group=1, scheme=scheme, leases=()))
    systems = {"2N": 12, "3N2": 6, "4N3R": 4}[scheme]
    names = [name for name in wiring.nodes if name.startswith("UPS")]

    assert len(names) == systems
    for name in names:
        states = run(wiring, [steady(wiring, 132)], [event(K.UPS_FAULT, 0, name)], seconds=2)
        assert states[1].rack_milliwatts.sum() == 24 * 132 * KW
        assert states[1].breaker_used.max() == 0


@pytest.mark.parametrize(("overload", "seconds"), [(1.10, 1_020), (1.25, 158), (1.40, 61)])
def test_an_overloaded_breaker_trips_when_its_curve_says_so(overload: float, seconds: int) -> None:
    """110 % hold about 17 min and 140 % a minute; a rack without another feed then goes dark."""
    wiring = wired()
    load = steady(wiring, 120)
    lost = event(K.FEED_LOSS, 0, "B")
    tap = int(wiring.rack_tap[0, 0])
    rated = float(run(wiring, [load], [lost], seconds=1)[0].node_amps[tap].max()) / overload
    wiring = wired(SMALL, {wiring.nodes[tap]: Rating(amps=rated)})

    states = run(wiring, [load], [lost], seconds=seconds * 6 // 5)

    trip = next(i for i, state in enumerate(states) if state.node_has_tripped[tap])
    # The voltage wanders, and with it the current: the curve is followed second by second.
    used = [9.3**-1 * (float(state.node_amps[tap].max()) / rated - 1) ** 2.04 for state in states[:trip]]
    assert sum(used) >= 1 > sum(used[:-1])
    assert trip == pytest.approx(seconds, rel=0.1)
    assert states[trip - 1].breaker_used[tap] == 1
    assert states[trip].rack_milliwatts[0] == 0
    assert states[trip].rack_milliwatts[1] == 120 * KW
    assert not states[trip].node_is_live[tap]


def test_a_breaker_that_trips_takes_down_what_hangs_on_it_and_moves_the_load() -> None:
    """A busway at 150 %: its taps go dark, the racks go on over the other; closing it brings it back."""
    wiring = wired()
    bus = wiring.nodes.index("P01A-BUS-A")
    amps = 3 * 50 * 1e3 / (SQRT3 * 415 * DESIGN_POWER_FACTOR) / 1.5
    wiring = wired(SMALL, {"P01A-BUS-A": Rating(amps=amps)})
    events = [event(K.BREAKER_CLOSE, 90, "P01A-BUS-A"), event(K.CURTAIL, 80, "all", strength=0.2)]

    states = run(wiring, [steady(wiring, 100)], events, seconds=100)

    trip = next(i for i, state in enumerate(states) if state.node_has_tripped[bus])
    assert 25 < trip < 60
    taps = wiring.rack_tap[:3, 0]
    assert states[trip - 1].node_is_live[taps].all()
    assert not states[trip].node_is_live[taps].any()
    assert states[trip].rack_milliwatts.tolist() == states[0].rack_milliwatts.tolist()
    assert states[89].node_is_open[bus]
    assert states[90].node_is_live[taps].all()
    assert states[90].breaker_used[bus] == 0


def test_a_lost_utility_is_bridged_by_batteries_until_generators_run() -> None:
    """The racks notice nothing: the battery gives all, then the generator, then the grid, which recharges."""
    wiring = wired()
    ups, generator = (wiring.nodes.index(name) for name in ("UPS-01A", "GEN-01A"))
    events = [event(K.FEED_LOSS, 5, "UTILITY-1", until_s=60)]

    states = run(wiring, [steady(wiring, 120)], events, seconds=420)

    assert {int(state.rack_milliwatts.sum()) for state in states} == {720 * KW}
    assert all(state.feed_milliwatts.min() > 0 for state in states)
    assert states[5].node_milliwatts[ups] == 0
    assert states[5].node_on_battery[ups]
    started = next(i for i, state in enumerate(states) if state.node_milliwatts[generator] > 0)
    assert 15 <= started <= 18
    assert states[started + 1].node_milliwatts[ups] > 0
    assert states[5].battery_charge[ups] > states[started].battery_charge[ups] > 0.9
    assert states[-1].node_milliwatts[generator] == 0
    assert states[-1].battery_charge[ups] == 1
    assert states[-1].node_source[wiring.nodes.index("ATS-01A")] == wiring.nodes.index("XFMR-01A")


def test_without_a_generator_the_battery_runs_down_and_the_other_side_has_it_all() -> None:
    """A UPS with two minutes of battery lasts longer at half load, then its side is dead."""
    wiring = wired(SMALL, {"UPS-01A": Rating(battery_s=60.0)})
    ups = wiring.nodes.index("UPS-01A")
    events = [event(K.FEED_LOSS, 0, "UTILITY-1"), event(K.GENERATOR_FAILURE, 0, "GEN-01A")]

    states = run(wiring, [steady(wiring, 120)], events, seconds=240)

    dead = next(i for i, state in enumerate(states) if not state.node_is_live[ups])
    assert dead == pytest.approx(60 * 3 * 66 / 180 * wiring.sizes.milliwatts[ups] / (198 * KW), rel=0.1)
    assert states[-1].battery_charge[ups] < 0.02
    assert states[-1].rack_milliwatts.sum() == 720 * KW


def test_a_sag_moves_the_load_off_the_grid_and_back() -> None:
    """At 0.5 per unit UPS carry the load; the grid loses it at once and has nine tenths back in a second."""
    wiring = wired()
    sag = event(K.SAG, 3.5, strength=0.5, until_s=3.6, recovery_s=1.0)

    states = run(wiring, [steady(wiring, 120)], [sag], seconds=10)

    grid = [int(state.node_milliwatts[wiring.roots()].sum()) for state in states]
    racks = {int(state.rack_milliwatts.sum()) for state in states}
    assert racks == {720 * KW}
    assert grid[3] == pytest.approx(0.5 * grid[2], rel=0.01)
    assert grid[4] >= 0.9 * grid[2]
    utility, ups = wiring.nodes.index("UTILITY-1"), wiring.nodes.index("UPS-01A")
    assert states[3].node_volts_low[utility] == pytest.approx(0.5 * 34_500, rel=0.03)
    assert states[3].node_volts[utility] == pytest.approx(0.95 * 34_500, rel=0.03)
    assert states[3].node_volts_low[ups] == pytest.approx(415, rel=0.02)


def test_a_sag_without_a_ups_is_borne_or_not_by_its_depth_and_length() -> None:
    """0.75 per unit for 0.4 s is inside what power supplies bear, for 0.6 s it is not."""
    text = "[site]\nname='hall'\n[[rack]]\nids='r{1..2}'\nrating_kw=100\n" + "".join(
        f"[[asset]]\nid='{name}'\nkind='PowerMeter'\nserves=[{serves}]\n"
        for name, serves in (("U", "'TA','TB'"), ("TA", "'r1','r2'"), ("TB", "'r1','r2'"))
    )
    wiring = wired_text(text)
    borne = run(wiring, [steady(wiring, 50)], [event(K.SAG, 1, strength=0.75, until_s=1.4)], seconds=3)
    dropped = run(wiring, [steady(wiring, 50)], [event(K.SAG, 1, strength=0.75, until_s=1.6)], seconds=3)

    assert borne[1].rack_milliwatts.sum() == 100 * KW
    assert dropped[1].rack_milliwatts.sum() == 0
    assert dropped[2].rack_milliwatts.sum() == 2 * 15 * KW


def test_a_ups_fault_darkens_every_tap_beneath_it() -> None:
    """One fault, a flood of dead leaves; the racks themselves go on."""
    wiring = wired(Shape(racks=200, racks_per_row=20, rows_per_group=10, leases=()))
    after = run(wiring, [steady(wiring, 60)], [event(K.UPS_FAULT, 0, "UPS-01A")], seconds=1)[0]

    dead = [name for name, live in zip(wiring.nodes, after.node_is_live, strict=True) if not live]
    assert sum("TAP" in name for name in dead) == 200
    assert after.rack_milliwatts.sum() == 200 * 60 * KW


def test_a_state_does_not_change_later() -> None:
    """Whoever keeps states keeps what was true then, whatever happens to the plant."""
    wiring = wired()
    events = [event(K.FEED_LOSS, 3, "UTILITY-1", "P01A-BUS-B"), event(K.FEED_BACK, 9, "P01A-BUS-B")]
    plant = Plant(wiring, [Training(name="job", racks=wiring.racks)], SEED, events=events)

    states = [plant.step(second) for second in range(3)]
    kept = [{f.name: np.copy(getattr(state, f.name)) for f in fields(State)} for state in states]
    for second in range(3, 40):
        plant.step(second)

    for state, then in zip(states, kept, strict=True):
        assert all(np.array_equal(getattr(state, name), value) for name, value in then.items())


def test_measures_hang_together() -> None:
    """P = sqrt(3) U I pf at every loaded node; losses are within what each stage usually has."""
    wiring = wired(replace(SMALL, racks=6))
    state = run(wiring, [steady(wiring, 120)], seconds=2)[1]

    real = state.node_milliwatts + state.node_storage_milliwatts
    seen = state.node_volts * state.node_amps.sum(axis=1) / 3 * SQRT3 * state.node_power_factor * 1e3
    loaded = real > 0
    assert np.allclose(seen[loaded], real[loaded], rtol=1e-9)
    assert 0.97 < state.node_power_factor[loaded].min() <= 0.995
    assert (state.node_volts[loaded] / wiring.sizes.volts[loaded] > 0.93).all()
    shares = {
        role: float(state.node_loss_milliwatts[i] / real[i])
        for i, role in enumerate(wiring.node_roles)
        if loaded[i]
    }
    assert 0.02 < shares[wiring.node_roles[wiring.nodes.index("UPS-01A")]] < 0.05
    assert all(0 <= share < 0.05 for share in shares.values())
    total = int(state.node_milliwatts[wiring.roots()].sum())
    assert 1.03 < total / int(state.rack_milliwatts.sum()) < 1.09


def test_load_that_goes_from_one_phase_to_another_is_seen_up_to_the_ups() -> None:
    """A third of the first phase goes to the second; a rack draws what it drew, and the third phase too."""
    wiring = wired()
    moved = event(K.UNBALANCE, 1, *wiring.racks, strength=1 / 3, until_s=2)
    before, during, after = run(wiring, [steady(wiring, 90)], [moved], seconds=3)

    busway = wiring.nodes.index("P01A-BUS-A")
    share = during.node_amps[busway] / before.node_amps[busway]
    assert share.tolist() == pytest.approx([2 / 3, 4 / 3, 1.0], abs=0.03)
    assert during.rack_milliwatts.tolist() == before.rack_milliwatts.tolist()
    assert np.allclose(after.node_amps[busway], before.node_amps[busway], rtol=0.01)


def test_the_grid_s_frequency_goes_where_it_is_sent() -> None:
    """To 59.3 Hz and back."""
    wiring = wired()
    fall = event(K.FREQUENCY, 1, strength=59.3 / 60, until_s=2)
    found = [state.frequency_hz for state in run(wiring, [steady(wiring, 90)], [fall], seconds=3)]

    assert found == pytest.approx([60, 59.3, 60], abs=0.05)
