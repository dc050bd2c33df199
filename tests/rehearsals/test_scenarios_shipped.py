"""Every scenario that comes with the product raises what its file says: no more, no less."""

from __future__ import annotations

import pytest

from megawatch.perform import differences, perform
from rules.base import CANNOT_VERIFY
from rules.registry import RULES
from simulators.scenariofile import open_scenario, shipped

KNOWN = [name for rule in RULES for name in (rule.name, f"{rule.name}-{CANNOT_VERIFY}")]
LETTERS = "abcdefghijklmno"


@pytest.mark.parametrize("letter", list(LETTERS))
def test_a_scenario_raises_what_its_file_says(letter: str) -> None:
    """Through decoder and engine in virtual time, every alarm of the file comes in time, and no other."""
    scenario = open_scenario(_name(letter), rules=KNOWN)

    performed = perform(scenario, tick_ms=1_000)

    wrong = differences(performed)
    assert not wrong, f"{scenario.name}: {scenario.proves}\n" + "\n".join(wrong)


def test_what_was_received_is_all_accounted_for() -> None:
    """Received is stored, dead-lettered, repeated or waiting, to the last reading."""
    performed = perform(open_scenario(_name("k")), tick_ms=1_000)

    assert performed.heard.received == sum(performed.heard.account.values()) > 0


@pytest.mark.parametrize("letter", list(LETTERS))
def test_each_rule_is_either_there_or_waited_for(letter: str) -> None:
    """No file waits for a rule that there is, and none expects one that there is not."""
    scenario = open_scenario(_name(letter), rules=KNOWN)

    assert {expected.rule for expected in scenario.must} <= set(KNOWN)
    assert not {waiting.rule for waiting in scenario.waits_for} & set(KNOWN)


def test_an_alarm_that_nobody_expects_is_told() -> None:
    """The comparison fails where an expectation is taken away, and where one is put in that never comes."""
    scenario = open_scenario(_name("o"), rules=KNOWN)
    performed = perform(scenario, tick_ms=1_000)
    fewer = type(scenario)(**{n: getattr(scenario, n) for n in scenario.__slots__ if n != "must"})
    performed.scenario = fewer

    wrong = differences(performed)

    assert len(wrong) == len(scenario.must)
    assert all(text.startswith("not expected: ") for text in wrong)


def _name(letter: str) -> str:
    """Return the name of the scenario of a letter."""
    found = [name for name in shipped() if name.startswith(f"{letter}_")]
    assert len(found) == 1, f"{letter}: expected one scenario, found {found}"
    return found[0]
