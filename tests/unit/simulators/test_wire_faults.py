"""Each fault of the wire does what it says, to its scope and in its window only, and keeps account of it.

Every test runs the same scenario without and with the fault. What is not in the fault's scope, or not in its
window, has to be the same to the byte.
"""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from simulators.scenario.scenario import FaultKind
from simulators.wire.faults import FAULTS
from simulators.wire.wirefaults import RENAMED
from testing.simulators.simulated import BEGIN_MS, a_fault, lines, run, with_faults
from tests.unit.simulators.faultplay import (
    GATEWAY,
    RACK,
    ROW,
    WINDOW,
    Line,
    body_of,
    of_power,
    of_rack,
    of_row,
    play,
    scenario_of,
)


def test_every_kind_is_known() -> None:
    """No kind of a scenario is without a description, and none is made up."""
    assert set(FAULTS) == set(FaultKind)


def test_silent() -> None:
    """Nothing of the row is published, heartbeat and metadata included; all of it is accounted for."""
    played = play(a_fault(FaultKind.SILENT, GATEWAY), is_touched=of_row)
    silenced = [line for line in played.of(played.clean, "") if of_row(line[0])]
    assert [line for line in played.of(played.said, "") if of_row(line[0])] == []
    assert sorted(silenced) == sorted(played.withheld)
    assert any("Heartbeat" in line[0] for line in silenced)
    assert any("Metadata" in line[0] for line in silenced)


def test_silent_half_of_a_row_leaves_the_heartbeat() -> None:
    """Half of an aisle falls silent, and its gateway lives."""
    half = ROW[:2]
    played = play(
        a_fault(FaultKind.SILENT, *half), is_touched=lambda topic: any(f"/{r}/" in topic for r in half)
    )
    assert all(played.of(played.said, f"/{rack}/") == [] for rack in half)
    assert played.of(played.said, f"{GATEWAY}/heartbeat")


def test_mute() -> None:
    """No value comes, and the heartbeat and the metadata do."""
    played = play(
        a_fault(FaultKind.MUTE, GATEWAY),
        is_touched=lambda t: of_row(t) and "/Value/" in t and "Heartbeat" not in t,
    )
    row = [line for line in played.of(played.said, "") if of_row(line[0])]
    assert {("Metadata" if "/Metadata/" in x[0] else x[0].rpartition("/")[2]) for x in row} == {
        "Metadata",
        "heartbeat",
    }


def test_drop() -> None:
    """About the share is lost, and what is left is as it was."""
    played = play(a_fault(FaultKind.DROP, RACK, strength=0.4), is_touched=of_rack)
    before, after = (
        played.of(played.clean, f"Value/Rack/RackLiquidFlow/titan/P01A/{RACK}"),
        played.of(played.said, f"Value/Rack/RackLiquidFlow/titan/P01A/{RACK}"),
    )
    assert set(after) < set(before)
    values = [line for line in played.of(played.clean, "/Value/") if of_rack(line[0])]
    assert 0.25 < len(played.withheld) / len(values) < 0.55


def test_duplicate() -> None:
    """A share comes twice, byte for byte, a little later."""
    played = play(a_fault(FaultKind.DUPLICATE, RACK, strength=0.5), is_touched=of_rack)
    extra = Counter((x[0], x[1]) for x in played.said) - Counter((x[0], x[1]) for x in played.clean)
    assert sum(extra.values()) == played.account.added > 0
    assert set(extra) <= {(x[0], x[1]) for x in played.clean}


def test_reorder() -> None:
    """Every message comes, some late by up to the strength, and later ones overtake them."""
    played = play(a_fault(FaultKind.REORDER, RACK, strength=3.0), is_touched=of_rack)
    assert Counter(x[:2] for x in played.said) == Counter(x[:2] for x in played.clean)
    at = {x[:2]: x[2] for x in played.clean}
    delays = [x[2] - at[x[:2]] for x in played.said if of_rack(x[0])]
    assert max(delays) <= 3_000
    assert sum(delay > 0 for delay in delays) > 5
    stamps = [
        body_of(x)["timestamp"]
        for x in played.said
        if f"RackLiquidFlow/titan/P01A/{RACK}" in x[0] and "/Value/" in x[0]
    ]
    assert stamps != sorted(stamps)
    assert [x[2] for x in played.said] == sorted(x[2] for x in played.said)


def test_late_batch() -> None:
    """Nothing comes in the window, and all of it at once when it ends, in its order and with its stamps."""
    played = play(a_fault(FaultKind.LATE_BATCH, RACK), is_touched=of_rack)
    assert [x for x in played.of(played.said, "/Value/") if of_rack(x[0])] == []
    late = [
        x for x in played.said if x[2] == BEGIN_MS + WINDOW[1] * 1_000 and "/Value/" in x[0] and of_rack(x[0])
    ]
    expected = [x for x in played.of(played.clean, "/Value/") if of_rack(x[0])]
    assert [x[:2] for x in late] == [x[:2] for x in expected]


