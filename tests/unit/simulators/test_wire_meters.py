"""Meters are off as they are said to be, show whole steps, and speak on change and every hundred seconds."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from formats.rackdoc import json_schema
from simulators.meters.instruments import RECORDED, instruments_of
from simulators.meters.meters import Meters
from simulators.meters.registers import UNITS_PER_KWH
from simulators.model.jobs import Steady, Training
from simulators.model.layouts import Shape
from simulators.model.plant import Plant
from simulators.run import Simulation
from simulators.scenario.scenario import Metering, Scenario
from simulators.wire.bus import payloads
from simulators.wire.catalogue import catalogue
from simulators.wire.speech import Clocks
from testing.simulators.simulated import BEGIN_MS, a_scenario, lines, run, wiring_of

RACKS = Shape(racks=8, racks_per_row=4).rack_ids
TOTAL_MILLIWATTS = 8 * 100_123_456


def _steady(**more: object) -> Scenario:
    jobs = (Steady(name="all", racks=RACKS, total_milliwatts=TOTAL_MILLIWATTS),)
    return replace(a_scenario(jobs=jobs), **more)  # type: ignore[arg-type]  # fields of the scenario


def _values(
    scenario: Scenario, part: str, *, is_recorded: bool = False
) -> dict[str, list[tuple[int, float]]]:
    """Return stamps and values by topic."""
    simulation, seconds = run(scenario, is_recorded=is_recorded)
    found = defaultdict(list)
    for second in seconds:
        for topic, payload, *_ in lines(second.rows, simulation.topics):
            if part in topic and "/Value/" in topic:
                body = json.loads(payload)
                found[topic].append((body["timestamp"], body["value"]))
    return dict(found)


def test_perfect_meters_tell_the_truth_to_the_watt() -> None:
    """Where a scenario says nothing of errors, power is what it is, in whole watts."""
    found = _values(_steady(), "/RackPower/")
    assert len(found) == 8
    assert {value for said in found.values() for _, value in said} == {100.123}


@pytest.mark.parametrize(("step_w", "shown"), [(10.0, 100.12), (100.0, 100.1), (0.1, 100.1235)])
def test_meters_show_whole_steps(step_w: float, shown: float) -> None:
    """What a meter shows is the nearest of its steps."""
    found = _values(_steady(metering=Metering(step_w=step_w)), "/RackPower/")
    assert {value for said in found.values() for _, value in said} == {shown}


def test_gains_belong_to_devices() -> None:
    """Each meter is off by its own share, all of the time; the spread is the one that was asked for."""
    shape = Shape(racks=400, racks_per_row=20)
    scenario = replace(
        a_scenario(400, racks_per_row=20, seconds=3, jobs=()),
        jobs=(Steady(name="all", racks=shape.rack_ids, total_milliwatts=400 * 100_000_000),),
        metering=Metering(gain_sigma=0.004),
    )
    found = _values(scenario, "/RackPower/")
    assert all(len({value for _, value in said}) == 1 for said in found.values())
    gains = np.array([said[0][1] / 100.0 for said in found.values()])
    assert abs(gains.mean() - 1) < 0.0008
    assert 0.0034 < gains.std() < 0.0046


def test_noise_is_of_the_rating() -> None:
    """Additive noise has the spread that was asked for, around the truth."""
    found = _values(_steady(metering=Metering(noise=0.001), seconds=60), "/RackPower/")
    said = np.array([value for values in found.values() for _, value in values])
    assert len(said) > 400
    assert abs(said.mean() - 100.123) < 0.02
    assert 0.115 < said.std() < 0.15  # 0.1 % of 132 kW


def test_periods_and_thresholds() -> None:
    """A meter looks every so often, and says nothing of what moved too little since it spoke last."""
    jobs = (Training(name="job", racks=RACKS, dip=0.5),)
    base = replace(_steady(seconds=60), jobs=jobs)
    slow = _values(replace(base, metering=Metering(period_s=5)), "/RackPower/")
    for said in slow.values():
        assert {b - a for (a, _), (b, _) in pairwise(said[1:])} <= {5_000, 10_000}
    plain = _values(base, "/RackPower/")
    quiet = _values(replace(base, metering=Metering(threshold_percent=5)), "/RackPower/")
    assert sum(map(len, quiet.values())) < 0.7 * sum(map(len, plain.values()))
    repeats = 1  # of each point in its first hundred seconds
    for said in quiet.values():
        steps = [abs(b - a) for (_, a), (_, b) in pairwise(said)]
        assert sum(step < 0.05 * 132 for step in steps) <= repeats


def test_periods_must_fit() -> None:
    """A period that does not divide the cycle would never come round."""
    plant = wiring_of(a_scenario())
    with pytest.raises(ValueError, match="expected a period that divides 60 s, found 7"):
        Meters(catalogue(plant), instruments_of(Metering(period_s=7)), 1)


def test_every_point_is_heard_at_once_and_every_hundred_seconds() -> None:
    """All points speak in the first second, and none is quiet for more than a hundred seconds after it."""
    simulation, seconds = run(a_scenario(seconds=320), is_recorded=True)
    last: dict[int, int] = {}
    gaps: dict[int, int] = defaultdict(int)
    points = len(simulation.catalogue)
    for second in seconds:
        for channel in second.rows.channel.tolist():
            if channel < points:
                gaps[channel] = max(gaps[channel], second.second - last.get(channel, second.second))
                last[channel] = second.second
        if second.second == 0:
            assert len(last) == points
    assert max(gaps.values()) == 100
    counts = [len(second.rows) for second in seconds[1:]]
    assert max(counts) < 3 * np.mean(counts), "repetitions come in a lump"


def test_metadata_come_first_and_every_hundred_seconds() -> None:
    """Everything is described before any value, and again once in each hundred seconds."""
    simulation, seconds = run(a_scenario(seconds=200))
    spoken = len(simulation.catalogue.spoken)
    first = seconds[0].rows
    described = first.channel[first.is_retained]
    assert sorted(described.tolist()) == list(range(spoken, 2 * spoken))
    assert not first.is_retained[len(described) :].any()
    for start in (1, 100):
        again = [c for s in seconds[start : start + 99] for c in s.rows.channel[s.rows.is_retained].tolist()]
        assert len(again) == len(set(again))
    second_round = [c for s in seconds[100:200] for c in s.rows.channel[s.rows.is_retained].tolist()]
    assert sorted(second_round) == list(range(spoken, 2 * spoken))


def test_heartbeats_come_every_ten_seconds() -> None:
    """Each gateway says its own time every ten seconds."""
    simulation, seconds = run(a_scenario(seconds=31))
    names = {gateway.name for gateway in simulation.catalogue.gateways}
    assert names == {"GW-P01A", "GW-P01B", "GW-POWER", "GW-COOLING", "NICO", "MEPAI"}
    for second in seconds:
        beats = [x for x in lines(second.rows, simulation.topics) if "/Value/System/" in x[0]]
        assert len(beats) == (6 if second.second % 10 == 0 else 0)
        assert {json.loads(x[1])["value"] for x in beats} <= {second.time_ms}


def test_registers_count_what_their_meters_take_the_power_for() -> None:
    """A register is the exact sum of its meter's power, with the error that its power is shown with."""
    scenario = a_scenario(seconds=130, metering=Metering(gain_sigma=0.01))
    wiring = wiring_of(scenario)
    points = catalogue(wiring)
    instruments = instruments_of(scenario.metering)
    meters = Meters(points, instruments, scenario.seed)
    own = {points.assets[i]: meters.gain[i] for i in points.find([], "ActivePower")}
    assert {own[points.assets[i]] == meters.gain[i] != 1 for i in meters.register_points} == {True}
    plant = Plant(wiring, scenario.jobs, scenario.seed, start_ms=BEGIN_MS)
    start = meters.registers.units.copy()
    names = [points.assets[i] for i in meters.register_points]
    total = [0] * len(names)
    shown = np.zeros(len(points))
    for second in range(scenario.seconds):
        state = plant.step(second)
        shown = meters.look(state, second).value
        for i, name in enumerate(names):
            milliwatts = int(state.node_milliwatts[wiring.node_place[name]])
            total[i] += round(milliwatts * meters.gain[meters.register_points[i]])
    unit = 3_600_000_000 // UNITS_PER_KWH
    found = meters.registers
    assert [
        (int(u) - int(s)) * unit + int(r)
        for u, s, r in zip(found.units, start, found.remainder_millijoules, strict=True)
    ] == total
    # Registers are looked at once a minute, and tell tenths of a kilowatt-hour.
    behind = found.kwh() - shown[meters.register_points]
    assert ((behind > -0.051) & (behind < 60 * np.array(total) / 3.6e9 / 100)).all()


