"""Faults of the reference month, each by itself through the whole monitor: one page carries the rest."""

from __future__ import annotations

from typing import Final

import pytest

from testing.month.account import telling
from testing.month.faults import FAULTS
from testing.month.live import live_through

QUIET_S: Final = 1_200
"""How long all is well before the fault [s]."""
CAUSES: Final = {
    "the chillers stop: coolant too warm": ({"T17 hall"}, {"T5": 2, "T6": 10}),
    "a coolant pump stops; the other takes over after twelve seconds": ({"T18 P01A-CDU"}, {"T7": 5}),
    "a coolant loop nearly closed": ({"T14 P01B-CDU"}, {"T8": 4, "T9": 4}),
    "a gateway's clock 45 s ahead": ({"Q6 bus:PUB:GW-P01A"}, {"Q2": 1, "Q5": 5}),
    "the broker gone for two minutes, its sessions forgotten": ({"Q3 broker bus"}, {"Q1": 10, "Q2": 2}),
    "the connection lost for a minute": ({"Q3 broker bus"}, {"Q1": 10, "Q2": 2}),
    "both feeds of a rack lost": (
        {"E4 P01B-02-TAP-A", "E4 P01B-02-TAP-B"},
        {"E8": 2, "E17": 1},
    ),
}
"""What is told of each fault, and how many alarms of each rule it hides."""
BESIDE: Final = {"C10", "C2-cannot-verify"}
"""What is told whatever the cause: dates of contracts, and that readings for a contract are missing."""


@pytest.mark.parametrize("what", CAUSES)
def test_a_fault_is_told_once(what: str) -> None:
    """By what caused it, as grave as the gravest that it hides; all else stands beside it, and is over."""
    fault = next(each for each in FAULTS if each.what == what)
    begins_s = (fault.at_s - QUIET_S) // 100 * 100

    lived = live_through([fault], fault.ends_s + fault.settles_s + 600, begins_s=begins_s)

    told, hidden = CAUSES[what]
    alarms = [alarm for alarm in lived.alarms if alarm.rule not in BESIDE]
    causes = [alarm for alarm in alarms if alarm.told_ms is not None]
    rest = [alarm for alarm in alarms if alarm.told_ms is None]
    assert {f"{alarm.rule} {alarm.subject}" for alarm in causes} == told
    assert len(causes) == len(told)
    assert {telling(alarm, lived) for alarm in rest} == {"suppressed"}
    assert {rule: sum(alarm.rule == rule for alarm in rest) for rule in {a.rule for a in rest}} == hidden
    assert max(alarm.severity for alarm in causes) >= max(alarm.severity for alarm in rest)
    assert all(alarm.returned_ms is not None for alarm in alarms)
