"""Scenarios performed, each once however many tests look at it."""

from __future__ import annotations

from functools import cache

from megawatch.scenario.perform import Performed, perform
from rules.base import CANNOT_VERIFY
from rules.registry import RULES
from simulators.scenario.file import open_scenario, shipped

KNOWN = [name for rule in RULES for name in (rule.name, f"{rule.name}-{CANNOT_VERIFY}")]
"""The rules that there are."""
TICK_MS = 1_000
"""Judged once a second: four times as fast as four times a second, and as right."""


@cache
def performed(letter: str) -> Performed:
    """Perform the scenario of a letter."""
    return perform(open_scenario(name_of(letter), rules=KNOWN), tick_ms=TICK_MS, gather_ms=TICK_MS)


def name_of(letter: str) -> str:
    """Return the name of the scenario of a letter."""
    found = [name for name in shipped() if name.startswith(f"{letter}_")]
    assert len(found) == 1, f"{letter}: expected one scenario, found {found}"
    return found[0]
