"""Pauses between attempts: exponential back-off with jitter, the one way in which anything is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

_MOST_DOUBLINGS: Final = 30
"""More of them than any pause needs, and few enough that a float holds the result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Pauses that double with each failure in a row, from the first to the longest.

    Attributes:
        first_s: The longest that the first pause may be [s].
        longest_s: The longest that any may be [s].
        least: The share of that which is always waited; the rest is drawn, so that several who failed
            together do not come back together.
    """

    first_s: float
    longest_s: float
    least: float = 0.0

    def pause_s(self, failures: int, random_source: Random, *, asked_s: float | None = None) -> float:
        """Return how long to wait before the next attempt [s].

        Args:
            failures: How many attempts in a row have failed; 0 counts as 1.
            random_source: Where the jitter comes from.
            asked_s: The least that the other side asked for [s]; it is never cut short.
        """
        doublings = min(max(failures - 1, 0), _MOST_DOUBLINGS)
        longest_s = min(self.longest_s, self.first_s * 2**doublings)
        return max(asked_s or 0.0, random_source.uniform(self.least * longest_s, longest_s))
