"""How long each subject was in breach within the last minutes, however often it swung: memory for on-delays.

An on-delay asks for a breach without a break, so a draw that swings around its limit faster than the delay
never opens an alarm. The time above in a window does not forget.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facility.readings import BoolArray, IntArray
from rules.draw.summation_plan import Index


@dataclass(slots=True)
class _Stretch:
    """A stretch of time in which the same subjects were in breach."""

    from_ms: int
    to_ms: int
    breach: BoolArray


class TimeAbove:
    """The time in breach of each subject of a rule; exact, and as long as its window.

    Args:
        window_ms: How far back it looks [ms].
        least_ms: How much of the window a subject must have been in breach [ms].
    """

    def __init__(self, window_ms: int, least_ms: int) -> None:
        self._window_ms = window_ms
        self.least_ms = least_ms
        self._stretches: deque[_Stretch] = deque()
        self._before_ms: int | None = None
        self._count = 0

    def note(self, breach: BoolArray, at_ms: int) -> IntArray:
        """Note who is in breach from the moment before to this one.

        Args:
            breach: Which subjects are, shape (subjects,).
            at_ms: The moment, after that of the call before [ms].

        Returns:
            How long each was in the window that ends now [ms], shape (subjects,).
        """
        self._count = len(breach)
        before_ms, self._before_ms = self._before_ms, at_ms
        if before_ms is not None and (breach.any() or self._stretches):
            last = self._stretches[-1] if self._stretches else None
            if last is not None and last.to_ms == before_ms and (last.breach == breach).all():
                last.to_ms = at_ms
            else:
                self._stretches.append(_Stretch(before_ms, at_ms, breach.copy()))
        begin_ms = at_ms - self._window_ms
        while self._stretches and (
            self._stretches[0].to_ms <= begin_ms or not self._stretches[0].breach.any()
        ):
            self._stretches.popleft()
        total = np.zeros(self._count, np.int64)
        for stretch in self._stretches:
            total[stretch.breach] += stretch.to_ms - max(stretch.from_ms, begin_ms)
        return total

    def since_ms(self, place: int) -> int:
        """Return when a subject was first in breach within the window [ms]."""
        begin_ms = (self._before_ms or 0) - self._window_ms
        return next(max(s.from_ms, begin_ms) for s in self._stretches if s.breach[place])

    def clear(self) -> None:
        """Forget everything."""
        self._stretches.clear()
        self._before_ms = None

    def align(self, sources: Index, targets: Index, count: int) -> None:
        """Give every subject another place.

        Args:
            sources: The places of the subjects that stay, shape (kept,).
            targets: Where they stand from now on, shape (kept,).
            count: How many subjects there are from now on.
        """
        for stretch in self._stretches:
            breach = np.zeros(count, np.bool_)
            breach[targets] = stretch.breach[sources]
            stretch.breach = breach

    def save(self) -> dict[str, NDArray[Any]]:
        """Return everything as arrays."""
        breach = np.array([s.breach for s in self._stretches], np.bool_)
        return {
            "above_from_ms": np.array([s.from_ms for s in self._stretches], np.int64),
            "above_to_ms": np.array([s.to_ms for s in self._stretches], np.int64),
            "above_breach": breach.reshape(len(self._stretches), self._count),
            "above_before_ms": np.array([-1 if self._before_ms is None else self._before_ms], np.int64),
        }

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take in what `save` returned."""
        spans = zip(arrays["above_from_ms"].tolist(), arrays["above_to_ms"].tolist(), strict=True)
        self._stretches = deque(
            _Stretch(from_ms, to_ms, breach.copy())
            for (from_ms, to_ms), breach in zip(spans, arrays["above_breach"], strict=True)
        )
        self._count = arrays["above_breach"].shape[1]
        before_ms = int(arrays["above_before_ms"][0])
        self._before_ms = None if before_ms < 0 else before_ms
