"""Faults of who a value is from, what it is of, and when: each touches its own, in its window only."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from formats.dsx import parse_topic
from simulators.scenario.scenario import FaultKind
from simulators.wire.identityfaults import FOREIGNER, RETAGGED, SECOND
from simulators.wire.wirefaults import SAME_TIME_MS
from testing.simulators.simulated import BEGIN_MS, a_fault, a_scenario, lines, run
from tests.unit.simulators.faultplay import RACK, ROW, WINDOW, Line, Played, body_of, of_power, of_rack, play

POWER = "/Rack/RackPower/"
START_MS = BEGIN_MS + WINDOW[0] * 1_000
END_MS = BEGIN_MS + WINDOW[1] * 1_000


def of_metadata(topic: str) -> bool:
    """Tell whether a topic describes the struck rack's power."""
    return of_rack(topic) and f"/Metadata{POWER}" in topic


def described(played: Played) -> list[Line]:
    """Return what describes the struck rack's power from the fault's beginning on."""
    return [x for x in played.said if of_metadata(x[0]) and x[2] >= START_MS]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (FaultKind.METADATA_CLEARED, None),
        (FaultKind.METADATA_UNIT, {"engUnit": "W"}),
        (FaultKind.METADATA_ASSET, {"rackLocationId": "P01A-03", "rackLocationName": "P01A-03"}),
    ],
)
def test_metadata_say_something_else_until_the_window_ends(
    kind: FaultKind, said: dict[str, str] | None
) -> None:
    """Retained, at once, and put right at the end; values go on as they were."""
    played = play(a_fault(kind, RACK, point_type="RackPower"), is_touched=of_metadata)
    (usual,) = {x[1] for x in played.clean if of_metadata(x[0])}

    first, *_, last = described(played)

    assert (first[2], first[3]) == (START_MS, True)
    assert first[1] == (
        b"" if said is None else json.dumps(json.loads(usual) | said, separators=(",", ":")).encode()
    )
    assert (last[1], last[2], last[3]) == (usual, END_MS, True)
    assert played.account.added == 2


def test_a_rack_is_tagged_anew() -> None:
    """Values come under another path, which is described, and no more under the first."""
    played = play(
        a_fault(FaultKind.RETAGGED, RACK, point_type="RackPower"),
        is_touched=lambda topic: of_rack(topic) and POWER in topic,
    )
    usual = [x for x in played.of(played.clean, POWER) if of_power(x[0])]
    moved = [x for x in played.of(played.said, f"/Value{POWER}") if x[0].endswith(RETAGGED)]

    assert [(x[0] + RETAGGED, *x[1:]) for x in usual] == moved
    assert not [x for x in played.of(played.said, POWER) if of_power(x[0]) and not x[0].endswith(RETAGGED)]
    (birth,) = [x for x in played.said if x[0].endswith(RETAGGED) and "/Metadata/" in x[0]]
    assert (birth[2], body_of(birth)["rackLocationId"]) == (START_MS, RACK)


def test_a_second_source_says_something_else() -> None:
    """Each value comes once more, under another path and multiplied."""
    played = play(
        a_fault(FaultKind.SECOND_SOURCE, RACK, point_type="RackPower", strength=0.25),
        is_touched=lambda topic: topic.endswith(SECOND),
    )
    usual = [x for x in played.of(played.said, POWER) if of_power(x[0]) and not x[0].endswith(SECOND)]
    other = [x for x in played.of(played.said, f"/Value{POWER}") if x[0].endswith(SECOND)]

    assert [body_of(x)["value"] * 0.25 for x in usual] == [body_of(x)["value"] for x in other]
    assert [x[2] for x in usual] == [x[2] for x in other]


def test_a_foreign_publisher_describes_a_meter_and_speaks() -> None:
    """Under its own name, once a second, of the scope's racks."""
    played = play(
        a_fault(FaultKind.FOREIGN_PUBLISHER, *ROW, strength=-500),
        is_touched=lambda topic: f"/{FOREIGNER}/" in topic,
    )
    topics = [(parse_topic(x[0]), x) for x in played.said if f"/{FOREIGNER}/" in x[0]]
    (birth,) = [x for topic, x in topics if topic is not None and topic.type == "Metadata"]
    values = [body_of(x)["value"] for topic, x in topics if topic is not None and topic.type == "Value"]

    assert body_of(birth)["servesId"] == list(ROW)
    assert body_of(birth)["integration"] == FOREIGNER
    assert values == [-500.0] * (WINDOW[1] - WINDOW[0])


def test_everything_comes_late_with_its_right_stamp() -> None:
    """Nothing of the payload changes; it is sent so many seconds later."""
    played = play(a_fault(FaultKind.LATE, RACK, strength=7), is_touched=of_rack)
    usual = [x for x in played.of(played.clean, "/Value/") if of_rack(x[0])]

    late = Counter((x[0], x[1], x[2] + 7_000) for x in usual)

    assert late <= Counter((x[0], x[1], x[2]) for x in played.said)


@pytest.mark.parametrize("wire", ["dsx", "rack-documents"])
def test_equal_times_say_different_values(wire: str) -> None:
    """Each value of the window has a twin of the same stamp and half the value."""
    fault = a_fault(FaultKind.SAME_TIME, RACK, strength=0.5)
    simulation, seconds = run(a_scenario(wire=wire, faults=(fault,)))
    said = [x for second in seconds for x in lines(second.rows, simulation.topics)]
    key, stamp = ("value", "timestamp") if wire == "dsx" else ("power_kw", "time")
    mine = [
        (x[0], x[2], body_of(x)[stamp], body_of(x)[key])
        for x in said
        if RACK in x[0] and (wire != "dsx" or of_power(x[0])) and START_MS <= x[2] < END_MS
    ]

    pairs = [(a, b) for a in mine for b in mine if b[1] - a[1] == SAME_TIME_MS]

    assert len(pairs) * 2 == len(mine) > 0
    assert all((a[0], a[2], a[3] * 0.5) == (b[0], b[2], b[3]) for a, b in pairs)


@pytest.mark.parametrize("kind", [FaultKind.METADATA_CLEARED, FaultKind.RETAGGED])
def test_documents_have_no_metadata_to_change(kind: FaultKind) -> None:
    """What rests on metadata needs a bus that has some."""
    with pytest.raises(ValueError, match="expected a DSX bus, found rack documents"):
        run(a_scenario(wire="rack-documents", faults=(a_fault(kind, RACK),)))
