"""The monitor's clock: small differences are made up slowly, large ones are followed at once and said."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from megawatch.run.clock import SteadyClock
from testing.builders import T0_MS


@dataclass
class Machine:
    """A machine whose clocks a test sets.

    Attributes:
        wall_s: Its wall clock [s].
        monotonic_s: Its monotonic clock [s].
    """

    wall_s: float = T0_MS / 1_000
    monotonic_s: float = 5.0

    def clock(self) -> SteadyClock:
        """Return a clock on this machine."""
        return SteadyClock(lambda: self.wall_s, lambda: self.monotonic_s)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.wall_s += seconds
        self.monotonic_s += seconds


def test_a_small_difference_is_made_up_slowly() -> None:
    """NTP moves the clock by 100 ms: nothing jumps, and after 10 s it is there."""
    machine = Machine()
    clock = machine.clock()
    machine.wall_s += 0.1
    assert clock.now_ms() == T0_MS
    for _ in range(10):
        machine.run(1)
        clock.now_ms()

    assert clock.now_ms() == pytest.approx(T0_MS + 10_100, abs=2)
    assert clock.take_step() is None


@pytest.mark.parametrize(
    "by_s", [90, -3_600, 56 * 365 * 86_400], ids=["paused", "was fast", "booted in 1970"]
)
def test_a_large_step_is_followed_at_once_and_said_once(by_s: int) -> None:
    """A machine that stood still, was an hour fast, or was started without a clock."""
    machine = Machine()
    clock = machine.clock()
    machine.run(10)
    assert clock.now_ms() == T0_MS + 10_000

    machine.wall_s += by_s
    assert clock.now_ms() == T0_MS + 10_000 + by_s * 1_000
    assert clock.take_step() == (T0_MS + 10_000, T0_MS + 10_000 + by_s * 1_000)
    assert clock.take_step() is None
    machine.run(1)
    assert clock.now_ms() == T0_MS + 11_000 + by_s * 1_000
