"""What a scenario file says of meters and clocks is what they are like on the wire."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facility.errors import SiteFileError
from simulators.meters.instruments import decimals_of
from simulators.run import Simulation
from simulators.scenario.file import read_scenario
from simulators.scenario.scenario import ClockSpec, InstrumentSpec
from simulators.scenario.tables import ClockTable, InstrumentTable, MeteringTable
from simulators.wire.bus import payloads

HEAD = """
proves = "What meters are like."
begin = 2026-06-01T12:00:00Z
seconds = {seconds}
seed = 4
wire = "{wire}"

[layout]
racks = 8
racks_per_row = 4
timezone = "America/Chicago"

[[load]]
name = "job"
kind = "{kind}"
racks = "P01[AB]-0[1-4]"
{load}
"""
STEADY = {"kind": "steady", "load": "total_kw = 800"}
TRAINING = {"kind": "training", "load": "period_s = 0.7\ndip = 0.6"}

Said = dict[str, list[tuple[int, dict[str, Any]]]]


def said(text: str, *, seconds: int = 30, wire: str = "dsx", load: dict[str, str] = STEADY) -> Said:
    """Return what each topic of a scenario said and when it was sent, from its beginning [ms]."""
    scenario = read_scenario(HEAD.format(seconds=seconds, wire=wire, **load) + text)
    simulation = Simulation(scenario)
    found: Said = defaultdict(list)
    for second in simulation.seconds():
        rows = second.rows
        for channel, sent_ms, payload, is_retained in zip(
            rows.channel.tolist(),
            rows.sent_ms.tolist(),
            payloads(rows),
            rows.is_retained.tolist(),
            strict=True,
        ):
            if not is_retained:
                at_ms = sent_ms - scenario.begin_ms
                found[simulation.topics[channel]].append((at_ms, json.loads(payload)))
    return dict(found)


def of_type(found: Said, point_type: str) -> dict[str, list[tuple[int, float]]]:
    """Return what the points of a type said, by topic."""
    return {
        topic: [(at, body["value"]) for at, body in messages]
        for topic, messages in found.items()
        if f"/{point_type}/" in topic
    }


def faults_of(text: str, wire: str = "dsx") -> list[str]:
    """Return every fault of a scenario."""
    with pytest.raises(SiteFileError) as caught:
        read_scenario(HEAD.format(seconds=30, wire=wire, **STEADY) + text)
    return [str(fault) for fault in caught.value.faults]


def test_everything_that_can_be_said_is_read() -> None:
    """Each key arrives where the meters read it."""
    text = """
[metering]
gain_sigma = 0.004
ct_error_percent = 2
noise = 0.001
step_w = 10
period_s = 5
threshold_percent = 0.5
sampling = "instant"
clock_sigma_ms = 300
drift_sigma_ppm = 40

[[instrument]]
point_type = ["RackLiquidFlow", "Voltage"]
period_s = 10
step = 0.5
noise = 0.1
threshold = 1.5
gain_sigma = 0.02
offset_sigma = 0.3

[[clock]]
gateway = "GW-P01[AB]"
offset_ms = -1500
drift_ppm = 80
"""
    metering = read_scenario(HEAD.format(seconds=5, wire="dsx", **STEADY) + text).metering

    assert (metering.gain_sigma, metering.ct_error_percent, metering.noise) == (0.004, 2, 0.001)
    assert (metering.step_w, metering.period_s, metering.threshold_percent) == (10, 5, 0.5)
    assert (metering.samples, metering.clock_sigma_ms, metering.drift_sigma_ppm) == (True, 300, 40)
    spec = InstrumentSpec(period_s=10, step=0.5, noise=0.1, threshold=1.5, gain_sigma=0.02, offset_sigma=0.3)
    assert dict(metering.instruments) == {"RackLiquidFlow": spec, "Voltage": spec}
    clock = ClockSpec(offset_ms=-1500, drift_ppm=80)
    assert dict(metering.clocks) == {"GW-P01A": clock, "GW-P01B": clock}


@pytest.mark.parametrize("wire", ["dsx", "rack-documents"])
def test_the_same_file_gives_the_same_bytes(wire: str) -> None:
    """Errors, noise and clocks follow from the seed alone."""
    text = """
