"""Recorded loads: read as their publishers wrote them, gaps and errors of meters and all."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from simulators.model.jobs import Recorded
from simulators.model.layouts import Shape
from simulators.model.traces import (
    Trace,
    TraceError,
    building_trace,
    gpu_trace,
    node_trace,
    server_trace,
    trace_of,
)
from testing.simulators.model_plants import run, wired

DATA = Path(__file__).parents[4] / "shared" / "data"


def lines_of(path: str) -> list[str]:
    """Return the lines of a recording, or skip where it is not there."""
    file = DATA / path
    if not file.exists():
        pytest.skip(f"needs the recording {path} in shared/data")
    return gzip.decompress(file.read_bytes()).decode().splitlines()


def test_a_trace_goes_in_straight_lines_and_begins_anew() -> None:
    """Half-way between two values is their mean; past the end is the beginning."""
    trace = Trace("t", 10.0, np.array([[0.0, 1.0], [0.5, 0.0]]))

    assert trace.at(5).tolist() == [0.25, 0.5]
    assert trace.at(15).tolist() == [0.25, 0.5]
    assert trace.at(20).tolist() == trace.at(0).tolist() == [0.0, 1.0]
    assert trace.seconds == 20


def test_gaps_are_filled_and_empty_columns_left_out() -> None:
    """A straight line between what was read; a column with one value is none."""
    values = np.array([[1.0, np.nan], [np.nan, 7.0], [3.0, np.nan]])

    assert trace_of("t", 1.0, values).shares.ravel().tolist() == pytest.approx([1 / 3, 2 / 3, 1])


@pytest.mark.parametrize(
    ("step_s", "shares"),
    [(0.0, [[1.0]]), (1.0, []), (1.0, [[]]), (1.0, [[1.1]]), (1.0, [[-0.1]]), (1.0, [[np.nan]])],
)
def test_a_trace_of_nothing_or_of_no_shares_is_refused(step_s: float, shares: list[list[float]]) -> None:
    """It says what was expected."""
    with pytest.raises(TraceError, match="expected"):
        Trace("t", step_s, np.array(shares))


def test_a_building_s_zeros_and_spikes_are_gaps() -> None:
    """0 means no reading, ten times the mean an error of the meter."""
    lines = ["datetime,equipment load [kWh]"]
    lines += [f"2021-01-01 0{i}:00:00,{kwh}" for i, kwh in enumerate([400, 0, 800, 9_843, 800])]

    assert building_trace("b", lines).shares.ravel().tolist() == pytest.approx([0.5, 0.75, 1, 1, 1])


def test_missing_hours_of_a_server_are_gaps() -> None:
    """The hour that spring takes away is between its neighbours."""
    lines = ["name,timestamp,powerave", "g,2024-03-10 01:00:00.000,100", "g,2024-03-10 03:00:00.000,200"]

    assert gpu_trace("g", lines).shares.ravel().tolist() == [0.5, 0.75, 1.0]


def test_nodes_make_racks_and_silent_ones_are_left_out() -> None:
    """Two nodes a rack; a node without a reading does not count as zero watts."""
    lines = ["node,day,total_power_mean", "0,d1,100", "1,d1,300", "2,d1,200", "0,d2,", "1,d2,", "2,d2,100"]
    lines += ["0,d3,200", "1,d3,200", "2,d3,200"]
    trace = node_trace("n", lines, nodes_per_rack=2)

    assert trace.shares.tolist() == [[1.0, 0.5], [1.0, 0.25], [1.0, 0.5]]
    assert trace.step_s == 86_400


def test_only_whole_servers_count() -> None:
    """Sensors of an enclosure come once for each server in it, and would be added up."""
    lines = ["host,timestamp_utc,sensor,value,unit,status"]
    lines += [
        f"h{host},2025-06-03 00:0{minute}:01 UTC,{sensor},{value},Watts,ok"
        for minute in (0, 1)
        for host in (1, 2)
        for sensor, value in (("Sys Power", 100 * host), ("Chassis Power", 25_550))
    ]

    assert server_trace("s", lines).shares.tolist() == [[0.5, 1.0], [0.5, 1.0]]


@pytest.mark.parametrize(
    ("read", "lines"),
    [
        (building_trace, ["head", "only"]),
        (building_trace, ["head"]),
        (gpu_trace, ["head", "g,not a time,5"]),
        (gpu_trace, ["head"]),
        (node_trace, ["head"]),
        (node_trace, ["head", "x,d1,5"]),
        (server_trace, ["head", "h,2025-06-03 00:00:01 UTC,Other,5"]),
        (server_trace, ["head", "h,yesterday,Sys Power,5"]),
    ],
)
def test_what_is_no_such_recording_is_refused(read: object, lines: list[str]) -> None:
    """It says what was expected, whatever is wrong."""
    with pytest.raises(TraceError, match="expected"):
        read("t", lines)  # type: ignore[operator]  # one of the four readers


def test_real_recordings_make_real_loads() -> None:
    """A building, a GPU server, a cluster of 49 racks and some servers, each as a load of six racks."""
    traces = [
        building_trace("building", lines_of("cambridge-building-meters/b59_2021.csv.gz")),
        gpu_trace("gpu", lines_of("biohpc-gpu-hourly/cbsugpu09.csv.gz")),
        node_trace("nodes", lines_of("m100-node-power/node_day_2020-11.csv.gz")),
        server_trace("servers", lines_of("harvard-ipmi/day_2025-06-03_00-04h.csv.gz")[:20_000]),
    ]
    wiring = wired(Shape(racks=6, leases=()))

    assert [trace.step_s for trace in traces] == [3_600, 3_600, 86_400, 60]
    assert traces[2].shares.shape[1] in range(45, 51)
    for trace in traces:
        job = Recorded(name=trace.name, racks=wiring.racks, trace=trace, speed=trace.step_s)
        powers = [int(state.rack_milliwatts.sum()) for state in run(wiring, [job], seconds=20)]
        assert 0 < min(powers) < max(powers) <= 792_000_000
