"""Every scenario that comes with the product raises what its file says: no more, no less."""

from __future__ import annotations

from dataclasses import replace

import pytest

from megawatch.perform import differences
from simulators.scenario.file import open_scenario
from tests.rehearsals.performances import KNOWN, name_of, performed

LETTERS = "abcdefghijklmno"


@pytest.mark.parametrize("letter", list(LETTERS))
def test_a_scenario_raises_what_its_file_says(letter: str) -> None:
    """Through decoder and engine in virtual time, every alarm of the file comes in time, and no other."""
    found = performed(letter)

    wrong, scenario = differences(found), found.scenario
    assert not wrong, f"{scenario.name}: {scenario.proves}\n" + "\n".join(wrong)


def test_what_was_received_is_all_accounted_for() -> None:
    """Received is stored, dead-lettered, repeated or waiting, to the last reading."""
    found = performed("k")

    assert found.heard.received == sum(found.heard.account.values()) > 0


@pytest.mark.parametrize("letter", list(LETTERS))
def test_each_rule_is_either_there_or_waited_for(letter: str) -> None:
    """No file waits for a rule that there is, and none expects one that there is not."""
    scenario = open_scenario(name_of(letter), rules=KNOWN)

    assert {expected.rule for expected in scenario.must} <= set(KNOWN)
    assert not {waiting.rule for waiting in scenario.waits_for} & set(KNOWN)


def test_an_alarm_that_nobody_expects_is_told() -> None:
    """The comparison fails where an expectation is taken away."""
    found = performed("o")
    fewer = replace(found, scenario=replace(found.scenario, must=()))

    wrong = differences(fewer)

    assert len(wrong) == len(found.scenario.must)
    assert all(text.startswith("not expected: ") for text in wrong)
