"""Recorded loads, power smoothing, racks and trip curves, as a scenario file says them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facility.errors import SiteFileError
from simulators.model.jobs import Recorded, Smoothing, Training
from simulators.model.ratings import Curve, RackRating
from simulators.model.traces import TraceError, plain_trace
from simulators.run import Simulation, wiring_of
from simulators.scenario.file import open_scenario, read_scenario
from simulators.scenario.scenario import Scenario

HEAD = """
proves = "What a plant is like."
begin = 2026-06-01T12:00:00Z
seconds = 60

[layout]
racks = 6
racks_per_row = 6
"""
RECORDED = """
[[load]]
name = "shape"
kind = "recorded"
racks = "P01A-0[1-4]"
trace = "shape.csv"
level = 0.8
speed = 2
offset_s = 10
"""
SHAPE = "seconds,one,two\n0,50,100\n10,100,100\n20,0,100\n30,,100\n"


def opened(folder: Path, text: str, shape: str = SHAPE) -> Scenario:
    """Return a scenario that is read from a file, with a recording beside it."""
    (folder / "shape.csv").write_text(shape)
    (folder / "own.toml").write_text(HEAD + text)
    return open_scenario(str(folder / "own.toml"))


def faults_of(text: str) -> list[str]:
    """Return every fault of a scenario."""
    with pytest.raises(SiteFileError) as caught:
        read_scenario(HEAD + text)
    return [str(fault) for fault in caught.value.faults]


def test_a_recording_stands_in_place_of_a_model(tmp_path: Path) -> None:
    """Racks take its columns in turn, at its speed and from where it is asked to begin."""
    scenario = opened(tmp_path, RECORDED)

    (job,) = scenario.jobs
    assert isinstance(job, Recorded)
    assert (job.level, job.speed, job.offset_s, job.trace.step_s) == (0.8, 2, 10, 10)
    powers = np.stack([second.state.wanted_milliwatts for second in Simulation(scenario).seconds()]) / 132e6
    assert powers[0, [0, 2]] == pytest.approx([0.8, 0.8], abs=0.02)
    assert powers[:20, [1, 3]] == pytest.approx(np.full((20, 2), 0.8), abs=0.02)
    assert powers[5, 0] < 0.05  # ten of its seconds later, where it was 0
    assert (powers[:, 4:] < 0.2).all()


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ("", "at least two values, found none"),
        ("s,v\n0,1\n", "at least two values, found none"),
        ("s,v\n0,1\n5,1\n11,1\n", "line 4: expected a step of 5 s after 5 as before, found 11"),
        ("s,v\n5,1\n0,1\n", "line 3: expected rising seconds, found 0"),
        ("s,v\n0,x\n5,y\n", "at least two values, found none"),
        ("s,v\n0\n", "line 2: expected 2 columns or more, found 1"),
        ("s,v\nzero,1\none,2\n", "line 3: expected rising seconds, found nan"),
    ],
)
def test_a_recording_that_is_none_is_refused(shape: str, told: str, tmp_path: Path) -> None:
    """In the file's own lines, at the place of the load."""
    with pytest.raises(TraceError, match="expected"):
        plain_trace("shape", shape.splitlines())
    with pytest.raises(SiteFileError) as caught:
        opened(tmp_path, RECORDED, shape)

    (fault,) = caught.value.faults
    assert str(fault).startswith("load[0].trace: expected a recording of format 'plain', found ")
    assert told in str(fault)


def test_a_recording_that_is_not_there_is_told() -> None:
    """With its name; and none at all is told as well."""
    assert faults_of(RECORDED) == [
        "load[0].trace: expected a file that can be read, found 'shape.csv': No such file or directory"
    ]
    assert faults_of(RECORDED.replace('trace = "shape.csv"\n', "")) == [
        "load[0].trace: expected the file of a recorded load, found nothing"
    ]
    other = RECORDED.replace('"recorded"', '"storage"').replace("speed = 2\noffset_s = 10\n", "")
    assert faults_of(other) == [
        "load[0].trace: expected a file only for a recorded load, found kind 'storage'"
    ]
    assert "did you mean 'server'?" in faults_of(RECORDED + 'format = "servers"\n')[0]


