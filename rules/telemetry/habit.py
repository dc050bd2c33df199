"""Habits: how long something usually lasts at most, as it was in the last minutes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

TIMES: Final = 3
"""How often a gap must have come to be usual: once or twice may be an outage (our choice)."""
LEARNT: Final = 8
"""How many gaps must have come before any is usual (our choice)."""


@dataclass(slots=True)
class Habit:
    """How long something usually lasts at most: what was reached three times in this season and the last.

    Attributes:
        longest_ms: The longest of this season [ms], falling.
        before_ms: The longest of the season before [ms], falling.
        count: How often it came.
    """

    longest_ms: list[int] = field(default_factory=list)
    before_ms: list[int] = field(default_factory=list)
    count: int = 0

    def note(self, lasted_ms: int) -> None:
        """Note how long it lasted [ms]."""
        self.count += 1
        if len(self.longest_ms) < TIMES or lasted_ms > self.longest_ms[-1]:
            self.longest_ms = sorted([*self.longest_ms, lasted_ms], reverse=True)[:TIMES]

    def turn(self) -> None:
        """Begin another season."""
        self.before_ms, self.longest_ms = self.longest_ms, []

    @property
    def usual_ms(self) -> int | None:
        """How long it usually lasts at most [ms]; None while that is not known."""
        both = sorted([*self.longest_ms, *self.before_ms], reverse=True)
        return both[TIMES - 1] if self.count >= LEARNT and len(both) >= TIMES else None
