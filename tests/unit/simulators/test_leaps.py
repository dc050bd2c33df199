"""Leaps of the plant over time in which nothing happens, and instruments that are polled seldom."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simulators.meters.registers import UNITS_PER_KWH
from simulators.model.events import EventKind
from simulators.model.jobs import Course, Steady
from simulators.model.plant import Plant
from simulators.model.state import State
from simulators.run import Simulation
from testing.simulators.model_plants import KW, SEED, event, steady, wired
from testing.simulators.simulated import a_scenario

RACKS = 8
HOUR_S = 3_600


def _passed(plant: Plant, first: int, last: int, *, leap_s: int) -> State:
    state = plant.step(first)
    for second in range(first + leap_s, last + 1, leap_s):
        state = plant.step(second, seconds=leap_s)
    return state


def test_a_plant_that_leaps_comes_to_where_one_comes_that_goes() -> None:
    """After a step of load and ten minutes of leaps: racks, loop and air are as warm as second by second."""
    wiring = wired()
    job = Course(name="step", racks=wiring.racks, points=((0.0, 0.5), (1.0, 0.9)))

    leapt, gone = (_passed(Plant(wiring, [job], SEED), 0, 600, leap_s=leap_s) for leap_s in (60, 1))

    assert np.allclose(leapt.rack_return_c, gone.rack_return_c, atol=0.6)
    assert np.allclose(
        leapt.rack_liquid_heat_milliwatts / KW, gone.rack_liquid_heat_milliwatts / KW, rtol=0.02
    )
    assert np.array_equal(leapt.rack_milliwatts, gone.rack_milliwatts)


def test_air_warms_for_as_long_as_the_leap_is() -> None:
    """Without its air handler a full row warms by 2 K a minute, in one leap as in sixty steps."""
    wiring = wired()
    stopped = event(EventKind.CRAH_LOSS, 0, *wiring.crahs[:1])
    plants = [Plant(wiring, [steady(wiring, 132)], SEED, events=[stopped]) for _ in range(2)]

    leapt, gone = (
        _passed(plant, 0, 180, leap_s=leap_s) for plant, leap_s in zip(plants, (60, 1), strict=True)
    )

    assert np.allclose(leapt.rack_inlet_c, gone.rack_inlet_c, atol=1.5)
    assert leapt.rack_inlet_c[:3].mean() == pytest.approx(24 + 3 * 2, abs=1.0)


def test_a_leap_ends_where_it_says() -> None:
    """What does not follow the second before is refused, as ever."""
    wiring = wired()
    plant = Plant(wiring, [steady(wiring, 100)], SEED)
    plant.step(0)

    with pytest.raises(ValueError, match="expected second 60, which is next, found 61"):
        plant.step(61, seconds=60)


@pytest.mark.parametrize("is_leap", [False, True])
def test_instruments_that_are_polled_seldom_all_look_and_registers_count_the_whole_time(
    *, is_leap: bool
) -> None:
    """Polled once a minute for an hour at 800 kW: every rack speaks each time, and the hour is counted."""
    scenario = a_scenario(
        RACKS, jobs=(Steady(name="all", racks=a_scenario(RACKS).jobs[0].racks, total_milliwatts=800 * KW),)
    )
    simulation = Simulation(replace(scenario, seconds=HOUR_S))
    registers = simulation._meters.registers
    start = registers.units.copy()

    looks = [simulation.look(second, is_leap=is_leap and second > 0) for second in range(0, HOUR_S + 1, 60)]

    powers = {
        simulation.catalogue.tags[p].metadata["pointType"]
        for p in looks[7].rows.channel
        if p < len(simulation.catalogue)
    }
    counted = (registers.units - start) / UNITS_PER_KWH
    assert "GenericPoint" in powers
    assert counted.max() == pytest.approx(800 / 2 * 1.06, rel=0.05)
    assert len(looks) == 61


def test_a_look_into_the_past_is_refused() -> None:
    """Time goes on, whoever looks."""
    simulation = Simulation(a_scenario())
    simulation.look(10)

    with pytest.raises(ValueError, match="expected a second from 11 on, which is next, found 10"):
        simulation.look(10)


@pytest.mark.parametrize("is_leap", [False, True])
def test_gateways_beat_between_two_looks(*, is_leap: bool) -> None:
    """Every ten seconds, each with the time at which it beats: instruments that look seldom are not dead."""
    simulation = Simulation(a_scenario(RACKS))
    gateways = len(simulation.catalogue.gateways)
    simulation.look(0)

    rows = simulation.look(65, is_leap=is_leap).rows

    beats = (rows.channel >= len(simulation.catalogue)) & (
        rows.channel < len(simulation.catalogue) + gateways
    )
    moments = (rows.time_ms[beats] - simulation.scenario.begin_ms) // 1_000
    assert sorted(moments.tolist()) == sorted([10, 20, 30, 40, 50, 60] * gateways)
    assert (rows.sent_ms[1:] >= rows.sent_ms[:-1]).all()