def test_topic_rename() -> None:
    """Values come on a topic that no metadata describe, and no more on their own."""
    played = play(
        a_fault(FaultKind.TOPIC_RENAME, RACK),
        is_touched=lambda t: of_rack(t) and "/Value/" in t,
    )
    before = [x for x in played.of(played.clean, "/Value/") if of_rack(x[0])]
    after = [x for x in played.of(played.said, "/Value/") if of_rack(x[0])]
    assert [(x[0] + RENAMED, *x[1:]) for x in before] == after
    assert not any(RENAMED in x[0] for x in played.said if "/Metadata/" in x[0])


def test_life_without_data() -> None:
    """Metadata and a heartbeat, then nothing, then the last will: a heartbeat without a value."""
    played = play(a_fault(FaultKind.LIFE_WITHOUT_DATA, GATEWAY), is_touched=of_row)
    row = [x for x in played.of(played.said, "") if of_row(x[0])]
    first = BEGIN_MS + WINDOW[0] * 1_000
    values = [x for x in row if "/Value/" in x[0]]
    assert [(x[0].rpartition("/")[2], x[2]) for x in values] == [("heartbeat", first)]
    described = {x[0] for x in row if "/Metadata/" in x[0] and x[2] == first}
    assert len(described) >= played.account.points
    will = [x for x in played.said if x[2] == BEGIN_MS + WINDOW[1] * 1_000 and x[0].endswith("/heartbeat")]
    doubted = [body_of(x) for x in will if f"{GATEWAY}/" in x[0]]
    assert {"value": None, "timestamp": BEGIN_MS + WINDOW[1] * 1_000, "quality": 0} in doubted


def test_retained_stale() -> None:
    """An old value comes again with the retained flag and its old stamp; nothing else changes."""
    played = play(a_fault(FaultKind.RETAINED_STALE, RACK, strength=600.0), is_touched=of_rack)
    extra = Counter(played.said) - Counter(played.clean)
    assert Counter(played.clean) - Counter(played.said) == Counter()
    assert sum(extra.values()) == played.account.added == played.account.points
    assert all(retained for *_, retained in extra)
    assert {body_of(x)["timestamp"] for x in extra} == {BEGIN_MS + WINDOW[0] * 1_000 - 600_000}


def test_unborn() -> None:
    """Metadata never come, and values do."""
    played = play(
        a_fault(FaultKind.UNBORN, RACK, window=(0, 30)),
        is_touched=lambda t: of_rack(t) and "/Metadata/" in t,
    )
    assert not any("/Metadata/" in x[0] and of_rack(x[0]) for x in played.said)
    assert any("/Value/" in x[0] and of_rack(x[0]) for x in played.said)


def test_burst() -> None:
    """Every value of a second comes ten times, each with a stamp of its own."""
    played = play(
        a_fault(FaultKind.BURST, GATEWAY, window=(7, 8), strength=10.0),
        is_touched=lambda t: of_row(t) and "/Value/" in t and "Heartbeat" not in t,
    )
    begin = BEGIN_MS + 7_000

    def said(found: list[Line]) -> dict[str, list[int]]:
        stamps = defaultdict(list)
        for x in found:
            if "/Value/" in x[0] and of_row(x[0]) and "heartbeat" not in x[0]:
                stamp = body_of(x)["timestamp"]
                if begin <= stamp < begin + 2_000:
                    stamps[x[0]].append(stamp)
        return stamps

    before, after = said(played.clean), said(played.said)
    once = [topic for topic, stamps in before.items() if min(stamps) < begin + 1_000]
    assert played.account.added == 9 * sum(1 for topic in once)
    assert all(len(after[topic]) == len(before[topic]) + 9 for topic in once)
    assert all(len(set(after[topic])) == len(after[topic]) for topic in once[:1])


def test_faults_combine_and_keep_their_own_account() -> None:
    """Two faults on one rack do both, and each counts its own."""
    specs = (
        a_fault(FaultKind.WRONG_UNIT, RACK, point_type="RackPower"),
        a_fault(FaultKind.BAD_QUALITY, RACK, point_type="RackPower"),
    )
    simulation, seconds = run(with_faults(scenario_of(), *specs))
    said = [x for s in seconds for x in lines(s.rows, simulation.topics) if of_power(x[0])]
    inside = [x for x in said if BEGIN_MS + 5_000 <= x[2] < BEGIN_MS + 20_000]
    assert inside
    assert all(body_of(x)["value"] > 10_000 and body_of(x)["quality"] == 0 for x in inside)
    assert [account.touched for account in simulation.accounts] == [len(inside), len(inside)]
    bits = {int(b) for s in seconds for b in s.rows.faults.tolist()}
    assert bits == {0, 3}


def test_a_scope_that_is_not_there_is_refused() -> None:
    """A fault of nothing is a mistake."""
    with pytest.raises(ValueError, match="expected a scope with points, found none in nobody"):
        run(with_faults(scenario_of(), a_fault(FaultKind.SILENT, "nobody")))