def test_clocks_drift() -> None:
    """A gateway's clock is off by its offset, and more each second by its drift."""
    points = catalogue(wiring_of(a_scenario()))
    clocks = Clocks(points, 3, Metering(clock_sigma_ms=50.0, drift_sigma_ppm=100.0))
    early, later = clocks.error_ms(0), clocks.error_ms(10_000)
    assert len(early) == len(points.gateways)
    assert early.std() > 5
    assert (later - early).std() > 100
    assert Clocks(points, 3).error_ms(10_000).tolist() == [0] * len(early)


def test_clocks_are_off_on_the_wire() -> None:
    """Stamps and heartbeats of a gateway are off by what its clock is, and values are as they were."""
    exact = Simulation(a_scenario())
    wrong = Simulation(a_scenario(metering=Metering(clock_sigma_ms=500.0)))
    seen = set()
    for _ in range(11):
        a, b = exact.step().rows, wrong.step().rows
        off = b.time_ms - a.time_ms
        seen |= set(off.tolist())
        is_value = a.channel < len(exact.catalogue)
        assert payloads(a.changed(time_ms=b.time_ms)) != payloads(a)
        gateway = exact.catalogue.gateway[a.channel[is_value]]
        for number in range(len(exact.catalogue.gateways)):
            assert len(set(off[is_value][gateway == number].tolist())) <= 1
    assert len(seen) > 3


