"""Energy registers add up exactly, whatever flows and however they are struck."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.meters.registers import CAPACITY, MILLIJOULES_PER_KWH, UNITS_PER_KWH, Registers

UNIT = MILLIJOULES_PER_KWH // UNITS_PER_KWH
POWERS = st.integers(-(10**9), 4 * 10**11)  # up to 400 MW


@given(
    start=st.integers(0, CAPACITY - 1), flows=st.lists(st.tuples(POWERS, st.integers(1, 3_600)), max_size=30)
)
@settings(max_examples=80)
def test_registers_add_up_exactly(start: int, flows: list[tuple[int, int]]) -> None:
    """What is shown, what is left over and the turns make up all energy that flowed in, to the millijoule."""
    registers = Registers.starting_at(np.array([start]))
    total = 0
    for milliwatts, seconds in flows:
        registers.add(np.array([milliwatts]), seconds)
        total += max(0, milliwatts) * seconds
    shown = int(registers.units[0]) + int(registers.turns[0]) * CAPACITY
    assert (shown - start) * UNIT + int(registers.remainder_millijoules[0]) == total
    assert 0 <= registers.units[0] < CAPACITY
    assert 0 <= registers.remainder_millijoules[0] < UNIT


@given(milliwatts=st.integers(1, 4 * 10**11), seconds=st.integers(1, 1_000))
@settings(max_examples=80)
def test_a_register_rolls_over_when_it_is_due(milliwatts: int, seconds: int) -> None:
    """Brought near its end it rolls over with the first millijoule after the time, and not before."""
    registers = Registers.starting_at(np.array([5, 7]))
    power = np.array([milliwatts, milliwatts])
    registers.bring_near_end(np.array([1]), power[1:], seconds)
    registers.add(power, seconds)
    assert registers.turns.tolist() == [0, 0]
    registers.add(np.array([1, 1]))
    assert registers.turns.tolist() == [0, 1]
    assert registers.units[1] == 0


def test_a_hundred_kilowatts_for_an_hour_are_a_hundred_kilowatt_hours() -> None:
    """Whatever the constants say."""
    whole, stepped = Registers.starting_at(np.array([0])), Registers.starting_at(np.array([0]))
    whole.add(np.array([100_000_000]), 3_600)
    for _ in range(60):
        stepped.add(np.array([100_000_000]), 60)

    assert whole.kwh().tolist() == stepped.kwh().tolist() == [100.0]
    assert whole.remainder_millijoules.tolist() == [0]


def test_reset_and_replacement_touch_only_their_own() -> None:
    """One register starts again, another shows what its new device shows, the third goes on."""
    registers = Registers.starting_at(np.array([10, 20, 30]))
    registers.add(np.array([UNIT // 2] * 3))
    registers.reset(np.array([0]))
    registers.replace(np.array([1]), np.array([500]))
    registers.add(np.array([UNIT // 2] * 3))
    assert registers.units.tolist() == [0, 500, 31]
    assert registers.remainder_millijoules.tolist() == [UNIT // 2, UNIT // 2, 0]
    assert registers.kwh().tolist() == [0.0, 50.0, 3.1]