[metering]
gain_sigma = 0.004
ct_error_percent = 2
noise = 0.001
clock_sigma_ms = 300
drift_sigma_ppm = 400
"""
    first = said(text, wire=wire)

    assert said(text, wire=wire) == first
    assert said(text.replace("0.001", "0.002"), wire=wire) != first


def test_an_error_in_common_does_not_average_out() -> None:
    """All that rests on current reads so many per cent too high, registers included; voltage does not."""
    plain, off = (said(text, seconds=140) for text in ("", "[metering]\nct_error_percent = 3"))

    for point_type, factor in (("RackPower", 1.03), ("ActivePower", 1.03), ("CurrentLimit", 1.0)):
        exact = {topic: values[-1][1] for topic, values in of_type(plain, point_type).items()}
        found = {topic: values[-1][1] for topic, values in of_type(off, point_type).items()}
        assert found == pytest.approx({topic: value * factor for topic, value in exact.items()}, rel=2e-4)
    registers = [
        {t: v[-1][1]["value"] - v[0][1]["value"] for t, v in found.items() if t.endswith("energy/import")}
        for found in (plain, off)
    ]
    name, counted = max(registers[0].items(), key=lambda item: item[1])
    assert counted > 10  # of the 16 kWh that 400 kW are in 140 s, less what came after the last look
    assert registers[1][name] == pytest.approx(counted * 1.03, abs=0.21)


def test_a_point_type_has_its_own_period_step_and_threshold() -> None:
    """Flow looks every ten seconds, shows halves, and speaks when it moved by so much; others as before."""
    head = '[[instrument]]\npoint_type = "RackLiquidFlow"\n'
    text = f"{head}period_s = 10\nstep = 0.5\nnoise = 2.0\nthreshold = 1.5"
    plain, own = said("", seconds=90), said(text, seconds=90)

    flows = of_type(own, "RackLiquidFlow")
    assert len(flows) == 8
    steps = []
    for values in flows.values():
        assert all(value * 2 == round(value * 2) for _, value in values)
        seconds = [at // 1_000 for at, _ in values]
        steps += [abs(b - a) for (_, a), (_, b) in pairwise(values)]
        # The first second and a repetition apart, it is heard on its own beat only.
        assert sum((b - a) % 10 != 0 for a, b in pairwise(seconds[1:])) <= 2
    assert len(steps) > 20
    assert sum(step < 1.5 for step in steps) <= len(flows)
    assert of_type(plain, "RackPower") == of_type(own, "RackPower")


def test_a_point_type_has_its_own_gain_and_offset() -> None:
    """The gain belongs to the device, the offset to the point; both have the spread that was asked for."""
    head = '[[instrument]]\npoint_type = "Voltage"\nstep = 0.001\nnoise = 0\n'
    text, exact = f"{head}gain_sigma = 0.05\noffset_sigma = 20", f"{head}gain_sigma = 0\noffset_sigma = 0"

    plain, own = of_type(said(exact, seconds=2), "Voltage"), of_type(said(text, seconds=2), "Voltage")

    low = [topic for topic in own if "-TAP-" in topic]
    off = np.array([own[topic][0][1] - plain[topic][0][1] for topic in low])
    assert len(off) == 16
    assert 15 < off.std() < 60  # 5 % of 415 V and 20 V


def test_a_named_clock_is_off_by_what_is_said() -> None:
    """Stamps and heartbeats of the gateway, by its offset and drift; those of others are right."""
    text = '[[clock]]\ngateway = "GW-P01A"\noffset_ms = 5000\ndrift_ppm = 10000'
    plain, off = said("", seconds=31), said(text, seconds=31)

    assert plain.keys() == off.keys()
    seen = set()
    for topic, messages in plain.items():
        for (at_ms, before), (_, after) in zip(messages, off[topic], strict=True):
            moved = after["timestamp"] - before["timestamp"]
            own = topic.split("/")[7] == "P01A" and topic.split("/")[2] == "PUB"
            assert moved == (5_000 + 10 * (at_ms // 1_000) if own else 0), topic
            seen.add(moved)
    assert len(seen) > 10


def test_a_swing_within_a_second_is_seen_by_meters_that_sample() -> None:
    """What is shown goes up and down with the instants, not with the means."""
    spreads = []
    for sampling in ("mean", "instant"):
        found = of_type(said(f'[metering]\nsampling = "{sampling}"', load=TRAINING), "RackPower")
        spreads.append(np.std([value for values in found.values() for _, value in values]))

    assert spreads[1] > 1.5 * spreads[0]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[metering]\nperiod_s = 7", "metering.period_s: expected whole seconds that divide 60, found 7"),
        ("[metering]\nperiod_s = 0", "metering.period_s: expected whole seconds that divide 60, found 0"),
        ("[metering]\nperiod_s = 120", "metering.period_s: expected whole seconds that divide 60, found 120"),
        ("[metering]\nperiod_s = 1.5", "metering.period_s: expected a whole number, found 1.5"),
        (
            '[metering]\nsampling = "instants"',
            "metering.sampling: expected 'mean' or 'instant', found 'instants' (did you mean 'instant'?)",
        ),
        ("[metering]\nclock_sigma_ms = -1", "metering.clock_sigma_ms: expected at least 0, found -1"),
        ("[metering]\ngain_sgma = 0.1", "(did you mean 'gain_sigma'?)"),
        (
            '[[instrument]]\npoint_type = "RackPower"\nperiod_s = 25',
            "instrument[0].period_s: expected whole seconds that divide 60, found 25",
        ),
        (
            '[[instrument]]\npoint_type = "RackLiquidFow"',
            "a point type of the site, found 'RackLiquidFow' (did you mean 'RackLiquidFlow'?)",
        ),
        (
            '[[instrument]]\npoint_type = "RackPower"\n[[instrument]]\npoint_type = ["RackPower"]',
            "instrument[1].point_type: expected each point type once, found 'RackPower' again",
        ),
        (
            '[[instrument]]\npoint_type = "RackPower"\nstep = 0',
            "instrument[0].step: expected above 0, found 0",
        ),
        (
            '[[clock]]\ngateway = "GW-P01C"',
            "clock[0].gateway: expected ids that there are, found 'GW-P01C' (did you mean 'GW-P01B'?)",
        ),
        (
            '[[clock]]\ngateway = "GW-P01A"\n[[clock]]\ngateway = "GW-P01*"',
            "clock[1].gateway: expected each gateway once, found 'GW-P01A' again",
        ),
        ('[[clock]]\ngateway = "GW-P01A"\ndrift_ppm = 1e6', "clock[0].drift_ppm: expected at most 100,000"),
    ],
)
def test_what_can_not_be_is_told_with_its_place(text: str, fault: str) -> None:
    """Periods that never come round, point types and gateways that are not there."""
    found = faults_of(text)

    assert any(fault in told for told in found), found
    assert len(found) == 1


def test_documents_have_point_types_of_their_own() -> None:
    """The keys of a document are its point types."""
    text = '[[instrument]]\npoint_type = "flow_lpm"\nstep = 5\nnoise = 0'
    found = said(text, wire="rack-documents", seconds=3)

    assert all(body["flow_lpm"] % 5 == 0 for messages in found.values() for _, body in messages)
    assert (
        "expected a point type of the site, found 'RackPower'"
        in faults_of(text.replace("flow_lpm", "RackPower"), "rack-documents")[0]
    )


@pytest.mark.parametrize(
    ("step", "digits"), [(1.0, 0), (100.0, 0), (0.5, 1), (0.25, 2), (0.001, 3), (1.89271, 5), (1e-12, 9)]
)
def test_as_many_digits_are_written_as_whole_steps_need(step: float, digits: int) -> None:
    """And nine at most."""
    assert decimals_of(step) == digits


def test_how_far_everything_is_off_can_be_told() -> None:
    """Exact meters and right clocks are not in it; the error of a register is that of its power."""
    text = "[metering]\ngain_sigma = 0.01\nclock_sigma_ms = 100\n"
    text += '[[clock]]\ngateway = "GW-P01A"\noffset_ms = 7\ndrift_ppm = 3\n'
    off, exact = (
        list(Simulation(read_scenario(HEAD.format(seconds=5, wire="dsx", **STEADY) + said)).errors())
        for said in (text, "")
    )

    clocks = {error["id"]: error for error in off if "offset_ms" in error}
    assert clocks["GW-P01A"] == {"id": "GW-P01A", "offset_ms": 7.0, "drift_ppm": pytest.approx(3.0)}
    assert len(clocks) == 6
    own = {error["gain"] for error in off if error["id"] == "P01A-BUS-A" and error["gain"] != 1}
    points = {str(error["point"]) for error in off if error["id"] == "P01A-BUS-A"}
    assert any("energy/import" in point for point in points)
    assert len([gain for gain in own if abs(float(gain) - 1) > 0.001]) >= 1
    assert not any("offset_ms" in error for error in exact)
    assert not any("/ActivePower/" in f"/{error.get('point')}/" for error in exact)


def test_the_docs_say_what_can_be_said() -> None:
    """The example of the docs can be read, and each key is in its table."""
    page = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text(encoding="utf-8")
    example = page.partition("```toml\n")[2].partition("```")[0]

    metering = read_scenario(HEAD.format(seconds=5, wire="dsx", **STEADY) + example).metering

    assert metering.samples
    assert set(metering.instruments) == {"RackLiquidSupplyTemperature", "RackLiquidReturnTemperature"}
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    for table, name in (
        (MeteringTable, "[metering]"),
        (InstrumentTable, "[[instrument]]"),
        (ClockTable, "[[clock]]"),
    ):
        for key in table.model_fields:
            assert any(f"`{key}`" in row and f"`{name}`" in row for row in rows), (name, key)
