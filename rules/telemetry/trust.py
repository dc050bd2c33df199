"""What is believed of meters that say different things of one power, from tick to tick.

Two readings that exclude each other prove neither. Which one is wrong is not told by one of them falling
silent, so what was contradicted stays in doubt until both are seen to agree again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from facility.contracts import PPM
from facility.readings import BoolArray, IntArray
from rules.draw.summation_plan import Index, Layout, Level
from rules.telemetry.liveness import NEVER

PATIENCE_MS: Final = 2_000
"""How much later one meter tells of a change than another: so long must a difference have lasted when each of
them was read (our choice)."""


@dataclass(slots=True)
class Trust:
    """How far claims about a power are believed; arrays of shape (claims,).

    Attributes:
        keys: Identity of each claim, as Q8 names it.
        since_ms: Since when it is in question [ms], `NEVER` where it is believed.
        is_denied: Whether it is contradicted: what is claimed and what is beneath prove neither.
    """

    keys: tuple[str, ...]
    since_ms: IntArray
    is_denied: BoolArray

    @classmethod
    def of(cls, keys: Sequence[str], remembered: Mapping[str, tuple[int, bool]]) -> Self:
        """Return the trust in claims: what is remembered of them, else they are believed."""
        rows = [remembered.get(key, (NEVER, False)) for key in keys]
        since_ms = np.array([since for since, _ in rows], np.int64)
        return cls(tuple(keys), since_ms, np.array([is_denied for _, is_denied in rows], np.bool_))

    def remember(self) -> dict[str, tuple[int, bool]]:
        """Return what is to be remembered of claims that are in question, by their keys."""
        rows = np.flatnonzero(self.since_ms != NEVER).tolist()
        return {self.keys[i]: (int(self.since_ms[i]), bool(self.is_denied[i])) for i in rows}

    @property
    def is_believed(self) -> BoolArray:
        """Which claims are not in question."""
        is_believed: BoolArray = self.since_ms == NEVER
        return is_believed

    def judge(
        self, differs: BoolArray, agrees: BoolArray, oldest_ms: Callable[[], IntArray], at_ms: int
    ) -> None:
        """Take in how claims compare with what is beneath them now.

        Args:
            differs: Where the two exclude each other.
            agrees: Where they meet, and all that is beneath is certain.
            oldest_ms: Gives when the oldest reading that takes part was made [ms], shape (claims,).
            at_ms: The moment [ms].
        """
        in_question = self.since_ms != NEVER
        if not differs.any() and not in_question.any():
            return
        self.since_ms = np.where(agrees, NEVER, np.where(differs & ~in_question, at_ms, self.since_ms))
        self.is_denied &= ~agrees
        if (differs & ~self.is_denied).any():
            self.is_denied |= differs & (self.since_ms + PATIENCE_MS <= oldest_ms())


class Memory:
    """What a judgement of draws remembers from tick to tick.

    Attributes:
        levels: The trust in the claims of each level of a layout.
        twins: The trust in points that measure one power by several sources.
        proved: The most that was ever measured of each unit [mW], shape (units,).
    """

    def __init__(self) -> None:
        self.levels: tuple[Trust, ...] = ()
        self.twins = Trust.of((), {})
        self.proved: IntArray = np.zeros(0, np.int64)
        self._layout: Layout | None = None
        self._in_question: dict[str, tuple[int, bool]] = {}
        self._above_cap: dict[tuple[int, ...], int] = {}
        self._rows: tuple[Layout | None, Sequence[tuple[int, ...]], Index] | None = None

    def align(self, layout: Layout) -> None:
        """Bring what is remembered of a layout into its order; what is not in it stays remembered."""
        if layout is self._layout:
            return
        self._keep()
        self._layout = layout
        self.levels = tuple(self._trust_in(level) for level in layout.levels)
        self.proved = np.array([self._above_cap.get(points, 0) for points in layout.unit_points], np.int64)

    def proved_of(self, units: Sequence[tuple[int, ...]]) -> IntArray:
        """Return the most that was ever measured of what is summed of some points [mW], shape (units,).

        0 for what is no unit of the layout.

        Args:
            units: The points of each; the same object as long as they are the same.
        """
        if self._rows is None or self._rows[0] is not self._layout or self._rows[1] is not units:
            listed = () if self._layout is None else self._layout.unit_points
            place = {points: row for row, points in enumerate(listed)}
            rows = np.array([place.get(points, len(listed)) for points in units], np.intp)
            self._rows = self._layout, units, rows
        found: IntArray = np.append(self.proved, 0)[self._rows[2]]
        return found

    def align_twins(self, keys: tuple[str, ...]) -> None:
        """Bring what is remembered of points that say the same into their order."""
        if keys != self.twins.keys:
            self._keep()
            self.twins = Trust.of(keys, self._in_question)

    def _trust_in(self, level: Level) -> Trust:
        """Return what is remembered of the claims of a level; one without a bound is in no doubt.

        It is held against nothing, so it would never be seen to agree: a site file that was edited may say so
        of one that was in doubt.
        """
        trust = Trust.of(level.keys, self._in_question)
        if len(trust.keys):
            says_nothing = np.logical_or.reduceat(level.sums.errors >= PPM, level.sums.starts)
            trust.since_ms[says_nothing], trust.is_denied[says_nothing] = NEVER, False
        return trust

    def save(self) -> dict[str, Any]:
        """Return everything as plain values."""
        self._keep()
        return {
            "in_question": self._in_question,
            "above_cap": [[list(points), most] for points, most in self._above_cap.items()],
        }

    def load(self, values: Mapping[str, Any]) -> None:
        """Take in what `save` returned."""
        self._in_question = {
            key: (since, is_denied) for key, (since, is_denied) in values["in_question"].items()
        }
        self._above_cap = {tuple(points): most for points, most in values["above_cap"]}
        self._layout, self.levels, self.twins = None, (), Trust.of((), {})

    def _keep(self) -> None:
        """Take what the arrays say into what is remembered by key."""
        for trust in (*self.levels, self.twins):
            for key in trust.keys:
                self._in_question.pop(key, None)
            self._in_question |= trust.remember()
        if self._layout is not None:
            for i in np.flatnonzero(self.proved > self._layout.cap).tolist():
                self._above_cap[self._layout.unit_points[i]] = int(self.proved[i])
