"""Habits: how long things usually last at most, as it was in the last minutes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from facility.readings import BoolArray, IntArray

TIMES: Final = 3
"""How often a gap must have come to be usual: once or twice may be an outage (our choice)."""
LEARNT: Final = 8
"""How many gaps must have come before any is usual (our choice)."""
_NONE: Final = -(2**62)
"""In place of a time that is not there: shorter than any."""

Index = NDArray[np.intp]


class Habits:
    """How long each of several things usually lasts at most: what was reached `TIMES` times lately.

    The longest times of this season and of the one before are kept, those of shape (things, TIMES) falling,
    and how often each thing came.
    """

    def __init__(self, things: int = 0) -> None:
        self._longest_ms, self._before_ms = np.full((2, things, TIMES), _NONE)
        self._count = np.zeros(things, np.int64)

    def extend(self, more: int) -> None:
        """Make room for so many more things."""
        new = Habits(more)
        self._longest_ms = np.concatenate([self._longest_ms, new._longest_ms])
        self._before_ms = np.concatenate([self._before_ms, new._before_ms])
        self._count = np.append(self._count, new._count)

    def note(self, things: Index, lasted_ms: IntArray) -> None:
        """Note how long things lasted.

        Args:
            things: Which, each once, shape (n,).
            lasted_ms: How long [ms].
        """
        self._count[things] += 1
        self._keep(things, lasted_ms)

    def note_all(self, things: Index, lasted_ms: IntArray) -> None:
        """Note how long things lasted, some of them several times; arguments as for `note`."""
        self._count += np.bincount(things, minlength=len(self._count))
        # Of one thing no more than the longest are kept.
        order = np.lexsort((-lasted_ms, things))
        things, lasted_ms = things[order], lasted_ms[order]
        rank = np.arange(len(things)) - np.searchsorted(things, things)
        for of_rank in range(min(TIMES, int(rank.max(initial=-1)) + 1)):
            rows = rank == of_rank
            self._keep(things[rows], lasted_ms[rows])

    def _keep(self, things: Index, lasted_ms: IntArray) -> None:
        """Keep times among the longest, each in its order; arguments as for `note`."""
        longest = self._longest_ms[things]
        rows = np.flatnonzero(lasted_ms > longest[:, -1])
        if len(rows):
            longest = longest[rows]
            longest[:, -1] = lasted_ms[rows]
            longest.sort(axis=1)
            self._longest_ms[things[rows]] = longest[:, ::-1]

    def turn(self, things: Index) -> None:
        """Begin another season of some things."""
        self._before_ms[things] = self._longest_ms[things]
        self._longest_ms[things] = _NONE

    def usual_ms(self, things: Index) -> tuple[IntArray, BoolArray]:
        """Return how long things usually last at most [ms], 0 where that is not known; and where it is.

        Args:
            things: Which, shape (n,).
        """
        both = np.concatenate([self._longest_ms[things], self._before_ms[things]], axis=1)
        both.sort(axis=1)
        usual_ms = both[:, -TIMES]
        is_known = (self._count[things] >= LEARNT) & (usual_ms != _NONE)
        return np.where(is_known, usual_ms, 0), is_known

    def save(self) -> list[dict[str, Any]]:
        """Return what is known of each thing as plain values."""
        rows = zip(self._longest_ms.tolist(), self._before_ms.tolist(), self._count.tolist(), strict=True)
        return [
            {"longest_ms": _there(longest), "before_ms": _there(before), "count": count}
            for longest, before, count in rows
        ]

    @classmethod
    def load(cls, values: Sequence[Mapping[str, Any]]) -> Self:
        """Return what `save` returned."""
        loaded = cls(len(values))
        for thing, one in enumerate(values):
            longest, before = one["longest_ms"], one["before_ms"]
            loaded._longest_ms[thing, : len(longest)] = longest
            loaded._before_ms[thing, : len(before)] = before
            loaded._count[thing] = one["count"]
        return loaded


def _there(times_ms: list[int]) -> list[int]:
    return [time_ms for time_ms in times_ms if time_ms != _NONE]
