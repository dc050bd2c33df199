"""Every scenario that comes with the product raises what its file says: no more, no less."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rules.library.data.q1_rack_silent import NOBODYS
from rules.library.data.q3_common_silence import NEVER_HEARD
from simulators.scenario.expected import TOGETHER
from simulators.scenario.file import open_scenario, shipped
from testing.rehearsal.perform import LEAN, differences, perform
from tests.rehearsals.performances import KNOWN, TICK_MS, name_of, performed

LETTERS = [
    pytest.param(letter, marks=pytest.mark.xdist_group(name_of(letter))) for letter in "abcdefghijklmno"
]
"""Each in a group of its own: where several workers share the tests, one of them performs it, once."""


@pytest.mark.parametrize("letter", LETTERS)
def test_a_scenario_raises_what_its_file_says(letter: str) -> None:
    """Through decoder and engine in virtual time, every alarm of the file comes in time, and no other."""
    found = performed(letter)

    wrong, scenario = differences(found), found.scenario
    assert not wrong, f"{scenario.name}: {scenario.proves}\n" + "\n".join(wrong)


@pytest.mark.parametrize("tick_ms", [None, TICK_MS])
def test_the_demo_raises_what_its_file_says(tick_ms: int | None) -> None:
    """With all of its equipment on the bus and as often as the running monitor judges; and once a second."""
    scenario = open_scenario("demo_minute", rules=KNOWN)
    equipment = None if tick_ms is None else LEAN

    wrong = differences(perform(scenario, equipment=equipment, tick_ms=tick_ms))

    assert not wrong, "\n".join(wrong)


@pytest.mark.soak
def test_a_day_raises_what_its_file_says() -> None:
    """Twenty-four hours of a hall, second by second."""
    scenario = open_scenario("day", rules=KNOWN)

    wrong = differences(perform(scenario, tick_ms=TICK_MS, gather_ms=TICK_MS))

    assert not wrong, "\n".join(wrong)


def test_every_scenario_is_held_to_something() -> None:
    """A file that expects nothing says that nothing must be raised, and why."""
    for name in shipped():
        scenario = open_scenario(name, rules=KNOWN)
        assert scenario.must or scenario.must_not, name


def test_what_was_received_is_all_accounted_for() -> None:
    """Received is stored, dead-lettered, repeated or waiting, to the last reading."""
    found = performed("k")

    assert found.heard.received == sum(found.heard.account.values()) > 0


@pytest.mark.parametrize("name", shipped())
def test_each_rule_is_either_there_or_waited_for(name: str) -> None:
    """No file waits for a rule that there is, and none expects one that there is not."""
    scenario = open_scenario(name, rules=KNOWN)

    assert {expected.rule for expected in scenario.must} <= set(KNOWN)
    assert not {waiting.rule for waiting in scenario.waits_for} & set(KNOWN)


def test_a_file_calls_many_racks_as_the_rules_do() -> None:
    """The simulator knows no rule, and yet the words for those that are told together."""
    assert {NOBODYS, NEVER_HEARD} == TOGETHER


def test_an_alarm_that_nobody_expects_is_told() -> None:
    """The comparison fails where an expectation is taken away."""
    found = performed("o")
    fewer = replace(found, scenario=replace(found.scenario, must=()))

    wrong = differences(fewer)

    assert len(wrong) == len(found.scenario.must)
    assert all(text.startswith("not expected: ") for text in wrong)