def test_servers_may_smooth_their_power() -> None:
    """A training job with a floor and ramps never falls below the floor, and rises as it may."""
    text = (
        '[[load]]\nname = "job"\nkind = "training"\nracks = "P01A-*"\nlevel = 0.95\ndip = 0.9\nfrom_s = 5\n'
    )
    smooth = text + "smoothing = { floor = 0.8, up_kw_per_s = 10 }\n"
    scenario = read_scenario(HEAD + smooth)

    (job,) = scenario.jobs
    assert isinstance(job, Training)
    assert job.smoothing == Smoothing(floor=0.8, up_kw_per_s=10.0, down_kw_per_s=20.0)
    powers = np.stack([second.state.rack_milliwatts for second in Simulation(scenario).seconds()]) / 1e6
    assert (np.diff(powers, axis=0) <= 10.0 + 1e-6).all()
    assert (powers[30:] >= 105.6).all()
    assert faults_of(smooth.replace("floor = 0.8", "flor = 0.8"))[0].startswith("load[0].smoothing.flor: ")
    assert (
        "load[0].smoothing"
        in faults_of(smooth.replace('"training"', '"inference"').replace("dip = 0.9", ""))[0]
    )


def test_racks_and_trip_curves_are_rated() -> None:
    """What racks idle at and give to the coolant, for what flow they are built, when a breaker trips."""
    text = """
[[rating]]
ids = "P01A-0[12]"
idle_percent = 30
liquid_percent = 50
lpm_per_kw = 1.2

[[rating]]
ids = "P01A-03-TAP-B"
amps = 200
walk_in_s = 5
curve = { scale_s = 5, exponent = 1.5 }
"""
    scenario = read_scenario(HEAD + text)
    wiring = wiring_of(scenario)
    state = Simulation(scenario).step().state

    rack = RackRating(idle_fraction=0.3, liquid_share=0.5, lpm_per_kw=1.2)
    assert scenario.rack_ratings == {"P01A-01": rack, "P01A-02": rack}
    assert scenario.ratings["P01A-03-TAP-B"].curve == Curve(scale_s=5.0, exponent=1.5)
    assert wiring.rack_design_lpm.tolist() == pytest.approx([158.4] * 2 + [198.0] * 4)
    assert state.rack_milliwatts[:2] / 132e6 == pytest.approx([0.3, 0.3], abs=0.01)
    assert state.rack_flow_lpm / wiring.rack_design_lpm == pytest.approx(np.ones(6), abs=0.03)
    assert wiring.sizes.trip_scale_s[wiring.node_place["P01A-03-TAP-B"]] == 5  # type: ignore[index]  # ids are strings


def test_a_pattern_chooses_among_what_can_be_meant() -> None:
    """`P01A-*` are racks where racks are asked for, and where something befalls, what it can befall."""
    text = '[[load]]\nname = "job"\nkind = "storage"\nracks = "P01A-*"\n'
    text += '[[event]]\nkind = "leak"\nat_s = 5\nsubjects = "P01A-*"\n'
    text += '[[event]]\nkind = "pump_failure"\nat_s = 5\nsubjects = "*"\n'
    text += '[[event]]\nkind = "job_move"\nat_s = 5\nsubjects = "job"\nto = "*-0?"\n'
    scenario = read_scenario(HEAD + text)

    racks = tuple(f"P01A-0{number}" for number in range(1, 7))
    assert scenario.jobs[0].racks == racks
    assert [event.subjects for event in scenario.events] == [racks, ("P01A-CDU",), ("job",)]
    assert scenario.events[2].to == racks
    other = text.replace('"P01A-*"\n[[e', '"P01A-BUS-A"\n[[e')
    assert faults_of(other)[0] == (
        "load[0].racks: expected racks, or a tenant that holds some, found 'P01A-BUS-A'"
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            'ids = "P01A-01"\namps = 10',
            "rating[0].amps: expected what a rack is rated, found 'amps' of 'P01A-01'",
        ),
        ('ids = "P01A-CDU"\nlpm_per_kw = 1', "rating[0].lpm_per_kw: expected what equipment is rated"),
        (
            'ids = "P01A-01"\nlpm_per_kw = 0',
            "rack 'P01A-01'.lpm_per_kw: expected a flow from 0.1 to 10 L/min per kW",
        ),
        ('ids = "P01A-01"\nidle_percent = 101', "rating[0].idle_percent: expected at most 100, found 101"),
        (
            'ids = "P01A-01-TAP-A"\ncurve = { exponent = -1 }',
            "plant 'P01A-01-TAP-A'.curve: expected a curve with positive times",
        ),
    ],
)
def test_what_can_not_be_rated_so_is_refused(text: str, fault: str) -> None:
    """Keys of the other kind, and what is physically impossible."""
    assert any(fault in told for told in faults_of(f"[[rating]]\n{text}\n"))
