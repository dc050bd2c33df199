"""Cooling: heat closes, coolant carries what racks draw, what fails takes the time that physics gives."""

from __future__ import annotations

import numpy as np
import pytest

from simulators.model.cooling import HEAT_KW
from simulators.model.events import EventKind
from simulators.model.jobs import Course
from simulators.model.layouts import Shape
from simulators.model.plant import BOOT_S
from testing.simulators.model_plants import KW, event, run, steady, wired

K = EventKind


def test_coolant_carries_the_liquid_share_once_all_is_settled() -> None:
    """Flow times rise is the heat of the liquid side within a hundredth: about 8.8 K at full load."""
    wiring = wired()
    state = run(wiring, [steady(wiring, 132)], seconds=120)[-1]

    carried = HEAT_KW * state.rack_flow_lpm * (state.rack_return_c - state.rack_supply_c)
    assert np.allclose(carried, 132 * wiring.rack_liquid_share, rtol=0.05)
    assert np.allclose(state.rack_liquid_heat_milliwatts / KW, 132 * 0.87, rtol=0.05)
    assert np.allclose(state.rack_flow_lpm, 198, rtol=0.03)
    assert np.allclose(state.cdu_flow_lpm, 3 * 198, rtol=0.03)
    assert np.allclose(state.rack_supply_c, 32, atol=0.6)
    assert np.allclose(state.rack_inlet_c, 24, atol=1.5)
    assert np.allclose(state.cdu_primary_return_c - state.cdu_primary_supply_c, 10, rtol=0.1)


def test_the_return_follows_a_step_of_load_within_half_a_minute() -> None:
    """Metal, pipe and sensor together make a lag of 15 to 30 s to two thirds of the way."""
    wiring = wired()
    job = Course(name="step", racks=wiring.racks, points=((0, 0.3), (99.0, 0.3), (99.1, 0.9)))
    returns = [float(s.rack_return_c.mean()) for s in run(wiring, [job], seconds=250)]

    low, high = float(np.mean(returns[80:99])), float(np.mean(returns[220:]))
    reached = next(i for i, value in enumerate(returns) if i > 99 and value > low + 0.63 * (high - low))
    assert 15 <= reached - 100 <= 30


def test_a_pump_that_is_replaced_in_time_hurts_nobody() -> None:
    """The other pump has the flow back within five seconds: warmer, but no rack throttles."""
    wiring = wired()
    failure = event(K.PUMP_FAILURE, 10, wiring.cdus[0], failover_s=5.0)
    states = run(wiring, [steady(wiring, 132)], [failure], seconds=60)

    flows = [float(state.cdu_flow_lpm[0]) for state in states]
    assert flows[11] == 0
    assert flows[14] == pytest.approx(flows[9], rel=0.03)
    assert states[11].cdu_pumps_running.tolist() == [0, 1]
    assert states[14].cdu_pumps_running.tolist() == [1, 1]
    assert states[11].cdu_pressure_kpa[0] == 0
    assert not any(state.rack_is_throttled.any() for state in states)
    assert {int(state.rack_milliwatts.sum()) for state in states} == {6 * 132 * KW}


