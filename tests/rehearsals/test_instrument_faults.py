"""Instruments that are stuck and registers that fall are told of, and only they."""

from __future__ import annotations

from typing import Final

from simulators.scenario.file import read_scenario
from testing.rehearsal.perform import perform
from tests.rehearsals.performances import TICK_MS

PLANT: Final = """
proves = "What becomes of instruments."
begin = 2026-06-01T12:00:00Z
seconds = {seconds}

[layout]
racks = 12
racks_per_row = 6

[[lease]]
id = "acme"
racks = 12
contract = '''
from = 2026-01-01
committed_mw = 1.500
'''

[[load]]
name = "training"
kind = "training"
racks = "acme"
"""
FAULT: Final = """
[[fault]]
kind = "{kind}"
from_s = {from_s}
to_s = {to_s}
scope = "{scope}"
"""


def told(text: str, rule: str) -> set[tuple[str, str]]:
    """Return what a rule told of a plant: subject and severity."""
    performed = perform(read_scenario(text, "faults"), equipment=None, tick_ms=TICK_MS, gather_ms=TICK_MS)
    return {(alarm.subject, alarm.severity.word) for alarm in performed.heard.alarms if alarm.rule == rule}


def test_a_frozen_meter_is_stuck() -> None:
    """The others of its tenant move; it does not, and only it is told of."""
    text = PLANT.format(seconds=420) + FAULT.format(kind="freeze", from_s=30, to_s=420, scope="P01A-02")

    assert told(text, "Q4") == {("P01A-02", "low")}


def test_registers_that_fall_are_told() -> None:
    """A reset and a roll-over are low, another meter is medium; those of the other meters only rise."""
    text = PLANT.format(seconds=300)
    for kind, scope in (
        ("register-reset", "P01A-BUS-A"),
        ("register-rollover", "P01A-BUS-B"),
        ("device-swap", "P01B-BUS-A"),
    ):
        text += FAULT.format(kind=kind, from_s=20, to_s=320, scope=scope)

    assert told(text, "Q7") == {
        ("P01A-BUS-A/Energy/Import", "low"),
        ("P01A-BUS-B/Energy/Import", "low"),
        ("P01B-BUS-A/Energy/Import", "medium"),
    }
