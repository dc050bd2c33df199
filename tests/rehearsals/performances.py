"""Scenarios performed, each once however many tests look at it."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

from rules.base import CANNOT_VERIFY
from rules.registry import RULES
from simulators.scenario.file import open_scenario, shipped
from simulators.scenario.scenario import Scenario
from simulators.wire.bus import payloads
from testing.rehearsal.perform import LEAN, Performed, perform
from testing.scenarios.reading import Scenario as RuleScenario
from testing.scenarios.reading import read
from testing.scenarios.runner import Found, run
from tests.rehearsals.alarmlist import AlarmList

KNOWN = [name for rule in RULES for name in (rule.name, f"{rule.name}-{CANNOT_VERIFY}")]
"""The rules that there are."""
TICK_MS = 1_000
"""Judged once a second: four times as fast as four times a second, and as right."""


def performed(letter: str) -> Performed:
    """Perform the scenario of a letter."""
    return listed(name_of(letter))[0]


@cache
def listed(name: str) -> tuple[Performed, tuple[str, ...]]:
    """Perform a scenario that comes with the product: what came of it, and the list of that."""
    found = AlarmList(name)
    performed = perform_into(found, open_scenario(name, rules=KNOWN))
    return performed, tuple(found.lines(performed.heard))


def perform_into(found: AlarmList, scenario: Scenario) -> Performed:
    """Perform a scenario, and note everything that comes of it in a list."""
    return perform(
        scenario,
        equipment=None if is_electrical(scenario) else LEAN,
        tick_ms=TICK_MS,
        gather_ms=TICK_MS,
        watch=lambda second: found.publish(payloads(second.rows)),
        told=partial(found.note, scenario.site),
    )


@cache
def played(path: Path) -> tuple[RuleScenario, Found, tuple[str, ...]]:
    """Play a scenario of a rule: what its file says, what came of it, and the list of that."""
    scenario = read(path)
    found = AlarmList(scenario.name)
    return scenario, play_into(found, scenario), tuple(found.lines())


def play_into(found: AlarmList, scenario: RuleScenario) -> Found:
    """Play a scenario of a rule, and note everything that comes of it in a list."""
    return run(scenario, told=partial(found.note, scenario.file))


def is_electrical(scenario: Scenario) -> bool:
    """Tell whether a scenario expects alarms of currents, voltages and the like: they need all of a bus."""
    return any(expected.rule.startswith("E") for expected in scenario.must)


def name_of(letter: str) -> str:
    """Return the name of the scenario of a letter."""
    found = [name for name in shipped() if name.startswith(f"{letter}_")]
    assert len(found) == 1, f"{letter}: expected one scenario, found {found}"
    return found[0]