@pytest.mark.parametrize("wire", ["dsx", "rack-documents"])
def test_meters_that_only_sample_show_the_instant(wire: str) -> None:
    """A swing within a second is in what a sampling meter shows, not in what one that adds up shows."""
    jobs = (Training(name="job", racks=RACKS, dip=0.6, period_s=0.7),)
    scenario = replace(_steady(seconds=20, wire=wire), jobs=jobs)
    spreads = []
    for samples in (False, True):
        simulation = Simulation(replace(scenario, metering=Metering(samples=samples)))
        states = []
        shown = []
        for second in simulation.seconds():
            for row in np.flatnonzero(second.rows.channel == 0).tolist():
                body = json.loads(payloads(second.rows)[row])
                shown.append(body["value"] if wire == "dsx" else body["power_kw"])
                instant, mean = second.state.rack_instant_milliwatts, second.state.rack_milliwatts
                states.append(float((instant if samples else mean)[0]) / 1e6)
        assert shown == pytest.approx(states, abs=5.1e-4)
        spreads.append(np.std(shown))
    assert spreads[1] > 1.5 * spreads[0]


def test_as_recorded_instruments_know_every_kind() -> None:
    """No kind of point of any plant is without an instrument."""
    kinds = {group.kind for group in catalogue(wiring_of(a_scenario())).groups}
    assert kinds <= set(RECORDED)


# Rack documents ---------------------------------------------------------------------------


def test_documents_keep_their_schema_and_tell_the_truth() -> None:
    """Each document has its schema; powers of feeds add up, and time and sequence go on."""
    simulation, seconds = run(a_scenario(seconds=20, wire="rack-documents"))
    validator = Draft202012Validator(json_schema())
    sequences = defaultdict(list)
    for second in seconds:
        said = payloads(second.rows)
        assert len(said) == 8
        for channel, payload in zip(second.rows.channel.tolist(), said, strict=True):
            body = json.loads(payload)
            validator.validate(body)
            rack = simulation.wiring.racks[channel]
            assert body["rack"] == rack
            assert simulation.topics[channel] == f"megawatch/v1/titan/{rack}"
            assert body["power_kw"] == pytest.approx(second.state.rack_milliwatts[channel] / 1e6, abs=5.1e-4)
            assert sum(feed["kw"] for feed in body["feeds"].values()) == pytest.approx(
                body["power_kw"], abs=2e-3
            )
            assert second.time_ms <= body["time"] < second.time_ms + 1_000
            sequences[rack].append(body["seq"])
            feed = body["feeds"]["a"]
            watts = (
                sum(v * a for v, a in zip(feed["volts"], feed["amps"], strict=True)) * feed["power_factor"]
            )
            assert watts / 1_000 == pytest.approx(feed["kw"], rel=0.02)
    assert all(numbers == list(range(1, 21)) for numbers in sequences.values())


def test_documents_come_in_their_period() -> None:
    """A period of five seconds gives a document in every fifth."""
    _, seconds = run(a_scenario(seconds=11, wire="rack-documents", metering=Metering(period_s=5)))
    assert [len(second.rows) for second in seconds] == [8, 0, 0, 0, 0, 8, 0, 0, 0, 0, 8]


def test_a_simulation_goes_on_past_its_end() -> None:
    """The end of a scenario ends `seconds`, not the plant."""
    simulation = Simulation(a_scenario(seconds=2))
    assert [second.second for second in simulation.seconds()] == [0, 1]
    assert simulation.step().second == 2
    assert list(simulation.seconds()) == []
