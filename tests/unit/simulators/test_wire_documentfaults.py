"""Faults strike rack documents as they strike a bus: their rack, their window, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from simulators.run import Second, Simulation
from simulators.scenario.scenario import FaultKind, FaultSpec, Scenario
from testing.simulators.simulated import BEGIN_MS, a_fault, a_scenario, lines, run, with_faults

RACK = "P01A-02"
TOPIC = f"megawatch/v1/titan/{RACK}"
SECONDS = 25

Document = dict[str, Any]


@cache
def _scenario() -> Scenario:
    return a_scenario(seconds=SECONDS, wire="rack-documents")


@cache
def _clean() -> tuple[Simulation, list[Second]]:
    return run(_scenario())


def _play(spec: FaultSpec) -> tuple[list[tuple[Document, Document]], int]:
    """Return the documents of the struck rack without and with a fault, and how many were withheld.

    Those of the others, and of all before the window, have to be the same to the byte.
    """
    clean, without = _clean()
    simulation, seconds = run(with_faults(_scenario(), spec))
    before = [line for second in without for line in lines(second.rows, clean.topics)]
    after = [line for second in seconds for line in lines(second.rows, simulation.topics)]
    assert [x for x in before if x[0] != TOPIC] == [x for x in after if x[0] != TOPIC]
    begin = BEGIN_MS + spec.from_s * 1_000
    assert [x for x in before if x[2] < begin] == [x for x in after if x[2] < begin]
    (account,) = simulation.accounts
    withheld = sum(len(second.withheld) for second in seconds)
    assert account.withheld == withheld
    assert account.touched + account.withheld > 0
    marked = {x[1] for s in seconds for x in lines(s.rows.take(s.rows.faults != 0), simulation.topics)}
    own = [[json.loads(x[1]) for x in said if x[0] == TOPIC] for said in (before, after)]
    if not withheld and account.touched:
        assert len(marked) == spec.to_s - spec.from_s
    by_number = {body["seq"]: body for body in own[1]}
    return [(body, by_number[body["seq"]]) for body in own[0] if body["seq"] in by_number], withheld


def _only(*keys: str) -> Callable[[Document, Document], bool]:
    """Return whether two documents differ in just these keys."""
    return lambda a, b: {key for key in a if a[key] != b[key]} == set(keys)


@pytest.mark.parametrize(
    ("kind", "point_type", "strength", "is_as_said"),
    [
        (FaultKind.NULL, "power_kw", 1.0, lambda a, b: _only("power_kw")(a, b) and b["power_kw"] is None),
        (FaultKind.TEXT_NUMBER, "flow_lpm", 1.0, lambda a, b: b["flow_lpm"] == repr(a["flow_lpm"])),
        (FaultKind.WRONG_UNIT, "power_kw", 1e3, lambda a, b: b["power_kw"] == a["power_kw"] * 1e3),
        (FaultKind.SIGN_FLIP, "feed-b/kw", 1.0, lambda a, b: b["feeds"]["b"]["kw"] == -a["feeds"]["b"]["kw"]),
        (
            FaultKind.CLOCK_OFFSET,
            "",
            -30.0,
            lambda a, b: _only("time")(a, b) and b["time"] == a["time"] - 30_000,
        ),
    ],
)  # fmt: skip
def test_values_and_stamps(
    kind: FaultKind, point_type: str, strength: float, is_as_said: Callable[[Document, Document], bool]
) -> None:
    """In the window every document of the rack is wrong as it was asked; after it, none is."""
    pairs, withheld = _play(a_fault(kind, RACK, point_type=point_type, strength=strength))
    assert withheld == 0
    assert len(pairs) == SECONDS
    for number, (a, b) in enumerate(pairs):
        assert is_as_said(a, b) if 5 <= number < 20 else a == b


def test_nan_is_no_json() -> None:
    """The bare word stands where a number should."""
    simulation, seconds = run(with_faults(_scenario(), a_fault(FaultKind.NAN, RACK, point_type="inlet_c")))
    said = [x[1] for s in seconds for x in lines(s.rows, simulation.topics) if x[0] == TOPIC]
    assert [b'"inlet_c":NaN' in payload for payload in said] == [5 <= i < 20 for i in range(SECONDS)]


def test_silent() -> None:
    """No document comes in the window, and the sequence tells how many are missing."""
    pairs, withheld = _play(a_fault(FaultKind.SILENT, RACK))
    assert withheld == 15
    assert [b["seq"] for _, b in pairs] == [*range(1, 6), *range(21, 26)]


def test_register_reset() -> None:
    """Both feeds' registers start again at zero, and go on from there."""
    pairs, _ = _play(a_fault(FaultKind.REGISTER_RESET, RACK, point_type="feed-a/kwh"))
    before, after = ([body["feeds"]["a"]["kwh"] for body in bodies] for bodies in zip(*pairs, strict=True))
    assert after[:5] == before[:5]
    assert after[5] < 0.3 < before[5]
    assert after == [*after[:5], *sorted(after[5:])]
    assert all(a["feeds"]["b"] == b["feeds"]["b"] for a, b in pairs)


@pytest.mark.parametrize("kind", [FaultKind.UNBORN, FaultKind.RETAINED_STALE, FaultKind.LIFE_WITHOUT_DATA])
def test_faults_of_metadata_need_a_bus(kind: FaultKind) -> None:
    """Documents have no metadata to be late, and no heartbeat."""
    with pytest.raises(ValueError, match="expected a DSX bus, found rack documents"):
        Simulation(with_faults(_scenario(), a_fault(kind, RACK)))
