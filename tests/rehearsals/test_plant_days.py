"""Random days of the plant through the monitor, held against its physics: nothing missed, nothing invented.

A day is five minutes long, with the delays of thirteen rules of power and cooling made short. A thousand
of them are run by `make soak`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable

import pytest

from testing.plantdays.live import live_through

SEEDS = range(2)
MENDED = 18
"""A day on which the monitor was wrong once: voltage and current of a dead busway, a little below zero, were
refused. The feed that was lost was told late, and an overload that had hardly begun was paged."""
SOAK_SEEDS = 1_000
PER_SOAK_TEST = 50


@pytest.mark.parametrize("seed", [*SEEDS, MENDED])
def test_a_random_day_of_the_plant_agrees_with_its_physics(seed: int) -> None:
    """Every alarm that is owed comes in its window, none without cause, and each ends when it is over."""
    assert _check([seed]).total() > 0


def test_a_monitor_that_is_wrong_is_found_out() -> None:
    """One that waits too long, or not at all, disagrees with the physics."""
    late = live_through(MENDED, {"E4": "on_delay_s = 12\noff_delay_s = 10"}).wrong
    early = live_through(1054, {"E8": "on_delay_s = 0\noff_delay_s = 10\nsevere_delay_s = 0"}).wrong

    assert any(text.startswith("missed: E4") for text in late)
    assert any(text.startswith("invented: E8") for text in early)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(0, SOAK_SEEDS, PER_SOAK_TEST))
def test_a_thousand_days_of_the_plant_agree_with_their_physics(first: int) -> None:
    """Fifty seeds in each test, whose numbers are printed."""
    assert _check(range(first, first + PER_SOAK_TEST)).total() > 0


def _check(seeds: Iterable[int]) -> Counter[str]:
    """Live through days, and return how often each rule was owed an alarm."""
    owed, wrong = Counter[str](), list[str]()
    for seed in seeds:
        lived = live_through(seed)
        owed += lived.owed()
        wrong += [f"seed {seed}: {text}" for text in lived.wrong]
        sys.stdout.write(f"seed {seed}: {len(lived.day.scenario.events)} events\n")
    sys.stdout.write(f"owed {dict(owed)}\n")
    assert not wrong, "\n".join(wrong)
    return owed