def test_without_flow_racks_warm_by_a_kelvin_a_second_throttle_and_shut_off() -> None:
    """At full load: 20 K after some 20 s and half power, 30 K and dark a little later; back once it flows."""
    wiring = wired()
    failure = event(K.PUMP_FAILURE, 10, wiring.cdus[0], failover_s=None, until_s=90)
    states = run(wiring, [steady(wiring, 132)], [failure], seconds=150 + BOOT_S)

    powers = [int(state.rack_milliwatts[0]) // KW for state in states]
    throttled, dark = powers.index(66), powers.index(0)
    assert throttled - 10 == pytest.approx(22, abs=3)
    assert dark - throttled == pytest.approx(20, abs=4)
    assert all(state.rack_milliwatts[5] == 132 * KW for state in states)
    warmed = float(states[20].rack_stored_millijoules[0] - states[15].rack_stored_millijoules[0])
    assert warmed / 1e6 / 118.8 / 5 == pytest.approx(0.97, rel=0.02)
    assert powers[90] == 0
    assert powers[-1] == 132
    assert 19 in powers[91:]


def test_flow_loss_of_one_rack_is_that_rack_s_alone() -> None:
    """Half of the flow of one rack: its rise doubles, the others' stay."""
    wiring = wired()
    loss = event(K.FLOW_LOSS, 0, wiring.racks[1], strength=0.5)
    state = run(wiring, [steady(wiring, 100)], [loss], seconds=150)[-1]

    rise = state.rack_return_c - state.rack_supply_c
    assert rise[1] == pytest.approx(2 * rise[0], rel=0.05)
    assert rise[2] == pytest.approx(rise[0], rel=0.05)


def test_one_chiller_less_is_borne_and_none_is_a_matter_of_minutes() -> None:
    """One of two stopped: nothing warms; both: the loop takes seven minutes for 10 K at full heat."""
    wiring = wired()
    one = run(wiring, [steady(wiring, 132)], [event(K.CHILLER_LOSS, 0, wiring.chillers[0])], seconds=300)
    none = run(wiring, [steady(wiring, 132)], [event(K.CHILLER_LOSS, 0)], seconds=425)

    assert float(one[-1].cdu_primary_supply_c[0]) == 26
    assert one[-1].chiller_is_running.tolist() == [False, True]
    assert float(none[420].cdu_primary_supply_c[0]) == pytest.approx(36, abs=0.5)
    assert none[420].rack_supply_c.min() > 36


def test_without_its_air_handler_a_row_warms_by_kelvins_a_minute() -> None:
    """0.5 to 3 K a minute in that row, none in the other."""
    wiring = wired()
    states = run(wiring, [steady(wiring, 132)], [event(K.CRAH_LOSS, 0, "P01A-CRAH")], seconds=61)

    rise = states[60].rack_inlet_c - states[0].rack_inlet_c
    assert 0.5 <= float(rise[:3].mean()) <= 3
    assert abs(float(rise[3:].mean())) < 0.7
    assert states[1].crah_is_running.tolist() == [False, True]


def test_a_leak_is_at_its_rack_and_takes_the_loop_s_pressure() -> None:
    """10 kPa a minute for half a minute, then it is stopped and filled up again."""
    wiring = wired()
    leak = event(K.LEAK, 0, wiring.racks[0], strength=10.0, until_s=30)
    states = run(wiring, [steady(wiring, 60)], [leak], seconds=31)

    assert states[29].rack_leaks.tolist() == [True] + [False] * 5
    assert float(states[30].cdu_pressure_kpa[0] - states[29].cdu_pressure_kpa[0]) == pytest.approx(5)
    assert float(states[30].cdu_pressure_kpa[1] - states[29].cdu_pressure_kpa[1]) == 0
    assert not states[30].rack_leaks.any()


def test_the_room_s_dew_point_goes_where_it_is_sent() -> None:
    """From about 12 °C to 19 °C within ten minutes, and back when it is over."""
    wiring = wired()
    states = run(wiring, [], [event(K.DEW_POINT, 0, strength=19.0, until_s=700)], seconds=1_500)

    assert states[0].room_dew_point_c == pytest.approx(12, abs=1)
    assert states[650].room_dew_point_c == pytest.approx(19, abs=1.2)
    assert states[-1].room_dew_point_c == pytest.approx(12, abs=1.2)


def test_storage_racks_give_their_heat_to_the_air() -> None:
    """Racks of 12 kW have no liquid share: no flow, nothing stored, all heat at once."""
    wiring = wired(Shape(racks=6, rating_kw=12, leases=()))
    state = run(wiring, [steady(wiring, 10)], seconds=20)[-1]

    assert state.rack_flow_lpm.max() == 0
    assert state.rack_liquid_heat_milliwatts.max() == 0
    assert state.rack_heat_milliwatts.tolist() == state.rack_milliwatts.tolist()
    assert not state.rack_is_throttled.any()


def test_coolant_that_goes_past_a_rack_comes_back_colder_and_carries_the_same() -> None:
    """As much past it as through it: twice the flow by its sensors, and half the rise."""
    wiring = wired()
    open_bypass = event(K.BYPASS, 0, wiring.racks[0], strength=1.0)
    state = run(wiring, [steady(wiring, 100)], [open_bypass], seconds=180)[-1]

    flow, rise = state.rack_flow_lpm, state.rack_return_c - state.rack_supply_c
    assert flow[0] == pytest.approx(2 * flow[1], rel=0.03)
    assert rise[0] == pytest.approx(rise[1] / 2, rel=0.05)
    assert state.rack_liquid_heat_milliwatts[0] == pytest.approx(
        float(state.rack_liquid_heat_milliwatts[1]), rel=0.03
    )


def test_a_leak_detector_that_fails_says_so_and_tells_no_leak() -> None:
    """Until it is repaired."""
    wiring = wired()
    failure = event(K.LEAK_DETECTOR_FAULT, 1, wiring.racks[0], until_s=3)
    states = run(wiring, [steady(wiring, 60)], [failure], seconds=4)

    assert [bool(state.rack_detector_fails[0]) for state in states] == [False, True, True, False]
    assert not any(state.rack_detector_fails[1:].any() or state.rack_leaks.any() for state in states)
